//! `POST /rerank` of text-embeddings-inference (TEI), which has the path of Jina's and words of its own.

use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{RerankLimits, RerankRequest, RerankResponse, RerankWire};

/// The format.
#[derive(Debug)]
pub(in crate::providers) struct Tei;

/// What a server of TEI takes that is started with nothing else: 32 texts, and as many tokens as its batches hold.
pub(super) const LIMITS: RerankLimits = RerankLimits { passages: 32, tokens: 16_384, passage_tokens: 8192 };

#[derive(Deserialize)]
struct Rank {
    index: usize,
    score: f32,
}

impl RerankWire for Tei {
    fn request(&self, _base_path: &str, request: &RerankRequest<'_>) -> (String, Value) {
        let RerankRequest { question, passages, .. } = request;
        // Most cross-encoders read 512 tokens, and it refuses a longer passage unless it may cut.
        ("/rerank".to_owned(), json!({ "query": question, "texts": passages, "truncate": true }))
    }

    fn read(&self, body: &[u8]) -> Result<RerankResponse, String> {
        let ranks: Vec<Rank> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        Ok(RerankResponse {
            scores: ranks.into_iter().map(|rank| (rank.index, rank.score)).collect(),
            tokens: None,
            units: None,
        })
    }
}
