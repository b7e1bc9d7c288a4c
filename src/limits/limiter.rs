//! The limiter that everything in the process shares which talks to one provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::budget::Budget;
use super::concurrency::ConcurrencyLimiter;
use super::headers::RateLimits;
use super::permit::{Permit, QueueEntry};
use super::sent::Sent;
use super::shared::{NotKept, SharedQuota};
use super::state::{Counts, Shared, State, Wait};
use super::tally::count;
use super::visitor;
use super::visits::{Note, Visits};
use super::waiting::{Waiting, tell};
use super::{Allowed, LearnedLimits, Limits, MAX_TOKENS, Stats, Ticket};

/// The number of requests of which one may be sent a second time.
const HEDGED: u64 = 20;

/// A silence below this is no reason to send a second copy, however fast the others were.
///
/// A second copy may be billed twice, so it must be rare: it is sent when the first is most likely lost (5 times what 95 of
/// 100 answers took, and never before 10 s), and then it costs no more than what would happen anyway, a retry after the
/// timeout. Unlike a shorter timeout it does not throw away an answer that is only slow.
const LONG_SILENCE: Duration = Duration::from_secs(10);

/// At the end of a run, others are told what they have to know, or so long.
const FLUSHED: Duration = Duration::from_secs(5);

/// A provider's limits, and the queue of those who want to talk to it. Cheap to clone; all clones are one limiter.
#[derive(Debug, Clone)]
pub struct Limiter {
    declared: Limits,
    next_ticket: Arc<AtomicU64>,
    shared: Arc<Shared>,
    /// What was counted of those who share this handle.
    counts: Arc<Counts>,
}

impl Limiter {
    /// A limiter that keeps to what is declared, and learns the rest.
    pub fn new(declared: Limits) -> Self {
        Self::with_learned(declared, LearnedLimits::default())
    }

    /// A limiter that begins with what an earlier run has learned ([`Self::learned`]). What is declared wins.
    pub fn with_learned(declared: Limits, learned: LearnedLimits) -> Self {
        let now = Instant::now();
        let state = State {
            queue: BTreeMap::new(),
            budget: Budget::new(declared, learned, now),
            concurrency: ConcurrencyLimiter::new(declared.concurrency, learned.concurrency, learned.ceiling, now),
            waits: Stats::default(),
            quota_waited: 0.0,
            slot_waited: 0.0,
            first_waits: Waiting::Place,
            freed: Arc::default(),
            visits: None,
        };
        Self { declared, next_ticket: Arc::default(), shared: Shared::new(state), counts: Arc::default() }
    }

    /// A limiter that shares its quota with other workers. What is declared holds for all of them together; what an earlier run
    /// has learned is where they begin, if they are the first.
    pub fn sharing(declared: Limits, learned: LearnedLimits, quota: Arc<dyn SharedQuota>) -> Self {
        let limiter = Self::with_learned(declared, learned);
        limiter.shared.lock().visits = Some(Visits::new(quota, declared, learned));
        limiter
    }

    /// The same limiter for others who talk to the provider, and are counted for themselves.
    pub(crate) fn beside(&self) -> Self {
        Self { counts: Arc::default(), ..self.clone() }
    }

    /// Whether both are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The end of the queue. To be drawn when a request arrives, and kept for its retries.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until the request that drew `ticket` may be sent, and reserves `tokens` for it. Dropping the future leaves the
    /// queue. Where a quota is shared and cannot be reached, it waits for ever ([`Self::admitted`] does not).
    pub async fn admit(&self, ticket: Ticket, tokens: u64) -> Permit {
        match self.admitted(ticket, tokens).await {
            Ok(permit) => permit,
            Err(_) => std::future::pending().await,
        }
    }

    /// The same as [`Self::admit`].
    ///
    /// # Errors
    /// The quota is shared with other workers, and cannot be reached for minutes. A quota of one's own never fails.
    pub async fn admitted(&self, ticket: Ticket, tokens: u64) -> Result<Permit, NotKept> {
        let tokens = tokens.min(MAX_TOKENS);
        let entry = QueueEntry::join(&self.shared, ticket, tokens);
        if self.shared.lock().visits.is_some() {
            return Box::pin(self.admitted_by_visit(&entry, tokens)).await;
        }
        loop {
            let now = Instant::now();
            let (wait, first) = {
                let mut state = self.shared.lock();
                match state.try_admit(ticket, tokens, now) {
                    Ok(sent) => return Ok(Permit::new(&self.shared, &self.counts, sent, tokens)),
                    Err(wait) => (wait, state.first_waits),
                }
            };
            tell(waiting(wait, first));
            match wait {
                Wait::Turn => entry.turn.notified().await,
                Wait::Slot => {
                    entry.turn.notified().await;
                    self.counts.lock().slot_wait += now.elapsed();
                    self.shared.lock().slot_waited += now.elapsed().as_secs_f64();
                }
                Wait::Until(at) => {
                    // Whether time or news woke it, it asks again.
                    let _ = timeout_at(at, entry.turn.notified()).await;
                    self.counts.lock().quota_wait += now.elapsed();
                    self.shared.lock().quota_waited += now.elapsed().as_secs_f64();
                }
                Wait::Pause(at) => {
                    let _ = timeout_at(at, entry.turn.notified()).await;
                    self.counts.lock().quota_wait += now.elapsed();
                }
            }
        }
    }

    /// Waits until a visit to the shared quota lets it go.
    async fn admitted_by_visit(&self, entry: &QueueEntry<'_>, tokens: u64) -> Result<Permit, NotKept> {
        visitor::begin(&self.shared);
        self.shared.lock().wake_visitor();
        loop {
            if let Some(sent) = entry.granted() {
                return Ok(Permit::new(&self.shared, &self.counts, sent, tokens));
            }
            let (waits, failed) = {
                let state = self.shared.lock();
                (state.first_waits, state.visits.as_ref().and_then(|visits| visits.failed.clone()))
            };
            if let Some(error) = failed {
                return Err(error);
            }
            tell(waits);
            entry.turn.notified().await;
        }
    }

    /// Tells the other workers all that they have to know: at the end of a run. Nothing where no quota is shared. One that cannot be
    /// reached is waited for for a moment only: what they do not hear of counts for a minute more.
    pub async fn flush(&self) {
        let _ = tokio::time::timeout(FLUSHED, self.flushed()).await;
    }

    async fn flushed(&self) {
        loop {
            let visited = self.shared.lock().visits.as_ref().map(|visits| visits.visited.clone());
            let Some(visited) = visited else { return };
            let visited = visited.notified();
            let mut visited = std::pin::pin!(visited);
            visited.as_mut().enable();
            if !self.shared.lock().visits.as_mut().is_some_and(|visits| visits.failed.is_none() && visits.hurry()) {
                return;
            }
            visited.await;
        }
    }

    /// Waits until nobody is in the queue and a request could leave at once: until then a batch had better go on filling up.
    pub async fn ready(&self) {
        loop {
            let freed = self.shared.lock().freed.clone();
            let freed = freed.notified();
            let mut freed = std::pin::pin!(freed);
            // From here on a notification counts, before the state is looked at.
            freed.as_mut().enable();
            let (wait, first) = {
                let mut state = self.shared.lock();
                (state.is_ready(Instant::now()), state.first_waits)
            };
            if let Err(wait) = wait {
                tell(waiting(wait, first));
            }
            match wait {
                Ok(()) => return,
                Err(Wait::Until(at) | Wait::Pause(at)) => {
                    let _ = timeout_at(at, freed).await;
                }
                Err(Wait::Turn | Wait::Slot) => freed.await,
            }
        }
    }

    /// The declared limits.
    pub fn declared(&self) -> Limits {
        self.declared
    }

    /// Requests that may be in flight now.
    pub fn concurrency(&self) -> usize {
        self.shared.lock().concurrency.allowed() as usize
    }

    /// Tokens a minute, as far as they are known.
    pub fn tpm(&self) -> Option<u64> {
        self.shared.lock().budget.tokens.limit()
    }

    /// Requests a minute, as far as they are known.
    pub fn rpm(&self) -> Option<u64> {
        self.shared.lock().budget.requests.limit()
    }

    /// What is allowed now, and how much of it is used.
    pub fn allowed(&self) -> Allowed {
        let mut state = self.shared.lock();
        let now = Instant::now();
        let used = (state.budget.requests.used(now), state.budget.tokens.used(now));
        Allowed {
            rpm: state.budget.requests.limit(),
            tpm: state.budget.tokens.limit(),
            quota: state.budget.known(),
            concurrency: state.concurrency.allowed(),
            in_flight: state.concurrency.in_flight(),
            used,
        }
    }

    /// Makes room for so many requests that are asked at the same moment, besides those in flight: who wants them side by side
    /// would learn nothing from one after the other. What is declared is kept to, and so is what was learned from refusals.
    pub fn make_room(&self, together: u32) {
        let mut state = self.shared.lock();
        state.concurrency.make_room(together);
        state.wake_first();
    }

    /// Sends nothing before `until`: one `Retry-After` holds for the whole provider.
    pub fn pause_until(&self, until: Instant) {
        let mut state = self.shared.lock();
        state.budget.pause(Some(until));
        state.note(Note::Paused(until), true);
    }

    /// Learns from an answer's headers. What is declared stays as it is declared. Returns whether a limit is new.
    pub fn observe(&self, headers: &HeaderMap) -> bool {
        let seen = RateLimits::read(headers);
        let now = Instant::now();
        let mut state = self.shared.lock();
        let changed = state.budget.observed(seen, self.declared, now);
        if seen != RateLimits::default() {
            state.note(Note::Observed(seen), changed);
        }
        if changed {
            state.wake_first();
        }
        changed
    }

    /// Counts a request that is sent again.
    pub fn count_retry(&self) {
        self.counts.lock().retries += 1;
        count(|counted| counted.retries += 1);
    }

    /// Notes a refusal that asks to slow down, and for how long. The first of a burst pauses all, and teaches; returns
    /// whether it did.
    pub fn throttled(&self, sent: Sent, asked: Option<Duration>) -> bool {
        count(|counted| counted.throttled += 1);
        let now = Instant::now();
        self.counts.lock().throttled += 1;
        let mut state = self.shared.lock();
        if let Some(visits) = &mut state.visits {
            let tokens = visits.reserved(sent.id);
            visits.note(Note::Refused { sent, tokens, heard: now, asked, counted: false }, true);
            return false;
        }
        state.uncount(sent.id, now);
        state.taught(sent, asked, now)
    }

    /// Notes a refusal of what is limited apart: it teaches nothing, and pauses nobody.
    pub fn refused_apart(&self, sent: Sent) {
        self.counts.lock().throttled += 1;
        let mut state = self.shared.lock();
        if state.visits.is_none() {
            state.uncount(sent.id, Instant::now());
        }
    }

    /// Notes that what left at `left` timed out, or found the server overloaded.
    pub fn overloaded(&self, left: Instant) {
        let mut state = self.shared.lock();
        if state.concurrency.is_news(left) {
            state.concurrency.lower(0.7, Instant::now());
        }
    }

    /// Notes a request that was accepted, and how long its whole answer took and for how many tokens, where that says
    /// something about others.
    pub fn answered(&self, sent: Sent, took: Option<(Duration, u64)>) {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let tokens = took.map_or(0, |(_, tokens)| tokens.clamp(1, MAX_TOKENS));
        let paces = [(state.budget.requests.told(), 1), (state.budget.tokens.told(), tokens)];
        let pace =
            paces.into_iter().filter(|(_, cost)| *cost > 0).filter_map(|(told, cost)| Some(told? as f64 / 60.0 / cost as f64));
        let pace = pace.reduce(f64::min);
        if state.concurrency.answered(sent.left, sent.in_flight, took, pace, Instant::now()) {
            state.wake_first();
        }
    }

    /// After which silence a request has most likely been lost, once enough answers came to tell.
    pub fn hangs_after(&self) -> Option<Duration> {
        self.shared.lock().concurrency.p95().map(|slow| (slow * 5).max(LONG_SILENCE))
    }

    /// Whether a second copy of a request may be sent (one in 20 requests at most); counts it if so.
    pub fn may_hedge(&self, tokens: u64) -> bool {
        let mut stats = self.counts.lock();
        let may = (stats.hedged + 1) * HEDGED <= stats.requests;
        if may {
            let tokens = tokens.min(MAX_TOKENS);
            stats.hedged += 1;
            stats.wasted += tokens;
            count(|counted| {
                counted.hedged += 1;
                counted.wasted += tokens;
            });
        }
        may
    }

    /// Counts the tokens of an answer that makes no sense.
    pub fn count_wasted(&self, tokens: u64) {
        let tokens = tokens.min(MAX_TOKENS);
        self.counts.lock().wasted += tokens;
        count(|counted| counted.wasted += tokens);
    }

    /// The limits that were learned so far, for a later run to begin with.
    pub fn learned(&self) -> LearnedLimits {
        let state = self.shared.lock();
        LearnedLimits {
            rpm: state.budget.requests.learned().filter(|_| self.declared.rpm.is_none()),
            tpm: state.budget.tokens.learned().filter(|_| self.declared.tpm.is_none()),
            concurrency: self.declared.concurrency.is_none().then(|| state.concurrency.allowed()),
            ceiling: state.concurrency.ceiling(),
        }
    }

    /// The requests so far.
    pub fn stats(&self) -> Stats {
        let mut stats = *self.counts.lock();
        stats += self.shared.lock().waits;
        stats
    }
}

/// What somebody waits for who is told to; `first`: what the first of the queue waited for when it asked last.
fn waiting(wait: Wait, first: Waiting) -> Waiting {
    match wait {
        Wait::Turn => first,
        Wait::Slot => Waiting::Place,
        Wait::Until(_) | Wait::Pause(_) => Waiting::Quota,
    }
}

#[cfg(test)]
mod tests;
