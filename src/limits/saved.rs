//! What workers share of a provider, as it is kept between two visits.

use std::collections::VecDeque;

use super::bucket::BucketEstimator;
use super::budget::Budget;
use super::bytes::{Clock, Reader, Writer};
use super::line::Line;
use super::log::{Entry, SLOT};
use super::quota::Quota;
use super::{LearnedLimits, Limits};
use crate::limits::log::WINDOW;

/// The way in which it is written. Another one is not read.
const FORMAT: u8 = 1;

/// Bytes of the sum at the end.
const SUM: usize = 4;

/// The runs that are known, and for how long, in microseconds: what was sent before does not count any more.
const RUNS: usize = 16;
const RUN_KNOWN: i64 = 150_000_000;

/// More than this before its own time, a state is from a clock that was set back.
const SET_BACK: i64 = 1_000_000;

/// All of it.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) budget: Budget,
    pub(super) line: Line,
    pub(super) runs: Runs,
    /// When it was saved.
    pub(super) written: i64,
}

/// A time in which nothing that was saved got lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// [`super::Seen::run`].
    name: u64,
    /// The version with which it began: what was saved after that in runs before it got lost.
    version: u64,
    began: i64,
}

/// What may have been let go by workers that are dead, when the last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) id: u64,
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

/// The last runs, the oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    known: Vec<Run>,
    /// Counted as sent, until those who live have told that it was theirs.
    pub(super) lost: Option<Lost>,
}

impl Runs {
    /// Notes the present run. Returns whether it is a new one, and not the first.
    pub(super) fn note(&mut self, name: u64, version: u64, now: i64) -> bool {
        if self.known.last().is_some_and(|last| last.name == name) {
            return false;
        }
        let first = self.known.is_empty();
        let known = |run: &Run| run.began.saturating_add(RUN_KNOWN) > now;
        // The last of the old ones is known as long as it is one of two: who was there in it must find it.
        let old = self.known.iter().rposition(|run| !known(run)).unwrap_or(0).max((self.known.len() + 1).saturating_sub(RUNS));
        self.known.drain(..old);
        self.known.push(Run { name, version, began: now });
        !first
    }

    /// The version after which everything got lost that a worker saved in the run `name` or before; `None` where nothing was.
    pub(super) fn lost_since(&self, name: u64) -> Option<u64> {
        let after = self.known.iter().rposition(|run| run.name == name).map_or(0, |index| index + 1);
        self.known.iter().skip(after).map(|run| run.version).min()
    }

    fn save(&self, to: &mut Writer) {
        to.number(self.known.len() as u64);
        for run in &self.known {
            to.number(run.name);
            to.number(run.version);
            to.signed(run.began - to.clock.micros);
        }
        let recent = id(to.clock.micros).saturating_sub(WINDOW.as_micros() as u64);
        to.option(self.lost.filter(|lost| lost.id > recent), |to, lost| {
            to.signed(micros(lost.id) - to.clock.micros);
            to.number(lost.requests);
            to.number(lost.tokens);
        });
    }

    fn load(from: &mut Reader<'_>) -> Option<Self> {
        let run = |from: &mut Reader<'_>| {
            let (name, version, began) = (from.number()?, from.number()?, from.signed()?);
            Some(Run { name, version, began: from.written.saturating_add(began) })
        };
        let known = (0..from.length()?).map(|_| run(from)).collect::<Option<_>>()?;
        let lost = from.option(|from| {
            let at = id(from.written.saturating_add(from.signed()?));
            Some(Lost { id: at, requests: from.number()?, tokens: from.number()? })
        })?;
        Some(Self { known, lost })
    }
}

impl Saved {
    /// What is shared by those who come first.
    pub(super) fn new(declared: Limits, learned: LearnedLimits, clock: Clock) -> Self {
        let budget = Budget::new(declared, learned, clock.now);
        Self { budget, line: Line::default(), runs: Runs::default(), written: clock.micros }
    }

    /// What is made of something that cannot be read: all of the quota was used just now, whatever it is.
    pub(super) fn spent(declared: Limits, learned: LearnedLimits, clock: Clock) -> Self {
        let mut saved = Self::new(declared, learned, clock);
        saved.budget.next_id = id(clock.micros) + 1;
        saved.budget.requests.spend(id(clock.micros), clock.now);
        saved.budget.tokens.spend(id(clock.micros), clock.now);
        saved.budget.pause(clock.now.checked_add(WINDOW));
        saved
    }

    /// Reads what was saved, by the time of this visit, before which its clock may have been set forward.
    pub(super) fn load(bytes: &[u8], clock: Clock, forward: i64) -> Option<Self> {
        let (bytes, sum) = bytes.split_last_chunk::<SUM>()?;
        let mut from = Reader { bytes, clock, written: 0 };
        if !blake3::hash(bytes).as_bytes().starts_with(sum) || from.byte()? != FORMAT {
            return None;
        }
        let written = i64::try_from(from.number()?).ok()?;
        // All that is in it happened before now, whatever the clock says, and as long ago as it did by the clock of then. (Where
        // somebody has saved it since, it goes by the new one already.)
        let by_now = written.saturating_add(forward);
        from.written = if written.saturating_sub(clock.micros) > SET_BACK {
            clock.micros
        } else if by_now <= clock.micros {
            by_now
        } else {
            written
        };
        let shift = from.written.saturating_sub(written);
        let runs = Runs::load(&mut from)?;
        let line = Line::load(&mut from)?;
        let paused_until = from.option(Reader::instant)?;
        let heard_at = from.option(Reader::instant)?;
        let learned_at = from.option(Reader::instant)?;
        let next_id = from.number()?.saturating_add_signed(shift);
        let (requests, tokens) = load_logs(&mut from)?;
        let budget = Budget {
            requests: Quota::load(&mut from, BucketEstimator::load, requests)?,
            tokens: Quota::load(&mut from, BucketEstimator::load, tokens)?,
            paused_until,
            heard_at,
            learned_at,
            next_id,
        };
        from.bytes.is_empty().then_some(Self { budget, line, runs, written: from.written })
    }
}

/// Writes it. Some kilobytes at most: what was sent is told by quarters of a second where that is shorter.
pub(super) fn save(budget: &mut Budget, line: &Line, runs: &Runs, clock: Clock) -> Vec<u8> {
    let mut to = Writer { bytes: Vec::with_capacity(2048), clock };
    to.byte(FORMAT);
    to.number(id(clock.micros));
    runs.save(&mut to);
    line.save(&mut to);
    for at in [budget.paused_until, budget.heard_at, budget.learned_at] {
        to.option(at, Writer::instant);
    }
    to.number(budget.next_id);
    save_logs(budget, &mut to);
    budget.requests.save(&mut to);
    budget.tokens.save(&mut to);
    let sum = blake3::hash(&to.bytes);
    to.bytes.extend(sum.as_bytes().iter().take(SUM));
    to.bytes
}

/// What leaves at this time is known by it.
pub(super) fn id(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0)
}

/// The time of what left as `id`.
pub(super) fn micros(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Both logs as one: what has left is in both.
fn save_logs(budget: &mut Budget, to: &mut Writer) {
    let clock = to.clock;
    let instant = |id| clock.instant(micros(id));
    let requests = budget.requests.short_log(instant).entries();
    let tokens = budget.tokens.short_log(instant).entries();
    let mut both: Vec<(u64, u64, u64)> = Vec::with_capacity(requests.len().max(tokens.len()));
    let (mut requests, mut tokens) = (requests.peekable(), tokens.peekable());
    loop {
        let next = match (requests.peek(), tokens.peek()) {
            (None, None) => break,
            (Some(one), None) | (None, Some(one)) => one.id,
            (Some(one), Some(other)) => one.id.min(other.id),
        };
        let amount = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.amount);
        let requests = amount(requests.next_if(|entry| entry.id == next));
        let tokens = amount(tokens.next_if(|entry| entry.id == next));
        both.push((next, requests, tokens));
    }
    to.number(both.len() as u64);
    let mut before = None;
    for (id, requests, tokens) in both {
        match before {
            None => to.signed(micros(id).saturating_sub(clock.micros)),
            Some(before) => {
                let apart: u64 = id - before;
                to.number(if apart.is_multiple_of(SLOT) { ((apart / SLOT) << 1) | 1 } else { apart << 1 });
            }
        }
        before = Some(id);
        to.number(requests);
        to.number(tokens);
    }
}

fn load_logs(from: &mut Reader<'_>) -> Option<(VecDeque<Entry>, VecDeque<Entry>)> {
    let (mut requests, mut tokens) = (VecDeque::new(), VecDeque::new());
    let mut before: Option<u64> = None;
    for _ in 0..from.length()? {
        let next = match before {
            None => u64::try_from(from.written.saturating_add(from.signed()?)).ok()?,
            Some(before) => {
                let apart = from.number()?;
                before.checked_add(if apart & 1 == 1 { (apart >> 1).checked_mul(SLOT)? } else { apart >> 1 })?
            }
        };
        before = Some(next);
        let at = from.clock.instant(micros(next));
        let mut entry = |log: &mut VecDeque<Entry>| {
            log.push_back(Entry { at, id: next, amount: from.number().filter(|amount| *amount < 1 << 40)? });
            Some(())
        };
        entry(&mut requests)?;
        entry(&mut tokens)?;
    }
    Some((requests, tokens))
}

#[cfg(test)]
mod tests;
