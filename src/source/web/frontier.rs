//! What is known of a site's pages, and which of them are still to be visited. All of it is in the source's [`State`], so that a
//! crawl that was killed goes on where it stopped: a page, what it links to, and its own place in the queue change in one write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::super::state::{Change, Key, State};
use super::super::{SkipReason, SourceError};

/// What is looked at in one go.
const PAGE: usize = 256;

/// What was found at a page the last time that it was visited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// It was not visited, but for the links to it.
    #[default]
    Never,
    /// A document.
    Document,
    /// The same content as another page, which is the document.
    Alias(Url),
    /// It sent us on.
    Redirect(Url),
    /// It is left out on purpose.
    Skipped(SkipReason),
    /// It says "not found" as if it were a page.
    SoftNotFound,
    /// 404, once in this crawl: it is looked at again at the end of it, and not before [`super::WebPlan::patience`] has passed.
    Missing,
    /// 410, or 404 twice.
    Gone,
    /// It could not be had: what is known of it stays.
    Failed,
}

/// What is known of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct PageRecord {
    /// The crawl that visited it last.
    pub(super) seen: u64,
    /// What that found.
    pub(super) look: Look,
    /// Links from a seed to it.
    pub(super) depth: u32,
    /// The `ETag` of the answer, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// The `Last-Modified` of the answer, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_modified: Option<String>,
    /// The version under which it was listed as a document; `None`: the index has nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// The hash of its content, by which equal pages are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
    /// The address that it calls its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) canonical: Option<Url>,
    /// Crawls in a row that neither a link nor a sitemap led to it.
    #[serde(default)]
    pub(super) orphaned: u32,
    /// When it was visited, in seconds since the Unix epoch.
    #[serde(default)]
    pub(super) visited: i64,
}

/// In which order pages are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Turn {
    /// The pages that the plan names, and where they lead.
    Seed = 0,
    /// What links and sitemaps lead to.
    Linked = 1,
    /// Pages that were not found, a second time.
    Again = 2,
    /// What a site's llms.txt names beside its pages.
    Llms = 3,
    /// Pages that nothing leads to any more.
    Orphan = 4,
    /// Of these, pages that were not found, a second time.
    OrphanAgain = 5,
}

impl Turn {
    /// Whether a page is looked at a second time, as it was not found.
    pub(super) fn is_again(self) -> bool {
        matches!(self, Self::Again | Self::OrphanAgain)
    }

    /// Whether nothing leads to a page any more.
    pub(super) fn is_orphan(self) -> bool {
        matches!(self, Self::Orphan | Self::OrphanAgain)
    }
}

/// A page that is to be visited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visit {
    pub(super) url: Url,
    /// Links from a seed to it.
    pub(super) depth: u32,
    /// Redirects that led to it.
    #[serde(default)]
    pub(super) hops: u8,
    /// The seed that led to it by redirects alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<Url>,
    pub(super) turn: Turn,
    /// What a sitemap says of its last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lastmod: Option<i64>,
}

/// A page's place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place(Key);

/// Typed keys over a [`State`].
#[derive(Debug)]
pub(super) struct Frontier {
    state: Arc<dyn State>,
    /// Tells these seeds' pages from those of others.
    space: [u8; 8],
    /// Grows from place to place, and from process to process.
    next: AtomicU64,
}

/// Changes that are made together.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<Change>);

impl Frontier {
    pub(super) fn new(state: Arc<dyn State>, seeds: &[Url]) -> Self {
        let mut seeds: Vec<&str> = seeds.iter().map(Url::as_str).collect();
        seeds.sort_unstable();
        let hash = blake3::hash(seeds.join("\n").as_bytes());
        let mut space = [0; 8];
        space.copy_from_slice(hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { state, space, next: AtomicU64::new(u64::try_from(since.as_micros()).unwrap_or_default()) }
    }

    /// One for each set of seeds of which anything is remembered.
    pub(super) async fn all(state: &Arc<dyn State>) -> Result<Vec<Self>, SourceError> {
        let (mut all, mut after): (Vec<Self>, Option<Key>) = (Vec::new(), None);
        while let Some((key, _)) = state.scan(b"", after.as_deref(), 1).await?.into_iter().next() {
            let Some(space) = key.first_chunk::<8>() else { break };
            // Tags are letters: nothing of these seeds comes after.
            after = Some([&space[..], &[u8::MAX]].concat());
            all.push(Self { state: Arc::clone(state), space: *space, next: AtomicU64::default() });
        }
        Ok(all)
    }

    fn key(&self, tag: u8, rest: &[u8]) -> Key {
        [&self.space, &[tag][..], rest].concat()
    }

    fn page_key(&self, url: &Url) -> Key {
        self.key(b'p', url.as_str().as_bytes())
    }

    fn place(&self, crawl: u64, turn: Turn, depth: u32, sequence: u64) -> Key {
        let rest = [&crawl.to_be_bytes()[..], &[turn as u8], &depth.to_be_bytes(), &sequence.to_be_bytes()].concat();
        self.key(b'q', &rest)
    }

    /// A value of the site as a whole.
    pub(super) async fn site<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SourceError> {
        self.value(self.key(b's', name.as_bytes())).await
    }

    /// Bytes of the site as a whole.
    pub(super) async fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.state.get(vec![self.key(b'f', name.as_bytes())]).await?.pop().flatten())
    }

    /// What is known of a page.
    pub(super) async fn page(&self, url: &Url) -> Result<Option<PageRecord>, SourceError> {
        self.value(self.page_key(url)).await
    }

    /// What a page links to.
    pub(super) async fn links(&self, url: &Url) -> Result<Vec<Url>, SourceError> {
        Ok(self.value(self.key(b'l', url.as_str().as_bytes())).await?.unwrap_or_default())
    }

    /// What was kept of a page's answer until its document is done.
    pub(super) async fn body(&self, url: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.state.get(vec![self.key(b'b', url.as_bytes())]).await?.pop().flatten())
    }

    /// The page that was found first to have this content.
    pub(super) async fn with_content(&self, content: &str) -> Result<Option<Url>, SourceError> {
        self.value(self.key(b'h', content.as_bytes())).await
    }

    async fn value<T: DeserializeOwned>(&self, key: Key) -> Result<Option<T>, SourceError> {
        let value = self.state.get(vec![key]).await?.pop().flatten();
        // What a later version wrote, and this one cannot read, is not known.
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }

    /// Those of these pages that this crawl neither has visited nor is about to.
    pub(super) async fn unmarked(&self, crawl: u64, urls: Vec<Url>) -> Result<Vec<Url>, SourceError> {
        let keys = urls.iter().map(|url| self.key(b'v', url.as_str().as_bytes())).collect();
        let marks = self.state.get(keys).await?;
        let marked = |mark: &Option<Vec<u8>>| mark.as_deref() == Some(&crawl.to_be_bytes()[..]);
        Ok(urls.into_iter().zip(marks).filter(|(_, mark)| !marked(mark)).map(|(url, _)| url).collect())
    }

    /// The first places of the queue, after one.
    pub(super) async fn queued(
        &self,
        crawl: u64,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Visit)>, SourceError> {
        let prefix = self.key(b'q', &crawl.to_be_bytes());
        let found = self.state.scan(&prefix, after.map(|place| place.0.as_slice()), limit).await?;
        let read = |(key, value): (Key, Vec<u8>)| Some((Place(key), serde_json::from_slice(&value).ok()?));
        Ok(found.into_iter().filter_map(read).collect())
    }

    /// Pages after one, by url, with what is known of each; `None` at the end.
    pub(super) async fn pages(&self, after: Option<&Url>) -> Result<Vec<(Url, PageRecord)>, SourceError> {
        let prefix = self.key(b'p', b"");
        let mut after = after.map(|url| self.page_key(url));
        loop {
            let found = self.state.scan(&prefix, after.as_deref(), PAGE).await?;
            let Some((last, _)) = found.last() else { return Ok(Vec::new()) };
            after = Some(last.clone());
            let read = |(key, value): (Key, Vec<u8>)| {
                let url = key.get(prefix.len()..).and_then(|url| std::str::from_utf8(url).ok())?;
                Some((Url::parse(url).ok()?, serde_json::from_slice(&value).ok()?))
            };
            let pages: Vec<_> = found.into_iter().filter_map(read).collect();
            if !pages.is_empty() {
                return Ok(pages);
            }
        }
    }

    /// Forgets all that is known of these seeds' pages.
    pub(super) async fn clear(&self) -> Result<(), SourceError> {
        loop {
            let left = self.state.scan(&self.space, None, PAGE).await?;
            if left.is_empty() {
                return Ok(());
            }
            self.state.write(left.into_iter().map(|(key, _)| (key, None)).collect()).await?;
        }
    }

    /// Makes changes, all or none of them.
    pub(super) async fn write(&self, batch: Batch) -> Result<(), SourceError> {
        if batch.0.is_empty() { Ok(()) } else { self.state.write(batch.0).await }
    }

    /// Puts a page into the queue, and marks it.
    pub(super) fn queue(&self, batch: &mut Batch, crawl: u64, visit: &Visit) {
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        batch.put(self.place(crawl, visit.turn, visit.depth, sequence), visit);
        self.mark(batch, crawl, &visit.url);
    }

    /// Notes that this crawl has visited a page, or is about to.
    pub(super) fn mark(&self, batch: &mut Batch, crawl: u64, url: &Url) {
        batch.0.push((self.key(b'v', url.as_str().as_bytes()), Some(crawl.to_be_bytes().to_vec())));
    }

    pub(super) fn set_page(&self, batch: &mut Batch, url: &Url, record: &PageRecord) {
        batch.put(self.page_key(url), record);
    }

    /// Forgets a page altogether.
    pub(super) fn forget_page(&self, batch: &mut Batch, url: &Url) {
        for tag in *b"plbv" {
            batch.0.push((self.key(tag, url.as_str().as_bytes()), None));
        }
    }

    pub(super) fn set_links(&self, batch: &mut Batch, url: &Url, links: &[Url]) {
        batch.put(self.key(b'l', url.as_str().as_bytes()), &links);
    }

    pub(super) fn set_body(&self, batch: &mut Batch, url: &Url, body: Vec<u8>) {
        batch.0.push((self.key(b'b', url.as_str().as_bytes()), Some(body)));
    }

    pub(super) fn drop_body(&self, batch: &mut Batch, url: &str) {
        batch.0.push((self.key(b'b', url.as_bytes()), None));
    }

    pub(super) fn set_content(&self, batch: &mut Batch, content: &str, url: &Url) {
        batch.put(self.key(b'h', content.as_bytes()), url);
    }

    pub(super) fn set_site(&self, batch: &mut Batch, name: &str, value: &impl Serialize) {
        batch.put(self.key(b's', name.as_bytes()), value);
    }

    pub(super) fn set_blob(&self, batch: &mut Batch, name: &str, bytes: Vec<u8>) {
        batch.0.push((self.key(b'f', name.as_bytes()), Some(bytes)));
    }
}

impl Batch {
    /// Takes a page out of the queue.
    pub(super) fn done(&mut self, place: Place) {
        self.0.push((place.0, None));
    }

    #[expect(clippy::expect_used, reason = "what is not written would be visited twice, or never")]
    fn put(&mut self, key: Key, value: &impl Serialize) {
        self.0.push((key, Some(serde_json::to_vec(value).expect("texts, numbers and lists are JSON"))));
    }
}
