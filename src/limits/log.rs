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

/// What left within the same so many microseconds may be told as having left at their end, where a log must be short: for that
/// it counts an eighth of a second longer on average, 0.2 % of the quota.
pub(super) const SLOT: u64 = 250_000;

/// The same for what is older than [`WINDOW`], and kept to measure a limit.
const OLD_SLOT: u64 = 5_000_000;

/// The number of entries above which a log is not short.
const SHORT: usize = 192;

/// An amount that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// Replaces a part of an entry's amount, or of that into which it was told together with others ([`Self::shorten`]). `false`
    /// for an id that is not there any more.
    pub(super) fn correct(&mut self, id: u64, reserved: u64, actual: u64) -> bool {
        let index = self.entries.partition_point(|entry| entry.id < id);
        let slot = if index < self.older { OLD_SLOT } else { SLOT };
        let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.id == id || is_slot_of(entry, slot, id)) else {
            return false;
        };
        let amount = (entry.amount + actual).saturating_sub(reserved);
        let before = std::mem::replace(&mut entry.amount, amount);
        if index >= self.older {
            self.used = self.used + amount - before;
        }
        true
    }

    /// Adds what has left at some time.
    pub(super) fn insert(&mut self, entry: Entry) {
        let index = self.entries.partition_point(|other| other.id < entry.id);
        if index >= self.older {
            self.used += entry.amount;
        }
        match self.entries.get_mut(index) {
            // Where others of its time were told as one, it is one of them.
            Some(later) if later.id == entry.id || is_slot_of(later, SLOT, entry.id) => later.amount += entry.amount,
            _ => {
                self.entries.insert(index, entry);
                self.older += usize::from(index < self.older);
            }
        }
    }

    /// The entries, the oldest first.
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// A log of these, the oldest first.
    pub(super) fn from_entries(entries: VecDeque<Entry>) -> Self {
        let used = entries.iter().map(|entry| entry.amount).sum();
        Self { entries, older: 0, used }
    }

    /// Where there are many entries, tells those of the same time as one at its end: they count as much, and never shorter.
    /// Ids are microseconds; what left since the last of these times ended stays apart. `instant` tells an id's time.
    pub(super) fn shorten(&mut self, instant: impl Fn(u64) -> Instant) {
        if self.entries.len() <= SHORT {
            return;
        }
        let last = self.entries.back().map_or(0, |entry| entry.id);
        let first = self.entries.get(self.older).map_or(last, |entry| entry.id);
        let mut short: VecDeque<Entry> = VecDeque::with_capacity(SHORT * 2);
        let mut older = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            let (slot, most) = if index < self.older { (OLD_SLOT, first) } else { (SLOT, last) };
            let end = entry.id.div_ceil(slot) * slot;
            let entry = if end <= most { Entry { at: instant(end), id: end, ..*entry } } else { *entry };
            match short.back_mut() {
                // What is older than a minute and what is not stay apart.
                Some(before) if before.id >= entry.id && index != self.older => before.amount += entry.amount,
                _ => {
                    short.push_back(entry);
                    older += usize::from(index < self.older);
                }
            }
        }
        (self.entries, self.older) = (short, older);
    }

    /// The entries that were accepted and left after `from` (`None`: at any time), until `until`. The oldest first.
    pub(super) fn accepted(&self, from: Option<Instant>, until: Instant) -> impl Iterator<Item = &Entry> + Clone {
        self.entries.iter().filter(move |entry| entry.amount > 0 && entry.at <= until && Some(entry.at) > from)
    }
}

/// Whether what left as `id` may have been told as this entry.
fn is_slot_of(entry: &Entry, slot: u64, id: u64) -> bool {
    entry.id.is_multiple_of(SLOT) && entry.id - id < slot
}
