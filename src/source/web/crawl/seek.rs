//! What leads to pages beside their links: sitemaps, llms.txt, and what earlier crawls knew.

use std::sync::Arc;

use url::Url;

use super::super::access::Access;
use super::super::client::Ask;
use super::super::frontier::{Batch, Look, Turn, Visit};
use super::super::request::request;
use super::super::sitemap;
use super::super::{links, llms};
use super::Crawl;
use super::ended::Ended;

/// Sitemaps that are read in one crawl, at most; each names 50,000 pages at most.
const SITEMAPS: usize = 200;

/// Crawls in a row that nothing led to a page, before it counts as gone.
const ORPHANED: u32 = 1;

/// A sitemap that names less than one page of so many that it named before is taken for broken.
const SHRUNK: u64 = 2;

impl Crawl {
    /// Reads the sitemaps and the llms.txt of all hosts.
    pub(super) async fn seek(&mut self) -> Result<(), Ended> {
        let scopes: Vec<Url> = self.site.scopes.iter().map(|(_, scope)| scope.url().clone()).collect();
        let mut places: Vec<Url> = Vec::new();
        for at in &scopes {
            let host = self.host(at).await?;
            if host.dead.is_some() || !self.shared.plan.sitemap {
                continue;
            }
            let host = self.host(at).await?;
            let named = match &host.access {
                Access::Rules(robots) => robots.sitemaps(at),
                _ => Vec::new(),
            };
            places.extend(sitemap::places(&named, at));
            for place in named {
                self.declared.insert(place);
            }
        }
        self.read_sitemaps(places).await?;
        for at in &scopes {
            let listed = std::mem::take(&mut self.host(at).await?.llms);
            self.queue_llms(listed).await?;
        }
        if self.site.in_sitemaps * SHRUNK < self.site.were_in_sitemaps {
            self.site.blurred = true;
            let (were, are) = (self.site.were_in_sitemaps, self.site.in_sitemaps);
            self.tell(format!("the sitemaps name {are} pages, and named {were} before: nothing is removed for that")).await?;
        }
        self.site.sought = true;
        let mut batch = Batch::default();
        self.shared.frontier.set_site(&mut batch, "site", &self.site);
        Ok(self.shared.frontier.write(batch).await?)
    }

    async fn read_sitemaps(&mut self, mut places: Vec<Url>) -> Result<(), Ended> {
        let client = self.shared.client().await?;
        let mut read = std::collections::HashSet::new();
        while let Some(place) = places.pop() {
            let place = links::normal(&place);
            if !read.insert(place.clone()) {
                continue;
            }
            if read.len() > SITEMAPS {
                self.site.blurred = true;
                self.tell(format!("more than {SITEMAPS} sitemaps: the others are not read")).await?;
                break;
            }
            let declared = self.declared.contains(&place);
            let host = self.host(&place).await?;
            if host.dead.is_some() || !host.access.allows(&place) {
                continue;
            }
            let pace = Arc::clone(&host.pace);
            if pace.is_hopeless() {
                // Each of them would have to wait for a pause of its own, and in vain.
                self.site.blurred = true;
                continue;
            }
            let answer = self.followed(&client, &pace, &place).await;
            let Some(answer) = answer.filter(|answer| answer.status == 200) else {
                // Where one only might have been, nothing is missing.
                if declared {
                    self.site.blurred = true;
                    self.tell(format!("{place}: this sitemap, which robots.txt names, cannot be had")).await?;
                }
                continue;
            };
            let found = tokio::task::spawn_blocking(move || sitemap::read(&answer.body, &place)).await;
            let Ok(found) = found else { continue };
            self.site.blurred |= found.truncated || (declared && !found.recognised);
            for next in found.sitemaps {
                // One that an index names is as good as one that robots.txt names.
                self.declared.insert(links::normal(&next));
                places.push(next);
            }
            self.queue_sitemap(found.pages).await?;
        }
        Ok(())
    }

    /// What stands at an address, behind a few redirects on hosts that may be asked.
    async fn followed(
        &mut self,
        client: &super::super::client::Client,
        pace: &super::super::pace::Pace,
        place: &Url,
    ) -> Option<super::super::client::Answer> {
        let ask = Ask { accept: "application/xml, text/xml, */*;q=0.5", enough: Some(sitemap::MAX_BYTES), ..Ask::default() };
        let mut at = place.clone();
        for _ in 0..5 {
            let answer = request(client, pace, &at, &ask).await.ok()?;
            let Some(to) = answer.location.clone().filter(|_| (300..400).contains(&answer.status)) else { return Some(answer) };
            let host = self.host(&to).await.ok()?;
            if host.dead.is_some() || !host.access.allows(&to) {
                return None;
            }
            at = to;
        }
        None
    }

    async fn queue_sitemap(&mut self, pages: Vec<sitemap::Page>) -> Result<(), Ended> {
        let mut pages: Vec<(Url, Option<i64>)> =
            pages.into_iter().map(|page| (self.normal(&page.url), page.modified.map(jiff::Timestamp::as_second))).collect();
        pages.retain(|(url, _)| self.admits(url));
        // What changed last is visited first.
        pages.sort_by(|(a, changed_a), (b, changed_b)| changed_b.cmp(changed_a).then_with(|| a.cmp(b)));
        pages.dedup_by(|a, b| a.0 == b.0);
        self.site.in_sitemaps += pages.len() as u64;
        for part in pages.chunks(1000) {
            let urls = part.iter().map(|(url, _)| url.clone()).collect();
            let unmarked = self.shared.frontier.unmarked(self.site.crawl, urls).await?;
            let wanted: std::collections::HashSet<&Url> = unmarked.iter().collect();
            let mut batch = Batch::default();
            for (url, lastmod) in part.iter().filter(|(url, _)| wanted.contains(url)) {
                let visit = Visit { url: url.clone(), depth: 1, hops: 0, seed: None, turn: Turn::Linked, lastmod: *lastmod };
                self.shared.frontier.queue(&mut batch, self.site.crawl, &visit);
            }
            self.shared.frontier.write(batch).await?;
        }
        Ok(())
    }

    /// Pages that an llms.txt names. Those that are variants of others are told from them when the others have been visited.
    async fn queue_llms(&mut self, listed: Vec<Url>) -> Result<(), Ended> {
        let mut inside: Vec<Url> = listed.iter().map(|url| self.normal(url)).filter(|url| self.admits(url)).collect();
        inside.sort_unstable();
        inside.dedup();
        let mut batch = Batch::default();
        for url in self.shared.frontier.unmarked(self.site.crawl, inside).await? {
            let visit = Visit { url, depth: 1, hops: 0, seed: None, turn: Turn::Llms, lastmod: None };
            self.shared.frontier.queue(&mut batch, self.site.crawl, &visit);
        }
        Ok(self.shared.frontier.write(batch).await?)
    }

    /// Whether an address that an llms.txt names is another form of a page that was visited.
    pub(super) async fn is_variant(&self, url: &Url) -> Result<bool, Ended> {
        for page in llms::pages_of(url) {
            let record = self.shared.frontier.page(&page).await?;
            if record.is_some_and(|record| record.seen == self.site.crawl && record.look == Look::Document) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts into the queue what is in the index and nothing led to in this crawl. `false`: there is nothing more to be looked at.
    pub(super) async fn seek_orphans(&mut self) -> Result<bool, Ended> {
        if std::mem::replace(&mut self.orphans_sought, true) || self.tally.limited || self.site.blurred {
            return Ok(false);
        }
        let mut queued = false;
        let mut after: Option<Url> = None;
        loop {
            let pages = self.shared.frontier.pages(after.as_ref()).await?;
            let Some((last, _)) = pages.last() else { return Ok(queued) };
            after = Some(last.clone());
            let mut batch = Batch::default();
            for (url, record) in pages {
                let unseen = record.seen < self.site.crawl && record.version.is_some();
                if !unseen || record.orphaned >= ORPHANED || self.is_away(&url) || !self.admits(&url) {
                    continue;
                }
                let visit = Visit { url, depth: record.depth, hops: 0, seed: None, turn: Turn::Orphan, lastmod: None };
                self.shared.frontier.queue(&mut batch, self.site.crawl, &visit);
                queued = true;
            }
            self.shared.frontier.write(batch).await?;
        }
    }

    /// Whether nothing is asked of a page's host any more.
    pub(super) fn is_away(&self, url: &Url) -> bool {
        self.hosts.get(&url.origin().ascii_serialization()).is_some_and(|host| host.dead.is_some())
    }
}
