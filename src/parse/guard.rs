//! Runs parsers that others wrote on bytes that strangers wrote.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Format, ParseError};

/// Address space for the stack; only what is touched costs memory. What nests is bounded elsewhere (`html`, `pdf`, and
/// inside the crates) to depths that this holds many times over.
const STACK: usize = 256 << 20;
/// Over the slowest real document seen, a PDF manual with 4.5 MB of text: 19 s, and that without optimisation.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// What a parser that looks at its deadline may take to notice it.
const GRACE: Duration = Duration::from_secs(5);

/// Documents after which a thread is replaced: what a deep one has touched of its stack is given back.
const DOCUMENTS: u32 = 64;

type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    /// The thread that this one has its parsers run on: to begin one anew for each small page costs as much as to read the page. It ends
    /// with this one.
    static OWN: Cell<Option<Parser>> = const { Cell::new(None) };
}

/// A thread with a deep stack.
struct Parser {
    work: mpsc::SyncSender<Work>,
    thread: JoinHandle<()>,
    /// Documents that it may still read.
    left: u32,
}

impl Parser {
    fn start() -> std::io::Result<Self> {
        let (work, waiting) = mpsc::sync_channel::<Work>(1);
        let thread = thread::Builder::new().name("parse".to_owned()).stack_size(STACK).spawn(move || {
            while let Ok(work) = waiting.recv() {
                work();
            }
        })?;
        Ok(Self { work, thread, left: DOCUMENTS })
    }

    /// Waits for its end, and so for its stack to be freed: no more threads are about than two a caller.
    fn end(self) {
        drop(self.work);
        let _ = self.thread.join();
    }
}

/// Runs a parser on a thread of its own; it gets the moment by which it should be done.
pub(super) fn run<T: Send + 'static>(
    format: Format,
    work: impl FnOnce(Instant) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, ParseError> {
    run_within(format, PATIENCE, work)
}

/// The same for a document that may take less.
pub(super) fn run_within<T: Send + 'static>(
    format: Format,
    patience: Duration,
    work: impl FnOnce(Instant) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, ParseError> {
    run_until(format, patience, GRACE, work)
}

fn run_until<T: Send + 'static>(
    format: Format,
    patience: Duration,
    grace: Duration,
    work: impl FnOnce(Instant) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, ParseError> {
    let deadline = Instant::now() + patience;
    let (tx, rx) = mpsc::sync_channel(1);
    let no_thread =
        |error: &dyn std::fmt::Display| ParseError::broken(format, format_args!("no thread to read it on: {error}"));
    // Taken out while it is at work: a parser that reads what lies in a document has one of its own.
    let mut parser = match OWN.take() {
        Some(parser) => parser,
        None => Parser::start().map_err(|error| no_thread(&error))?,
    };
    let work: Work = Box::new(move || {
        // Nobody waits any more if this fails.
        let _ = tx.send(catch_unwind(AssertUnwindSafe(|| work(deadline))));
    });
    parser.work.send(work).map_err(|error| no_thread(&error))?;
    match rx.recv_timeout(patience + grace) {
        Ok(outcome) => {
            parser.left -= 1;
            if outcome.is_ok() && parser.left > 0 {
                OWN.set(Some(parser));
            } else {
                parser.end();
            }
            outcome.unwrap_or_else(|panic| {
                Err(ParseError::broken(format, format_args!("its parser panicked: {}", said(panic.as_ref()))))
            })
        }
        Err(RecvTimeoutError::Timeout) => {
            // The one thread that is not waited for: Rust has no way to stop it.
            tracing::warn!(%format, seconds = patience.as_secs(), "a parser did not end and is left behind");
            Err(ParseError::TimedOut { format, after: patience })
        }
        Err(RecvTimeoutError::Disconnected) => Err(ParseError::broken(format, "its parser died")),
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_file() {
        let got: Result<(), _> = run(Format::Pdf, |_| panic!("index out of bounds"));
        let message = got.unwrap_err().to_string();
        assert!(message.contains("panicked: index out of bounds"), "{message}");
    }

    #[test]
    fn a_parser_that_never_ends_is_left_behind() {
        let (stop, stopped) = mpsc::channel::<()>();
        let got = run_until(Format::Epub, Duration::from_millis(10), Duration::ZERO, move |_| {
            // Ends when the test does.
            let _ = stopped.recv();
            Ok(())
        });
        assert!(matches!(got, Err(ParseError::TimedOut { format: Format::Epub, .. })), "{got:?}");
        drop(stop);
    }

    #[test]
    fn a_thread_reads_many_documents_and_not_for_ever() {
        let on = |_: Instant| Ok(thread::current().id());
        let threads: Vec<_> = (0..DOCUMENTS * 2).map(|_| run(Format::Html, on).unwrap()).collect();
        let (first, second) = threads.split_at(DOCUMENTS as usize);
        assert!(first.iter().all(|id| *id == first[0]) && second.iter().all(|id| *id == second[0]) && first[0] != second[0]);
        // What panicked, and what was left behind, is not gone on with.
        let before = run(Format::Html, on).unwrap();
        let _: Result<(), _> = run(Format::Html, |_| panic!("as it may"));
        let after = run(Format::Html, on).unwrap();
        assert_ne!(before, after);
        let late = |_| {
            thread::sleep(Duration::from_millis(50));
            Ok(())
        };
        assert!(run_until(Format::Html, Duration::from_millis(1), Duration::ZERO, late).is_err());
        assert_ne!(run(Format::Html, on).unwrap(), after);
    }

    #[test]
    fn a_document_in_a_document_has_a_thread_of_its_own() {
        let outer = run(Format::Epub, |_| {
            let inner = run(Format::Html, |_| Ok(thread::current().id()))?;
            Ok((thread::current().id(), inner))
        });
        let (outer, inner) = outer.unwrap();
        assert_ne!(outer, inner);
    }

    #[test]
    fn the_stack_is_deep() {
        fn dive(n: u32) -> u32 {
            let frame = std::hint::black_box([n; 64]);
            if n == 0 { 0 } else { dive(n - 1).wrapping_add(frame.iter().sum::<u32>()) }
        }
        // 100,000 frames of 256 bytes and more: far beyond the usual 2 MiB.
        assert!(run(Format::Html, |_| Ok(dive(100_000))).is_ok());
    }
}
