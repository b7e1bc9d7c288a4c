//! The signals that end a command, and the order in which it ends.
//!
//! Ctrl-C, SIGTERM and a closed terminal (SIGHUP) ask it to finish what is under way; Ctrl-C or SIGTERM once more ends it at once. A
//! closed terminal never does: the shell passes its signal on, so that it often comes twice, and service managers send it behind their
//! SIGTERM.

use tokio_util::sync::CancellationToken;

use super::exit::INTERRUPTED;

/// A token that the first of these signals cancels.
pub(super) fn interruptible() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = ctrl_c() => {}
            () = ended() => {}
        }
        cancelled.cancel();
        tokio::select! {
            () = ctrl_c() => {}
            () = terminated() => {}
        }
        std::process::exit(INTERRUPTED.into());
    });
    stop
}

/// What `work` gives, unless it is stopped before: it may wait for a pipe that nobody writes to, and there is nothing yet to be drained.
pub(super) async fn unless_stopped<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<Option<T>> {
    tokio::select! {
        done = tokio::task::spawn_blocking(work) => done?.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

/// The same where Ctrl-C has a meaning of its own.
pub(super) fn endable() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        ended().await;
        cancelled.cancel();
        terminated().await;
        std::process::exit(INTERRUPTED.into());
    });
    stop
}

/// SIGTERM, or a closed terminal.
async fn ended() {
    tokio::select! {
        () = terminated() => {}
        () = hung_up() => {}
    }
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // No signals to be had: then there is nothing to wait for.
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn caught(kind: tokio::signal::unix::SignalKind) {
    match tokio::signal::unix::signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(unix)]
async fn terminated() {
    caught(tokio::signal::unix::SignalKind::terminate()).await;
}

/// The terminal was closed, and nobody (`nohup`) asked to outlive that.
#[cfg(unix)]
async fn hung_up() {
    if outlives_its_terminal() {
        std::future::pending::<()>().await;
    }
    caught(tokio::signal::unix::SignalKind::hangup()).await;
}

/// Whether SIGHUP was ignored when the program began.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn outlives_its_terminal() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// The kernel's list of ignored signals is told there alone. `nohup` leaves no stream of its command on a terminal.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn outlives_its_terminal() -> bool {
    use std::io::IsTerminal as _;
    !(std::io::stdin().is_terminal() || std::io::stdout().is_terminal() || std::io::stderr().is_terminal())
}

/// By the `SigIgn` of `/proc/PID/status`: a bit a signal from 1 on, in hexadecimal.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

#[cfg(not(unix))]
async fn hung_up() {
    std::future::pending().await
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_told_by_the_kernels_mask() {
        let status =
            |mask: &str| format!("Name:\tragstream\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")) && !ignores_hangup(&status("?")) && !ignores_hangup(""));
    }
}
