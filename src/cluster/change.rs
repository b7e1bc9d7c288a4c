//! The two ledgers of an index, one for each slot of its store (see [`Slots`](crate::vectordb::Slots)): which of them workers sign on
//! to while the model is changed.
//!
//! ```text
//!  of the one slot     of the other
//!  open                –, or closed      as nearly always
//!  closed              open, made        its vectors are made, in rounds like any other; those of the one answer
//!  closed              open, due         every document is done: the seal of that round says so, in its own statement
//!  closed, empty       open              the store was told to answer from there, and the one index is gone
//! ```
//!
//! Invariant: a ledger is closed only while nobody is at work on it, and what is closed nobody signs on to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio_postgres::types::Type;

use super::Cluster;
use super::error::ClusterError;
use super::schema;
use super::session::Database;
use crate::ingest::ledger::Ledger;
use crate::vectordb::Slot;

/// A document `d` of an index that is made to take another one's place, which is not done there yet.
pub(super) const UNREAD: &str = "d.points IS NOT NULL AND d.hash IS NULL";

/// The ledgers of one index. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledgers {
    pub(super) database: Database,
    names: [String; 2],
    /// The row of the first.
    pub(super) first: i32,
    pub(super) lease: Duration,
    alive: Arc<AtomicU32>,
}

/// How far vectors are that are to take others' place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    /// They are not.
    #[default]
    None,
    /// They are made.
    Made,
    /// All of them are there: the store is to be told.
    Due,
}

/// One of the two ledgers, as it is at a moment.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Nobody signs on to it.
    pub closed: bool,
    /// How often that was so.
    pub closings: i32,
    /// How far its index is that is to take the other one's place.
    pub change: Step,
    /// What its workers embed with, where a change has said so.
    pub model: Option<String>,
    /// Those who are at work on it: `host:process`.
    pub workers: Vec<String>,
    /// Documents that are to be in it and that nobody has come to.
    pub waiting: u64,
    /// Those that failed.
    pub failed: u64,
}

/// What the ledger of a slot is called, of an index of this name.
pub(super) fn name_of(name: &str, slot: Slot) -> String {
    match slot {
        Slot::First => name.to_owned(),
        Slot::Second => format!("{name}~second"),
    }
}

/// Of a pair, the one of a slot.
fn of<T>([first, second]: &[T; 2], slot: Slot) -> &T {
    match slot {
        Slot::First => first,
        Slot::Second => second,
    }
}

impl Step {
    fn of(number: i16) -> Self {
        match number {
            1 => Self::Made,
            2 => Self::Due,
            _ => Self::None,
        }
    }

    pub(super) fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Made => 1,
            Self::Due => 2,
        }
    }
}

impl Ledgers {
    /// Those of the index of this name, in the database at this address; see [`Cluster::open`].
    ///
    /// # Errors
    /// When the database cannot be had, its tables are another version's, or may not be made.
    pub async fn open(url: &str, base: &Path, name: &str, lease: Duration) -> Result<Self, ClusterError> {
        let database = Database::new(url, base)?;
        schema::prepare(&database).await?;
        let (first, _) = super::row(&database, name).await?;
        let names = [Slot::First, Slot::Second].map(|slot| name_of(name, slot));
        Ok(Self { database, names, first, lease, alive: Arc::new(AtomicU32::new(1)) })
    }

    /// The ledger of a slot to be looked at; see [`Cluster::ledger_to_read`].
    ///
    /// # Errors
    /// When the database cannot be had, or its tables are another version's.
    pub async fn to_read(url: &str, base: &Path, name: &str, slot: Slot) -> Result<Option<Arc<dyn Ledger>>, ClusterError> {
        Cluster::ledger_to_read(url, base, &name_of(name, slot)).await
    }

    /// How many workers there are, as far as this one knows.
    pub(crate) fn alive(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.alive)
    }

    /// Why the ledger of a slot cannot be signed on to.
    pub(crate) fn is_closed(&self) -> ClusterError {
        ClusterError::closed(self.name(Slot::First))
    }

    /// A worker on the index in this slot, which signs on only if its ledger has not been closed since it was as this side of it says:
    /// what was found in the slot after that is there then.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn worker(&self, slot: Slot, seen: &[Side; 2]) -> Result<Cluster, ClusterError> {
        let (corpus, _) = super::row(&self.database, self.name(slot)).await?;
        let row = (corpus, Side::of(seen, slot).closings);
        Cluster::on(self.database.another(), row, self.name(slot), self.lease, self.alive()).await
    }

    pub(super) fn name(&self, slot: Slot) -> &str {
        of::<String>(&self.names, slot)
    }

    /// Both, the first slot's first. One that is not there yet is open, and nothing is in it.
    ///
    /// # Errors
    /// When the database cannot be had.
    pub async fn sides(&self) -> Result<[Side; 2], ClusterError> {
        sides(&self.database, &self.names).await
    }
}

/// Two columns of a row `c` of the corpora: how many documents a change has left to do that nobody has come to, and that failed.
pub(super) fn left() -> String {
    let unread = |failed: &str| {
        let sql = format!("SELECT count(*) FROM ragstream.documents d WHERE d.corpus = c.id AND {UNREAD} AND {failed}");
        format!("CASE WHEN c.change = 0 THEN 0 ELSE ({sql}) END")
    };
    format!("{}, {}", unread("d.error IS NULL"), unread("d.error IS NOT NULL"))
}

/// The ledgers of these names.
pub(super) async fn sides(database: &Database, names: &[String; 2]) -> Result<[Side; 2], ClusterError> {
    let sql = format!(
        "SELECT c.name = $2, c.closed, c.change, c.model,
             ARRAY(SELECT w.host || ':' || w.process FROM ragstream.workers w
                 WHERE w.corpus = c.id AND w.lease_until > clock_timestamp() ORDER BY w.since, w.id),
             {}, c.closings
         FROM ragstream.corpora c WHERE c.name IN ($1, $2)",
        left()
    );
    let [first, second] = names;
    let rows = database.ask(&sql, &[(first, Type::TEXT), (second, Type::TEXT)]).await?;
    let mut sides = [Side::default(), Side::default()];
    for row in &rows {
        let side = Side {
            closed: row.cell(1)?,
            change: Step::of(row.cell(2)?),
            model: row.cell(3)?,
            workers: row.cell(4)?,
            waiting: row.count(5)?,
            failed: row.count(6)?,
            closings: row.cell(7)?,
        };
        let [first, second] = &mut sides;
        *(if row.cell(0)? { second } else { first }) = side;
    }
    Ok(sides)
}

impl Side {
    /// Of both, the one of this slot.
    pub fn of(sides: &[Self; 2], slot: Slot) -> &Self {
        of(sides, slot)
    }
}
