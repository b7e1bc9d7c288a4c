//! A look at a few pages of a site, by which the model is chosen that embeds them all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::super::Listed;
use super::super::pace::MAX_DELAY;
use super::super::shared::Shared;
use super::Crawl;

/// How long pages are visited for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Crawls until `max_pages` pages were visited, and lists each document as soon as it is there. Its last step is
/// [`Listed::Complete`], unless nobody listens any more.
pub(in super::super) async fn sample(shared: Arc<Shared>, out: mpsc::Sender<Listed>) {
    if let Ok(mut crawl) = Crawl::begin(shared, out.clone()).await {
        crawl.samples = true;
        // What cannot be had is told by the crawl that follows, which meets it again.
        let _ = timeout(PATIENCE, crawl.run()).await;
        crawl.flight.shutdown().await;
        let _ = timeout(MAX_DELAY, crawl.rest()).await;
    }
    let _ = out.send(Listed::Complete).await;
}

impl Crawl {
    /// Waits until each host may be asked again: the crawl that follows does not know when the last request left.
    async fn rest(&self) {
        for host in self.hosts.values().filter(|host| host.dead.is_none()) {
            drop(host.pace.admit().await);
        }
    }
}
