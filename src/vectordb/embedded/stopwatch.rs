//! How long the writer is at work: what is done one after the other is not done sooner on more cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::vectordb::OneByOne;

/// Adds up what its owner does, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    cpu: AtomicU64,
    waits: AtomicU64,
}

impl Stopwatch {
    /// Does it, and counts it.
    pub(super) fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let (began, cpu_before, queued_before) = (Instant::now(), on_core(), queued());
        let done = work();
        let cpu = on_core().saturating_sub(cpu_before);
        add(&self.cpu, cpu);
        if let (Some(before), Some(after)) = (queued_before, queued()) {
            add(&self.waits, began.elapsed().saturating_sub(cpu + after.saturating_sub(before)));
        }
        done
    }

    /// So far.
    pub(super) fn read(&self) -> OneByOne {
        let read = |nanoseconds: &AtomicU64| Duration::from_nanos(nanoseconds.load(Ordering::Relaxed));
        OneByOne { cpu: read(&self.cpu), waits: read(&self.waits) }
    }
}

fn add(to: &AtomicU64, time: Duration) {
    to.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The time that this thread has had on cores.
#[cfg(unix)]
fn on_core() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.try_into().unwrap_or_default(), used.tv_nsec.try_into().unwrap_or_default())
}

/// The time that this thread has had on cores.
#[cfg(not(unix))]
fn on_core() -> Duration {
    Duration::ZERO
}

/// The time for which this thread has waited for a core, where the system tells: the second of three numbers.
fn queued() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn work_and_waiting_are_told_apart() {
        let watch = Stopwatch::default();
        watch.time(|| std::thread::sleep(Duration::from_millis(60)));
        let slept = watch.read();
        assert!(slept.cpu < Duration::from_millis(20) && slept.waits >= Duration::from_millis(30), "{slept:?}");
        // Time that the machine itself is not given looks like waiting: it only ever adds, so the least of some tries is what is meant.
        let tries = (0..5).map(|_| {
            let before = watch.read();
            watch.time(|| {
                let until = on_core() + Duration::from_millis(40);
                while on_core() < until {}
            });
            watch.read().since(before)
        });
        let tries: Vec<OneByOne> = tries.collect();
        // However long it waited for a core meanwhile.
        assert!(tries.iter().all(|worked| worked.cpu >= Duration::from_millis(40)), "{tries:?}");
        assert!(tries.iter().any(|worked| worked.waits < Duration::from_millis(20)), "{tries:?}");
    }
}
