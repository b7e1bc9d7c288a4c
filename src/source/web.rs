//! Whole sites.

mod plan;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};

pub use self::plan::{MAX_DEPTH, MAX_PAGES, USER_AGENT, WebPlan};
use super::state::State;
use super::{FetchError, Fetched, Item, Listed, Purpose, Source, SourceError, SourceId};

/// Whole sites as a source.
#[derive(Debug)]
pub struct Web {
    id: SourceId,
    plan: WebPlan,
    state: Arc<dyn State>,
    purpose: Purpose,
}

impl Web {
    /// The sites of a plan. `state` gives what sources of an id remember.
    pub fn new(plan: WebPlan, state: impl Fn(&SourceId) -> Arc<dyn State>, purpose: Purpose) -> Self {
        let id = SourceId::new("web");
        Self { state: state(&id), id, plan, purpose }
    }
}

#[async_trait]
impl Source for Web {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        tracing::debug!(purpose = ?self.purpose, state = ?self.state, plan = ?self.plan, "a site");
        futures_util::stream::empty().boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        items.iter().map(|_| Err(SourceError::new("sites cannot be fetched yet").into())).collect()
    }
}
