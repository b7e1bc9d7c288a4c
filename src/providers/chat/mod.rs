//! Chat models: the trait, the one remote model, and a file a wire format.
//!
//! A format's file only says what to send and reads what comes back; which vendor speaks which format is in the vendor's file.

pub(super) mod anthropic;
pub(super) mod gemini;
mod model;
pub(super) mod ollama;
pub(super) mod openai;
mod remote;
mod stream;
mod thoughts;
mod told;
pub(super) mod wire;

pub use model::{ChatEvent, ChatModel, ChatRequest, ChatStream, Message, PromptCache, Role, Shared, StopReason, Usage};
pub(super) use remote::remote;

use std::sync::Arc;

use super::ProviderKind;
use super::http::{Body, Http};
use super::vendors::Vendor;

/// Reads a streamed answer as the models of a kind write it, from a recording for instance. `http` makes its errors. `None`:
/// the kind has no models that answer.
pub fn decode_chat(kind: ProviderKind, http: &Arc<Http>, body: Body) -> Option<ChatStream> {
    Vendor::of(kind).chat.as_ref().map(|api| thoughts::apart(api.wire.decode(http, body), Arc::default()))
}
