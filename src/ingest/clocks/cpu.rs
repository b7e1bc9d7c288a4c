//! The time that this process has had on cores.

use std::time::Duration;

/// By all threads so far; `None` where the system does not tell.
#[cfg(unix)]
pub(super) fn used() -> Option<Duration> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(used.tv_sec.try_into().ok()?, used.tv_nsec.try_into().ok()?))
}

/// By all threads so far; `None` where the system does not tell.
#[cfg(not(unix))]
pub(super) fn used() -> Option<Duration> {
    None
}

/// Cores that this process may use.
pub(in crate::ingest) fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
