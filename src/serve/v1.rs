//! `/v1`: answers in the words of `OpenAI`'s API, for every program that knows those.
//!
//! ```text
//!  request ─▶ [conversation] ─▶ [begin] ─▶ events ─▶ [tell] ─▶ [chat] or [responses] ─▶ chunks, or one object
//!             question, history,  a place,            what is said,   its wire
//!             instructions        the first word      and cited
//! ```
//!
//! Each pipeline is a model (several together are one as `docs+tickets`, and all of them where a request names none), and `NAME+sources` the same with its sources listed at the end of the answer, for clients that show no
//! citations. The last message is the question, what was said before it is its history, and what the system and developer say are
//! wishes for the answer. A question that begins with `### Task:` is a program's own (a title, tags) and goes to the model as it is.
//!
//! # What is taken, refused and passed over
//!
//! - Taken: `model`, `messages` or `input` and `instructions`, `stream`, `stream_options.include_usage`, `max_tokens`,
//!   `max_completion_tokens` or `max_output_tokens`, `temperature`, `include_reasoning`; and, as `ragstream` or
//!   `metadata.ragstream`, `{"where": ["lang=zh"], "limit": 5, "model": "provider/model", "reasoning": true}`.
//! - Refused, as the answer would not be what was asked for: images, audio and files, tools and functions (unless `tool_choice` is
//!   "none"), more than one answer (`n`), `stop`, log probabilities, JSON as the answer's form, and what is kept between requests
//!   (`previous_response_id`, `conversation`, `prompt`, `background`).
//! - Passed over: all else, as clients send much of it always (`top_p`, `penalties`, `seed`, `user`, `store`, `reasoning_effort`, …).
//!
//! # Invariants
//! - Every chunk of a chat is a whole chunk: what is more than `OpenAI` sends rides on chunks that have a choice.
//! - Nothing is said twice: an error before the first word is a status, one after it an event.

mod begin;
mod chat;
mod citations;
mod conversation;
mod embeddings;
mod errors;
mod models;
mod options;
mod responses;
mod tell;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub(super) use self::errors::reword;
use super::service::Service;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::show))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/responses", post(responses::respond))
        .route("/v1/embeddings", post(embeddings::embed))
}
