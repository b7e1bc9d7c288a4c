//! What a visit found, and what follows from it: a document, pages to visit, or nothing.

use url::Url;

use super::super::super::{Listed, SkipReason, SourceError};
use super::super::frontier::{Batch, Look, PageRecord, Place, Turn, Visit};
use super::super::request::Cause;
use super::super::site::now;
use super::super::visit::{Found, Visited};
use super::super::{links, rules};
use super::Crawl;
use super::ended::Ended;

/// Redirects from page to page, at most.
const HOPS: u8 = 10;

impl Crawl {
    /// Looks at what a visit found.
    pub(super) async fn arrive(&mut self, visited: Visited) -> Result<(), Ended> {
        let Visited { place, visit, mut record, found } = visited;
        record.seen = self.site.crawl;
        record.visited = now();
        record.depth = visit.depth;
        if !matches!(found, Found::Failed { .. }) {
            self.host(&visit.url).await?.failures = 0;
        }
        match found {
            Found::Page { facts, body, scan, variant } => self.page(place, visit, record, facts, body, *scan, variant).await,
            Found::File { facts, body } => self.file(place, visit, record, facts, body).await,
            Found::Unchanged => self.unchanged(place, visit, record).await,
            Found::Moved(to) => self.moved(place, visit, record, to).await,
            Found::Missing if !visit.turn.is_again() => self.missing(place, visit, record).await,
            Found::Missing | Found::Gone => self.gone(place, visit, record).await,
            Found::Unusable(why) => {
                self.lost(&visit, why).await?;
                self.stays(place, visit, record).await
            }
            Found::Failed { why, cause } => {
                self.failed(&visit.url, &why, cause, visit.seed.is_some()).await?;
                // A host that is away has been said; one more sentence for each of its pages is no help.
                if self.host(&visit.url).await?.dead.is_none() {
                    // Nor is one for a page behind a login that was never seen.
                    if cause == Cause::Refused && record.version.is_none() && visit.seed.is_none() {
                        self.tally.refused += 1;
                    } else {
                        self.lost(&visit, why).await?;
                    }
                }
                self.stays(place, visit, record).await
            }
        }
    }

    /// A page that could not be had is what it was, and leads to where it led.
    pub(super) async fn stays(&mut self, place: Place, visit: Visit, record: PageRecord) -> Result<(), Ended> {
        let mut batch = Batch::default();
        if visit.seed.is_none() {
            let links = self.shared.frontier.links(&visit.url).await?;
            self.follow(&mut batch, &visit, links).await?;
        }
        self.settle(place, &visit, PageRecord { look: Look::Failed, ..record }, batch).await
    }

    /// A page that is elsewhere.
    async fn moved(&mut self, place: Place, visit: Visit, mut record: PageRecord, to: Url) -> Result<(), Ended> {
        let to = self.normal(&to);
        record.look = Look::Redirect(to.clone());
        if visit.seed.is_some() && rules::is_login(&to) {
            return self.not_let_in(place, visit, record).await;
        }
        let mut batch = Batch::default();
        let inside = visit.seed.is_some() || self.covers(&to);
        if !inside {
            self.tally.outside += 1;
        } else if visit.hops >= HOPS {
            self.lost(&visit, format!("more than {HOPS} redirects, one after the other")).await?;
        } else if to != visit.url {
            let follows = Visit { url: to.clone(), hops: visit.hops + 1, lastmod: None, ..visit.clone() };
            if !self.shared.frontier.unmarked(self.site.crawl, vec![to]).await?.is_empty() {
                self.shared.frontier.queue(&mut batch, self.site.crawl, &follows);
            }
        }
        self.settle(place, &visit, record, batch).await
    }

    /// Counts a page that is not there and never was, where a link leads to it.
    fn absent(&mut self, visit: &Visit, record: &PageRecord) {
        if record.version.is_none() && visit.seed.is_none() && visit.turn == Turn::Linked {
            self.tally.absent.add(&visit.url);
        }
    }

    /// A page that is not there: it is looked at once more, at the end.
    async fn missing(&mut self, place: Place, visit: Visit, mut record: PageRecord) -> Result<(), Ended> {
        if visit.seed.is_some() {
            self.lost(&visit, "there is no such page (404)".to_owned()).await?;
        }
        self.absent(&visit, &record);
        record.look = Look::Missing;
        let mut batch = Batch::default();
        if record.version.is_some() && visit.seed.is_none() {
            let turn = if visit.turn.is_orphan() { Turn::OrphanAgain } else { Turn::Again };
            let again = Visit { turn, ..visit.clone() };
            self.shared.frontier.queue(&mut batch, self.site.crawl, &again);
        }
        self.settle(place, &visit, record, batch).await
    }

    async fn gone(&mut self, place: Place, visit: Visit, mut record: PageRecord) -> Result<(), Ended> {
        if visit.seed.is_some() {
            self.lost(&visit, "there is no such page any more (410)".to_owned()).await?;
        } else {
            self.absent(&visit, &record);
            record.version = None;
        }
        record.look = Look::Gone;
        let mut batch = Batch::default();
        self.shared.frontier.drop_body(&mut batch, visit.url.as_str());
        self.settle(place, &visit, record, batch).await
    }

    /// A page that robots.txt keeps us from.
    pub(super) async fn forbidden(&mut self, place: Place, visit: Visit, record: PageRecord) -> Result<(), Ended> {
        if let Some(seed) = &visit.seed {
            let error = SourceError::new("the site's robots.txt keeps crawlers from this page, with which to begin");
            self.say(unread(seed.to_string(), error, self.is_known(seed))).await?;
        }
        self.skip(&visit.url, SkipReason::Robots).await?;
        let record = PageRecord { seen: self.site.crawl, look: Look::Skipped(SkipReason::Robots), version: None, ..record };
        self.settle(place, &visit, record, Batch::default()).await
    }

    /// Writes all that a visit has changed, and takes it out of the queue: at once, so that a kill leaves both or neither.
    pub(super) async fn settle(
        &mut self,
        place: Place,
        visit: &Visit,
        record: PageRecord,
        mut batch: Batch,
    ) -> Result<(), Ended> {
        let frontier = &self.shared.frontier;
        frontier.set_page(&mut batch, &visit.url, &record);
        frontier.mark(&mut batch, self.site.crawl, &visit.url);
        batch.done(place);
        frontier.set_site(&mut batch, "site", &self.site);
        Ok(frontier.write(batch).await?)
    }

    /// Says that a page could not be had. The index keeps what it has of it.
    pub(super) async fn lost(&mut self, visit: &Visit, why: String) -> Result<(), Ended> {
        // Without its first page a site is not seen whole.
        self.site.blurred |= visit.seed.is_some();
        let known = visit.seed.as_ref().is_none_or(|seed| self.is_known(seed));
        let seed = visit.seed.as_ref().map(|seed| self.prefix_of(seed));
        let prefix = seed.unwrap_or_else(|| visit.url.to_string());
        self.say(unread(prefix, SourceError::new(why), known)).await
    }

    /// Whether a seed, as it is written in the plan or in the queue, has ever led to a page.
    pub(super) fn is_known(&self, seed: &Url) -> bool {
        let seed = links::normal(seed);
        self.site.scopes.iter().any(|(known, _)| *known == seed)
    }
}

/// What could not be had, where it is `known` that there was something.
pub(super) fn unread(prefix: String, error: SourceError, known: bool) -> Listed {
    if known { Listed::Unreadable { prefix, error } } else { Listed::Unanswered { prefix, error } }
}
