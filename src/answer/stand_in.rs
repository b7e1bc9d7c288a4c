//! An index that answers by another model than the one that its pipeline names: until the vectors of that one are complete.

use super::FusionPlan;
use crate::error::Error;
use crate::providers::Fingerprint;
use crate::vectordb::{Slots, StoreError};

/// Vectors that stand in for those of the model that the pipeline names.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// Where the index lives, and the one that is made.
    pub slots: Slots,
    /// The model whose vectors answer.
    pub model: Fingerprint,
    /// The model that the pipeline names.
    pub planned: Fingerprint,
    /// The fusion that suits that one, where the pipeline says nothing else.
    pub usual: FusionPlan,
}

impl StandIn {
    /// What is to be said with an answer.
    pub(super) async fn told(&self) -> String {
        let Self { model, planned, .. } = self;
        match self.percent().await {
            Ok(Some(percent)) => {
                format!("answers come from the vectors of {model} until those of {planned} are complete: {percent} %")
            }
            // What cannot be counted now is no reason not to answer.
            Ok(None) | Err(_) => {
                format!("answers come from the vectors of {model}: `ingest` makes those of {planned}, which the pipeline names")
            }
        }
    }

    /// How far the others are; `None`: nobody has begun to make them.
    async fn percent(&self) -> Result<Option<u64>, StoreError> {
        let look = self.slots.look().await?;
        let Some((next, index)) = look.next() else { return Ok(None) };
        if self.planned != index.model {
            return Ok(None);
        }
        let (made, all) = tokio::try_join!(next.count(), look.current.store.count())?;
        Ok(Some(percent(made, all)))
    }
}

/// How much of an index there is of one that is to take its place. All of it is not said before it has.
pub fn percent(made: u64, all: u64) -> u64 {
    (made * 100 / all.max(1)).min(99)
}

/// Whether an index was removed, as the one is whose place another has taken.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Missing { .. }))
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn all_of_it_is_said_by_the_switch_alone() {
        let percents = [(0, 0), (0, 8), (1, 3), (8, 8), (9, 8)].map(|(made, all)| percent(made, all));
        assert_eq!(percents, [0, 0, 33, 99, 99]);
    }
}
