//! Where pages lead: what belongs to the site, and what of that is visited.

use url::Url;

use super::super::super::SkipReason;
use super::super::frontier::{Batch, PageRecord, Place, Turn, Visit};
use super::super::links;
use super::super::rules;
use super::super::scope::Scope;
use super::Crawl;
use super::ended::Ended;
use crate::parse::{Guess, guess};

impl Crawl {
    /// Where a seed has led to its first page: now it shows what belongs to the site. `false`: it leads elsewhere than before, which is
    /// believed when it does so twice.
    pub(super) async fn enter(&mut self, visit: &Visit, links: &[Url]) -> Result<bool, Ended> {
        let Some(seed) = &visit.seed else { return Ok(true) };
        let below = format!("{}/", visit.url.path().trim_end_matches('/'));
        let has_pages_below = links.iter().any(|link| link.origin() == visit.url.origin() && link.path().starts_with(&below));
        let scope = Scope::new(seed, &visit.url, Some(has_pages_below));
        let known = self.site.scopes.iter().position(|(known, _)| known == seed);
        if let Some((_, known)) = known.and_then(|known| self.site.scopes.get(known))
            && !known.covers(&visit.url)
            && !self.site.moves.contains(&(seed.clone(), scope.clone()))
        {
            let why = format!(
                "it leads to {} now, out of what was the site; when it does so in the next run, too, the site is there",
                visit.url
            );
            self.site.moves.push((seed.clone(), scope));
            self.lost(visit, why).await?;
            return Ok(false);
        }
        self.site.moves.retain(|(moved, _)| moved != seed);
        match known.and_then(|known| self.site.scopes.get_mut(known)) {
            Some((_, known)) => *known = scope.clone(),
            None => self.site.scopes.push((seed.clone(), scope.clone())),
        }
        self.shared.set_roots(&self.site.scopes);
        self.tell(format!("{seed}: {scope}")).await?;
        Ok(true)
    }

    /// A seed that leads to a login.
    pub(super) async fn not_let_in(&mut self, place: Place, visit: Visit, record: PageRecord) -> Result<(), Ended> {
        let why = "it leads to a login: what opens it can be given under `web: { headers: … }` in a pipeline file".to_owned();
        self.lost(&visit, why).await?;
        self.stays(place, visit, record).await
    }

    /// Puts into the queue what these links lead to; returns those of them that belong to the site. What is not visited today may be so
    /// tomorrow, with another `exclude`, and a page that has not changed will not be read again for its links.
    pub(super) async fn follow(&mut self, batch: &mut Batch, visit: &Visit, links: Vec<Url>) -> Result<Vec<Url>, Ended> {
        let mut inside: Vec<Url> = links.iter().map(|url| self.normal(url)).filter(|url| self.covers(url)).collect();
        inside.sort_unstable();
        inside.dedup();
        inside.retain(|url| *url != visit.url);
        // What nothing leads to leads nowhere.
        if visit.turn.is_orphan() {
            return Ok(inside);
        }
        let wanted: Vec<Url> = inside.iter().filter(|url| self.admits(url)).cloned().collect();
        if visit.depth >= self.shared.plan.max_depth {
            self.tally.deep += u64::from(!wanted.is_empty());
            return Ok(inside);
        }
        let generated = inside.iter().filter(|url| self.site.is_generated(url)).cloned().collect();
        self.leave_out(batch, generated).await?;
        for url in self.shared.frontier.unmarked(self.site.crawl, wanted).await? {
            let next = Visit { url, depth: visit.depth + 1, hops: 0, seed: None, turn: Turn::Linked, lastmod: None };
            self.shared.frontier.queue(batch, self.site.crawl, &next);
        }
        Ok(inside)
    }

    /// Counts, each once, pages that a generator makes of all the others.
    async fn leave_out(&self, batch: &mut Batch, generated: Vec<Url>) -> Result<(), Ended> {
        for url in self.shared.frontier.unmarked(self.site.crawl, generated).await? {
            self.shared.frontier.mark(batch, self.site.crawl, &url);
            self.skip(&url, SkipReason::Generated).await?;
        }
        Ok(())
    }

    /// Whether a page is to be visited, by its address alone.
    pub(super) fn admits(&self, url: &Url) -> bool {
        self.covers(url)
            && !self.shared.plan.exclude.is_match(rules::path(url))
            && !links::loops(url)
            && !self.traps.is_stopped(url)
            && !self.site.is_generated(url)
            && !matches!(guess(url.path()), Guess::Unsupported(_))
    }

    /// An address as its site spells it.
    pub(super) fn normal(&self, url: &Url) -> Url {
        self.site.normal(url)
    }

    /// Whether a page belongs to one of the sites.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.site.covers(url)
    }

    /// What is known to lie at and below a seed.
    pub(super) fn prefix_of(&self, seed: &Url) -> String {
        let scope = self.site.scopes.iter().find(|(known, _)| known == seed);
        scope.map_or_else(|| seed.to_string(), |(_, scope)| scope.prefix().to_owned())
    }
}
