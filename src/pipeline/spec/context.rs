//! What a pipeline file says of where chunks stand.

use schemars::JsonSchema;
use serde::Deserialize;

/// What says where each chunk stands in its document: that is put in front of what is embedded and of the words that BM25 counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "context")]
pub(in crate::pipeline) struct ContextSpec {
    /// `provider/model`, one that chats. A request for each chunk: `ragstream plan` tells what they cost. What it says is kept in the
    /// machine's own cache: of several workers (`--cluster`) on other machines each asks for the documents that it works on.
    #[schemars(length(min = 1), example = &"openai/gpt-5.4-mini")]
    pub(in crate::pipeline) model: Option<String>,
    /// Models that stand by, as `provider/model`: when one refuses or fails, the next one is asked.
    #[schemars(inner(length(min = 1)), example = ["anthropic/claude-haiku-4-5"])]
    pub(in crate::pipeline) fallback: Option<Vec<Option<String>>>,
    /// Tokens of the document that the model is shown with a chunk: a shorter document whole, of a longer one the beginning and what is
    /// around the chunk. Providers keep what requests begin with and read it again for less, where it is long enough: of Anthropic's
    /// models Haiku 4.5 keeps it from 4,096 tokens on, Sonnet 4.5 and 5 from 1,024, Opus 5 from 512.
    #[schemars(range(min = 256, max = 1_000_000), extend("default" = 3000))]
    pub(in crate::pipeline) window: Option<usize>,
}
