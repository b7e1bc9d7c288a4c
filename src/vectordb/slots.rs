//! The two slots of one index: from one it answers, in the other the vectors of another model are made meanwhile (a blue-green
//! change). Which is which the indexes in them say themselves, so that whoever opens the store knows it, whatever was cut short.
//!
//! ```text
//!  first          second
//!  complete       –               as nearly always
//!  complete       building        a change is under way: the first answers
//!  complete       complete, later the switch, which is one write of what the second says of itself: that one answers
//!  –              complete        the first is removed; the next change is made there
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embedded::EmbeddedStore;
use super::qdrant::QdrantStore;
use super::{IndexMeta, StoreError, StorePlan, VectorStore};

/// What is added to the first slot's name: the folder within its folder, the collection's with a `~` between.
const SECOND: &str = "second";
/// How long one slot is waited for once the other answers.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was read of a slot.
type Read = Result<Option<IndexMeta>, StoreError>;

/// How an index came about that took another one's place, or is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelChange {
    /// Which change of the index's model it is. Of two that are complete, the later one counts.
    pub turn: u32,
    /// All documents are in it. Until then the other one answers.
    pub complete: bool,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Where an index is made.
    First,
    /// Where the first change of its model leads; the next one leads back.
    Second,
}

impl Slot {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Where one index lives.
#[derive(Debug, Clone)]
pub struct Slots {
    first: Arc<dyn VectorStore>,
    second: Option<Arc<dyn VectorStore>>,
}

/// What a slot holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// Which of the two.
    pub slot: Slot,
    /// Opens it.
    pub store: Arc<dyn VectorStore>,
    /// What the index says of itself; `None`: there is none.
    pub index: Option<IndexMeta>,
}

/// Both, as they are at a moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// What answers, or will.
    pub current: Held,
    /// The other one; `None` where the store has one slot only.
    pub other: Option<Held>,
}

impl Look {
    /// The vectors that are to take the current ones' place when they are complete.
    pub fn next(&self) -> Option<(&Arc<dyn VectorStore>, &IndexMeta)> {
        let Held { store, index, .. } = self.other.as_ref()?;
        index.as_ref().filter(|index| !is_complete(index)).map(|index| (store, index))
    }

    /// How far those are; `None`: nobody has begun to make them.
    ///
    /// # Errors
    /// When either cannot be read.
    pub async fn made(&self) -> Result<Option<Made>, StoreError> {
        let Some((next, _)) = self.next() else { return Ok(None) };
        let (chunks, all) = tokio::try_join!(next.count(), self.current.store.count())?;
        Ok(Some(Made { chunks, percent: percent(chunks, all) }))
    }
}

/// How far vectors are that are to take others' place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Chunks that there are.
    pub chunks: u64,
    /// Of those that the others have, in percent. All of it is not said before they have taken their place.
    pub percent: u64,
}

fn percent(made: u64, all: u64) -> u64 {
    (made * 100 / all.max(1)).min(99)
}

impl Slots {
    /// The slots of the store that a plan names; an embedded one without a path lives in `default_path`. Nothing is opened or asked yet.
    pub fn open(plan: &StorePlan, default_path: &Path) -> Result<Self, StoreError> {
        let second: Arc<dyn VectorStore> = match plan {
            StorePlan::Embedded { path } => Arc::new(EmbeddedStore::new(path.as_deref().unwrap_or(default_path).join(SECOND))),
            StorePlan::Qdrant { url, api_key, collection, timeout, spread } => {
                let collection = format!("{collection}~{SECOND}");
                Arc::new(QdrantStore::new(url, api_key.as_ref(), &collection, *timeout)?.with_spread(*spread))
            }
        };
        Ok(Self { first: super::open(plan, default_path)?, second: Some(second) })
    }

    /// A store with one slot: its index's model is changed by making it anew.
    pub fn one(store: Arc<dyn VectorStore>) -> Self {
        Self { first: store, second: None }
    }

    /// What the slots hold. The two are not read at one moment; where that could deceive, they are read again.
    ///
    /// # Errors
    /// When either cannot be read, unless the second is not ours to see.
    pub async fn look(&self) -> Result<Look, StoreError> {
        let Some(second) = &self.second else {
            let index = self.first.meta().await?;
            return Ok(self.arranged(index, None));
        };
        let (mut one, mut two) = self.read(second).await?;
        // One may have been removed, and the other have been completed before, since they were read in the other order.
        if ![&one, &two].into_iter().flatten().any(is_complete) {
            (one, two) = self.read(second).await?;
        }
        Ok(self.arranged(one, two))
    }

    async fn read(&self, second: &Arc<dyn VectorStore>) -> Result<(Option<IndexMeta>, Option<IndexMeta>), StoreError> {
        let (one, two) = join(self.first.meta(), second.meta()).await;
        let one = one?;
        let two = two.or_else(|error| if is_passed_over(&error, one.as_ref()) { Ok(None) } else { Err(error) })?;
        Ok((one, two))
    }

    /// What is to be asked now: as [`Self::look`] says it. While one of the two cannot be read, the other one, if all documents are in
    /// it; what the unread one holds is not known then, and said to be nothing.
    ///
    /// # Errors
    /// When neither is known to answer: what is wrong with the one that cannot be read.
    pub async fn answering(&self) -> Result<Look, StoreError> {
        let Some(second) = &self.second else { return self.look().await };
        let (one, two) = match self.both(second).await {
            // As in `look`.
            (Ok(one), Ok(two)) if ![&one, &two].into_iter().flatten().any(is_complete) => self.both(second).await,
            both => both,
        };
        match (one, two) {
            (Ok(one), Ok(two)) => Ok(self.arranged(one, two)),
            (Ok(one), Err(error)) if one.as_ref().is_some_and(is_complete) || is_passed_over(&error, one.as_ref()) => {
                tracing::debug!(%error, "the second slot cannot be read");
                Ok(self.arranged(one, None))
            }
            (Err(error), Ok(two)) if two.as_ref().is_some_and(is_complete) => {
                tracing::debug!(%error, "the first slot cannot be read");
                Ok(self.arranged(None, two))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Both. Once one of them is known to answer, the other is not waited for for long.
    async fn both(&self, second: &Arc<dyn VectorStore>) -> (Read, Read) {
        match select(self.first.meta(), second.meta()).await {
            Either::Left((one, two)) => {
                let two = patiently(two, &**second, &one).await;
                (one, two)
            }
            Either::Right((two, one)) => {
                let one = patiently(one, &*self.first, &two).await;
                (one, two)
            }
        }
    }

    fn arranged(&self, one: Option<IndexMeta>, two: Option<IndexMeta>) -> Look {
        let second_is_current = is_current(two.as_ref(), one.as_ref());
        let first = Held { slot: Slot::First, store: Arc::clone(&self.first), index: one };
        let second = self.second.as_ref().map(|store| Held { slot: Slot::Second, store: Arc::clone(store), index: two });
        match second {
            Some(second) if second_is_current => Look { current: second, other: Some(first) },
            second => Look { current: first, other: second },
        }
    }

    /// Lets other processes write to both.
    pub async fn release(&self) {
        self.first.release().await;
        if let Some(second) = &self.second {
            second.release().await;
        }
    }
}

/// Reads a slot, in time where the other one answers.
async fn patiently(read: impl Future<Output = Read>, store: &dyn VectorStore, other: &Read) -> Read {
    if !matches!(other, Ok(Some(index)) if is_complete(index)) {
        return read.await;
    }
    let late = || {
        let message = format!("it has said nothing for {} seconds", PATIENCE.as_secs());
        StoreError::Unavailable { store: store.describe(), message, source: None }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(late()))
}

/// Whether a second slot that is not read holds nothing of ours: it is somebody else's, or none that this key may look at. And what is
/// damaged, or of another version, is no reason not to go by the first.
fn is_passed_over(error: &StoreError, one: Option<&IndexMeta>) -> bool {
    let passed_over = match error {
        StoreError::Denied { .. } => true,
        StoreError::Failed { .. } | StoreError::Unavailable { .. } => false,
        _ => one.is_some(),
    };
    if passed_over {
        tracing::debug!(%error, "the second slot is passed over");
    }
    passed_over
}

fn is_complete(index: &IndexMeta) -> bool {
    index.change.is_none_or(|change| change.complete)
}

/// Whether what the second slot holds counts, and not what the first does: what is complete before what is not, what is later before
/// what is earlier. One that is alone counts as it is.
fn is_current(second: Option<&IndexMeta>, first: Option<&IndexMeta>) -> bool {
    let rank = |index: &IndexMeta| (is_complete(index), index.change.map_or(0, |change| change.turn));
    second.map(rank) > first.map(rank)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn index(turn: u32, complete: bool) -> IndexMeta {
        IndexMeta {
            version: IndexMeta::VERSION,
            generation: Uuid::nil(),
            model: "m".into(),
            dimensions: 1,
            chunking: String::new(),
            home: None,
            change: (turn > 0).then_some(ModelChange { turn, complete }),
            prefixes: None,
        }
    }

    #[test]
    fn all_of_it_is_said_by_the_switch_alone() {
        let percents = [(0, 0), (0, 8), (1, 3), (8, 8), (9, 8)].map(|(made, all)| percent(made, all));
        assert_eq!(percents, [0, 0, 33, 99, 99]);
    }

    #[test]
    fn at_every_step_of_a_change_one_of_the_two_answers() {
        let (old, building, made) = (index(0, true), index(1, false), index(1, true));
        let steps = [
            (None, None, false),
            (Some(&old), None, false),
            (Some(&old), Some(&building), false),
            (Some(&old), Some(&made), true),
            (None, Some(&made), true),
        ];
        for (first, second, is_second) in steps {
            assert_eq!(is_current(second, first), is_second, "{first:?} {second:?}");
        }
        // And back.
        let (building, again) = (index(2, false), index(2, true));
        for (first, second, is_second) in [(&building, &made, true), (&again, &made, false)] {
            assert_eq!(is_current(Some(second), Some(first)), is_second, "{first:?} {second:?}");
        }
        // Of one that was removed by hand, what there is answers.
        assert!(is_current(Some(&index(1, false)), None));
    }
}
