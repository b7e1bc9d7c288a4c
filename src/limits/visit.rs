//! A visit to the quota that workers share: it is this one's for the moment, and what a limiter does with its own is done with it.

use std::time::Duration;

use tokio::time::Instant;

use super::bytes::Clock;
use super::line::{Claim, Line};
use super::saved::{Lost, Runs, Saved, id, micros, save};
use super::sent::Sent;
use super::shared::{NotKept, Seen};
use super::state::State;
use super::visits::{Draft, Grant, Next, Note};
use super::waiting::Waiting;

/// Whoever was told to come back comes after so long at the latest: it may be allowed to sooner than was thought, and shows that it
/// lives.
const LONGEST: Duration = Duration::from_secs(2);

/// After something may have been lost, nothing is sent until all had time to write it again.
const REJOIN: Duration = Duration::from_millis(1200);

/// What was saved so long before a run ended may be lost: three times the delay with which Postgres writes what nobody waits for.
const LOST: Duration = Duration::from_millis(600);

/// Visits a second that all workers together need not exceed: where more requests leave, a visit takes several.
const ENOUGH: f64 = 50.0;

impl State {
    /// When to visit next, or to look whether something got lost.
    pub(super) fn next_visit(&mut self, now: Instant) -> Option<Next> {
        let waits = self.queue.values().any(|waiter| waiter.granted.is_none());
        let room = waits && self.concurrency.room() > 0;
        let before = std::mem::replace(&mut self.first_waits, if waits && !room { Waiting::Place } else { Waiting::Quota });
        if before != self.first_waits {
            // Whoever waits tells what for.
            self.queue.values().for_each(|waiter| waiter.bell.notify_one());
        }
        self.count_wait(waits, now);
        let paced = self.concurrency.ready_at(now);
        let visits = self.visits.as_ref().filter(|visits| visits.draft.is_none())?;
        visits.next(room && visits.failed.is_none(), paced, now)
    }

    /// Counts the time for which somebody has waited.
    fn count_wait(&mut self, waits: bool, now: Instant) {
        let place = self.first_waits == Waiting::Place;
        let Some(visits) = &mut self.visits else { return };
        if let Some(since) = visits.waiting_since {
            let long = now.saturating_duration_since(since);
            let (sum, lately) = if place {
                (&mut self.waits.slot_wait, &mut self.slot_waited)
            } else {
                (&mut self.waits.quota_wait, &mut self.quota_waited)
            };
            *sum += long;
            *lately += long.as_secs_f64();
        }
        visits.waiting_since = waits.then_some(now);
    }

    /// Tells what was noted and takes what may leave. Returns what is to be kept from now on.
    pub(super) fn visit(&mut self, seen: Seen<'_>) -> Option<Vec<u8>> {
        let now = Instant::now();
        let clock = Clock { now, micros: seen.micros };
        let visits = self.visits.as_mut()?;
        let (worker, declared, workers) = (visits.worker, visits.declared, visits.quota.workers());
        let forward = visits.set_forward(clock);
        let loaded = seen.state.map(|bytes| {
            Saved::load(bytes, clock, forward).unwrap_or_else(|| {
                tracing::warn!("the quota that the workers share cannot be read: nothing is sent for a minute");
                Saved::spent(declared, visits.learned, clock)
            })
        });
        let Saved { budget, mut line, mut runs, written } =
            loaded.unwrap_or_else(|| Saved::new(declared, visits.learned, clock));
        self.budget = budget;
        self.budget.next_id = self.budget.next_id.max(id(clock.micros));
        self.budget.declare(declared, now);
        let vanished = seen.state.is_none() && visits.version > 0;
        if runs.note(seen.run, seen.version, clock.micros) || vanished {
            self.budget.pause(now.checked_add(REJOIN));
            // Of what dead workers did in the last moment, nobody tells any more.
            let until = written.saturating_add(i64::try_from(LOST.as_micros()).unwrap_or(0)).min(clock.micros);
            let (requests, tokens) = self.budget.lose(LOST, id(until), clock.instant(until));
            runs.lost = Some(Lost { id: id(until), requests, tokens });
        }
        let lost_since = visits.lost_since(&runs, seen);
        let again: Vec<Note> = lost_since.map_or_else(Vec::new, |version| visits.saved_after(version, now).cloned().collect());
        let notes = visits.take_notes(now);
        let gap = visits.gap();
        let taught = notes.iter().any(|note| matches!(note, Note::Refused { .. })).then(|| self.concurrency.clone());
        for note in &again {
            self.tell_again(note, &mut runs, clock);
        }
        for note in &notes {
            self.tell(note, clock);
        }
        self.concurrency.share(workers);
        if self.budget.forget_old(now) {
            self.concurrency.forget_ceiling();
        }
        let (grants, not_before) = self.admit_all(&mut line, worker, gap, clock);
        let bytes = save(&mut self.budget, &line, &runs, clock);
        let draft =
            Draft { run: seen.run, version: seen.version + 1, at: now, grants, again, lost_since, notes, taught, not_before };
        self.visits.as_mut()?.draft = Some(draft);
        Some(bytes)
    }

    /// Takes what may leave now of those who wait, in their order, as far as there are places; nothing that is kept for workers who
    /// came before. The second: when to come back for more.
    fn admit_all(&mut self, line: &mut Line, worker: u32, gap: Duration, clock: Clock) -> (Vec<Grant>, Option<Instant>) {
        let now = clock.now;
        line.expire(worker, clock.micros);
        let room = self.concurrency.room() as usize;
        let at_once = self.concurrency.at_once(self.budget.is_unknown(), gap);
        let waiting = self.queue.iter().filter(|(_, waiter)| waiter.granted.is_none());
        let waiting: Vec<_> = waiting.map(|(ticket, waiter)| (*ticket, waiter.tokens)).take(room.min(at_once)).collect();
        let mut waiting = waiting.as_slice();
        let (mut grants, mut not_before) = (Vec::new(), self.concurrency.ready_at(now));
        while let Some((_, first)) = waiting.first().filter(|_| not_before.is_none()) {
            let (together, rest) = waiting.split_at(self.budget.together(*first, ENOUGH).min(waiting.len()));
            let tokens = together.iter().map(|(_, tokens)| tokens).sum();
            let requests = together.len() as u64;
            if let Some(at) = self.budget.ready_after(line.before(worker), requests, tokens, now) {
                let longest = LONGEST.mul_f64(rand::random_range(0.9..1.0));
                let at = at.min(now + longest).max(now + gap);
                line.enter(Claim { worker, requests, tokens, due: clock.micros(at) });
                not_before = Some(at);
                break;
            }
            for (ticket, tokens) in together {
                let id = self.budget.take(*tokens, now);
                grants.push(Grant { ticket: *ticket, id, tokens: *tokens, left: now });
            }
            // Who wants more waits behind the others.
            line.leave(worker);
            waiting = rest;
        }
        if waiting.is_empty() {
            line.leave(worker);
        }
        self.budget.requests.await_more(!line.is_empty());
        self.budget.tokens.await_more(!line.is_empty());
        (grants, not_before)
    }

    /// Tells the others something.
    fn tell(&mut self, note: &Note, clock: Clock) {
        let budget = &mut self.budget;
        match *note {
            Note::Taken { id, tokens } => budget.restore(id, tokens, clock.instant(micros(id))),
            Note::Settled { id, reserved, actual } => budget.tokens.correct(id, reserved, actual, clock.now),
            Note::GivenBack { id, tokens } => budget.give_back(id, tokens, clock.now),
            Note::Refused { sent, tokens, heard, asked, counted } => {
                if !counted {
                    budget.uncount(sent.id, tokens, clock.now);
                }
                self.taught(Sent { left: clock.instant(micros(sent.id)), ..sent }, asked, heard);
            }
            Note::Observed(seen) => {
                let declared = self.visits.as_ref().map(|visits| visits.declared).unwrap_or_default();
                budget.observed(seen, declared, clock.now);
            }
            Note::Paused(until) => budget.pause(Some(until)),
        }
    }

    /// Tells them once more what got lost: what counts, not what was learned from it.
    fn tell_again(&mut self, note: &Note, runs: &mut Runs, clock: Clock) {
        match *note {
            Note::Taken { tokens, .. } => {
                self.tell(note, clock);
                // Known now, so that it need not be feared.
                if let Some(lost) = &mut runs.lost {
                    let (requests, tokens) = (lost.requests.min(1), lost.tokens.min(tokens));
                    (lost.requests, lost.tokens) = (lost.requests - requests, lost.tokens - tokens);
                    self.budget.requests.correct(lost.id, requests, 0, clock.now);
                    self.budget.tokens.correct(lost.id, tokens, 0, clock.now);
                }
            }
            Note::Refused { sent, tokens, heard, asked, counted } => {
                if !counted {
                    self.budget.uncount(sent.id, tokens, clock.now);
                }
                self.budget.pause(asked.and_then(|asked| heard.checked_add(asked)));
            }
            Note::Observed(_) => {}
            _ => self.tell(note, clock),
        }
    }

    /// Hands out what the last visit has taken, if it was kept.
    pub(super) fn visited(&mut self, kept: &Result<(), NotKept>) {
        let now = Instant::now();
        let Some(draft) = self.visits.as_mut().and_then(|visits| visits.draft.take()) else { return };
        match kept {
            Ok(()) => self.hand_out(draft, now),
            Err(error) => {
                if let Some(before) = draft.taught.clone() {
                    self.concurrency.go_back(before);
                }
                if let Some(visits) = &mut self.visits {
                    visits.not_kept(draft, error.perhaps, now);
                }
            }
        }
        if let Some(visits) = &self.visits {
            visits.visited.notify_waiters();
        }
    }

    fn hand_out(&mut self, draft: Draft, now: Instant) {
        let grants = draft.grants.clone();
        if let Some(visits) = &mut self.visits {
            visits.failed = None;
            visits.kept(draft, now);
        }
        for Grant { ticket, id, tokens, left } in grants {
            if !self.queue.contains_key(&ticket) {
                // It has given up meanwhile.
                self.note(Note::GivenBack { id, tokens }, false);
                continue;
            }
            let sent = self.leave(id, left);
            if let Some(waiter) = self.queue.get_mut(&ticket) {
                waiter.granted = Some(sent);
                waiter.bell.notify_one();
            }
        }
        self.freed.notify_waiters();
    }

    /// Gives back what was taken for a request that is not sent.
    pub(super) fn give_back(&mut self, sent: Sent, tokens: u64) {
        self.concurrency.end();
        self.note(Note::GivenBack { id: sent.id, tokens }, false);
    }

    /// Notes what the others have to know, where there are others.
    pub(super) fn note(&mut self, note: Note, urgent: bool) {
        if let Some(visits) = &mut self.visits {
            visits.note(note, urgent);
        }
    }

    /// Ends the waiting of all: the quota cannot be had.
    pub(super) fn fail(&mut self, error: NotKept) {
        if let Some(visits) = &mut self.visits {
            visits.failed = Some(error);
        }
        if let Some(visits) = &self.visits {
            visits.visited.notify_waiters();
        }
        self.queue.values().for_each(|waiter| waiter.bell.notify_one());
    }
}

#[cfg(test)]
mod tests;
