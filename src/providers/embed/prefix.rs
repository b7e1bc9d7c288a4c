//! Texts that some models want before each input.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embedder::InputType;
use crate::providers::EmbedPlan;

/// The texts before a question and before a passage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Prefixes {
    /// Before a question.
    pub query: String,
    /// Before a passage.
    pub passage: String,
}

/// A part of the model's name, what is put before a question, what before a passage. The first that matches counts. From the
/// model cards at huggingface.co: intfloat/multilingual-e5-large, nomic-ai/nomic-embed-text-v1.5,
/// mixedbread-ai/mxbai-embed-large-v1, Snowflake/snowflake-arctic-embed-l (and -v2.0), google/embeddinggemma-300m; and from
/// <https://ai.google.dev/gemini-api/docs/embeddings>.
const USUAL: [(&str, &str, &str); 7] = [
    ("nomic-embed", "search_query: ", "search_document: "),
    ("mxbai-embed-large", SENTENCE, ""),
    ("arctic-embed2", "query: ", ""),
    ("arctic-embed-l-v2", "query: ", ""),
    ("arctic-embed", SENTENCE, ""),
    ("embeddinggemma", SEARCH_RESULT, UNTITLED),
    ("gemini-embedding-2", SEARCH_RESULT, UNTITLED),
];

const SENTENCE: &str = "Represent this sentence for searching relevant passages: ";
const SEARCH_RESULT: &str = "task: search result | query: ";
const UNTITLED: &str = "title: none | text: ";

impl Prefixes {
    /// The prefixes of a plan, else those that are usual for a model of this name. An empty prefix in the plan switches the
    /// usual one off.
    pub fn of(plan: &EmbedPlan) -> Self {
        let (query, passage) = usual(&plan.model.model);
        Self {
            query: plan.query_prefix.clone().unwrap_or_else(|| query.to_owned()),
            passage: plan.passage_prefix.clone().unwrap_or_else(|| passage.to_owned()),
        }
    }

    pub(super) fn put_before<'a>(&self, input: &'a str, kind: InputType) -> Cow<'a, str> {
        let prefix = match kind {
            InputType::Query => &self.query,
            InputType::Passage => &self.passage,
        };
        if prefix.is_empty() { Cow::Borrowed(input) } else { Cow::Owned(format!("{prefix}{input}")) }
    }

    /// Other prefixes make other vectors. Empty where there are none.
    pub(super) fn fingerprint(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let hash = blake3::Hasher::new().update(self.query.as_bytes()).update(&[0]).update(self.passage.as_bytes()).finalize();
        let hex = hash.to_hex();
        format!("/prefix-{}", hex.get(..16).unwrap_or(&hex))
    }
}

fn usual(model: &str) -> (&'static str, &'static str) {
    let model = model.to_ascii_lowercase();
    let name = model.rsplit('/').next().unwrap_or(&model);
    // `e5-mistral` and `-instruct` want instructions instead, which depend on the task.
    if (name.starts_with("e5-") || name.contains("-e5-")) && !name.contains("mistral") && !name.contains("instruct") {
        return ("query: ", "passage: ");
    }
    USUAL.iter().find(|(part, ..)| name.contains(part)).map_or(("", ""), |&(_, query, passage)| (query, passage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::ModelRef;

    fn plan(model: &str, query: Option<&str>) -> EmbedPlan {
        EmbedPlan {
            model: ModelRef { provider: "p".into(), model: model.into() },
            dimensions: None,
            batch_items: None,
            batch_tokens: None,
            query_prefix: query.map(str::to_owned),
            passage_prefix: None,
        }
    }

    #[test]
    fn usual_ones_by_name() {
        assert_eq!(usual("intfloat/multilingual-e5-large"), ("query: ", "passage: "));
        assert_eq!(usual("e5-small-v2"), ("query: ", "passage: "));
        assert_eq!(usual("multilingual-e5-large-instruct"), ("", ""));
        assert_eq!(usual("nomic-embed-text:latest").1, "search_document: ");
        assert_eq!(usual("snowflake-arctic-embed2").0, "query: ");
        assert_eq!(usual("models/gemini-embedding-2-preview"), ("task: search result | query: ", "title: none | text: "));
        assert_eq!(usual("gemini-embedding-001"), ("", ""));
        assert_eq!(usual("text-embedding-3-small"), ("", ""));
    }

    #[test]
    fn the_plan_overrules_and_the_fingerprint_tells() {
        let usual = Prefixes::of(&plan("nomic-embed-text", None));
        assert_eq!(usual.put_before("x", InputType::Passage), "search_document: x");
        assert_eq!(usual.put_before("x", InputType::Query), "search_query: x");
        let own = Prefixes::of(&plan("nomic-embed-text", Some("")));
        assert_eq!(own.put_before("x", InputType::Query), "x");
        assert_ne!(own.fingerprint(), usual.fingerprint());
        assert_eq!(Prefixes::of(&plan("m", None)).fingerprint(), "");
    }
}
