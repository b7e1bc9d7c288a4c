//! Where ragstream keeps things.

use std::path::{Path, PathBuf};

use crate::vectordb::Slot;

/// Where ragstream keeps things.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Index, ledger, failed documents.
    pub home: PathBuf,
    /// Embeddings and models, shared by all projects.
    pub cache: PathBuf,
    /// The working folder: new indexes name their documents relative to it.
    pub cwd: PathBuf,
}

impl Settings {
    /// With this home, the user's cache folder, and the working folder of the process.
    pub fn at(home: impl AsRef<Path>) -> Self {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let home = std::path::absolute(home.as_ref()).unwrap_or_else(|_| cwd.join(home.as_ref()));
        let cache = Self::users_cache().unwrap_or_else(|| home.join("cache"));
        Self { home, cache, cwd }
    }

    /// Where embeddings and models of all the user's projects are kept; `None` where the system names no such folder.
    pub fn users_cache() -> Option<PathBuf> {
        dirs::cache_dir().map(|folder| folder.join("ragstream"))
    }

    /// The ledger of a pipeline.
    pub fn ledger(&self, pipeline: &str) -> PathBuf {
        self.home.join(format!("{pipeline}.ledger"))
    }

    /// The ledger of a pipeline whose index is in this slot. Both have one lock.
    pub(super) fn ledger_in(&self, pipeline: &str, slot: Slot) -> PathBuf {
        match slot {
            Slot::First => self.ledger(pipeline),
            Slot::Second => self.home.join(format!("{pipeline}.ledger-second")),
        }
    }

    /// What a pipeline's index has taught of which questions its documents answer.
    pub fn answerability(&self, pipeline: &str) -> PathBuf {
        self.home.join(format!("{pipeline}.answerability"))
    }

    /// What was noted of documents for questions about all of them, so that it is not paid for twice.
    pub fn notes(&self, pipeline: &str) -> PathBuf {
        self.home.join(format!("{pipeline}.notes"))
    }

    /// The embedded index of a pipeline, unless the plan says otherwise.
    pub fn index(&self, pipeline: &str) -> PathBuf {
        self.home.join(pipeline)
    }
}
