//! Models that turn texts into vectors, as the rest of the crate sees them.

use async_trait::async_trait;

use crate::providers::{Fingerprint, Price, ProviderError};

/// The use that an input is embedded for. Several models embed the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputType {
    /// A question.
    Query,
    /// A piece of a document.
    Passage,
}

/// The size of one request, at most.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbedLimits {
    /// Inputs a request.
    pub items: usize,
    /// Tokens a request over all inputs.
    pub tokens: usize,
    /// Tokens an input, counted by the model's own tokenizer.
    pub input_tokens: usize,
}

impl EmbedLimits {
    /// At most these inputs a request, tokens a request over all inputs, and tokens an input.
    pub const fn new(items: usize, tokens: usize, input_tokens: usize) -> Self {
        Self { items, tokens, input_tokens }
    }
}

impl Default for EmbedLimits {
    /// For a model of which nothing is known: batches that are soon answered.
    fn default() -> Self {
        Self::new(128, 100_000, 8192)
    }
}

/// Vectors for the inputs of one request, in the order of the inputs.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Embedded {
    /// One vector an input, all of [`Embedder::dimensions`] finite numbers.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that were billed, where the provider says so.
    pub tokens: Option<u64>,
}

impl Embedded {
    /// These vectors; nothing is known of what was billed.
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self { vectors, tokens: None }
    }
}

/// A model that turns texts into vectors.
///
/// A model of one's own says what it is called, how wide its vectors are, and embeds; what else there is has a default.
///
/// ```
/// use ragstream::providers::{Embedded, Embedder, ErrorKind, InputType, ProviderError};
///
/// /// Embeds a text as the shares of its vowels.
/// #[derive(Debug)]
/// struct Vowels;
///
/// #[async_trait::async_trait]
/// impl Embedder for Vowels {
///     fn model(&self) -> &str {
///         "own/vowels"
///     }
///
///     async fn dimensions(&self) -> Result<usize, ProviderError> {
///         Ok(5)
///     }
///
///     async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
///         let vector = |input: &String| {
///             let shares = ['a', 'e', 'i', 'o', 'u'].map(|vowel| input.matches(vowel).count() as f32 / input.len() as f32);
///             let any = shares.iter().any(|share| *share > 0.0).then(|| shares.to_vec());
///             any.ok_or_else(|| ProviderError::new("own", ErrorKind::InvalidInput, "no vowel").with_hint("add one"))
///         };
///         Ok(Embedded::new(inputs.iter().map(vector).collect::<Result<_, _>>()?))
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let embedded = Vowels.embed(&["aeio".to_owned()], InputType::Query).await.unwrap();
/// assert_eq!(embedded.vectors, [[0.25, 0.25, 0.25, 0.25, 0.0]]);
/// assert_eq!(Vowels.fingerprint().as_str(), "custom/own/vowels");
/// # });
/// ```
#[async_trait]
pub trait Embedder: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;

    /// Its price, where it is known.
    fn price(&self) -> Option<Price> {
        None
    }

    /// The width of the vectors. May ask the provider once, where the model is not known.
    async fn dimensions(&self) -> Result<usize, ProviderError>;

    /// Embeds the inputs with one request (and its retries): one vector an input, in their order. Inputs are not empty and keep
    /// to [`Self::limits`]. Dropping the future cancels the request.
    ///
    /// An error that [is fatal](ProviderError::is_fatal) stops a run. [`ErrorKind::InvalidInput`](super::super::ErrorKind) says
    /// that the inputs will never be accepted: the batch is halved until the one is found that is to blame, and the run goes
    /// on.
    async fn embed(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError>;

    /// As [`Self::embed`], and fails sooner: for parts of a request that failed however often it was sent, and for the question
    /// whether anything is answered at all. A model that tries again by itself does so once here.
    async fn embed_briefly(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        self.embed(inputs, kind).await
    }

    /// The identity of the vectors: two embedders with the same fingerprint may be mixed in one index. Part of every cache key.
    /// To be overridden where [`Self::model`] does not tell all that the vectors depend on.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(format!("custom/{}", self.model()))
    }

    /// The size of one request, at most. May change as limits are learned.
    fn limits(&self) -> EmbedLimits {
        EmbedLimits::default()
    }

    /// Whether the model makes sense of a text's language. Where it does not, its vectors are noise that would drown what BM25
    /// finds.
    fn reads(&self, _text: &str) -> bool {
        true
    }

    /// Whether its vectors cost enough to be kept on disk: those that are as fast to compute as to read do not.
    fn worth_caching(&self) -> bool {
        true
    }

    /// Requests that may be in flight now, as far as the provider's limits are concerned.
    fn concurrency(&self) -> usize {
        usize::MAX
    }

    /// Waits until a request could be sent at once: until then a batch had better go on filling up.
    async fn ready(&self) {}

    /// Tokens that an input costs, where the model's own tokenizer is at hand; `None` asks the caller to estimate.
    fn count_tokens(&self, _input: &str) -> Option<usize> {
        None
    }
}
