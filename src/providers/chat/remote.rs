//! The chat model behind HTTP, whatever format it speaks.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use crate::providers::{ErrorKind, ModelRef, Price, ProviderError};
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
    parameters: Mutex<Taken>,
    /// Whether it begins with thoughts that no tag opens.
    untagged: Arc<AtomicBool>,
}

/// The optional parameters that the model takes, as far as that was found out.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Without those that it was understood to refuse.
    likely: Parameters,
    /// Those of answers, and what is known of the model beforehand.
    surely: Parameters,
}

/// The chat model of this name and price, which talks to `api` over `http`.
pub(in crate::providers) fn remote(
    api: &'static ChatApi,
    http: Arc<Http>,
    model: &ModelRef,
    price: Option<Price>,
) -> Arc<dyn ChatModel> {
    let known = api.wire.parameters(http.is_vendor(), &model.model);
    let parameters = Mutex::new(Taken { likely: known, surely: known });
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
        let mut mine = self.taken().likely;
        let mut gave_up = false;
        // Each turn gives one parameter up for good, so this ends.
        loop {
            let sent = Mutex::new(mine);
            let body = || {
                // Others have been refused something while this one waited for its turn: an ingest sends hundreds at once.
                let known = mine.and(self.taken().likely);
                *locked(&sent) = known;
                wire.body(&self.id, request, known)
            };
            let began = stream::begin(&self.http, wire, &path, &body, expected, &self.untagged).await;
            let sent = *locked(&sent);
            let error = match began {
                Ok(answer) => {
                    let mut taken = self.taken();
                    taken.surely = taken.surely.and(sent);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(less) = sent.without_refused(&error, &wire.body(&self.id, request, sent)) else {
                if gave_up && error.kind == ErrorKind::InvalidInput {
                    // It was about something else.
                    let mut taken = self.taken();
                    taken.likely = taken.surely;
                }
                return Err(error);
            };
            (mine, gave_up) = (less, true);
            let mut taken = self.taken();
            taken.likely = taken.likely.and(less);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        locked(&self.parameters)
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
