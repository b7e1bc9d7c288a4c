//! Models that decide: typed questions about one state, answered with calibrated probabilities, and no text.
//!
//! Two contracts look alike and are not. What is certain of each, and from where (November 2026):
//!
//! | | `OpenAI`'s Decisions ([`openai`]) | `TypeSafe`'s System One ([`systemone`]) |
//! |---|---|---|
//! | path | `POST /v1/decisions` | `POST /v1/systemone` |
//! | what is judged | `input`: a text (or messages) | `state`: a text, an object or a list |
//! | questions | a list of 1 to 400, each with `type`, `instructions` and, if wanted, a `name` | an object of at least one, by names |
//! | yes or no | `predicate` | `noul`, with `criteria` if wanted |
//! | one of several | `choice`: `choices`, 2 to 255 with a `value` and a `description` | `choice`: `criteria`, an object of at most 255 |
//! | a place on a scale | `score`: `levels`, 2 to 10 with a `label` | `score`: `criteria`, a list of at most 10 |
//! | answers | a list in the order of the questions | an object by their names |
//! | probabilities of a choice | a list with `value` and `probability` | an object by values |
//! | a model that declines | `refusal`, for each question alone | nothing of the kind |
//! | bill | tokens read; what is written is free | tokens read; what is written is free |
//!
//! `OpenAI`'s is that of its own Python client (3.57, with the texts of its API reference) and of promptfoo's page on it; Fireworks and
//! Vercel have taken it over. `TypeSafe`'s is that of its own Python client (0.7.5, generated from its `OpenAPI` document) and of the
//! specification that jevcompat tests servers by; llama.cpp (from b11361 on), Ollama (from 0.35 on), SGLang, Databricks and others
//! serve it. Gateways such as `OpenRouter` and Portkey serve System One's words at a path that is called `decisions`, and others both:
//! so a server that refuses the words of one contract is asked in the other's, and what it speaks is remembered ([`contract`]). An
//! answer is only ever read in the words that the request was in. (`Gemini` has a third contract, in beta, which is not spoken here.)

mod contract;
mod decider;
mod openai;
mod remote;
mod rerank;
mod systemone;
pub(super) mod wire;

pub use decider::{Ask, Asked, Choice, Decider, Decision, DecisionRequest, Decisions};
pub(super) use remote::remote;
pub(super) use rerank::reranker;
