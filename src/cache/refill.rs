//! Brings what a lower tier has into those above it, beside what goes on.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::key::{Key, Vector};
use super::tier::Tier;

/// Vectors that are brought up in one go, and that may wait for it.
const ROUND: usize = 256;

/// Ends with this value; what has not been brought up by then is found below again.
#[derive(Debug)]
pub(super) struct Refill {
    found: mpsc::Sender<(Key, Vector)>,
    _worker: AbortOnDropHandle<()>,
}

impl Refill {
    /// Fills these tiers.
    pub(super) fn start(tiers: Vec<Arc<dyn Tier>>) -> Self {
        let (found, mut offered) = mpsc::channel(ROUND);
        let worker = tokio::spawn(async move {
            let mut round = Vec::new();
            while offered.recv_many(&mut round, ROUND).await > 0 {
                for tier in &tiers {
                    tier.put(&round).await;
                }
                round.clear();
            }
        });
        Self { found, _worker: AbortOnDropHandle::new(worker) }
    }

    /// Nobody waits for it: where it is busy, the vector stays where it was found.
    pub(super) fn offer(&self, key: Key, vector: &Vector) {
        let _ = self.found.try_send((key, Arc::clone(vector)));
    }
}
