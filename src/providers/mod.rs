//! Everything that talks to an AI provider, or stands in for one in process.
//!
//! [`Embedder`], [`Reranker`], [`Decider`] and [`ChatModel`] are the faces that the rest of the crate sees; a model of one's own implements
//! one of them.
//!
//! ```text
//!   Providers ──▶ Vendor::of(kind) ──▶ embed, chat, rerank, decide: one remote model each ──▶ http ──▶ the provider
//!                 vendors/VENDOR.rs       embed/FORMAT.rs: what to send, how to read     │
//!                                                                                      limits, retries, redaction
//! ```
//!
//! A vendor is described once, in its file below `vendors`: where it is, how it wants its key, the models it has, the size of a
//! request, the prices. A wire format's file only translates. The one [`http`] layer owns timeouts, limits, retries and
//! redaction.

mod accounts;
mod address;
mod chat;
mod connect;
mod deadline;
mod decide;
mod embed;
mod error;
mod fingerprint;
pub mod http;
mod json;
#[cfg(feature = "local")]
pub mod local;
#[cfg(not(feature = "local"))]
#[path = "local/absent.rs"]
pub mod local;
mod peer;
mod plan;
pub mod prices;
mod recall;
mod refusal;
mod rerank;
mod retry;
mod site;
mod sse;
mod tokens;
mod usage;
mod vendors;

pub use accounts::Accounts;
pub(crate) use address::{bare_address, is_loopback};
pub use chat::{
    ChatEvent, ChatModel, ChatRequest, ChatStream, Message, PromptCache, Role, Shared, StopReason, Usage, decode_chat,
};
pub use connect::Providers;
pub(crate) use deadline::within;
pub use decide::{Ask, Asked, Choice, Decider, Decision, DecisionRequest, Decisions};
pub use embed::{EmbedLimits, Embedded, Embedder, InputType, Prefixes};
pub use error::{ErrorKind, ProviderError};
pub use fingerprint::Fingerprint;
#[cfg(any(feature = "serve", test))]
pub(crate) use json::decimal;
pub use plan::{EmbedPlan, ModelRef, Price, ProviderKind, ProviderPlan, RetryPlan, Secret};
pub use rerank::{Reranked, Reranker};
pub(crate) use site::UrlVariable;
pub(crate) use vendors::Vendor;
