//! Embedding models behind HTTP: what all of them share. A wire format's file only says what to send and reads what comes
//! back; prefixes, reservation, checks of the answer and the width are here, once.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::http::{Answer, Cost, Http};
use super::prefix::Prefixes;
use super::{AT, EmbedLimits, Embedded, Embedder, ErrorKind, InputType, ProviderError};
use super::{cohere, gemini, jina, ollama, openai, voyage};
use crate::providers::EmbedPlan;

/// A body above this is read off the runtime: a megabyte of numbers takes milliseconds.
const LARGE_BODY: usize = 64 << 10;

/// What a request asks for, in no one's format. The inputs have their prefixes.
pub(super) struct Ask<'a> {
    pub(super) model: &'a str,
    pub(super) inputs: &'a [Cow<'a, str>],
    pub(super) kind: InputType,
    /// The width, where one other than the model's own is wanted.
    pub(super) dimensions: Option<usize>,
    /// Whether vectors may come as base64, where the format knows that.
    pub(super) base64: bool,
}

/// What an answer says, not checked yet.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    /// In the order of the inputs.
    pub(super) vectors: Vec<Vec<f32>>,
    pub(super) tokens: Option<u64>,
}

/// A wire format for embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    OpenAi,
    Gemini,
    Ollama,
    Cohere,
    Voyage,
    Jina,
}

impl Wire {
    /// Part of every cache key: never to be changed.
    fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Cohere => "cohere",
            Self::Voyage => "voyage",
            Self::Jina => "jina",
        }
    }

    /// Path and body. `base_path` is the base URL's own path.
    fn request(self, base_path: &str, ask: &Ask<'_>) -> (String, Value) {
        match self {
            Self::OpenAi => openai::request(ask),
            Self::Gemini => gemini::request(base_path, ask),
            Self::Ollama => ollama::request(ask),
            Self::Cohere => cohere::request(base_path, ask),
            Self::Voyage => voyage::request(ask),
            Self::Jina => jina::request(ask),
        }
    }

    /// Reads an answer; the error says what is wrong with it.
    fn read(self, body: &[u8]) -> Result<Read, String> {
        match self {
            Self::OpenAi | Self::Voyage | Self::Jina => openai::read(body),
            Self::Gemini => gemini::read(body),
            Self::Ollama => ollama::read(body),
            Self::Cohere => cohere::read(body),
        }
    }

    fn limits(self, model: &str, vendor: bool) -> EmbedLimits {
        match self {
            Self::OpenAi => openai::limits(vendor),
            Self::Gemini => gemini::LIMITS,
            Self::Ollama => ollama::LIMITS,
            Self::Cohere => cohere::limits(model),
            Self::Voyage => voyage::limits(model),
            Self::Jina => jina::LIMITS,
        }
    }

    /// The model's own width, as its vendor documents it.
    fn known_width(self, model: &str) -> Option<usize> {
        match self {
            Self::OpenAi => openai::known_width(model),
            Self::Gemini => gemini::known_width(model),
            Self::Ollama => None,
            Self::Cohere => cohere::known_width(model),
            Self::Voyage => voyage::known_width(model),
            Self::Jina => jina::known_width(model),
        }
    }
}

/// See the module's page.
#[derive(Debug)]
struct Remote {
    http: Arc<Http>,
    wire: Wire,
    /// `provider/model`.
    name: String,
    /// The model's name at the provider.
    bare_name: String,
    /// The width asked for.
    asked: Option<usize>,
    /// The width of what comes: asked for, known, or seen.
    width: OnceCell<usize>,
    prefixes: Prefixes,
    limits: EmbedLimits,
    /// Cleared by a server that does not know `encoding_format: base64`.
    base64: AtomicBool,
    estimate: Estimate,
}

/// The embedder that `embed` plans, which talks `wire` over `http`.
pub(super) fn remote(wire: Wire, http: Arc<Http>, embed: &EmbedPlan) -> Arc<dyn Embedder> {
    let model = embed.model.model.clone();
    let mut limits = wire.limits(&model, http.is_vendor());
    if let Some(items) = embed.batch_items {
        limits.items = items.get().min(wire.limits(&model, true).items);
    }
    if let Some(tokens) = embed.batch_tokens {
        limits.tokens = limits.tokens.min(tokens.get());
    }
    // A model's name is the vendor's word there only: elsewhere it may be an alias of something smaller.
    let known = embed.dimensions.or_else(|| wire.known_width(&model).filter(|_| http.is_vendor()));
    Arc::new(Remote {
        name: embed.model.to_string(),
        asked: embed.dimensions,
        width: OnceCell::new_with(known),
        prefixes: Prefixes::of(embed),
        limits,
        base64: AtomicBool::new(true),
        estimate: Estimate::default(),
        http,
        wire,
        bare_name: model,
    })
}

/// Tokens a request may have so that a quota can be used whole: a window of a minute that holds 100 requests or more wastes
/// at most a hundredth on what does not fit any more. Not so few that requests a minute run out first.
fn share_of_quota(rpm: Option<u64>, tpm: Option<u64>) -> usize {
    let Some(tpm) = tpm else { return usize::MAX };
    let by_requests = rpm.map_or(0, |rpm| tpm.saturating_mul(5) / rpm.max(1).saturating_mul(4));
    usize::try_from((tpm / 100).max(by_requests).max(1)).unwrap_or(usize::MAX)
}

#[async_trait]
impl Embedder for Remote {
    fn model(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> String {
        let width = self.asked.map_or_else(|| "own".to_owned(), |width| width.to_string());
        let server = self.http.identity().map(|identity| format!("{AT}{identity}")).unwrap_or_default();
        format!("{}/{}/{width}{}{server}", self.wire.name(), self.bare_name, self.prefixes.fingerprint())
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        let ask = || async {
            let probe = self.ask(&["word".to_owned()], InputType::Passage).await?;
            Ok(probe.vectors.first().map_or(0, Vec::len))
        };
        self.width.get_or_try_init(ask).await.copied()
    }

    fn limits(&self) -> EmbedLimits {
        let limiter = self.http.limiter();
        let share = share_of_quota(limiter.rpm(), limiter.tpm());
        EmbedLimits { tokens: self.limits.tokens.min(share), ..self.limits }
    }

    fn in_flight(&self) -> usize {
        self.http.limiter().concurrency()
    }

    async fn room(&self) {
        self.http.limiter().ready().await;
    }

    async fn embed(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        if inputs.is_empty() {
            return Ok(Embedded::default());
        }
        let embedded = self.ask(inputs, kind).await?;
        // Fails when it is known already, or being asked for at this moment; `ask` has compared it with what is known.
        let _ = self.width.set(embedded.vectors.first().map_or(0, Vec::len));
        Ok(embedded)
    }
}

impl Remote {
    async fn ask(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        let prefixed: Vec<Cow<'_, str>> = inputs.iter().map(|input| self.prefixes.put_before(input, kind)).collect();
        let base64 = self.base64.load(Ordering::Relaxed);
        let sent = match self.send(&prefixed, kind, base64).await {
            Err(error) if base64 && refuses_base64(&error) => {
                self.base64.store(false, Ordering::Relaxed);
                self.send(&prefixed, kind, false).await
            }
            sent => sent,
        };
        let read = sent?;
        // The model made it of one input and will again: the input is refused, and no other attempt is paid for in vain.
        if let Some(wrong) = read.vectors.iter().find_map(|vector| unusable(vector)) {
            self.http.limiter().count_wasted(read.tokens.unwrap_or_else(|| self.expected(&prefixed)));
            return Err(self.http.error(ErrorKind::InvalidInput, format!("the model makes nothing of this text: {wrong}")));
        }
        Ok(Embedded { vectors: read.vectors, tokens: read.tokens })
    }

    async fn send(&self, inputs: &[Cow<'_, str>], kind: InputType, base64: bool) -> Result<Read, ProviderError> {
        let ask = Ask { model: &self.bare_name, inputs, kind, dimensions: self.asked, base64 };
        let (path, body) = self.wire.request(self.http.base_path(), &ask);
        let cost = Cost { tokens: self.expected(inputs) };
        self.http.post_and_read(&path, &[], &body, cost, |answer| self.read(answer, inputs)).await
    }

    /// What the inputs will most likely cost, in tokens.
    fn expected(&self, inputs: &[Cow<'_, str>]) -> u64 {
        self.estimate.of(guessed(inputs))
    }

    /// Reads and checks an answer; the error says what is wrong with it.
    async fn read(&self, answer: Answer, inputs: &[Cow<'_, str>]) -> Result<Read, String> {
        let Answer { body, reservation, .. } = answer;
        let wire = self.wire;
        let read = if body.len() > LARGE_BODY {
            tokio::task::spawn_blocking(move || wire.read(&body)).await.unwrap_or_else(|e| Err(e.to_string()))
        } else {
            wire.read(&body)
        };
        let mut read = read.map_err(|wrong| format!("cannot read the answer: {wrong}"))?;
        if let Some(tokens) = read.tokens.filter(|&tokens| tokens > 0) {
            reservation.settle(tokens);
            self.estimate.learn(guessed(inputs), tokens);
        }
        if wire == Wire::Gemini && self.asked.is_some() {
            // Only the full width is normalised there.
            read.vectors.iter_mut().for_each(|vector| normalise(vector));
        }
        self.check(&read, inputs.len())?;
        Ok(read)
    }

    /// The error says what is wrong.
    fn check(&self, read: &Read, inputs: usize) -> Result<(), String> {
        if read.vectors.len() != inputs {
            return Err(format!("{} vectors came for {inputs} inputs", read.vectors.len()));
        }
        let first = read.vectors.first().map_or(0, Vec::len);
        let width = self.width.get().copied().unwrap_or(first);
        for (index, vector) in read.vectors.iter().enumerate() {
            if vector.len() != width || width == 0 {
                let told = if self.asked.is_some() { "as `embed.dimensions` asks" } else { "as is the model's own width" };
                return Err(format!("vector {index} is {} wide, not {width} {told}", vector.len()));
            }
        }
        match read.vectors.first().and_then(|vector| unusable(vector)) {
            Some(wrong) if inputs >= MANY && read.vectors.iter().all(|vector| unusable(vector).is_some()) => {
                Err(format!("of all {inputs} inputs {wrong}"))
            }
            _ => Ok(()),
        }
    }
}

/// So many inputs are not all of the kind that a model makes nothing of: there the model is broken.
const MANY: usize = 8;

/// Why an index cannot hold a vector.
fn unusable(vector: &[f32]) -> Option<&'static str> {
    if !vector.iter().all(|number| number.is_finite()) {
        return Some("the vector holds a number that is not finite");
    }
    vector.iter().all(|&number| number == 0.0).then_some("the vector is all zero")
}

/// Some compatible servers know decimal numbers alone.
fn refuses_base64(error: &ProviderError) -> bool {
    let said = error.message.to_ascii_lowercase();
    error.kind == ErrorKind::InvalidInput && (said.contains("encoding_format") || said.contains("base64"))
}

/// To length 1; all zero stays as it is.
fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
}

/// A guess that needs no tokenizer: four ASCII bytes a token, and a token for any other character.
pub(super) fn guess_tokens(input: &str) -> u64 {
    let ascii = input.bytes().filter(u8::is_ascii).count();
    let others = input.chars().filter(|c| !c.is_ascii()).count();
    (ascii.div_ceil(4) + others).max(1) as u64
}

fn guessed(inputs: &[Cow<'_, str>]) -> u64 {
    inputs.iter().map(|input| guess_tokens(input)).sum()
}

/// Corrects guesses by what was billed for earlier ones.
#[derive(Debug, Default)]
struct Estimate {
    guessed: AtomicU64,
    billed: AtomicU64,
}

impl Estimate {
    fn of(&self, guess: u64) -> u64 {
        let (guessed, billed) = (self.guessed.load(Ordering::Relaxed), self.billed.load(Ordering::Relaxed));
        if guessed == 0 {
            return guess;
        }
        // One odd answer must neither stop nor unleash what follows.
        let ratio = (billed as f64 / guessed as f64).clamp(0.25, 4.0);
        (guess as f64 * ratio).ceil() as u64
    }

    fn learn(&self, guess: u64, billed: u64) {
        self.guessed.fetch_add(guess, Ordering::Relaxed);
        self.billed.fetch_add(billed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]

    use super::*;

    #[test]
    fn estimates_follow_what_is_billed() {
        let estimate = Estimate::default();
        assert_eq!(estimate.of(100), 100);
        estimate.learn(100, 150);
        assert_eq!(estimate.of(100), 150);
        estimate.learn(1, 1_000_000);
        assert_eq!(estimate.of(100), 400, "bounded");
        assert_eq!(guess_tokens("Hello, world"), 3);
        assert_eq!(guess_tokens("中文字"), 3);
        assert_eq!(guess_tokens(""), 1);
    }

    #[test]
    fn a_request_is_a_hundredth_of_the_tokens_a_minute() {
        assert_eq!(share_of_quota(None, None), usize::MAX);
        assert_eq!(share_of_quota(None, Some(1_000_000)), 10_000);
        assert_eq!(share_of_quota(Some(10), Some(1_000_000)), 125_000, "but no smaller than ten requests a minute need");
    }

    #[test]
    fn reduced_vectors_are_normalised() {
        let mut vector = [3.0, 4.0];
        normalise(&mut vector);
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6);
        let mut zero = [0.0, 0.0];
        normalise(&mut zero);
        assert!(zero.iter().all(|x| x.abs() < f32::MIN_POSITIVE), "nothing is divided by zero");
    }
}
