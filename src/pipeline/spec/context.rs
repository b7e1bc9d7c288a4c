//! What a pipeline file says of where chunks stand.

use schemars::JsonSchema;
use serde::Deserialize;

/// What says where each chunk stands in its document: that is put in front of what is embedded and of the words that BM25 counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "context")]
pub(in crate::pipeline) struct ContextSpec {
    /// `provider/model`, one that chats. A request for each chunk: `ragstream plan` tells what they cost.
    #[schemars(length(min = 1), example = &"openai/gpt-5.4-mini")]
    pub(in crate::pipeline) model: Option<String>,
    /// Models that stand by, as `provider/model`: when one refuses or fails, the next one is asked.
    #[schemars(inner(length(min = 1)), example = ["anthropic/claude-haiku-4-5"])]
    pub(in crate::pipeline) fallback: Option<Vec<Option<String>>>,
    /// Tokens of the document that the model is shown with a chunk: a shorter document whole, of a longer one the beginning and what is
    /// around the chunk.
    #[schemars(range(min = 256, max = 1_000_000), extend("default" = 3000))]
    pub(in crate::pipeline) window: Option<usize>,
}
