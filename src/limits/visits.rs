//! What a limiter remembers between two visits to the quota that it shares with other workers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::bytes::Clock;
use super::concurrency::ConcurrencyLimiter;
use super::headers::RateLimits;
use super::log::WINDOW;
use super::offset::Offset;
use super::saved::Runs;
use super::sent::Sent;
use super::shared::{NotKept, Seen, SharedQuota};
use super::{LearnedLimits, Limits, Ticket};

/// What need not be told at once is told with the next request that asks, or after so long.
const FLUSH: Duration = Duration::from_millis(800);

/// The longest that it waits for such a request.
const RIDE: Duration = Duration::from_millis(2500);

/// What was saved longer ago is on a disk, or was asked after since.
const SAFE: Duration = Duration::from_secs(1);

/// Between two visits of one worker, and so much more for each one who works: however many come whenever they may, it is not much
/// more than a hundred visits a second.
const GAP: Duration = Duration::from_millis(10);
const GAP_EACH: Duration = Duration::from_millis(8);

/// Something that the others have to know.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// A request was let go.
    Taken { id: u64, tokens: u64 },
    /// Its tokens were others.
    Settled { id: u64, reserved: u64, actual: u64 },
    /// It was never sent.
    GivenBack { id: u64, tokens: u64 },
    /// It was refused. `counted`: it is taken out of what was sent already.
    Refused { sent: Sent, tokens: u64, heard: Instant, asked: Option<Duration>, counted: bool },
    /// An answer told the limits.
    Observed(RateLimits),
    /// Nothing is to be sent before.
    Paused(Instant),
}

/// What a visit has saved.
#[derive(Debug)]
struct Record {
    version: u64,
    at: Instant,
    notes: Vec<Note>,
}

/// Leave that a visit has given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    pub(super) ticket: Ticket,
    pub(super) id: u64,
    pub(super) tokens: u64,
    pub(super) left: Instant,
}

/// What a visit has done, until it is known whether it was kept.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) run: u64,
    pub(super) version: u64,
    pub(super) at: Instant,
    pub(super) grants: Vec<Grant>,
    /// Written once more, since it got lost.
    pub(super) again: Vec<Note>,
    /// Of what was saved, all after this version got lost.
    pub(super) lost_since: Option<u64>,
    /// Told by it for the first time.
    pub(super) notes: Vec<Note>,
    /// Where refusals have taught it.
    pub(super) taught: Option<ConcurrencyLimiter>,
    /// The time before which those who wait still need not ask.
    pub(super) not_before: Option<Instant>,
}

/// A limiter's visits to what it shares.
#[derive(Debug)]
pub(super) struct Visits {
    pub(super) quota: Arc<dyn SharedQuota>,
    /// This worker, for the others.
    pub(super) worker: u32,
    pub(super) declared: Limits,
    pub(super) learned: LearnedLimits,
    /// Wakes who visits.
    pub(super) news: Arc<Notify>,
    /// Told after each visit.
    pub(super) visited: Arc<Notify>,
    pub(super) task: Option<Owned>,
    /// Why nothing can be had any more.
    pub(super) failed: Option<NotKept>,
    /// Told to come back then.
    pub(super) not_before: Option<Instant>,
    /// The time since which somebody waits that is not counted yet.
    pub(super) waiting_since: Option<Instant>,
    notes: Vec<Note>,
    noted_at: Option<Instant>,
    urgent: bool,
    visited_at: Option<Instant>,
    check_at: Option<Instant>,
    /// When the present visit was begun.
    pub(super) asked_at: Option<Instant>,
    offset: Offset,
    run: Option<u64>,
    /// The version that it saved last.
    pub(super) version: u64,
    records: VecDeque<Record>,
    pub(super) draft: Option<Draft>,
}

/// A task that ends with this.
#[derive(Debug)]
pub(super) struct Owned(pub(super) JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Visit(Instant),
    /// Only look whether something got lost.
    Check(Instant),
}

impl Next {
    pub(super) fn at(self) -> Instant {
        let (Self::Visit(at) | Self::Check(at)) = self;
        at
    }
}

impl Visits {
    pub(super) fn new(quota: Arc<dyn SharedQuota>, declared: Limits, learned: LearnedLimits) -> Self {
        Self {
            quota,
            worker: rand::random(),
            declared,
            learned,
            news: Arc::default(),
            visited: Arc::default(),
            task: None,
            failed: None,
            not_before: None,
            waiting_since: None,
            notes: Vec::new(),
            noted_at: None,
            urgent: false,
            visited_at: None,
            check_at: None,
            asked_at: None,
            offset: Offset::default(),
            run: None,
            version: 0,
            records: VecDeque::new(),
            draft: None,
        }
    }

    /// The least time between two visits.
    pub(super) fn gap(&self) -> Duration {
        GAP + GAP_EACH * self.quota.workers().min(1000)
    }

    /// The tokens that were reserved for a request, as far as that is remembered.
    pub(super) fn reserved(&self, id: u64) -> u64 {
        let taken = |note: &Note| match *note {
            Note::Taken { id: taken, tokens } if taken == id => Some(tokens),
            _ => None,
        };
        self.records.iter().rev().flat_map(|record| &record.notes).find_map(taken).unwrap_or(0)
    }

    /// Tells it the others: at once where it holds them back, else soon.
    pub(super) fn note(&mut self, note: Note, urgent: bool) {
        if matches!(note, Note::Observed(_)) {
            self.notes.retain(|note| !matches!(note, Note::Observed(_)));
        }
        self.notes.push(note);
        self.noted_at.get_or_insert_with(Instant::now);
        self.urgent |= urgent;
        self.news.notify_one();
    }

    /// Has all that was noted told at once. Returns whether there is anything.
    pub(super) fn hurry(&mut self) -> bool {
        let any = !self.notes.is_empty() || self.draft.is_some();
        self.urgent |= any;
        self.news.notify_one();
        any
    }

    /// When to do what next. `waits`: somebody could leave as soon as the quota allows it.
    pub(super) fn next(&self, waits: bool, paced: Option<Instant>, now: Instant) -> Option<Next> {
        let asks = waits.then(|| self.not_before.max(paced).unwrap_or(now));
        // Who will come anyway need not come twice.
        let soon = |at: Instant| asks.filter(|asks| *asks <= at + RIDE).map_or(at + FLUSH, |asks| asks.max(at + FLUSH));
        let tells = if self.urgent { Some(now) } else { self.noted_at.map(soon) };
        let visit = [asks, tells].into_iter().flatten().min();
        let rested = self.visited_at.map_or(now, |at| at + self.gap());
        let visit = visit.map(|at| Next::Visit(at.max(rested)));
        visit.into_iter().chain(self.check_at.map(Next::Check)).min_by_key(|next| next.at())
    }

    /// The notes that a visit is to tell.
    pub(super) fn take_notes(&mut self, now: Instant) -> Vec<Note> {
        self.visited_at = Some(now);
        (self.noted_at, self.urgent) = (None, false);
        std::mem::take(&mut self.notes)
    }

    /// By how much the clock was set forward since the last visit. What this worker remembers goes by the new one from then on.
    pub(super) fn set_forward(&mut self, clock: Clock) -> i64 {
        let forward = self.offset.seen(self.asked_at.unwrap_or(clock.now), clock.now, clock.micros);
        if forward > 0 {
            tracing::warn!(seconds = forward / 1_000_000, "the clock of the database was set forward, or this machine slept");
            for note in self.records.iter_mut().flat_map(|record| &mut record.notes) {
                if let Note::Taken { id, .. } | Note::Settled { id, .. } | Note::GivenBack { id, .. } = note {
                    *id = id.saturating_add_signed(forward);
                }
            }
        }
        forward
    }

    /// The version after which everything that this worker has saved got lost.
    pub(super) fn lost_since(&self, runs: &Runs, seen: Seen<'_>) -> Option<u64> {
        let run = self.run.filter(|run| *run != seen.run).and_then(|run| runs.lost_since(run));
        let back = (seen.version < self.version || seen.state.is_none()).then_some(seen.version);
        [run, back].into_iter().flatten().min()
    }

    /// What was saved after this version and still matters.
    pub(super) fn saved_after(&self, version: u64, now: Instant) -> impl Iterator<Item = &Note> {
        let lost = self.records.iter().filter(move |record| record.version > version && record.at + WINDOW > now);
        lost.flat_map(|record| &record.notes)
    }

    /// A visit was kept.
    pub(super) fn kept(&mut self, draft: Draft, now: Instant) {
        if let Some(version) = draft.lost_since {
            self.records.retain(|record| record.version <= version);
        }
        while self.records.front().is_some_and(|record| record.at + WINDOW <= now) {
            self.records.pop_front();
        }
        let taken = draft.grants.iter().map(|grant| Note::Taken { id: grant.id, tokens: grant.tokens });
        let notes = draft.again.into_iter().chain(draft.notes).chain(taken).collect();
        (self.run, self.version) = (Some(draft.run), draft.version);
        self.records.push_back(Record { version: draft.version, at: draft.at, notes });
        self.not_before = draft.not_before;
        self.check_at = Some(now + SAFE);
    }

    /// A visit was not kept: what it told is to be told again. `perhaps`: it may have been kept all the same, so that nothing is
    /// given back twice.
    pub(super) fn not_kept(&mut self, draft: Draft, perhaps: bool, now: Instant) {
        let told = draft.notes.into_iter().filter_map(|note| if perhaps { twice(note) } else { Some(note) });
        let since = std::mem::take(&mut self.notes);
        self.notes = told.chain(since).collect();
        if !self.notes.is_empty() {
            self.noted_at.get_or_insert(now);
        }
        self.urgent |= self.notes.iter().any(|note| matches!(note, Note::Refused { .. } | Note::Paused(_)));
    }

    /// A look at the present run. Where it is another one, a visit follows at once.
    pub(super) fn checked(&mut self, run: u64) {
        (self.check_at, self.failed) = (None, None);
        self.urgent |= self.run.is_some_and(|known| known != run);
    }
}

/// What may be told twice without harm of a note that may have been told.
fn twice(note: Note) -> Option<Note> {
    match note {
        Note::Taken { .. } | Note::GivenBack { .. } => None,
        Note::Settled { reserved, actual, .. } if actual <= reserved => None,
        Note::Refused { sent, tokens, heard, asked, .. } => Some(Note::Refused { sent, tokens, heard, asked, counted: true }),
        note => Some(note),
    }
}
