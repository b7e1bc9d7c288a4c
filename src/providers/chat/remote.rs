//! The chat model behind HTTP, whatever format it speaks.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::model::{ChatModel, ChatRequest, ChatStream, Shared};
use super::stream::{self, Expected};
use super::thoughts::thinks_untagged;
use super::told::told;
use super::wire::{ChatApi, Parameters};
use crate::providers::http::{Cost, Http};
use crate::providers::json::decimal;
use crate::providers::{ModelRef, Price, ProviderError};
use crate::telemetry;

/// A chat model behind HTTP.
#[derive(Debug)]
struct Remote {
    http: Arc<Http>,
    api: &'static ChatApi,
    /// `provider/model`.
    name: String,
    /// The model's name at the provider.
    id: String,
    price: Option<Price>,
    /// The optional parameters that this model was found to accept.
    parameters: Mutex<Parameters>,
    /// Whether it begins with thoughts that no tag opens.
    untagged: Arc<AtomicBool>,
}

/// The chat model of this name and price, which talks to `api` over `http`.
pub(in crate::providers) fn remote(
    api: &'static ChatApi,
    http: Arc<Http>,
    model: &ModelRef,
    price: Option<Price>,
) -> Arc<dyn ChatModel> {
    let parameters = Mutex::new(api.wire.parameters(http.is_vendor(), &model.model));
    let untagged = Arc::new(AtomicBool::new(!http.is_vendor() && thinks_untagged(&model.model)));
    Arc::new(Remote { http, api, name: model.to_string(), id: model.model.clone(), price, parameters, untagged })
}

#[async_trait]
impl ChatModel for Remote {
    fn model(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    fn keeps(&self, shared: Shared) -> bool {
        self.api.wire.keeps(&self.id, shared)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let span = telemetry::chat(self.http.told(), &self.id, request.max_tokens, request.temperature.map(decimal));
        let asked = Instant::now();
        let answer = self.begun(&request).instrument(span.clone()).await;
        if span.is_disabled() {
            return answer;
        }
        told(span, asked, &request, answer)
    }
}

impl Remote {
    async fn begun(&self, request: &ChatRequest) -> Result<ChatStream, ProviderError> {
        let wire = self.api.wire;
        let expected = Expected { cost: Cost { tokens: request.estimated_tokens() }, input: request.estimated_input() };
        let path = wire.path(self.http.base_path(), &self.id);
        let mut parameters = *self.parameters.lock().unwrap_or_else(PoisonError::into_inner);
        // Each turn gives one parameter up for good, so this ends.
        loop {
            let body = wire.body(&self.id, request, parameters);
            match stream::begin(&self.http, wire, &path, &body, expected, &self.untagged).await {
                Ok(answer) => {
                    *self.parameters.lock().unwrap_or_else(PoisonError::into_inner) = parameters;
                    return Ok(answer);
                }
                Err(error) => parameters = parameters.without_refused(&error, &body).ok_or(error)?,
            }
        }
    }
}
