//! A change of the model that embeds: `embed.model` names another one than the index was made with. The vectors of that one are made
//! from the documents in the index's other slot, by an ingest like any other with a ledger of its own, while the old ones answer;
//! when the ledger says that every document is done, the index answers from there, and the old vectors are removed.
//!
//! ```text
//!  begin: the old index's documents are expected ─▶ ingest, as often as it takes ─▶ switch: one write ─▶ the old slot is cleared
//!              │                                        │
//!              └─ the pipeline names the old model ─────┴─▶ taken back: the other slot is cleared
//! ```
//!
//! Which slot answers the indexes themselves say ([`Slots`]): there is nothing else that a kill could leave in between. All is done
//! under the lock of the pipeline's ledger, which both slots' ledgers have in common.
//!
//! The old index stays as it was when the change began: to embed what changes meanwhile with a model that is about to go would be
//! paid for and thrown away, and what is embedded for the new one counts for ever.
//!
//! Several workers do the same (`runtime::together`): there the lock is a right of one of them at a time, and the ledgers are the cluster's.
//!
//! Absent on purpose: what differs in the server alone, which is most likely the same model at another address; a store or an embedder
//! of a program's own. These are refused, as an index that was made with something else always was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Runtime;
use crate::error::{Error, Failure, Origin};
use crate::ingest::ledger::{Ledger as _, SqliteLedger, Unfinished};
use crate::ingest::report::{ChangeOfModel, IngestSummary, Outcome};
use crate::ingest::{self, ForecastChange, Options};
use crate::providers::Fingerprint;
use crate::source::SourceId;
use crate::vectordb::{Held, IndexMeta, Look, ModelChange, Slot, Slots, StoreError, VectorStore};

/// Passages that are looked at in one go.
const PAGE: usize = 1000;

/// What an ingest is to do about the index's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing. Whatever is in the other slot is the rest of a change that is over or taken back.
    Keep,
    /// Nothing: the index does not go together with the pipeline, and the run says so.
    Refuse,
    /// To make the vectors of another model.
    Change {
        /// Where an earlier run has begun with it.
        resume: bool,
    },
}

/// A pipeline's index, taken for writing.
pub(super) struct Taken {
    pub look: Look,
    pub wish: Wish,
    /// Of the slot that is written to, and locked.
    pub ledger: SqliteLedger,
}

/// A change under way: what is to be done when a run has ended.
pub(super) struct Turn {
    from: Held,
    to: Arc<dyn VectorStore>,
    /// Holds the lock.
    ledger: SqliteLedger,
    model: Fingerprint,
    gives_up: bool,
    /// The run is over a part of the sources.
    scoped: bool,
}

impl Runtime {
    /// Where the index lives.
    pub(super) fn slots(&self) -> Result<Slots, Error> {
        if let Some(slots) = self.slots.get() {
            return Ok(slots.clone());
        }
        let slots = Slots::open(&self.plan.store, &self.settings.index(&self.plan.name))?;
        Ok(self.slots.get_or_init(|| slots).clone())
    }

    /// What is to be asked now, whichever of the two can be read.
    pub(super) async fn answering(&self) -> Result<Look, Error> {
        let look = self.slots()?.answering().await?;
        if look.current.index.is_none() {
            self.check_former_name().await?;
        }
        Ok(look)
    }

    /// What the slots hold, waiting a moment for a server that is starting.
    pub(super) async fn look(&self) -> Result<Look, Error> {
        looked(&self.slots()?).await
    }

    /// The ledger of the index in this slot.
    pub(super) fn ledger_in(&self, slot: Slot) -> PathBuf {
        self.settings.ledger_in(&self.plan.name, slot)
    }

    /// The folder that the uris of files are relative to, as either slot's ledger has it.
    pub(super) async fn base_elsewhere(&self) -> Result<Option<String>, Error> {
        for slot in [Slot::First, Slot::Second] {
            let Some(ledger) = SqliteLedger::open_to_read(&self.ledger_in(slot)).await? else { continue };
            if let Some(base) = ledger.meta().await?.base {
                return Ok(Some(base));
            }
        }
        Ok(None)
    }

    /// Locks the ledger that is to be written to.
    pub(super) async fn taken(&self, options: &Options) -> Result<Taken, Error> {
        loop {
            let (look, home) = (self.look().await?, self.home_name(&self.plan.store));
            let slot = self.wish(&look, options, home.as_deref()).await?.slot(&look);
            let ledger = SqliteLedger::open(&self.ledger_in(slot)).await?;
            // Whoever had the lock may have ended a change, or begun one.
            let look = self.look().await?;
            let wish = self.wish(&look, options, home.as_deref()).await?;
            if wish.slot(&look) == slot {
                return Ok(Taken { look, wish, ledger });
            }
        }
    }

    /// What an ingest of this home is to do about the model of the index that there is.
    pub(super) async fn wish(&self, look: &Look, options: &Options, home: Option<&str>) -> Result<Wish, Error> {
        let Some(index) = look.current.index.as_ref().filter(|_| !options.rebuild) else { return Ok(Wish::Keep) };
        let embedder = self.embedder().await?;
        let planned = embedder.fingerprint();
        if planned == index.model {
            return Ok(Wish::Keep);
        }
        if !self.may_change(look, index, &planned) {
            return Ok(Wish::Refuse);
        }
        let store = look.current.store.describe();
        if let Some(home) = index.other_home(home).filter(|_| !options.prune) {
            return Err(ChangeError::OtherHome { store, home, model: planned }.into());
        }
        let Some(next) = look.other.as_ref().and_then(|other| other.index.as_ref()) else {
            return Ok(Wish::Change { resume: false });
        };
        if let Some(home) = next.other_home(home) {
            return Err(ChangeError::Theirs { store, home, model: next.model.clone() }.into());
        }
        let resume = look.next().is_some()
            && (next.version, &next.model, &next.chunking) == (IndexMeta::VERSION, &planned, &self.plan.chunk.fingerprint());
        Ok(Wish::Change { resume })
    }

    /// Whether the model can be changed while the index answers.
    pub(super) fn may_change(&self, look: &Look, index: &IndexMeta, planned: &Fingerprint) -> bool {
        let fits = index.version == IndexMeta::VERSION && planned.model() != index.model.model();
        fits && look.other.is_some() && !self.own_embedder
    }

    /// Sees to it that nothing of a change is left in the other slot that is over, or taken back. What cannot be removed now is removed
    /// the next time.
    pub(super) async fn clear_other(&self, look: &Look) {
        let Some(other) = &look.other else { return };
        if let Some(index) = &other.index {
            // Another home's change is not ours to end.
            if index.other_home(self.home_name(&self.plan.store).as_deref()).is_some() {
                return;
            }
            if look.next().is_some() {
                tracing::warn!("the change to {} is taken back: what there is of its vectors is removed", index.model);
            }
        }
        self.clear(other).await;
    }

    async fn clear(&self, held: &Held) {
        let cleared = async {
            held.store.drop_index().await?;
            held.store.release().await;
            SqliteLedger::remove(&self.ledger_in(held.slot))?;
            Ok::<_, Error>(())
        };
        if let Err(error) = cleared.await {
            // A server's second collection may be one that this key may not see.
            if held.index.is_some() {
                tracing::warn!(%error, "what is left of the old vectors is removed the next time");
            } else {
                tracing::debug!(%error, "the other slot is not cleared");
            }
        }
    }

    /// Begins a change, or goes on with it.
    pub(super) async fn turn(
        &self,
        taken: &Taken,
        resume: bool,
        options: &Options,
    ) -> Result<Option<(Turn, ModelChange)>, Error> {
        let Taken { look, ledger, .. } = taken;
        let (Some(index), Some(other)) = (&look.current.index, &look.other) else { return Ok(None) };
        let model = self.embedder().await?.fingerprint();
        if !resume {
            other.store.drop_index().await?;
            let base = match SqliteLedger::open_to_read(&self.ledger_in(look.current.slot)).await? {
                Some(ledger) => ledger.meta().await?.base,
                None => None,
            };
            ledger.begin_with(base, documents(&*look.current.store).await?).await?;
        }
        tracing::warn!("embedding anew with {model}: the vectors of {} answer until all are complete", index.model);
        let turn = index.change.map_or(0, |change| change.turn) + 1;
        let (from, to, ledger) = (look.current.clone(), Arc::clone(&other.store), ledger.clone());
        let change = ModelChange { turn, complete: false };
        Ok(Some((Turn { from, to, ledger, model, gives_up: options.prune, scoped: options.scoped }, change)))
    }

    /// After a run: switches, if every document is done.
    pub(super) async fn turned(&self, turn: Turn, summary: &mut IngestSummary) -> Result<(), Error> {
        let Turn { from, to, ledger, model, gives_up, scoped } = turn;
        let Unfinished { waiting, failed } = ledger.unfinished().await?;
        let done = waiting == 0 && (failed == 0 || gives_up);
        let complete = done && summary.outcome == Outcome::Complete;
        if complete {
            completed(&*to).await?;
            self.clear(&from).await;
        }
        let (from, to) = (from.index.map_or_else(String::new, |index| index.model.to_string()), model.to_string());
        let unlisted = unlisted(waiting, scoped, summary);
        summary.change = Some(ChangeOfModel { from, to, complete, waiting, unlisted, failed });
        Ok(())
    }

    /// What a plan says of the model.
    pub(super) async fn foretold(&self, look: &Look, wish: Wish) -> Result<Option<ForecastChange>, Error> {
        match (wish, look.next(), &look.current.index) {
            (Wish::Keep, Some((_, next)), Some(_)) => Ok(Some(ForecastChange::TakenBack { to: next.model.to_string() })),
            (Wish::Change { resume }, _, Some(index)) => {
                let (from, to) = (index.model.to_string(), self.embedder().await?.fingerprint().to_string());
                let made = if resume { look.made().await? } else { None };
                let percent = made.map_or(0, |made| made.percent);
                Ok(Some(ForecastChange::Change { from, to, percent }))
            }
            _ => Ok(None),
        }
    }
}

impl Wish {
    /// Which slot an ingest is to write to.
    pub(super) fn slot(self, look: &Look) -> Slot {
        match (self, &look.other) {
            (Self::Change { .. }, Some(other)) => other.slot,
            _ => look.current.slot,
        }
    }
}

/// What slots hold, waiting a moment for a server that is starting.
pub(super) async fn looked(slots: &Slots) -> Result<Look, Error> {
    let never = CancellationToken::new();
    loop {
        if let Some(look) = ingest::begun(&never, || slots.look()).await? {
            return Ok(look);
        }
    }
}

/// Of the documents of the old index that are still to come, those that a run has not come to. What is there, one over all sources has
/// read; what seems gone, and is kept for its number, is told apart.
pub(super) fn unlisted(waiting: u64, scoped: bool, summary: &IngestSummary) -> u64 {
    let whole = !scoped && summary.outcome == Outcome::Complete;
    if whole { waiting.saturating_sub(summary.kept_although_gone) } else { 0 }
}

/// The switch: one write, before which the old vectors answer, and after which the new ones do.
pub(super) async fn completed(store: &dyn VectorStore) -> Result<(), Error> {
    let complete = || async {
        let index = store.meta().await?.ok_or_else(|| StoreError::Missing { store: store.describe() })?;
        let change = index.change.map(|change| ModelChange { complete: true, ..change });
        store.set_meta(&IndexMeta { change, ..index }).await
    };
    ingest::begun(&CancellationToken::new(), complete).await?;
    Ok(())
}

/// An index that was to take another one's place is complete by itself where that one is no longer there.
pub(super) async fn complete_alone(current: &Held) -> Result<(), Error> {
    match &current.index {
        Some(IndexMeta { change: Some(change), .. }) if !change.complete => completed(&*current.store).await,
        _ => Ok(()),
    }
}

/// The documents that an index has passages of, and which source each came from.
async fn documents(store: &dyn VectorStore) -> Result<BTreeMap<String, SourceId>, Error> {
    let (mut documents, mut next) = (BTreeMap::new(), Some(None));
    while let Some(after) = next {
        let (page, then) = documents_after(store, after).await?;
        documents.extend(page);
        next = then.map(Some);
    }
    Ok(documents)
}

/// Some of the documents that an index has passages of, from a point on, and where to go on; a document may come again.
pub(super) async fn documents_after(
    store: &dyn VectorStore,
    after: Option<Uuid>,
) -> Result<(BTreeMap<String, SourceId>, Option<Uuid>), Error> {
    let page = store.scroll(after, PAGE).await?;
    let next = page.last().filter(|_| page.len() == PAGE).map(|(id, _)| *id);
    let source = |source: Option<String>| source.map_or_else(SourceId::files, SourceId::new);
    Ok((page.into_iter().map(|(_, passage)| (passage.uri, source(passage.source))).collect(), next))
}

/// Why the model of an index is not changed.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    /// Its documents may be another home's.
    #[error("the index {store} was last written by another home, {home}, and {model} is to take its model's place")]
    OtherHome { store: String, home: String, model: Fingerprint },
    /// Another home is at it.
    #[error("another home, {home}, makes the vectors of {model} for the index {store}")]
    Theirs { store: String, home: String, model: Fingerprint },
}

impl Failure for ChangeError {
    fn origin(&self) -> Origin {
        Origin::Store
    }

    fn code(&self) -> &'static str {
        "index_mismatch"
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::OtherHome { .. } => {
                "documents that only that home has would be lost: change the model there; or, if the sources \
                                       of this pipeline have them all, run `ingest --prune`"
                    .to_owned()
            }
            Self::Theirs { .. } => "wait until it is done, or name that model".to_owned(),
        })
    }

    fn is_transient(&self) -> bool {
        false
    }

    fn stops_all(&self) -> bool {
        true
    }
}
