//! The workers that wait for a quota they share, first come, first served: a worker that was told to come back finds what was kept
//! for it, and nobody asks in vain in between.

use super::bytes::{Reader, Writer};

/// One who was told to come back and does not within so many microseconds loses the place: it may be dead.
const LATE: i64 = 1_000_000;

/// Those for whom a place is kept at once, at most: the others come again.
const MOST: usize = 128;

/// What a worker waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) worker: u32,
    pub(super) requests: u64,
    pub(super) tokens: u64,
    /// The time at which it was told to come back.
    pub(super) due: i64,
}

/// The claims, the first first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<Claim>);

impl Line {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets who has not come back.
    pub(super) fn expire(&mut self, except: u32, now: i64) {
        self.0.retain(|claim| claim.worker == except || claim.due.saturating_add(LATE) > now);
    }

    /// Requests and tokens of those before a worker; of all, where it has no place.
    pub(super) fn before(&self, worker: u32) -> (u64, u64) {
        let before = self.0.iter().take_while(|claim| claim.worker != worker);
        before.fold((0, 0), |(requests, tokens), claim| (requests + claim.requests, tokens + claim.tokens))
    }

    /// A worker waits: where it stands already, or at the end.
    pub(super) fn enter(&mut self, claim: Claim) {
        if let Some(before) = self.0.iter_mut().find(|other| other.worker == claim.worker) {
            *before = claim;
        } else if self.0.len() < MOST {
            self.0.push(claim);
        }
    }

    /// A worker waits no more.
    pub(super) fn leave(&mut self, worker: u32) {
        self.0.retain(|claim| claim.worker != worker);
    }

    pub(super) fn save(&self, to: &mut Writer) {
        to.number(self.0.len() as u64);
        for claim in &self.0 {
            to.number(claim.worker.into());
            to.number(claim.requests);
            to.number(claim.tokens);
            to.signed((claim.due - to.clock.micros) / 1000);
        }
    }

    pub(super) fn load(from: &mut Reader<'_>) -> Option<Self> {
        let claim = |from: &mut Reader<'_>| {
            Some(Claim {
                worker: u32::try_from(from.number()?).ok()?,
                requests: from.number()?,
                tokens: from.number()?,
                due: from.written.saturating_add(from.signed()?.saturating_mul(1000)),
            })
        };
        (0..from.length()?).map(|_| claim(from)).collect::<Option<_>>().map(Self)
    }
}
