//! Models that rank passages: the trait, the one remote model, and a file a wire format.

pub(super) mod cohere;
pub(super) mod jina;
mod remote;
mod reranker;
mod tei;
pub(super) mod voyage;
pub(super) mod wire;

pub(super) use remote::remote;
pub use reranker::{Reranked, Reranker};
