//! The embedding model behind HTTP, whatever format it speaks: prefixes, reservation, checks of the answer, the width.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tracing::Instrument as _;

use super::embedder::{EmbedLimits, Embedded, Embedder, InputType};
use super::prefix::Prefixes;
use super::wire::{EmbedApi, EmbedRequest, EmbedResponse};
use crate::document::unusable;
use crate::providers::http::{Cost, Http, Response};
use crate::providers::tokens::{self, Correction};
use crate::providers::{EmbedPlan, ErrorKind, Fingerprint, Price, ProviderError};
use crate::telemetry;

/// A body above this is read off the runtime: a megabyte of numbers takes milliseconds.
const LARGE_BODY: usize = 64 << 10;

/// An embedding model behind HTTP.
#[derive(Debug)]
struct Remote {
    http: Arc<Http>,
    api: &'static EmbedApi,
    /// The kind of provider, for the fingerprint.
    kind: &'static str,
    /// `provider/model`.
    name: String,
    /// The model's name at the provider.
    id: String,
    price: Option<Price>,
    /// The width asked for.
    asked: Option<usize>,
    /// The width of what comes: asked for, known, or seen.
    width: OnceCell<usize>,
    prefixes: Prefixes,
    limits: EmbedLimits,
    /// Cleared by a server that does not know `encoding_format: base64`.
    base64: AtomicBool,
    /// Cleared by a server that knows no other width than the model's own.
    widths: AtomicBool,
    correction: Correction,
}

/// The embedder that `embed` plans, which talks to `api` over `http`. `kind` is the kind of provider as a file writes it.
pub(in crate::providers) fn remote(
    kind: &'static str,
    api: &'static EmbedApi,
    http: Arc<Http>,
    embed: &EmbedPlan,
    price: Option<Price>,
) -> Arc<dyn Embedder> {
    let id = embed.model.model.clone();
    let mut limits = (api.limits)(&id, http.is_vendor());
    if let Some(items) = embed.batch_items {
        limits.items = items.get().min((api.limits)(&id, true).items);
    }
    if let Some(tokens) = embed.batch_tokens {
        limits.tokens = limits.tokens.min(tokens.get());
    }
    // A model's name is the vendor's word there only: elsewhere it may be an alias of something smaller.
    let known = embed.dimensions.or_else(|| (api.width)(&id).filter(|_| http.is_vendor()));
    Arc::new(Remote {
        name: embed.model.to_string(),
        asked: embed.dimensions,
        width: OnceCell::new_with(known),
        prefixes: Prefixes::of(embed),
        limits,
        base64: AtomicBool::new(true),
        widths: AtomicBool::new(true),
        correction: Correction::default(),
        http,
        api,
        kind,
        id,
        price,
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

    fn price(&self) -> Option<Price> {
        self.price
    }

    fn fingerprint(&self) -> Fingerprint {
        let width = self.asked.map_or_else(|| "own".to_owned(), |width| width.to_string());
        let model = Fingerprint::new(format!("{}/{}/{width}{}", self.kind, self.id, self.prefixes.fingerprint()));
        match self.http.identity() {
            Some(server) => model.at(server),
            None => model,
        }
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        let ask = || async {
            let probe = self.ask(&["word".to_owned()], InputType::Passage, u32::MAX).await?;
            Ok(probe.vectors.first().map_or(0, Vec::len))
        };
        self.width.get_or_try_init(ask).await.copied()
    }

    fn limits(&self) -> EmbedLimits {
        let limiter = self.http.limiter();
        let share = share_of_quota(limiter.rpm(), limiter.tpm());
        EmbedLimits { tokens: self.limits.tokens.min(share), ..self.limits }
    }

    fn concurrency(&self) -> usize {
        self.http.limiter().concurrency()
    }

    async fn ready(&self) {
        self.http.limiter().ready().await;
    }

    async fn embed(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        self.embed_within(u32::MAX, inputs, kind).await
    }

    async fn embed_briefly(&self, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        self.embed_within(BRIEF, inputs, kind).await
    }
}

/// Attempts of a request that is to fail soon: one, and one more for what happens to break just then.
const BRIEF: u32 = 2;

impl Remote {
    async fn embed_within(&self, attempts: u32, inputs: &[String], kind: InputType) -> Result<Embedded, ProviderError> {
        if inputs.is_empty() {
            return Ok(Embedded::default());
        }
        let embedded = self.ask(inputs, kind, attempts).await?;
        // Fails when it is known already, or being asked for at this moment; `ask` has compared it with what is known.
        let _ = self.width.set(embedded.vectors.first().map_or(0, Vec::len));
        Ok(embedded)
    }

    async fn ask(&self, inputs: &[String], kind: InputType, attempts: u32) -> Result<Embedded, ProviderError> {
        let span = telemetry::embeddings(self.http.told(), &self.id, inputs.len(), self.asked);
        let answer = self.asked_for(inputs, kind, attempts).instrument(span.clone()).await;
        match &answer {
            Ok(embedded) => {
                if let Some(tokens) = embedded.tokens {
                    telemetry::count(&span, "gen_ai.usage.input_tokens", tokens);
                }
                if let (None, Some(vector)) = (self.asked, embedded.vectors.first()) {
                    telemetry::count(&span, "gen_ai.embeddings.dimension.count", vector.len() as u64);
                }
            }
            Err(error) => telemetry::failed(&span, error.kind.code()),
        }
        answer
    }

    async fn asked_for(&self, inputs: &[String], kind: InputType, attempts: u32) -> Result<Embedded, ProviderError> {
        let prefixed: Vec<Cow<'_, str>> = inputs.iter().map(|input| self.prefixes.put_before(input, kind)).collect();
        let read = self.send_as_taken(&prefixed, kind, attempts).await?;
        // The model made it of one input and will again: the input is refused, and no other attempt is paid for in vain.
        if let Some(wrong) = read.vectors.iter().find_map(|vector| unusable(vector)) {
            self.http.limiter().count_wasted(read.tokens.unwrap_or_else(|| self.expected(&prefixed)));
            return Err(self
                .http
                .error(ErrorKind::InvalidInput, format!("the model makes nothing of this text: the vector {wrong}")));
        }
        Ok(Embedded { vectors: read.vectors, tokens: read.tokens })
    }

    /// Sends the request without what the server is found not to take.
    async fn send_as_taken(
        &self,
        inputs: &[Cow<'_, str>],
        kind: InputType,
        attempts: u32,
    ) -> Result<EmbedResponse, ProviderError> {
        // Each turn gives one field up for good, so this ends.
        loop {
            let base64 = self.base64.load(Ordering::Relaxed);
            let width = self.asked.filter(|_| self.widths.load(Ordering::Relaxed));
            match self.send(inputs, kind, base64, width, attempts).await {
                Err(error) if base64 && refuses(&error, &["encoding_format", "base64"]) => {
                    self.base64.store(false, Ordering::Relaxed);
                }
                Err(error) if width.is_some() && refuses(&error, &["dimension"]) => {
                    // It may be the model's own width that is asked for.
                    let read = self.send(inputs, kind, base64, None, attempts).await;
                    let read =
                        read.map_err(|other| if other.kind == ErrorKind::BadAnswer { no_such_width(error) } else { error })?;
                    self.widths.store(false, Ordering::Relaxed);
                    return Ok(read);
                }
                sent => return sent,
            }
        }
    }

    async fn send(
        &self,
        inputs: &[Cow<'_, str>],
        kind: InputType,
        base64: bool,
        dimensions: Option<usize>,
        attempts: u32,
    ) -> Result<EmbedResponse, ProviderError> {
        let request = EmbedRequest { model: &self.id, inputs, input_type: kind, dimensions, base64 };
        let (path, body) = self.api.wire.request(self.http.base_path(), &request);
        let cost = Cost { tokens: self.expected(inputs) };
        self.http.post_and_read_within(attempts, &path, &[], &body, cost, |response| self.read(response, inputs)).await
    }

    /// The tokens that the inputs will most likely cost.
    fn expected(&self, inputs: &[Cow<'_, str>]) -> u64 {
        self.correction.of(guessed(inputs))
    }

    /// Reads and checks an answer; the error says what is wrong with it.
    async fn read(&self, response: Response, inputs: &[Cow<'_, str>]) -> Result<EmbedResponse, String> {
        let Response { body, reservation, .. } = response;
        let wire = self.api.wire;
        let read = if body.len() > LARGE_BODY {
            tokio::task::spawn_blocking(move || wire.read(&body)).await.unwrap_or_else(|e| Err(e.to_string()))
        } else {
            wire.read(&body)
        };
        let mut read = read.map_err(|wrong| format!("cannot read the answer: {wrong}"))?;
        if let Some(tokens) = read.tokens.filter(|&tokens| tokens > 0) {
            reservation.settle(tokens);
            self.correction.learn(guessed(inputs), tokens);
        }
        if self.api.reduced_unnormalised && self.asked.is_some() {
            read.vectors.iter_mut().for_each(|vector| normalise(vector));
        }
        self.check(&read, inputs.len())?;
        Ok(read)
    }

    /// The error says what is wrong.
    fn check(&self, read: &EmbedResponse, inputs: usize) -> Result<(), String> {
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
                Err(format!("of all {inputs} inputs the vector {wrong}"))
            }
            _ => Ok(()),
        }
    }
}

/// Inputs that are not all of the kind that a model makes nothing of: where it makes nothing of any, it is broken.
const MANY: usize = 8;

/// The refusal of the width that is asked for, which no other text will change.
fn no_such_width(refusal: ProviderError) -> ProviderError {
    let hint = "leave out `embed.dimensions`, or set it to the model's own width";
    ProviderError { kind: ErrorKind::NotFound, ..refusal }.with_hint(hint)
}

/// Whether it is a field of this name that is refused: some compatible servers know decimal numbers alone, and one width.
fn refuses(error: &ProviderError, names: &[&str]) -> bool {
    let said = error.message.to_ascii_lowercase();
    error.kind == ErrorKind::InvalidInput && names.iter().any(|name| said.contains(name))
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

fn guessed(inputs: &[Cow<'_, str>]) -> u64 {
    inputs.iter().map(|input| tokens::guess(input)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test may fail loudly")]

    use super::*;

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
