//! Whole sites: every page that links and sitemaps lead to, as far as robots.txt lets us.
//!
//! ```text
//!   seeds ─▶ frontier ─▶ robots ─▶ pace ─▶ client ─▶ visit ─▶ arrive ─▶ listed, and more links for the frontier
//!               ▲                                                 │
//!               └────────────── sitemaps, llms.txt, orphans ◀─────┘ when nothing is left
//! ```
//!
//! A page has to be fetched for its links to be known. What was fetched is kept beside the frontier until the document that
//! becomes of it is recorded as done: a crawl that is killed asks again for what was in flight, and for nothing else.
//!
//! A document is gone where its page says so (404 twice, half a minute apart; 410), where the site does not want it indexed, and where two crawls in a row
//! found nothing that leads to it. An outage, a login, an empty sitemap or a crawl that was cut short removes nothing: such pages
//! are listed as they were, or what lies at their prefix is told as unreadable.

mod access;
mod address;
mod client;
mod crawl;
mod escapes;
mod failure;
mod fate;
mod fetch;
mod frontier;
mod links;
mod llms;
mod pace;
mod paces;
mod plan;
mod preview;
mod request;
mod robots;
mod rules;
mod scope;
mod shared;
mod signal;
mod site;
mod sitemap;
mod spool;
#[cfg(test)]
mod stand_in;
mod traps;
mod variant;
mod visit;

use std::sync::Arc;

use async_stream::stream;
use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::fate::{Fate, fate};
use self::frontier::Batch;
pub use self::plan::{MAX_DEPTH, MAX_PAGES, USER_AGENT, WebPlan};
use self::shared::Shared;
use super::state::State;
use super::{FetchError, Fetched, Item, Listed, Purpose, Source, SourceId};

/// Steps of a listing that wait for whoever listens.
const WAITING: usize = 64;

/// Pages that are visited for a sample.
const SAMPLE: u64 = 8;

/// Whole sites as a source. The uri of a document is the address of its page.
#[derive(Debug)]
pub struct Web {
    id: SourceId,
    shared: Arc<Shared>,
    purpose: Purpose,
}

impl Web {
    /// What all sites together are called.
    pub(crate) fn own_id() -> SourceId {
        SourceId::new("web")
    }

    /// The sites of a plan. `state` gives what sources of an id remember.
    pub fn new(mut plan: WebPlan, state: impl Fn(&SourceId) -> Arc<dyn State>, purpose: Purpose) -> Self {
        let id = Self::own_id();
        if purpose == Purpose::Sample {
            plan.max_pages = plan.max_pages.min(SAMPLE);
        }
        let shared = Arc::new(Shared::new(plan, state(&id)));
        Self { id, shared, purpose }
    }
}

#[async_trait]
impl Source for Web {
    fn id(&self) -> &SourceId {
        &self.id
    }

    /// What the scopes of the seeds cover: known in full after a listing.
    fn roots(&self) -> Vec<String> {
        self.shared.roots()
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        let (shared, purpose) = (Arc::clone(&self.shared), self.purpose);
        let listing = stream! {
            let (out, mut listed) = tokio::sync::mpsc::channel(WAITING);
            // In a task of its own: requests go on while nobody asks for the next step.
            let _crawl = AbortOnDropHandle::new(tokio::spawn(async move {
                match purpose {
                    Purpose::Index => crawl::crawl(shared, out).await,
                    Purpose::Preview => preview::preview(&shared, &out).await,
                    Purpose::Sample => crawl::sample(shared, out).await,
                }
            }));
            while let Some(listed) = listed.recv().await {
                yield listed;
            }
        };
        listing.boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        let mut fetched = Vec::with_capacity(items.len());
        for item in items {
            fetched.push(fetch::fetch(&self.shared, item).await);
        }
        fetched
    }

    async fn settled(&self, uris: &[String]) {
        let mut batch = Batch::default();
        for uri in uris {
            self.shared.frontier.drop_body(&mut batch, uri);
        }
        if let Err(error) = self.shared.frontier.write(batch).await {
            tracing::debug!(%error, "what was kept of finished pages stays a little longer");
        }
    }
}
