//! `POST /v1/embeddings`: the vectors that a pipeline's own model makes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::models::{self, Model};
use crate::error::Error;
use crate::providers::{EmbedLimits, Embedder, InputType, ProviderError};
use crate::serve::api::read::Body;
use crate::serve::fault::Fault;
use crate::serve::scope::Scope;
use crate::serve::service::Service;

/// Inputs of a request, as many as `OpenAI` takes.
const MOST: usize = 2048;

/// What is to be embedded.
#[derive(Debug, Deserialize)]
pub(super) struct Embeddings {
    #[serde(default)]
    model: Option<String>,
    input: Input,
    #[serde(default)]
    encoding_format: Option<Format>,
    #[serde(default)]
    dimensions: Option<usize>,
    /// Ours: several models embed a question differently.
    #[serde(default)]
    input_type: Option<Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Several(Vec<String>),
    Tokens(Vec<Value>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Float,
    Base64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[serde(alias = "search_query")]
    Query,
    #[serde(alias = "document", alias = "search_document")]
    Passage,
}

pub(super) async fn embed(State(service): State<Arc<Service>>, Body(embeddings): Body<Embeddings>) -> Result<Response, Fault> {
    let Embeddings { model, input, encoding_format, dimensions, input_type } = embeddings;
    let (id, served) = match models::find(&service, model.as_deref())? {
        Model { id, scope: Scope::One(served), .. } => (id, served),
        Model { scope: Scope::Together(together), .. } => return Err(together.is_not_one("a vector", "model")),
    };
    let inputs = match input {
        Input::One(text) => vec![text],
        Input::Several(texts) => texts,
        Input::Tokens(tokens) => {
            let fault = Fault::bad(format!(
                "texts are embedded, not tokens ({} of them), which every model has its own of",
                tokens.len()
            ));
            return Err(fault.hint("in LangChain, say `check_embedding_ctx_length=False`"));
        }
    };
    if inputs.is_empty() || inputs.len() > MOST {
        return Err(Fault::bad(format!("between 1 and {MOST} texts are embedded at once, not {}", inputs.len())));
    }
    if let Some(n) = inputs.iter().position(|text| text.trim().is_empty()) {
        return Err(Fault::bad(format!("`input[{n}]` is empty")));
    }
    let _place = service.searches.take().await?;
    let embedder = served.runtime.embedder().await.map_err(|error| Fault::from(&error))?;
    let failed = |error: ProviderError| Fault::from(Error::from(error));
    if let Some(asked) = dimensions {
        let width = embedder.dimensions().await.map_err(failed)?;
        if asked != width {
            return Err(Fault::bad(format!("the vectors of {} have {width} dimensions, not {asked}", embedder.model())));
        }
    }
    let (inputs, tokens) = counted(&embedder, inputs).await?;
    let kind = match input_type {
        Some(Kind::Query) => InputType::Query,
        Some(Kind::Passage) | None => InputType::Passage,
    };
    let (mut data, mut billed) = (Vec::with_capacity(inputs.len()), Some(0_u64));
    for batch in batches(&inputs, &tokens, &embedder.limits()) {
        let embedded = embedder.embed(batch, kind).await.map_err(failed)?;
        if embedded.vectors.len() != batch.len() {
            let message = format!("{} gave {} vectors for {} texts", embedder.model(), embedded.vectors.len(), batch.len());
            return Err(Fault::new(axum::http::StatusCode::BAD_GATEWAY, "bad_answer", message));
        }
        billed = billed.zip(embedded.tokens).map(|(sum, more)| sum.saturating_add(more));
        for vector in embedded.vectors {
            let embedding = written(&vector, encoding_format.unwrap_or(Format::Float));
            data.push(json!({"object": "embedding", "index": data.len(), "embedding": embedding}));
        }
    }
    let tokens = billed.unwrap_or_else(|| tokens.iter().map(|tokens| *tokens as u64).sum());
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(Json(json!({"object": "list", "data": data, "model": id, "usage": usage})).into_response())
}

/// The tokens of each text, guessed on the high side where the model has no tokenizer at hand; one that the model would cut in
/// silence is refused.
async fn counted(embedder: &Arc<dyn Embedder>, inputs: Vec<String>) -> Result<(Vec<String>, Vec<usize>), Fault> {
    let counter = Arc::clone(embedder);
    let count = move || {
        let (limit, mut tokens) = (counter.limits().input_tokens, Vec::with_capacity(inputs.len()));
        for (n, text) in inputs.iter().enumerate() {
            let counted = counter.count_tokens(text);
            if let Some(counted) = counted.filter(|counted| *counted > limit) {
                let model = counter.model();
                return Err(Fault::bad(format!("`input[{n}]` has {counted} tokens; {model} reads at most {limit}")));
            }
            tokens.push(counted.unwrap_or(text.len() / 3 + 1));
        }
        Ok((inputs, tokens))
    };
    let counted = tokio::task::spawn_blocking(count).await;
    counted.unwrap_or_else(|error| Err(Error::worker("count tokens", error).into()))
}

/// Texts in the requests that the model takes.
fn batches<'a>(inputs: &'a [String], tokens: &'a [usize], limits: &EmbedLimits) -> Vec<&'a [String]> {
    let mut batches = Vec::new();
    let (mut from, mut sum) = (0, 0_usize);
    for (at, tokens) in tokens.iter().enumerate() {
        let is_full = at - from >= limits.items.max(1) || sum.saturating_add(*tokens) > limits.tokens;
        if is_full && at > from {
            batches.extend(inputs.get(from..at));
            (from, sum) = (at, 0);
        }
        sum = sum.saturating_add(*tokens);
    }
    batches.extend(inputs.get(from..).filter(|rest| !rest.is_empty()));
    batches
}

fn written(vector: &[f32], format: Format) -> Value {
    match format {
        Format::Float => json!(vector),
        Format::Base64 => STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_the_same_numbers() {
        let vector = [0.1_f32, -2.5, f32::MIN_POSITIVE];
        let bytes = STANDARD.decode(written(&vector, Format::Base64).as_str().unwrap()).unwrap();
        let read: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(read, vector);
        assert_eq!(serde_json::from_value::<Vec<f32>>(written(&vector, Format::Float)).unwrap(), vector);
    }

    #[test]
    fn texts_are_told_from_tokens() {
        let read = |input: Value| serde_json::from_value::<Embeddings>(json!({"input": input})).map(|read| read.input);
        assert!(matches!(read(json!("x")), Ok(Input::One(_))));
        assert!(matches!(read(json!(["x", "y"])), Ok(Input::Several(texts)) if texts.len() == 2));
        assert!(matches!(read(json!([1, 2])), Ok(Input::Tokens(_))) && matches!(read(json!([[1], [2]])), Ok(Input::Tokens(_))));
        assert!(read(json!(7)).is_err() && read(json!(null)).is_err());
    }

    proptest! {
        #[test]
        fn batches_keep_order_and_limits(tokens in prop::collection::vec(0_usize..20, 1..40), items in 0_usize..6, most in 0_usize..40) {
            let inputs: Vec<String> = (0..tokens.len()).map(|n| n.to_string()).collect();
            let limits = EmbedLimits::new(items, most, 8192);
            let batches = batches(&inputs, &tokens, &limits);
            prop_assert_eq!(batches.concat(), inputs.clone());
            for batch in batches {
                let sum: usize = batch.iter().map(|n| tokens.get(n.parse::<usize>().unwrap()).unwrap()).sum();
                prop_assert!(!batch.is_empty() && batch.len() <= items.max(1));
                prop_assert!(sum <= most || batch.len() == 1);
            }
        }
    }
}
