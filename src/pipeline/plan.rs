//! A pipeline with every default filled in and every value checked. Made by [`super::load()`] and [`super::default_plan`] only.

use std::collections::BTreeMap;

use crate::answer::QueryPlan;
use crate::chunk::ChunkPlan;
use crate::ingest::context::ContextPlan;
use crate::parse::ParseOptions;
use crate::providers::{EmbedPlan, ProviderPlan};
use crate::source::SourcePlan;
use crate::vectordb::StorePlan;

/// A validated pipeline.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pipeline's name: letters and digits of any script, `-`, `_` and `.`; names its index and ledger.
    pub name: String,
    /// What its file's name gave before names held letters of any script, if that was another: an index may be there under it.
    pub former_name: Option<String>,
    /// Every provider that may be referred to, by name: the declared ones and those that exist without.
    pub providers: BTreeMap<String, ProviderPlan>,
    /// Where documents come from.
    pub sources: Vec<SourcePlan>,
    /// How documents are read.
    pub parse: ParseOptions,
    /// How documents are cut.
    pub chunk: ChunkPlan,
    /// What says where chunks stand in their documents; `None`: nothing does.
    pub context: Option<ContextPlan>,
    /// What embeds the chunks.
    pub embed: EmbedPlan,
    /// Where the vectors go.
    pub store: StorePlan,
    /// How questions are answered.
    pub query: QueryPlan,
}
