//! The pipeline file: spec (as written) → plan (validated, defaults filled). Only a [`Plan`] can be run.

mod plan;

pub use plan::{
    ChunkBy, ChunkPlan, EmbedPlan, FilesPlan, Limits, ModelRef, Plan, ProviderKind, ProviderPlan, QueryPlan, RetrieveMode,
    RetryPlan, Secret, SourcePlan, StorePlan, TokenizerName,
};
