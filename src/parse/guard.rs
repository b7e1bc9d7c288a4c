//! Runs parsers that others wrote on bytes that strangers wrote.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Format, ParseError};

/// Address space for the stack; only what is touched costs memory. What nests is bounded elsewhere (`html`, `pdf`, and
/// inside the crates) to depths that this holds many times over.
const STACK: usize = 256 << 20;
/// Over the slowest real document seen, a PDF manual with 4.5 MB of text: 19 s, and that without optimisation.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// What a parser that looks at its deadline may take to notice it.
const GRACE: Duration = Duration::from_secs(5);

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
    let thread = thread::Builder::new()
        .name("parse".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody waits any more if this fails.
            let _ = tx.send(catch_unwind(AssertUnwindSafe(|| work(deadline))));
        })
        .map_err(|e| ParseError::broken(format, format_args!("no thread to read it on: {e}")))?;
    match rx.recv_timeout(patience + grace) {
        Ok(outcome) => {
            // It has sent its last message; this waits for the stack to be freed, so that no more threads are about than
            // there are callers.
            let _ = thread.join();
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
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]
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
    fn the_stack_is_deep() {
        fn dive(n: u32) -> u32 {
            let frame = std::hint::black_box([n; 64]);
            if n == 0 { 0 } else { dive(n - 1).wrapping_add(frame.iter().sum::<u32>()) }
        }
        // 100,000 frames of 256 bytes and more: far beyond the usual 2 MiB.
        assert!(run(Format::Html, |_| Ok(dive(100_000))).is_ok());
    }
}
