//! The types between the one remote chat model and the wire formats, and what several formats write alike.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::model::{ChatRequest, ChatStream, Message, Role, Shared};
use crate::providers::http::{Body, Http};
use crate::providers::json::decimal;
use crate::providers::{ErrorKind, ProviderError};

/// A wire format for chats: it only translates.
pub(in crate::providers) trait ChatWire: Send + Sync + fmt::Debug {
    /// The path after the base URL. `base_path` is the base URL's own path.
    fn path(&self, base_path: &str, model: &str) -> String;
    /// Headers besides the key; names in lower case.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// The optional parameters that this model most likely takes.
    fn parameters(&self, _own_server: bool, _model: &str) -> Parameters {
        Parameters::default()
    }
    /// Whether this model's provider keeps what requests have in common because their bodies say so.
    fn keeps(&self, _model: &str, _shared: Shared) -> bool {
        false
    }
    /// Whether a quota of tokens counts those that come from the provider's cache of prompts.
    fn quota_counts_cached(&self) -> bool {
        true
    }
    /// The body of a request.
    fn body(&self, model: &str, request: &ChatRequest, parameters: Parameters) -> Value;
    /// Reads a streamed answer.
    fn decode(&self, http: &Arc<Http>, body: Body) -> ChatStream;
}

/// A vendor's API for chats.
#[derive(Debug)]
pub(in crate::providers) struct ChatApi {
    pub(in crate::providers) wire: &'static dyn ChatWire,
    /// The highest temperature, where it is less than most vendors take.
    pub(in crate::providers) max_temperature: Option<f32>,
}

/// The optional parameters in which servers and models differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) struct Parameters {
    /// The field for the limit of an answer.
    pub(in crate::providers) max_tokens: &'static str,
    /// The field to use when that is refused.
    pub(in crate::providers) or_else: Option<&'static str>,
    pub(in crate::providers) temperature: bool,
    pub(in crate::providers) stream_options: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { max_tokens: "max_tokens", or_else: None, temperature: true, stream_options: false }
    }
}

impl Parameters {
    /// These without the one that the error names; `None` where the error is about something else.
    pub(super) fn without_refused(self, error: &ProviderError, sent: &Value) -> Option<Self> {
        let refused = |name| error.kind == ErrorKind::InvalidInput && sent.get(name).is_some() && error.message.contains(name);
        if let Some(other) = self.or_else
            && refused(self.max_tokens)
        {
            Some(Self { max_tokens: other, or_else: None, ..self })
        } else if refused("temperature") {
            Some(Self { temperature: false, ..self })
        } else if refused("stream_options") {
            Some(Self { stream_options: false, ..self })
        } else {
            None
        }
    }

    /// Those that both have.
    pub(super) fn and(self, other: Self) -> Self {
        let changed = if self.or_else.is_none() { self } else { other };
        Self {
            max_tokens: changed.max_tokens,
            or_else: changed.or_else,
            temperature: self.temperature && other.temperature,
            stream_options: self.stream_options && other.stream_options,
        }
    }

    /// The temperature, where it is asked for and taken.
    pub(super) fn temperature(self, request: &ChatRequest) -> Option<f64> {
        request.temperature.filter(|_| self.temperature).map(decimal)
    }
}

/// The messages as most formats write them, the system's first where it is one of them.
pub(super) fn messages(system: &str, messages: &[Message]) -> Vec<Value> {
    let system = (!system.is_empty()).then(|| json!({ "role": "system", "content": system }));
    let turns = messages.iter().map(|message| {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        json!({ "role": role, "content": message.text })
    });
    system.into_iter().chain(turns).collect()
}

/// The error that an `error` object in mid-stream means.
pub(super) fn refusal(http: &Http, error: &Value) -> ProviderError {
    http.refusal(None, &json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_given_up_both_do_without() {
        let all = Parameters { max_tokens: "old", or_else: Some("new"), temperature: true, stream_options: true };
        let renamed = Parameters { max_tokens: "new", or_else: None, ..all };
        let cool = Parameters { temperature: false, ..all };
        for (one, other, both) in [
            (all, all, all),
            (all, renamed, renamed),
            (renamed, cool, Parameters { temperature: false, ..renamed }),
            (cool, Parameters { stream_options: false, ..all }, Parameters { stream_options: false, ..cool }),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both));
        }
    }
}
