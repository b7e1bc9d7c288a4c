//! When all documents are read for a question.

use schemars::JsonSchema;
use serde::Deserialize;

/// What is done about a question that is about all documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "mode")]
pub enum WholeMode {
    /// It is answered from the best passages; that these are not all is said, and what it would cost to read all.
    #[default]
    Ask,
    /// All documents are read.
    Auto,
    /// Nothing: it is a question like any other.
    Off,
}

/// How questions about all documents are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WholePlan {
    /// What is done about one that says nothing itself.
    pub mode: WholeMode,
    /// Tokens of the documents that one request reads; `None`: as suits where the model runs.
    pub part_tokens: Option<usize>,
}

/// What is to be done about one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is one like any other.
    Passages,
    /// It is told what it would take to read all.
    Offer,
    Read,
}

impl WholePlan {
    /// What is to be done about a question that is, or is not, about all; `all`: what whoever asks says of that.
    pub(super) fn wish(&self, all: Option<bool>, is_about_all: impl FnOnce() -> bool) -> Wish {
        match (all, self.mode) {
            (Some(false), _) | (None, WholeMode::Off) => Wish::Passages,
            (None, _) if !is_about_all() => Wish::Passages,
            (None, WholeMode::Ask) => Wish::Offer,
            (Some(true), _) | (None, WholeMode::Auto) => Wish::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_has_the_last_word() {
        for (mode, recognised) in
            [(WholeMode::Ask, Wish::Offer), (WholeMode::Auto, Wish::Read), (WholeMode::Off, Wish::Passages)]
        {
            let plan = WholePlan { mode, part_tokens: None };
            let wishes =
                [(None, true), (None, false), (Some(true), false), (Some(false), true)].map(|(all, is)| plan.wish(all, || is));
            assert_eq!(wishes, [recognised, Wish::Passages, Wish::Read, Wish::Passages], "{mode:?}");
        }
    }
}
