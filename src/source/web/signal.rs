//! `Content-Signal`: what a site says may be done with what it gives (contentsignals.org), in robots.txt and as a header.

use serde::{Deserialize, Serialize};

/// What may be done; `None`: nothing is said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ContentSignal {
    /// To be found, with links and short excerpts.
    pub(super) search: Option<bool>,
    /// To be given to a model with a question.
    pub(super) ai_input: Option<bool>,
    /// To train a model.
    pub(super) ai_train: Option<bool>,
}

impl ContentSignal {
    /// Reads `search=yes, ai-train=no`.
    pub(super) fn parse(text: &str) -> Self {
        let mut signal = Self::default();
        for part in text.split([',', ';', ' ', '\t']) {
            let Some((name, value)) = part.split_once('=') else { continue };
            let value = match value.trim().trim_matches('"').to_ascii_lowercase().as_str() {
                "yes" | "y" => Some(true),
                "no" | "n" => Some(false),
                _ => continue,
            };
            let said = match name.trim().to_ascii_lowercase().as_str() {
                "search" => Self { search: value, ..Self::default() },
                "ai-input" => Self { ai_input: value, ..Self::default() },
                "ai-train" => Self { ai_train: value, ..Self::default() },
                _ => continue,
            };
            signal = signal.and(said);
        }
        signal
    }

    /// Both: what either forbids is forbidden.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        // `Some(false)` is less than `Some(true)`; who says nothing does not count.
        let both = |a: Option<bool>, b: Option<bool>| a.into_iter().chain(b).min();
        Self {
            search: both(self.search, other.search),
            ai_input: both(self.ai_input, other.ai_input),
            ai_train: both(self.ai_train, other.ai_train),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_and_what_is_forbidden_stays_so() {
        let signal = ContentSignal::parse("search=yes, AI-Input=NO; ai-train=\"no\"");
        assert_eq!(signal, ContentSignal { search: Some(true), ai_input: Some(false), ai_train: Some(false) });
        assert_eq!(ContentSignal::parse("search=maybe, else=no, ai-train"), ContentSignal::default());
        let other = ContentSignal::parse("ai-input=yes search=no");
        let both = ContentSignal { search: Some(false), ai_input: Some(false), ai_train: Some(false) };
        assert_eq!((signal.and(other), other.and(signal)), (both, both));
        assert_eq!(signal.and(ContentSignal::default()), signal);
    }
}
