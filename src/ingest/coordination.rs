//! What several workers on one index agree on, beyond the ledger.
//!
//! A *round* brings the index up to date once. One worker leads it: it walks the sources, as the coordinator of a single process
//! does, and puts what may have changed into a queue that all claim from. When the queue is empty it judges what is gone, which
//! goes through the queue as well, and seals. A leader that dies is followed by another, which walks from the beginning: what was
//! done is found unchanged. Whoever comes while a round is under way takes part in it.
//!
//! ```text
//! preparing ─▶ walking ─▶ listed ─▶ sealed
//!     ▲           │          │
//!     └───────────┴──────────┘  ledger and store may differ: nothing that was granted before counts
//! ```

use async_trait::async_trait;
use uuid::Uuid;

use super::ledger::{LedgerError, Missing};
use crate::source::{Item, SourceId};

/// How far a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Ledger and store are made to be of one mind; nobody claims.
    Preparing,
    /// The sources are walked.
    Walking,
    /// All is listed.
    Listed,
}

/// The right to lead, until somebody else has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Another one with each change of hands, and none that was before.
    pub epoch: u64,
    /// How far the round is.
    pub phase: Phase,
    /// Whether the round's removals were asked for whatever their number.
    pub prune: bool,
    /// The generation of the index that the round works on, once that is known.
    pub index: Option<Uuid>,
    /// Which history of the database it was granted in; `None`: it does not tell. Whoever leads in one has nothing to say in another.
    pub history: Option<u32>,
    /// That is not the history that the round began in: the database may have lost what it had acknowledged, as a standby may have
    /// that was promoted, and what was granted counts no more.
    pub restored: bool,
}

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// This worker.
    Mine(Term),
    /// Another one.
    Others,
    /// Nobody any more: the round is sealed. So many documents are gone and were kept.
    Over(u64),
}

/// What a worker was given to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// To bring an item of a source, by its number among the run's, into the index.
    Index(usize, Item),
    /// To remove a document.
    Remove(Missing),
    /// To look at a document once more of which a worker may have written late that had lost its lease.
    Sweep {
        /// Which source gave it.
        source: SourceId,
        /// Which document.
        uri: String,
        /// The points that it may have written or deleted.
        ids: Vec<Uuid>,
    },
}

/// What the queue had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Jobs of one kind; their documents are this worker's.
    Jobs(Vec<Job>),
    /// Nothing at the moment. To be asked again after so long.
    Nothing(std::time::Duration),
    /// The round is over.
    Over,
}

/// What is not done yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Jobs, taken or not.
    pub jobs: u64,
    /// Those of them that a worker has.
    pub taken: u64,
    /// Documents that are to be looked at once more when what late workers sent has arrived.
    pub sweeps: u64,
}

/// What several workers on one index agree on. Every call may be made twice.
#[async_trait]
pub trait Coordination: Send + Sync + std::fmt::Debug {
    /// Takes part in the round that is under way, or begins one. `sources`: what this worker can fetch from, which must be what all
    /// can.
    async fn join(&self, sources: &[SourceId], prune: bool) -> Result<(), LedgerError>;
    /// Takes the lead, or renews it, where nobody else has it.
    async fn lead(&self) -> Result<Lead, LedgerError>;
    /// How many workers there are, as far as this one knows.
    fn alive(&self) -> usize;
    /// How often the lead is to be renewed.
    fn renewal(&self) -> std::time::Duration;
    /// The leader's word that a phase has been reached, on the index of this generation. `false`: it does not lead any more.
    async fn reached(&self, term: Term, phase: Phase, index: Uuid) -> Result<bool, LedgerError>;
    /// Takes back all that was granted, and begins the round anew: ledger and store may differ. Returns after which time nobody can be
    /// at work any more who has not heard of it; `None`: another one leads.
    async fn restart(&self, term: Term) -> Result<Option<std::time::Duration>, LedgerError>;
    /// Puts items into the queue. `false`: it does not lead any more.
    async fn submit(&self, term: Term, number: usize, source: &SourceId, items: Vec<Item>) -> Result<bool, LedgerError>;
    /// Takes documents for this worker that came with their bodies: nobody else could fetch them again without asking the source
    /// twice.
    async fn hold(&self, uris: Vec<String>) -> Result<(), LedgerError>;
    /// Puts removals into the queue. `false`: it does not lead any more.
    async fn submit_removals(&self, term: Term, documents: Vec<Missing>) -> Result<bool, LedgerError>;
    /// Takes jobs, at most so many.
    async fn take(&self, most: usize) -> Result<Taken, LedgerError>;
    /// Notes that a job that was taken is done, and that nothing is to be recorded of its document.
    async fn settle(&self, uri: &str) -> Result<(), LedgerError>;
    /// Notes that the sources are to be walked once more before the round ends.
    async fn walk_again(&self) -> Result<(), LedgerError>;
    /// What is not done yet. Frees what dead workers held on the way.
    async fn outstanding(&self) -> Result<Outstanding, LedgerError>;
    /// Ends the round, where nothing is outstanding. `None`: something is, or it does not lead any more; `Some(false)`: the sources
    /// are to be walked once more.
    async fn seal(&self, term: Term, kept: u64) -> Result<Option<bool>, LedgerError>;
    /// Says what this worker has done so far, for whoever looks at all of them: a JSON object.
    fn tell(&self, told: String);
    /// Gives back what is held, and leaves.
    async fn leave(&self);
}
