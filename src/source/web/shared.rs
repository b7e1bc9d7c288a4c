//! What listing and fetching have in common.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::{Origin, Url};

use super::super::state::State;
use super::super::{SourceError, is_within};
use super::access::{self, RobotsFile};
use super::address::Guard;
use super::client::{Client, ClientPlan, login_of, without_login};
use super::frontier::{Batch, Frontier};
use super::pace::Pace;
use super::paces::{Manners, Paces};
use super::plan::WebPlan;
use super::scope::Scope;
use crate::parse::page::Furniture;
use crate::providers::Secret;

/// How long the first byte of an answer may take, and the last one.
const FIRST_BYTE: Duration = Duration::from_secs(30);
const LAST_BYTE: Duration = Duration::from_mins(2);

/// A robots.txt as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Which crawl asked for it.
    crawl: u64,
    pub(super) file: RobotsFile,
}

impl Kept {
    /// Under which name that of a page's host is kept.
    pub(super) fn key(page: &Url) -> String {
        format!("robots:{}", page.origin().ascii_serialization())
    }
}

/// What robots.txt is asked about: the first word of what the crawler calls itself.
pub(super) fn product(user_agent: &str) -> String {
    let word: String = user_agent.chars().take_while(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_')).collect();
    if word.is_empty() { "ragstream".to_owned() } else { word }
}

/// What stands on the pages of a site.
#[derive(Debug, Default)]
struct Known {
    counted: Furniture,
    /// Pages that were counted when `blocks` was made.
    pages: u32,
    blocks: Arc<HashSet<u64>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: WebPlan,
    pub(super) frontier: Arc<Frontier>,
    /// What robots.txt is asked about.
    pub(super) agent: Arc<str>,
    /// User names and passwords that stood in the seeds.
    logins: Vec<(Origin, Secret)>,
    client: OnceCell<Arc<Client>>,
    /// The prefixes of all that belongs to the sites, as far as it is known.
    roots: Mutex<Vec<String>>,
    /// The prefixes of the sites.
    sites: Mutex<Vec<String>>,
    /// What stands on many pages of a site, by its prefix.
    furniture: Mutex<HashMap<String, Known>>,
    /// How fast each machine is asked.
    paces: Paces,
}

impl Shared {
    pub(super) fn new(mut plan: WebPlan, state: Arc<dyn State>) -> Self {
        let logins = plan.urls.iter().filter_map(login_of).collect();
        plan.urls = plan.urls.iter().map(without_login).collect();
        let frontier = Frontier::new(state, &plan.urls);
        let roots = plan.urls.iter().map(Url::to_string).collect();
        let manners = Manners { delay: plan.delay, concurrency: plan.concurrency, patience: plan.patience };
        Self {
            agent: product(&plan.user_agent).into(),
            plan,
            frontier: Arc::new(frontier),
            logins,
            client: OnceCell::new(),
            roots: Mutex::new(roots),
            sites: Mutex::default(),
            furniture: Mutex::default(),
            paces: Paces::new(manners),
        }
    }

    /// The client. Nothing more private than the seeds' own addresses can be reached by it.
    pub(super) async fn client(&self) -> Result<Arc<Client>, SourceError> {
        let made = self.client.get_or_try_init(|| async {
            let plan = ClientPlan {
                user_agent: self.plan.user_agent.clone(),
                headers: self.plan.headers.clone(),
                origins: self.plan.urls.iter().map(Url::origin).collect(),
                guard: Guard::of(&self.plan.urls),
                max_bytes: usize::try_from(self.plan.max_bytes).unwrap_or(usize::MAX),
                logins: self.logins.clone(),
                timeout: FIRST_BYTE,
                body_timeout: LAST_BYTE,
            };
            Client::new(plan).map(Arc::new).map_err(SourceError::new)
        });
        made.await.cloned()
    }

    /// How fast whoever answers at an address is asked.
    pub(super) async fn pace(&self, url: &Url) -> Arc<Pace> {
        self.paces.of(url).await
    }

    /// What the robots.txt of a host says. Where none can be had, that of the last day still holds: a host that is away shows at its
    /// first page. `crawl`: one that another crawl has asked for is not enough.
    pub(super) async fn robots(&self, url: &Url, pace: &Pace, crawl: Option<u64>) -> Result<RobotsFile, SourceError> {
        let key = Kept::key(url);
        let kept: Option<Kept> = self.frontier.site(&key).await?;
        let now = SystemTime::now();
        let is_enough = |kept: &&Kept| crawl.is_none_or(|crawl| kept.crawl == crawl) && kept.file.is_fresh(now);
        if let Some(kept) = kept.as_ref().filter(is_enough) {
            return Ok(kept.file.clone());
        }
        let client = self.client().await?;
        let file = {
            let _admission = pace.admit().await;
            access::fetch(&client, url).await
        };
        if let Some(kept) = kept.filter(|kept| !file.is_known() && kept.file.is_of_today(now)) {
            return Ok(kept.file);
        }
        if file.is_known() {
            let mut batch = Batch::default();
            self.frontier.set_site(&mut batch, &key, &Kept { crawl: crawl.unwrap_or_default(), file: file.clone() });
            self.frontier.write(batch).await?;
        }
        Ok(file)
    }

    pub(super) fn roots(&self) -> Vec<String> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_roots(&self, scopes: &[(Url, Scope)]) {
        let mut roots: Vec<String> = scopes.iter().map(|(_, scope)| scope.prefix().to_owned()).collect();
        roots.extend(self.plan.urls.iter().map(Url::to_string));
        roots.sort_unstable();
        roots.dedup();
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = roots;
        let sites = scopes.iter().map(|(_, scope)| scope.prefix().to_owned()).collect();
        *self.sites.lock().unwrap_or_else(PoisonError::into_inner) = sites;
    }

    /// The prefix of the site that a page belongs to: of several within one another that of the innermost.
    pub(super) fn site_of(&self, url: &Url) -> String {
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let around = sites.iter().filter(|prefix| is_within(url.as_str(), prefix));
        around.max_by_key(|prefix| prefix.len()).cloned().unwrap_or_else(|| url.origin().ascii_serialization())
    }

    /// Counts what stands on a page. Returns how many pages of its site have been counted.
    pub(super) fn learn(&self, site: &str, blocks: &[u64]) -> u32 {
        let mut furniture = self.furniture.lock().unwrap_or_else(PoisonError::into_inner);
        let known = furniture.entry(site.to_owned()).or_default();
        known.counted.add(blocks);
        known.counted.pages()
    }

    /// What stands on many pages of a site. Made anew when a tenth more pages have been counted.
    pub(super) fn furniture(&self, site: &str) -> Arc<HashSet<u64>> {
        let mut furniture = self.furniture.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = furniture.get_mut(site) else { return Arc::default() };
        let pages = known.counted.pages();
        if pages > known.pages + known.pages / 10 {
            known.pages = pages;
            known.blocks = Arc::new(known.counted.blocks().collect());
        }
        Arc::clone(&known.blocks)
    }

    pub(super) async fn load_furniture(&self, scopes: &[(Url, Scope)]) -> Result<(), SourceError> {
        self.set_roots(scopes);
        for (_, scope) in scopes {
            let site = scope.prefix().to_owned();
            let Some(known) = self.frontier.blob(&site).await?.as_deref().and_then(Furniture::from_bytes) else { continue };
            let known = Known { counted: known, ..Known::default() };
            self.furniture.lock().unwrap_or_else(PoisonError::into_inner).insert(site, known);
        }
        Ok(())
    }

    pub(super) fn save_furniture(&self, batch: &mut Batch) {
        for (site, known) in &*self.furniture.lock().unwrap_or_else(PoisonError::into_inner) {
            self.frontier.set_blob(batch, site, known.counted.to_bytes());
        }
    }

    /// Forgets what a crawl had not visited.
    pub(super) async fn clear_queue(&self, crawl: u64) -> Result<(), SourceError> {
        loop {
            let left = self.frontier.queued(crawl, None, 1000).await?;
            if left.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            for (place, _) in left {
                batch.done(place);
            }
            self.frontier.write(batch).await?;
        }
    }
}
