//! The crawl: visits what the frontier holds, several pages at once, until it holds nothing more.

mod arrive;
mod document;
mod end;
mod ended;
mod equal;
mod follow;
mod host;
mod meet;
mod sample;
mod seek;
mod tally;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use self::ended::Ended;
use self::host::Host;
pub(super) use self::sample::sample;
use self::tally::Tally;
use super::super::{Item, Listed, SkipReason, SourceError, Version};
use super::frontier::{Batch, Look, PageRecord, Place, Turn, Visit};
use super::shared::Shared;
use super::site::{Site, now};
use super::traps::Traps;
use super::visit::{self, Errand, Visited};

/// A crawl that was interrupted is gone on with within this time; later it begins anew, as what it saw may be of yesterday.
const RESUMABLE: i64 = 24 * 3600;

/// Pages of one shape that may bring nothing new.
const PATIENCE: u32 = 50;

/// Visits at once over all hosts, at most.
const MOST_IN_FLIGHT: usize = 64;

/// A shorter wait is nothing to wonder about.
const WORTH_SAYING: Duration = Duration::from_secs(5);

/// What is looked at of the queue beyond what is in flight; and how much at most, to find a visit for every host.
const NEXT: usize = 16;
const AHEAD: usize = 256;

pub(super) struct Crawl {
    shared: Arc<Shared>,
    out: mpsc::Sender<Listed>,
    site: Site,
    traps: Traps,
    hosts: HashMap<String, Host>,
    flight: JoinSet<Visited>,
    flying: HashSet<Place>,
    /// By turn: what comes later waits for what comes before.
    turns: [usize; 6],
    /// Documents that wait for the statistics of their site, and the sites whose documents need not wait.
    held: HashMap<String, Vec<Listed>>,
    ready: HashSet<String>,
    /// Sitemaps that somebody names: those that are missing are a loss.
    declared: HashSet<Url>,
    orphans_sought: bool,
    /// A few pages are enough, and nobody waits for what stands on most of them.
    samples: bool,
    /// By content: of pages that were equal to one that is the document no more, the one that is it from now on.
    heirs: HashMap<String, (Url, PageRecord)>,
    tally: Tally,
}

/// Crawls, and lists what it finds. Its last step is [`Listed::Complete`], unless nobody listens any more.
pub(super) async fn crawl(shared: Arc<Shared>, out: mpsc::Sender<Listed>) {
    let outcome = match Crawl::begin(Arc::clone(&shared), out.clone()).await {
        Ok(mut crawl) => crawl.run().await,
        Err(ended) => Err(ended),
    };
    let failed = match outcome {
        Ok(()) => None,
        Err(Ended::Dropped) => return,
        Err(Ended::State(error)) => Some(Listed::Unreadable { prefix: String::new(), error }),
    };
    for listed in failed.into_iter().chain([Listed::Complete]) {
        if out.send(listed).await.is_err() {
            return;
        }
    }
}

impl Crawl {
    async fn begin(shared: Arc<Shared>, out: mpsc::Sender<Listed>) -> Result<Self, Ended> {
        let mut site: Site = shared.frontier.site("site").await?.unwrap_or_default();
        let mut batch = Batch::default();
        let now = now();
        let resumed = site.running && now - site.began < RESUMABLE;
        if !resumed {
            shared.clear_queue(site.crawl).await?;
            site = Site {
                // Not only one more: where the last number cannot be read any more, what it had visited is not taken for visited.
                crawl: (site.crawl + 1).max(u64::try_from(now).unwrap_or_default()),
                running: true,
                began: now,
                scopes: site.scopes,
                moves: site.moves,
                were_in_sitemaps: site.in_sitemaps.max(if site.running { site.were_in_sitemaps } else { 0 }),
                generators: site.generators,
                ..Site::default()
            };
            for url in &shared.plan.urls {
                let url = super::links::normal(url);
                let seed = Visit { url: url.clone(), depth: 0, hops: 0, seed: Some(url), turn: Turn::Seed, lastmod: None };
                shared.frontier.queue(&mut batch, site.crawl, &seed);
            }
        }
        let traps: Option<Traps> = if resumed { shared.frontier.site("traps").await? } else { None };
        let traps = traps.unwrap_or_else(|| Traps::new(PATIENCE));
        shared.load_furniture(&site.scopes).await?;
        shared.frontier.set_site(&mut batch, "site", &site);
        shared.frontier.write(batch).await?;
        let mut crawl = Self {
            shared,
            out,
            site,
            traps,
            hosts: HashMap::new(),
            flight: JoinSet::new(),
            flying: HashSet::new(),
            turns: [0; 6],
            held: HashMap::new(),
            ready: HashSet::new(),
            declared: HashSet::new(),
            orphans_sought: false,
            samples: false,
            heirs: HashMap::new(),
            tally: Tally::default(),
        };
        if resumed {
            crawl.tell(format!("going on with a crawl that was interrupted after {} pages", crawl.site.visited)).await?;
            crawl.list_visited().await?;
        }
        Ok(crawl)
    }

    async fn run(&mut self) -> Result<(), Ended> {
        loop {
            self.fill().await?;
            if let Some(visited) = self.flight.join_next().await {
                match visited {
                    Ok(visited) => self.landed(visited).await?,
                    // A visit that broke stays in the queue, and its page is not known to have been seen.
                    Err(broken) => return Err(SourceError::new(broken).into()),
                }
                continue;
            }
            if self.samples && self.site.visited >= self.shared.plan.max_pages {
                return Ok(());
            }
            // Nothing is in flight and nothing in the queue: whatever can still lead to a page is looked at, one after the other.
            if !self.site.sought {
                self.seek().await?;
            } else if !self.seek_orphans().await? {
                break;
            }
        }
        self.end().await
    }

    /// Sends off what can be: in order, no more to a host than it may have at once.
    async fn fill(&mut self) -> Result<(), Ended> {
        let mut ahead = self.flight.len() + NEXT;
        while self.flight.len() < MOST_IN_FLIGHT {
            let queued = self.shared.frontier.queued(self.site.crawl, None, ahead).await?;
            let all = queued.len() < ahead;
            let mut moved = false;
            for (place, visit) in queued {
                if self.site.visited + self.flight.len() as u64 >= self.shared.plan.max_pages {
                    self.tally.limited = true;
                    return Ok(());
                }
                let earlier = self.turns.iter().take(visit.turn as usize).any(|flying| *flying > 0);
                if earlier || self.flight.len() >= MOST_IN_FLIGHT {
                    return Ok(());
                }
                if self.flying.contains(&place) {
                    continue;
                }
                let host = self.host(&visit.url).await?;
                if host.dead.is_some() || host.flying < host.pace.concurrency() {
                    self.send_off(place, visit).await?;
                    moved = true;
                }
            }
            // Of what was taken out of the queue without a visit, more may follow; and behind what waits for one host, another's.
            match (moved && self.flight.is_empty(), all || ahead >= AHEAD) {
                (true, _) => {}
                (false, true) => return Ok(()),
                (false, false) if moved => return Ok(()),
                (false, false) => ahead = AHEAD,
            }
        }
        Ok(())
    }

    async fn send_off(&mut self, place: Place, visit: Visit) -> Result<(), Ended> {
        let frontier = Arc::clone(&self.shared.frontier);
        let record = frontier.page(&visit.url).await?;
        let host = self.host(&visit.url).await?;
        if host.dead.is_some() {
            let mut batch = Batch::default();
            batch.done(place);
            return Ok(frontier.write(batch).await?);
        }
        if visit.turn == Turn::Llms && self.is_variant(&visit.url).await? {
            let mut batch = Batch::default();
            batch.done(place);
            return Ok(frontier.write(batch).await?);
        }
        // What the crawl has learned since this was queued.
        if visit.seed.is_none() && !self.admits(&visit.url) {
            if self.site.is_generated(&visit.url) {
                self.skip(&visit.url, SkipReason::Generated).await?;
            }
            let mut batch = Batch::default();
            batch.done(place);
            return Ok(frontier.write(batch).await?);
        }
        let host = self.host(&visit.url).await?;
        if !host.access.allows(&visit.url) {
            return self.forbidden(place, visit, record.unwrap_or_default()).await;
        }
        if let Some(record) = record.as_ref().filter(|record| self.shared.plan.trust_lastmod && is_no_newer(&visit, record)) {
            return self.believed(place, visit, record.clone()).await;
        }
        if let Some(record) = record.as_ref().filter(|_| visit.turn.is_again()) {
            self.wait_for(record).await?;
        }
        let host = self.host(&visit.url).await?;
        host.flying += 1;
        let errand =
            Errand { place: place.clone(), pace: Arc::clone(&host.pace), variants: host.variants.clone(), record, visit };
        let given_up = host.given_up.clone();
        if let Some(flying) = self.turns.get_mut(errand.visit.turn as usize) {
            *flying += 1;
        }
        self.flying.insert(place);
        let (client, agent) = (self.shared.client().await?, Arc::clone(&self.shared.agent));
        self.flight.spawn(visit::visit(client, agent, errand, given_up));
        Ok(())
    }

    /// Waits until a page that was not there may be looked at once more: a site that is being changed is whole again by then.
    async fn wait_for(&mut self, record: &PageRecord) -> Result<(), Ended> {
        let patience = self.shared.plan.patience;
        let since = u64::try_from(now() - record.visited).map(Duration::from_secs).unwrap_or_default();
        let pause = patience.saturating_sub(since);
        if pause.is_zero() {
            return Ok(());
        }
        if pause >= WORTH_SAYING {
            self.tell(format!(
                "pages that were there before are not found: they are looked at once more in {} s, in case the site is just being changed",
                pause.as_secs()
            ))
            .await?;
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Takes a visit out of what is in flight, and looks at what it found.
    async fn landed(&mut self, visited: Visited) -> Result<(), Ended> {
        self.flying.remove(&visited.place);
        if let Some(flying) = self.turns.get_mut(visited.visit.turn as usize) {
            *flying = flying.saturating_sub(1);
        }
        let host = self.host(&visited.visit.url).await?;
        host.flying = host.flying.saturating_sub(1);
        self.site.visited += 1;
        self.arrive(visited).await
    }

    /// Lists again what this crawl had visited before it was interrupted: who listened then is not there any more.
    async fn list_visited(&mut self) -> Result<(), Ended> {
        let mut after: Option<Url> = None;
        loop {
            let pages = self.shared.frontier.pages(after.as_ref()).await?;
            let Some((last, _)) = pages.last() else { return Ok(()) };
            after = Some(last.clone());
            for (url, record) in pages {
                if record.seen == self.site.crawl && record.look == Look::Document {
                    self.list(&url, record.version.as_deref()).await?;
                }
            }
        }
    }

    /// Lists a document, in the state that the index is to have.
    async fn list(&mut self, url: &Url, version: Option<&str>) -> Result<(), Ended> {
        let item = Item::new(url.as_str(), version.map_or(Version::UNKNOWN, Version::new));
        let listed = Listed::Item(item);
        let site = self.shared.site_of(url);
        if self.samples || self.ready.contains(&site) {
            return self.say(listed).await;
        }
        self.held.entry(site).or_default().push(listed);
        Ok(())
    }

    /// Lets go of what waited for the statistics of a site.
    async fn release(&mut self, site: &str) -> Result<(), Ended> {
        if self.ready.insert(site.to_owned()) {
            for listed in self.held.remove(site).unwrap_or_default() {
                self.say(listed).await?;
            }
        }
        Ok(())
    }

    /// Lets go of all that waited.
    async fn release_all(&mut self) -> Result<(), Ended> {
        for site in self.held.keys().cloned().collect::<Vec<_>>() {
            self.release(&site).await?;
        }
        Ok(())
    }

    async fn tell(&self, message: String) -> Result<(), Ended> {
        self.say(Listed::Notice(message)).await
    }

    async fn say(&self, listed: Listed) -> Result<(), Ended> {
        self.out.send(listed).await.map_err(|_| Ended::Dropped)
    }
}

/// Whether a sitemap says that a page is as it was when it was visited last.
fn is_no_newer(visit: &Visit, record: &PageRecord) -> bool {
    record.look == Look::Document && record.version.is_some() && visit.lastmod.is_some_and(|changed| changed < record.visited)
}
