//! An index under the name that the pipeline had before names held letters of any script: neither lost nor paid for again unawares.

use std::sync::Arc;

use super::Runtime;
use crate::error::{Error, Failure, Origin};
use crate::ingest::ledger::{Ledger as _, Scope, SourceScope, SqliteLedger};
use crate::source::state::{MemoryState, State};
use crate::source::{self, Purpose, SourceId, files};
use crate::vectordb::Slot;

/// There is an index under the pipeline's former name, and none under its own.
#[derive(Debug, thiserror::Error)]
#[error(
    "this pipeline's index may be the one called `{former}` in {place}: by its file's name, it is called `{name}` from this version on"
)]
pub(super) struct FormerName {
    pub(super) name: String,
    pub(super) former: String,
    /// Where that is.
    pub(super) place: String,
}

impl Failure for FormerName {
    fn origin(&self) -> Origin {
        Origin::Ledger
    }

    fn code(&self) -> &'static str {
        "former_name"
    }

    fn hint(&self) -> Option<String> {
        let Self { name, former, .. } = self;
        Some(format!(
            "write `name: {former}` into the file to go on with that index, or `name: {name}` to make one of its own; of several files \
             that shared it, one can go on with it"
        ))
    }

    fn stops_all(&self) -> bool {
        true
    }
}

impl Runtime {
    /// Refuses to go on where documents of this pipeline's sources are in an index of its former name, and it has none under its own.
    pub(super) async fn check_former_name(&self) -> Result<(), Error> {
        let Some(former) = &self.plan.former_name else { return Ok(()) };
        let is_there =
            |name: &str| [Slot::First, Slot::Second].into_iter().any(|slot| self.settings.ledger_in(name, slot).exists());
        if is_there(&self.plan.name) {
            return Ok(());
        }
        for slot in [Slot::First, Slot::Second] {
            let ledger = SqliteLedger::open_to_read(&self.settings.ledger_in(former, slot)).await?;
            let Some(ledger) = ledger else { continue };
            if self.has_documents_in(&ledger).await? {
                let place = self.settings.home.display().to_string();
                return Err(FormerName { name: self.plan.name.clone(), former: former.clone(), place }.into());
            }
        }
        Ok(())
    }

    /// Whether a ledger has documents of these sources. Where the sources are not known, any are taken for such.
    async fn has_documents_in(&self, ledger: &SqliteLedger) -> Result<bool, Error> {
        if self.plan.sources.is_empty() {
            return Ok(ledger.totals().await?.documents > 0);
        }
        let base = files::base_of(ledger.meta().await?.base.as_deref(), &self.settings.home, &self.settings.cwd);
        let nothing = |_: &SourceId| -> Arc<dyn State> { Arc::new(MemoryState::default()) };
        let sources = self.plan.sources.iter().map(|plan| {
            let source = source::open(plan, &base, nothing, Purpose::Preview);
            SourceScope { source: source.id().clone(), roots: source.roots(), focus: None, unreadable: Vec::new() }
        });
        let scope = Scope { sources: sources.collect() };
        let run = ledger.begin_run().await?;
        let known = ledger.count_missing(run, &scope).await?.known;
        ledger.end_run(run).await?;
        Ok(known > 0)
    }
}
