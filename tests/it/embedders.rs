//! Embedders against a stand-in API: wire formats, faults, limits, and what an error says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ragstream::answer::{FusionPlan, QueryPlan, RetrieveMode, SelectPlan};
use ragstream::chunk::{ChunkBy, ChunkPlan};
use ragstream::limits::Limits;
use ragstream::pipeline::Plan;
use ragstream::providers::{EmbedPlan, ModelRef, ProviderKind, ProviderPlan, RetryPlan, Secret};
use ragstream::providers::{Embedder, ErrorKind, InputType, ProviderError, Providers};
use ragstream::tokenizer::TokenizerName;
use ragstream::vectordb::StorePlan;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::stand_in::{Reply, Request, StandIn, bag_of_words, openai_embeddings};

mod faults;
mod formats;

const KEY: &str = "sk-very-secret-0123456789";
const EMBEDDINGS: &str = "/v1/embeddings";

/// What a test changes of its provider and model.
struct Setup {
    kind: ProviderKind,
    path: &'static str,
    model: &'static str,
    dimensions: Option<usize>,
    limits: Limits,
    timeout: Duration,
    retry: RetryPlan,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            kind: ProviderKind::OpenAi,
            path: "/v1",
            model: "some-model",
            dimensions: Some(8),
            limits: Limits::default(),
            timeout: Duration::from_secs(10),
            retry: RetryPlan { attempts: 3, budget: Duration::from_secs(20) },
        }
    }
}

impl Setup {
    fn provider(&self, url: &str) -> ProviderPlan {
        ProviderPlan {
            name: "them".into(),
            kind: self.kind,
            base_url: format!("{url}{}", self.path).parse().unwrap(),
            api_key: Some(Secret::new(KEY)),
            key_variable: Some("THEIR_API_KEY"),
            limits: self.limits,
            timeout: self.timeout,
            retry: self.retry,
            identity: None,
            prices: BTreeMap::new(),
            misled: None,
        }
    }

    fn embed(&self) -> EmbedPlan {
        EmbedPlan {
            model: ModelRef { provider: "them".into(), model: self.model.into() },
            dimensions: self.dimensions,
            batch_items: None,
            batch_tokens: None,
            query_prefix: None,
            passage_prefix: None,
        }
    }

    fn providers(&self, url: &str) -> Providers {
        let plan = Plan {
            name: "test".into(),
            former_name: None,
            providers: BTreeMap::from([("them".to_owned(), self.provider(url))]),
            sources: Vec::new(),
            parse: ragstream::parse::ParseOptions::default(),
            chunk: ChunkPlan {
                by: ChunkBy::Auto,
                max_tokens: NonZeroUsize::new(400).unwrap(),
                overlap: 0,
                tokenizer: TokenizerName::O200kBase,
            },
            context: None,
            embed: self.embed(),
            store: StorePlan::Embedded { path: None },
            query: QueryPlan {
                limit: NonZeroUsize::new(8).unwrap(),
                mode: RetrieveMode::Dense,
                fusion: FusionPlan::Rrf { k: 2.0, weight: 0.5 },
                select: SelectPlan::default(),
                decide: None,
                answerability: ragstream::answer::AnswerabilityPlan::default(),
                whole: ragstream::answer::WholePlan::default(),
                model: None,
                fallback: Vec::new(),
                fallback_after: Duration::from_secs(30),
                max_tokens: 100,
                temperature: None,
                context_tokens: 1000,
                prompt: None,
            },
        };
        Providers::new(plan.providers.clone(), concat!(env!("CARGO_TARGET_TMPDIR"), "/unused").into())
    }

    async fn embedder(&self, url: &str) -> (Providers, Arc<dyn Embedder>) {
        let providers = self.providers(url);
        let embedder = providers.embedder(&self.embed()).await.unwrap();
        (providers, embedder)
    }
}

/// A stand-in that embeds 8 wide, and an embedder that asks it.
async fn api(setup: Setup) -> (StandIn, Providers, Arc<dyn Embedder>) {
    let api = StandIn::start().await;
    api.always(EMBEDDINGS, |request| openai_embeddings(request, 8));
    let (providers, embedder) = setup.embedder(api.url()).await;
    (api, providers, embedder)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

async fn embed(embedder: &Arc<dyn Embedder>, inputs: &[&str]) -> Result<Vec<Vec<f32>>, ProviderError> {
    embedder.embed(&texts(inputs), InputType::Passage).await.map(|embedded| embedded.vectors)
}
