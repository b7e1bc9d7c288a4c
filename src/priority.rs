//! Threads that yield: what is done beside those that somebody waits for, takes hardly anything from them.

use std::io;

/// What such a thread yields by: where another wants to run, it gets hardly any of the time.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// The thread at hand yields from now on, and those that it starts.
///
/// On Linux a priority is a thread's; elsewhere it would be the whole program's, and stays as it is.
pub(crate) fn yields() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread does not yield");
    }
}

/// Does work on a thread of its own, which yields. Where there can be none, the work is dropped undone, here.
pub(crate) fn aside(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let yielding = move || {
        yields();
        work();
    };
    std::thread::Builder::new().name("aside".into()).spawn(yielding).map(drop)
}
