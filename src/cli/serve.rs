//! `serve`: answers over HTTP until it is stopped.

use std::path::PathBuf;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::{Common, Invalid, ServeArgs};
use super::exit;
use super::output::Output;
use super::telemetry::Telemetry;
use crate::pipeline;
use crate::runtime::Settings;
use crate::serve::{Access, ServeError, ServeOptions, Server, Token, TokenFile};

pub(super) async fn run(
    args: ServeArgs,
    common: &Common,
    output: &Output,
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let settings = common.settings()?;
    let pipelines = files(&args.pipelines, &settings)?;
    let access = access(&args)?;
    let options = ServeOptions { listen: args.listen, pipelines, access, allow_ingest: args.allow_ingest, settings };
    let server = match Server::bind(options).await {
        Ok(server) => server,
        Err(error) => return refused(error, output),
    };
    let address = server.address();
    if output.json {
        output.event(&json!({"type": "listening", "url": format!("http://{address}"), "pipelines": server.pipelines()}));
    } else {
        output.note(&format!("{} http://{address} ({})", output.paint("serving", "32"), server.pipelines().join(", ")));
    }
    let _watching = telemetry.watch(server.readings());
    server.run(stop).await?;
    Ok(exit::OK)
}

/// The files of pipelines that were named.
pub(super) fn files(names: &[String], settings: &Settings) -> Result<Vec<PathBuf>, Invalid> {
    names.iter().map(|name| pipeline::find(name, &settings.cwd).map_err(Invalid::from)).collect()
}

/// Says why there is no service, and what to do.
pub(super) fn refused(error: ServeError, output: &Output) -> anyhow::Result<u8> {
    let hint = error.hint();
    if let ServeError::Pipeline(diagnostics) = error {
        return Err(Invalid(diagnostics).into());
    }
    output.error(&anyhow::Error::new(error));
    if let Some(hint) = hint {
        output.complain(&format!("{} {hint}\n", output.paint("hint:", "1;36")));
    }
    Ok(exit::FAILED)
}

/// Who is heard: who bears a token that was named, or one of a file's.
fn access(args: &ServeArgs) -> Result<Access, ServeError> {
    let tokens = args.token.as_deref().into_iter().map(Token::new).collect::<Result<Vec<_>, _>>()?;
    let token_file = args.token_file.as_ref().map(TokenFile::open).transpose()?;
    match &args.token_file {
        Some(file) if tokens.is_empty() && token_file.as_ref().is_some_and(TokenFile::is_empty) => {
            Err(ServeError::NoToken(file.clone()))
        }
        _ => Ok(Access { tokens, token_file, origins: args.origins.clone() }),
    }
}
