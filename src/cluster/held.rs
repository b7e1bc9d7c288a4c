//! The documents that this worker has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::ingest::ledger::{Epoch, PriorState};
use crate::source::SourceId;

/// A document under way.
#[derive(Debug)]
pub(super) struct Grant {
    /// Under which epoch it was granted.
    pub epoch: Epoch,
    /// Whether the ledger has points of it that are certain.
    pub recorded: bool,
    /// All points that were ever intended and not settled.
    pub intended: BTreeSet<Uuid>,
    /// Whose document it is, where this worker added to them.
    pub intends: Option<SourceId>,
    /// Those of them that workers may have written late which had it before, 16 bytes each.
    pub late: Vec<u8>,
    /// What the ledger had when it was granted, until somebody asks for it.
    pub prior: Option<PriorState>,
}

impl Grant {
    /// A document as it was granted.
    pub(super) fn new(prior: PriorState, late: Vec<u8>) -> Self {
        let (epoch, recorded) = (prior.epoch, prior.entry.is_some());
        Self { epoch, recorded, intended: prior.intended.iter().copied().collect(), intends: None, late, prior: Some(prior) }
    }

    /// [`Self::intended_ids`], where this worker added to them.
    pub(super) fn own_intents(&self) -> Option<Vec<u8>> {
        self.intends.is_some().then(|| self.intended_ids())
    }

    /// What was intended, as the tables keep it.
    pub(super) fn intended_ids(&self) -> Vec<u8> {
        self.intended.iter().flat_map(|id| *id.as_bytes()).collect()
    }
}

/// Where epochs come from: this worker counts them, from a number that was drawn by lot. The database could not, which gives out a number
/// again that was lost with what a standby does not have: then what was on its way would count under the epoch that was granted anew.
/// Beside it stands who has the document, so that no two workers need have different ones.
#[derive(Debug)]
pub(super) struct Epochs(AtomicI64);

impl Default for Epochs {
    fn default() -> Self {
        Self(AtomicI64::new(rand::random_range(1..1 << 62)))
    }
}

impl Epochs {
    /// One that never was before.
    pub(super) fn next(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// All that this worker has, by uri. Nothing of it is held across a wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    grants: Mutex<HashMap<String, Grant>>,
    /// What it had in this round and lost with its lease: others have it, and what it still hears of it counts no more.
    lost: Mutex<HashSet<String>>,
}

impl Held {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<String, Grant>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is had under this epoch.
    pub(super) fn has(&self, uri: &str, epoch: Epoch) -> bool {
        self.lock().get(uri).is_some_and(|grant| grant.epoch == epoch)
    }

    /// The epoch under which it is had.
    pub(super) fn epoch(&self, uri: &str) -> Option<Epoch> {
        self.lock().get(uri).map(|grant| grant.epoch)
    }

    /// Lets go of documents, each where it is had under this epoch.
    pub(super) fn release<'a>(&self, documents: impl IntoIterator<Item = (&'a str, Epoch)>) {
        let mut held = self.lock();
        for (uri, epoch) in documents {
            if held.get(uri).is_some_and(|grant| grant.epoch == epoch) {
                held.remove(uri);
            }
        }
    }

    /// Lets go of everything.
    pub(super) fn clear(&self) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.extend(self.lock().drain().map(|(uri, _)| uri));
    }

    /// Whether it was lost, and is not had again.
    pub(super) fn is_lost(&self, uri: &str) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(uri) && self.epoch(uri).is_none()
    }

    /// Another run begins. Within one, nothing is forgotten, also when its round is begun anew: what was on its way still comes.
    pub(super) fn forget_lost(&self) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
