//! The command line: arguments, one file a command, and the one place that prints.

mod args;
mod ask;
mod batch;
mod chat;
mod check;
mod cluster;
mod ensemble;
mod eval;
mod exit;
mod ingest;
mod jsonl;
mod markdown;
#[cfg(feature = "serve")]
mod mcp;
mod models;
mod numbers;
mod once;
mod output;
#[cfg(all(unix, feature = "serve"))]
mod owner;
mod plan;
mod progress;
mod prove;
mod push;
mod read;
#[cfg(all(unix, feature = "serve"))]
mod received;
#[cfg(all(unix, feature = "serve"))]
mod remote;
mod schema;
mod search;
#[cfg(feature = "serve")]
mod serve;
mod show;
mod signals;
mod spent;
mod status;
mod style;
#[cfg(feature = "otel")]
mod telemetry;
#[cfg(not(feature = "otel"))]
#[path = "telemetry/absent.rs"]
mod telemetry;
#[cfg(feature = "serve")]
mod top;
mod watch;
mod whole;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Cli, Command, IngestCommand};
use self::exit::{FAILED, INTERRUPTED, OK};
use self::output::{Output, Unread};
use self::signals::{interruptible, unless_stopped};
use self::telemetry::Telemetry;

/// Runs the program with these arguments. `command` is the subcommand that the program's own name stands for, as with
/// `ingest` and `ask`. Not generic, so that the commands are compiled once, here, and not in every program.
pub fn main(mut arguments: Vec<OsString>, command: Option<&str>) -> ExitCode {
    if let Some(command) = command {
        // As if it had been asked for by its long name, which is what the help then says.
        arguments.splice(..1.min(arguments.len()), ["ragstream".into(), command.into()]);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and go to stdout.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { OK });
        }
    };
    let unread = match &cli.command {
        Command::Ingest(_) | Command::Push(_) | Command::Eval(_) => Unread::GoesOn,
        _ => Unread::Ends,
    };
    let output = Output::new(&cli.common).when_unread(unread);
    let for_days = matches!(&cli.command, Command::Ingest(ingest) if ingest.watch.watch);
    quiet_parsers();
    let code = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let (telemetry, layers) = Telemetry::start(runtime.handle());
            output.start_logging(for_days, layers);
            telemetry.complain();
            let code = runtime.block_on(dispatch(cli, &output, &telemetry));
            // Before what is still to be sent is waited for.
            let code = code.unwrap_or_else(|error| {
                output.fatal(&error);
                FAILED
            });
            telemetry.finish(&output);
            // A parser that hangs in a blocking thread must not keep the program.
            runtime.shutdown_background();
            Ok(code)
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    ExitCode::from(code.unwrap_or_else(|error| {
        output.error(&error);
        FAILED
    }))
}

async fn dispatch(cli: Cli, output: &Output, telemetry: &Telemetry) -> anyhow::Result<u8> {
    // There Ctrl-C has a meaning of its own.
    if let Command::Chat(args) = cli.command {
        return Box::pin(chat::run(args, &cli.common, output)).await;
    }
    let stop = interruptible();
    let common = &cli.common;
    match cli.command {
        Command::Ingest(args) if args.cluster.url()?.is_some() => cluster::ingest(args, common, output, telemetry, stop).await,
        Command::Ingest(IngestCommand { ingest, watch, .. }) if watch.watch => {
            watch::run(ingest, watch, common, output, stop).await
        }
        Command::Ingest(args) => {
            #[cfg(all(unix, feature = "serve"))]
            if let Some(code) = remote::ingest(&args.ingest, common, output, &stop).await? {
                return Ok(code);
            }
            ingest::run(args.ingest, common, output, telemetry, stop).await
        }
        Command::Plan(args) => plan::run(&args, common, output, stop).await,
        Command::Ask(args) => ask::run(args, common, output, stop).await,
        Command::Search(args) => search::run(args, common, output, stop).await,
        Command::Why(args) => why::run(args, common, output, stop).await,
        Command::Push(args) => push::run(args, common, output, stop).await,
        Command::Eval(args) => eval::run(args, common, output, stop).await,
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args, common, output, telemetry, stop).await,
        #[cfg(feature = "serve")]
        Command::Top(args) => top::run(args, common, output, stop).await,
        #[cfg(feature = "serve")]
        Command::Mcp(args) => mcp::run(args, common, output, stop).await,
        Command::Check(args) => {
            let checked = output.clone();
            Ok(unless_stopped(&stop, move || check::run(&args, &checked)).await?.unwrap_or(INTERRUPTED))
        }
        Command::Read(args) => read::run(args, common, output, stop).await,
        Command::Prove(args) => prove::run(args, output, stop).await,
        Command::Status(args) => tokio::select! {
            code = status::run(args, common, output) => code,
            () = stop.cancelled() => Ok(INTERRUPTED),
        },
        Command::Chat(_) => Ok(OK),
        Command::Schema(args) => schema::run(&args, output),
    }
}

/// A parser that panics has failed on its document, which is reported as such: no news for the terminal.
fn quiet_parsers() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("parse") {
            tracing::debug!(%panic, "a parser panicked");
        } else {
            others(panic);
        }
    }));
}
