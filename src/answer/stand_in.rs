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
        if look.next().is_none_or(|(_, index)| index.model != self.planned) {
            return Ok(None);
        }
        Ok(look.made().await?.map(|made| made.percent))
    }
}

/// Whether an index was removed, as the one is whose place another has taken.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Missing { .. }))
}
