//! The end of a crawl: what is kept although it was not seen, what is gone, and what a person should know.

use std::collections::{BTreeMap, HashMap};

use url::Url;

use super::super::frontier::{Batch, Look, PageRecord};
use super::super::rules;
use super::Crawl;
use super::ended::Ended;
use super::equal::is_preferred;

/// No redirects that lead somewhere are so many, one after the other.
const STEPS: usize = 64;

/// Documents that lead to one and the same page: no move, but a wall (a login, a "we are closed").
const WALL: u32 = 3;

impl Crawl {
    pub(super) async fn end(&mut self) -> Result<(), Ended> {
        self.release_all().await?;
        let targets = self.targets().await?;
        let mut after: Option<Url> = None;
        loop {
            let pages = self.shared.frontier.pages(after.as_ref()).await?;
            let Some((last, _)) = pages.last() else { break };
            after = Some(last.clone());
            let mut batch = Batch::default();
            for (url, record) in pages {
                self.conclude(&mut batch, &targets, url, record).await?;
            }
            self.shared.frontier.write(batch).await?;
        }
        self.list_heirs().await?;
        if self.site.scopes.is_empty() {
            // Nothing that was asked for ever answered: an address that was mistyped leaves nothing behind.
            self.shared.frontier.clear().await?;
            return self.sum_up().await;
        }
        self.site.running = false;
        let mut batch = Batch::default();
        self.shared.save_furniture(&mut batch);
        self.shared.frontier.set_site(&mut batch, "site", &self.site);
        self.shared.frontier.write(batch).await?;
        // What was not visited since there was no more to be visited than so much, is not of this crawl any more.
        self.shared.clear_queue(self.site.crawl).await?;
        self.sum_up().await
    }

    /// Where documents lead to by redirects, with how many of them. Counts the pages that lead to themselves in the end.
    async fn targets(&mut self) -> Result<HashMap<Url, u32>, Ended> {
        let mut targets: HashMap<Url, u32> = HashMap::new();
        let mut redirects: BTreeMap<Url, Url> = BTreeMap::new();
        let mut after: Option<Url> = None;
        loop {
            let pages = self.shared.frontier.pages(after.as_ref()).await?;
            let Some((last, _)) = pages.last() else { break };
            after = Some(last.clone());
            for (url, record) in pages {
                if let (Look::Redirect(to), true) = (record.look, record.seen == self.site.crawl) {
                    if record.version.is_some() {
                        *targets.entry(to.clone()).or_default() += 1;
                    }
                    redirects.insert(url, to);
                }
            }
        }
        for url in redirects.keys().filter(|url| is_circle(&redirects, url)) {
            self.tally.circles.add(url);
        }
        Ok(targets)
    }

    /// Decides on one page: what is not listed, and lies where everything could be read, is gone.
    async fn conclude(
        &mut self,
        batch: &mut Batch,
        targets: &HashMap<Url, u32>,
        url: Url,
        record: PageRecord,
    ) -> Result<(), Ended> {
        let frontier = std::sync::Arc::clone(&self.shared.frontier);
        let seen = record.seen == self.site.crawl;
        if let (true, Look::Alias(_), Some(content)) = (seen, &record.look, &record.content) {
            let document = self.document_with(content).await?;
            let alive = document.is_some_and(|(of, other)| other.seen == self.site.crawl || self.is_kept(&of, &other));
            if !alive && self.admits(&url) {
                // The page that it was equal to is another now, or gone.
                let before = self.heirs.get(content);
                let preferred = |(heir, known): &(Url, PageRecord)| {
                    is_preferred((&url, record.canonical.as_ref()), (heir, known.canonical.as_ref()))
                };
                if before.is_none_or(preferred) {
                    self.heirs.insert(content.clone(), (url, record));
                }
            }
            return Ok(());
        }
        let Some(version) = record.version.clone() else {
            if !seen {
                frontier.forget_page(batch, &url);
            }
            return Ok(());
        };
        let keep = if seen {
            match &record.look {
                // Listed when it was visited, or said to have failed.
                Look::Document | Look::Failed => return Ok(()),
                Look::Redirect(to) => !self.has_moved(targets, to).await?,
                Look::SoftNotFound => record.orphaned == 0,
                // It may be down for maintenance: a page with nothing but scripts, or with nothing at all. And what was missing was to
                // be looked at once more: the crawl did not come to that.
                Look::Skipped(_) | Look::Missing => true,
                Look::Gone | Look::Alias(_) | Look::Never => false,
            }
        } else {
            self.is_kept(&url, &record)
        };
        if keep {
            if !self.is_away(&url) {
                self.tally.kept += 1;
            }
            self.list(&url, Some(&version)).await?;
        } else if seen {
            frontier.drop_body(batch, url.as_str());
            frontier.set_page(batch, &url, &PageRecord { version: None, ..record });
        } else {
            frontier.forget_page(batch, &url);
        }
        Ok(())
    }

    /// Whether a document that was not seen is kept, as the crawl cannot tell.
    fn is_kept(&self, url: &Url, record: &PageRecord) -> bool {
        let known = record.version.is_some() && self.admits(url);
        known && (self.tally.limited || self.site.blurred || self.is_away(url))
    }

    /// Lists what is the document now of each content that has lost its own.
    async fn list_heirs(&mut self) -> Result<(), Ended> {
        for (content, (url, record)) in std::mem::take(&mut self.heirs) {
            let mut batch = Batch::default();
            self.shared.frontier.set_content(&mut batch, &content, &url);
            let record = PageRecord { look: Look::Document, version: Some(content.clone()), ..record };
            self.shared.frontier.set_page(&mut batch, &url, &record);
            self.shared.frontier.write(batch).await?;
            self.list(&url, Some(&content)).await?;
        }
        Ok(())
    }

    /// Whether a document is at another place of the site now, and not behind a wall.
    async fn has_moved(&mut self, targets: &HashMap<Url, u32>, to: &Url) -> Result<bool, Ended> {
        let wall = targets.get(to).is_some_and(|from| *from >= WALL);
        let home = self.site.scopes.iter().any(|(seed, scope)| seed == to || scope.url() == to);
        if rules::is_login(to) || wall || home || !self.covers(to) {
            self.tally.walls += 1;
            return Ok(false);
        }
        let target = self.shared.frontier.page(to).await?;
        Ok(target
            .is_some_and(|record| record.seen == self.site.crawl && matches!(record.look, Look::Document | Look::Alias(_))))
    }

    /// Says what a person should know.
    async fn sum_up(&mut self) -> Result<(), Ended> {
        let tally = std::mem::take(&mut self.tally);
        let mut notices = Vec::new();
        if tally.limited {
            notices.push(format!(
                "stopped after {} pages (`max_pages`): what lies beyond was left as it is",
                self.shared.plan.max_pages
            ));
        }
        if tally.deep > 0 {
            notices.push(format!("{} have links that lie deeper than `max_depth`", pages(tally.deep)));
        }
        for shape in self.traps.stopped() {
            notices.push(format!("no more pages like {shape} were visited: they bring nothing new"));
        }
        if tally.orphans > 0 {
            notices.push(format!(
                "{} no link and no sitemap leads to any more: kept until that is so in the next crawl, too",
                pages(tally.orphans)
            ));
        }
        if tally.walls > 0 {
            notices
                .push(format!("{} lead to a login, the first page or another site now: kept as they were", pages(tally.walls)));
        }
        if tally.outside > 0 {
            notices.push(format!("{} lead out of the site by a redirect", pages(tally.outside)));
        }
        if tally.refused > 0 {
            notices.push(format!(
                "{} need a login (`web: {{ headers: … }}` in a pipeline file can hold one)",
                pages(tally.refused)
            ));
        }
        if tally.absent.count > 0 {
            notices.push(format!(
                "{} that links or sitemaps lead to could not be found (404 or 410): {}",
                pages(tally.absent.count),
                tally.absent.names()
            ));
        }
        if tally.circles.count > 0 {
            notices.push(format!(
                "{} could not be had, as redirects lead from there in a circle: {}",
                pages(tally.circles.count),
                tally.circles.names()
            ));
        }
        if tally.shells.count > 0 {
            notices.push(format!(
                "{} seem to need a browser, as there is next to no text in them before scripts run: {}",
                pages(tally.shells.count),
                tally.shells.names()
            ));
        }
        if tally.hash_routes > 0 && self.site.visited < 10 {
            notices.push(format!("{} lead to pages that only scripts can show (#/…)", links(tally.hash_routes)));
        }
        for notice in notices {
            self.tell(notice).await?;
        }
        Ok(())
    }
}

/// Whether redirects lead from a page to no end.
fn is_circle(redirects: &BTreeMap<Url, Url>, from: &Url) -> bool {
    let mut at = from;
    for _ in 0..STEPS {
        match redirects.get(at) {
            Some(to) => at = to,
            None => return false,
        }
    }
    true
}

fn pages(count: u64) -> String {
    if count == 1 { "1 page".to_owned() } else { format!("{count} pages") }
}

fn links(count: u64) -> String {
    if count == 1 { "1 link".to_owned() } else { format!("{count} links") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn redirects_that_lead_nowhere_are_told_from_long_ones() {
        let url = |n: usize| Url::parse(&format!("https://a.example/{n}")).unwrap();
        let mut redirects: BTreeMap<Url, Url> = (0..30).map(|n| (url(n), url(n + 1))).collect();
        assert!((0..30).all(|n| !is_circle(&redirects, &url(n))));
        redirects.insert(url(30), url(28));
        redirects.insert(url(50), url(50));
        assert!((0..31).chain([50]).all(|n| is_circle(&redirects, &url(n))));
    }
}
