//! A record of what was sent to a provider, and when: a window of a minute is counted in it, and a limit that nobody tells is
//! learned from it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A minute as seen from here. A request that is sent 60 s after another can arrive less than 60 s after it, when the earlier
/// one was slow on its way (a TLS handshake, a retransmission): the second that is added covers that, for 1.6 % of the quota.
pub(super) const WINDOW: Duration = Duration::from_secs(61);

/// The time for which it is kept while a limit is measured.
const MEASURED: Duration = Duration::from_mins(15);

/// The number of entries above which it is not.
const MOST_MEASURED: usize = 20_000;

/// An amount that was sent.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Instant,
    pub(super) id: u64,
    /// The amount that was reserved, and once it is known the real one; 0 of what was refused.
    pub(super) amount: u64,
}

/// The amounts that left within the last [`WINDOW`], and before that as long as a limit is measured. Ids ascend.
#[derive(Debug, Default)]
pub(super) struct SendLog {
    entries: VecDeque<Entry>,
    /// The number of entries, the oldest, that are older than [`WINDOW`].
    older: usize,
    /// The sum of the others.
    used: u64,
}

impl SendLog {
    /// The sum of what left within the last [`WINDOW`].
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The entries within the last [`WINDOW`], the oldest first.
    pub(super) fn window(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().skip(self.older)
    }

    /// Adds what leaves now. Ids ascend from call to call.
    pub(super) fn push(&mut self, id: u64, amount: u64, at: Instant) {
        self.used += amount;
        self.entries.push_back(Entry { at, id, amount });
    }

    /// Replaces the amount of an entry; returns what stood there before. `None` for an id that is not there any more.
    pub(super) fn replace(&mut self, id: u64, amount: u64) -> Option<u64> {
        let index = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let entry = self.entries.get_mut(index)?;
        let before = std::mem::replace(&mut entry.amount, amount);
        if index >= self.older {
            self.used = self.used - before + amount;
        }
        Some(before)
    }

    /// Lets go of what is too old.
    pub(super) fn expire(&mut self, measuring: bool, now: Instant) {
        while let Some(entry) = self.entries.get(self.older).filter(|entry| entry.at + WINDOW <= now) {
            self.used -= entry.amount;
            self.older += 1;
        }
        let kept = if measuring && self.entries.len() <= MOST_MEASURED { MEASURED } else { WINDOW };
        while self.older > 0 && self.entries.front().is_some_and(|entry| entry.at + kept <= now) {
            self.entries.pop_front();
            self.older -= 1;
        }
    }

    /// The entries that were accepted and left after `from` (`None`: at any time), until `until`. The oldest first.
    pub(super) fn accepted(&self, from: Option<Instant>, until: Instant) -> impl Iterator<Item = &Entry> + Clone {
        self.entries.iter().filter(move |entry| entry.amount > 0 && entry.at <= until && Some(entry.at) > from)
    }
}
