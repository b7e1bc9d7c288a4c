//! Documents that can be edited, fetched by whoever asks, and a model that counts what it is paid for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use ragstream::document::Markup;
use ragstream::providers::{EmbedLimits, Embedded, Embedder, Fingerprint, InputType, ProviderError};
use ragstream::source::{Body, FetchError, Fetched, Item, Listed, SkipReason, Source, SourceError, SourceId, Version};
use tokio::sync::Notify;

/// What a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// It is listed, and nothing of it is to be indexed.
    Empty,
    /// It is listed, and cannot be fetched.
    Broken,
}

/// Documents by name, with a version that counts their edits.
#[derive(Debug)]
pub struct Corpus {
    id: SourceId,
    documents: Mutex<BTreeMap<String, (u64, Content)>>,
    /// Whether bodies come with the listing, as a crawler's do.
    pub bodies: bool,
    /// The listing ends without having been complete.
    pub cut_short: Mutex<bool>,
    /// The next listing begins when this says so.
    pub gate: Mutex<Option<Arc<Notify>>>,
    /// How long a fetch takes.
    pub slow: Duration,
    /// When so many documents have been fetched, the next fetches wait until it is more.
    most: AtomicUsize,
    fetched: AtomicUsize,
}

impl Corpus {
    pub fn new(id: &str) -> Self {
        Self {
            id: SourceId::new(id),
            documents: Mutex::default(),
            bodies: false,
            cut_short: Mutex::default(),
            gate: Mutex::default(),
            slow: Duration::ZERO,
            most: AtomicUsize::new(usize::MAX),
            fetched: AtomicUsize::new(0),
        }
    }

    /// So many documents of some chunks each.
    pub fn of(documents: usize) -> Self {
        let corpus = Self::new("corpus");
        for n in 0..documents {
            corpus.write(n, &text(n, 0));
        }
        corpus
    }

    pub fn write(&self, n: usize, text: &str) {
        self.set(n, Content::Text(text.to_owned()));
    }

    pub fn set(&self, n: usize, content: Content) {
        let mut documents = self.documents.lock().unwrap();
        let entry = documents.entry(uri(n)).or_insert((0, Content::Empty));
        *entry = (entry.0 + 1, content);
    }

    pub fn remove(&self, n: usize) {
        self.documents.lock().unwrap().remove(&uri(n));
    }

    /// So many more may be fetched; `None`: as many as one likes.
    pub fn open(&self, more: Option<usize>) {
        let most = more.map_or(usize::MAX, |more| self.fetched.load(Ordering::SeqCst) + more);
        self.most.store(most, Ordering::SeqCst);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.documents.lock().unwrap().len()
    }

    fn fetched(&self, uri: &str) -> Result<Fetched, FetchError> {
        let documents = self.documents.lock().unwrap();
        let (version, content) = documents.get(uri).ok_or(FetchError::Gone)?;
        match content {
            Content::Text(text) => {
                let body = Body::Text { text: text.clone(), markup: Markup::Markdown, title: None };
                let mut fetched = Fetched::new(body, Version::new(version.to_le_bytes()));
                fetched.modified_ns = Some(1_700_000_000_000_000_000);
                Ok(fetched)
            }
            Content::Empty => Err(FetchError::Skipped(SkipReason::Empty)),
            Content::Broken => Err(SourceError::new("it cannot be read").into()),
        }
    }
}

pub fn uri(n: usize) -> String {
    format!("corpus/文档 {n:04}.md")
}

/// Three chunks or so, two of which an edit leaves as they are.
pub fn text(n: usize, edits: usize) -> String {
    let part =
        |what: &str| format!("## {what}\n\n{}\n\n", format!("This is part {what} of document {n}. 这是第 {n} 份。").repeat(40));
    format!("# Document {n}\n\n{}{}{}", part("one"), part(&format!("two as of edit {edits}")), part("three"))
}

#[async_trait]
impl Source for Corpus {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        let documents = self.documents.lock().unwrap().clone();
        let step = move |(uri, (version, _)): (String, (u64, Content))| {
            let mut item = Item::new(uri.clone(), Version::new(version.to_le_bytes()));
            item.key = uri.into_bytes();
            match self.fetched(&item.uri) {
                Ok(fetched) if self.bodies => Listed::Fetched(item, Box::new(fetched)),
                _ => Listed::Item(item),
            }
        };
        let complete = (!*self.cut_short.lock().unwrap()).then_some(Listed::Complete);
        let gate = self.gate.lock().unwrap().take();
        let opened = async move {
            if let Some(gate) = gate {
                gate.notified().await;
            }
        };
        let opened = stream::once(opened).filter_map(async |()| None);
        opened.chain(stream::iter(documents).map(step)).chain(stream::iter(complete)).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        tokio::time::sleep(self.slow).await;
        while self.fetched.load(Ordering::SeqCst) >= self.most.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.fetched.fetch_add(items.len(), Ordering::SeqCst);
        items
            .iter()
            .map(|item| {
                assert_eq!(item.key, item.uri.as_bytes(), "what the source needs to find it comes along");
                self.fetched(&item.uri)
            })
            .collect()
    }
}

/// Texts that a model was paid for, and how often.
#[derive(Debug, Default)]
pub struct Paid {
    texts: Mutex<BTreeMap<String, u64>>,
}

impl Paid {
    pub fn embedder(self: &Arc<Self>) -> Arc<dyn Embedder> {
        Arc::new(Model(Arc::clone(self)))
    }

    /// How often each text was paid for beyond the first time.
    pub fn twice(&self) -> u64 {
        self.texts.lock().unwrap().values().map(|times| times - 1).sum()
    }

    /// How many.
    pub fn distinct(&self) -> usize {
        self.texts.lock().unwrap().len()
    }
}

#[derive(Debug)]
struct Model(Arc<Paid>);

#[async_trait]
impl Embedder for Model {
    fn model(&self) -> &'static str {
        "own/hash"
    }
    fn fingerprint(&self) -> Fingerprint {
        "own:hash".into()
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(8)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(16, 100_000, 8000)
    }
    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        {
            let mut texts = self.0.texts.lock().unwrap();
            for input in inputs {
                *texts.entry(input.clone()).or_default() += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let vector =
            |text: &String| blake3::hash(text.as_bytes()).as_bytes()[..8].iter().map(|byte| f32::from(*byte) + 1.0).collect();
        Ok(Embedded::new(inputs.iter().map(vector).collect()))
    }
}
