//! Doubles of the store, the embedder and the model.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use ragstream::answer::{Answerer, FusionPlan, Models, QueryPlan, RetrieveMode, Retriever, SelectPlan};
use ragstream::cache::EmbeddingCache;
use ragstream::document::{Hit, Metadata, Passage, Point, SparseVector};
use ragstream::providers::{
    ChatEvent, ChatModel, ChatRequest, ChatStream, EmbedLimits, Embedded, Embedder, ErrorKind, Fingerprint, InputType,
    ProviderError, StopReason, Usage,
};
use ragstream::vectordb::{Condition, IndexMeta, Query, StoreError, VectorStore};
use uuid::Uuid;

/// A store that finds the same hits for everything, and remembers what it was asked.
#[derive(Debug, Default)]
pub struct Store {
    pub hits: Vec<Hit>,
    pub missing: bool,
    pub asked: Mutex<Vec<(Query, usize)>>,
    pub released: AtomicUsize,
    /// After so many documents were read, another index has taken its place.
    pub gone_after: Option<usize>,
    pub read: AtomicUsize,
}

impl Store {
    pub fn gone_after(self, documents: usize) -> Self {
        Self { gone_after: Some(documents), ..self }
    }

    pub fn is_gone(&self) -> bool {
        self.gone_after.is_some_and(|most| self.read.load(Ordering::SeqCst) > most)
    }

    /// How often it was let go.
    pub fn released(&self) -> usize {
        self.released.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl VectorStore for Store {
    fn describe(&self) -> String {
        "double".into()
    }
    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError> {
        Ok(None)
    }
    async fn create(&self, _: &IndexMeta) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn set_meta(&self, _: &IndexMeta) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn drop_index(&self) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn upsert(&self, _: Vec<Point>) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn set_passages(&self, _: Vec<(Uuid, Passage)>) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn delete(&self, _: Vec<Uuid>) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn delete_document(&self, _: &str) -> Result<(), StoreError> {
        unreachable!()
    }
    async fn query_where(&self, query: Query, _: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        if self.missing {
            return Err(StoreError::Missing { store: self.describe() });
        }
        self.asked.lock().unwrap().push((query, limit));
        Ok(self.hits.clone())
    }
    async fn uris(&self, _: &[Condition]) -> Result<Vec<String>, StoreError> {
        Ok(self.hits.iter().map(|hit| hit.passage.uri.clone()).collect())
    }
    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.hits.len() as u64)
    }
    async fn scroll(&self, _: Option<Uuid>, _: usize) -> Result<Vec<(Uuid, Passage)>, StoreError> {
        Ok(Vec::new())
    }
    async fn passages_of(&self, uri: &str) -> Result<Vec<Passage>, StoreError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        if self.is_gone() {
            return Err(StoreError::Missing { store: self.describe() });
        }
        Ok(self.hits.iter().map(|hit| hit.passage.clone()).filter(|passage| passage.uri == uri).collect())
    }
    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn release(&self) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }
}

/// An embedder that reads 20 words, gives `vectors` vectors, takes as many seconds as a question's last word says, refuses
/// "broken", and remembers how many questions it had in hand at once.
#[derive(Debug)]
pub struct Embed {
    pub vectors: usize,
    pub now: AtomicUsize,
    pub most: AtomicUsize,
}

impl Embed {
    pub fn new(vectors: usize) -> Arc<Self> {
        Arc::new(Self { vectors, now: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Embedder for Embed {
    fn model(&self) -> &'static str {
        "double/embed"
    }
    fn fingerprint(&self) -> Fingerprint {
        "double".into()
    }
    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(2)
    }
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(1, 20, 20)
    }
    async fn embed(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        assert_eq!((inputs.len(), kind), (1, InputType::Query));
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let seconds = inputs[0].split(' ').next_back().and_then(|word| word.parse().ok());
        tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0))).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if inputs[0] == "broken" {
            return Err(ProviderError::new("double", ErrorKind::InvalidInput, "will not embed this"));
        }
        Ok(Embedded::new(vec![vec![1.0, 0.0]; self.vectors]))
    }
    fn count_tokens(&self, input: &str) -> Option<usize> {
        Some(input.split_whitespace().count())
    }
}

pub type Script = Vec<(u64, Result<ChatEvent, ProviderError>)>;

/// A model that plays a script of events, each after so many seconds, and notices when nobody listens any more.
#[derive(Debug, Default)]
pub struct Chat {
    pub script: Mutex<Option<Result<Script, ProviderError>>>,
    pub asked: Mutex<Vec<ChatRequest>>,
    pub cancelled: Arc<AtomicBool>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl ChatModel for Chat {
    fn model(&self) -> &'static str {
        "double/chat"
    }
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        self.asked.lock().unwrap().push(request);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let script = self.script.lock().unwrap().take().expect("asked once")?;
        let listening = OnDrop(Arc::clone(&self.cancelled));
        Ok(futures_util::stream::iter(script)
            .then(move |(seconds, event)| {
                let _ = &listening;
                async move {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    event
                }
            })
            .boxed())
    }
}

pub fn text(text: &str) -> (u64, Result<ChatEvent, ProviderError>) {
    (0, Ok(ChatEvent::Text(text.into())))
}

pub fn done(stop: StopReason) -> (u64, Result<ChatEvent, ProviderError>) {
    (0, Ok(ChatEvent::Done { stop, usage: Usage::new(Some(120), Some(9)) }))
}

pub fn chat(script: Script) -> Arc<Chat> {
    Arc::new(Chat { script: Mutex::new(Some(Ok(script))), ..Chat::default() })
}

pub fn hit(uri: &str, start: u64, lines: (u32, u32), score: f32, text: &str) -> Hit {
    let passage = Passage {
        columns: None,
        page: None,
        anchor: None,
        context: None,
        uri: uri.into(),
        start,
        end: start + text.len() as u64,
        lines,
        index: 0,
        title: Some("Keys".into()),
        headings: vec!["Keys".into(), "Rotate".into()],
        text: text.into(),
        modified: 1,
        lang: None,
        source: None,
        metadata: Metadata::default(),
    };
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{uri}#{start}").as_bytes());
    Hit { id, score, passage, pipeline: None }
}

pub fn two_hits() -> Vec<Hit> {
    vec![
        hit("docs/keys.md", 120, (10, 11), 0.75, "Rotate keys\nevery month."),
        hit("docs/密钥.md", 0, (1, 1), 0.5, "密钥每月轮换。"),
    ]
}

pub fn plan(mode: RetrieveMode) -> QueryPlan {
    QueryPlan {
        limit: NonZeroUsize::new(8).unwrap(),
        mode,
        fusion: FusionPlan::Weighted { weight: 0.5 },
        select: SelectPlan::default(),
        decide: None,
        answerability: ragstream::answer::AnswerabilityPlan::default(),
        whole: ragstream::answer::WholePlan::default(),
        model: None,
        fallback: Vec::new(),
        fallback_after: Duration::from_secs(30),
        max_tokens: 77,
        temperature: Some(0.5),
        context_tokens: 10_000,
        prompt: None,
    }
}

/// What finds passages in a double of the store.
pub fn retriever(store: Store, embedder: Option<Arc<Embed>>) -> (Retriever, Arc<Store>) {
    let store = Arc::new(store);
    let bm25 = |question: &str| {
        let words = question.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).count() as u32;
        SparseVector { indices: (0..words).collect(), values: vec![1.0; words as usize] }
    };
    let embedder = embedder.map(|embedder| embedder as Arc<dyn Embedder>);
    let cache = EmbeddingCache::new(1 << 20);
    let retriever = Retriever {
        made_with: None,
        stand_in: None,
        store: Arc::clone(&store) as _,
        embedder,
        cache,
        bm25: Arc::new(bm25),
        reranker: None,
        answerability: None,
    };
    (retriever, store)
}

/// What answers with one's own models over such a retriever; without any, with passages.
pub fn answerer(retriever: Retriever, mode: RetrieveMode, models: Vec<Arc<dyn ChatModel>>) -> Answerer {
    let answerer = Answerer::new(retriever, plan(mode)).counting_tokens_with(Arc::new(|text| text.split_whitespace().count()));
    let mut models = models.into_iter();
    match models.next() {
        Some(model) => answerer.with_models(Models::own(model, models.collect())),
        None => answerer,
    }
}
