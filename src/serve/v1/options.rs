//! What is ours in a request: `ragstream`, or `metadata.ragstream` where a client sends nothing that it does not know.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::Value;

use crate::answer::ModelChoice;
use crate::pipeline::Plan;
use crate::serve::fault::Fault;

/// Tokens that an answer may have: as many as a pipeline's file may allow.
const MOST: u32 = 1_000_000;

/// How the question is answered.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// As `--where` has them.
    #[serde(default, rename = "where")]
    pub(super) terms: Vec<String>,
    /// Passages, at most.
    #[serde(default)]
    pub(super) limit: Option<NonZeroUsize>,
    /// The model that writes, as `provider/model`.
    #[serde(default)]
    pub(super) model: Option<String>,
    /// A model is asked even where the passages do not seem to hold the answer.
    #[serde(default)]
    pub(super) anyway: bool,
    /// All documents are read for it, or only the best passages; without it, as the pipeline says.
    #[serde(default)]
    pub(super) all: Option<bool>,
    /// The model's thoughts are shown.
    #[serde(default)]
    pub(super) reasoning: bool,
}

impl Options {
    /// Of the request's own field, else of its metadata, whose values some clients want to be strings.
    pub(super) fn read(own: Option<Value>, metadata: Option<&Value>) -> Result<Self, Fault> {
        let told = own.or_else(|| metadata.and_then(|metadata| metadata.get("ragstream")).cloned());
        let read = match told {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::String(text)) => serde_json::from_str(&text),
            Some(value) => serde_json::from_value(value),
        };
        read.map_err(|error| Fault::bad(format!("`ragstream` is not what is expected: {error}")))
    }

    /// With what is said elsewhere of reading all documents.
    pub(super) fn or_all(self, all: Option<bool>) -> Self {
        Self { all: self.all.or(all), ..self }
    }
}

/// A temperature that models take.
pub(super) fn temperature(asked: Option<f32>) -> Result<Option<f32>, Fault> {
    match asked {
        Some(temperature) if !(0.0..=2.0).contains(&temperature) => Err(Fault::bad("`temperature` is from 0 to 2")),
        asked => Ok(asked),
    }
}

/// Tokens of an answer, of which there is at least one.
pub(super) fn max_tokens(asked: Option<u32>) -> Result<Option<u32>, Fault> {
    match asked {
        Some(0) => Err(Fault::bad("an answer has at least one token")),
        Some(tokens) if tokens > MOST => Err(Fault::bad(format!("an answer has at most {MOST} tokens"))),
        asked => Ok(asked),
    }
}

/// Refuses an answer of more tokens than its model's provider allows in a minute: it would wait for that minute, all others would wait
/// behind it, and the provider would refuse it all the same.
pub(super) fn fits_quota(max_tokens: Option<u32>, model: &ModelChoice, plan: &Plan) -> Result<(), Fault> {
    let named = match model {
        ModelChoice::Named(model) => Some(model),
        _ => plan.query.model.as_ref(),
    };
    let provider = named.and_then(|model| plan.providers.get(&model.provider));
    match (max_tokens, provider.and_then(|provider| provider.limits.tpm)) {
        (Some(tokens), Some(tpm)) if tokens > tpm => {
            let message = format!("an answer of {tokens} tokens is more than the quota of its model, {tpm} tokens a minute");
            Err(Fault::bad(message).hint("ask for a smaller `max_tokens`"))
        }
        _ => Ok(()),
    }
}

/// Refuses tools, unless none may be called.
pub(super) fn no_tools(tools: Option<&Vec<Value>>, choice: Option<&Value>) -> Result<(), Fault> {
    let none = choice.and_then(Value::as_str) == Some("none");
    if none || tools.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    Err(Fault::bad("this model calls no tools").hint("leave `tools` out, or say `tool_choice: \"none\"`"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::providers::ModelRef;

    #[test]
    fn they_stand_in_a_field_of_their_own_or_in_the_metadata() {
        let own = json!({"where": ["lang=zh"], "limit": 3, "model": "a/b", "reasoning": true});
        let metadata = [json!({"ragstream": own, "x": 1}), json!({"ragstream": own.to_string()})];
        for (own, metadata) in [(Some(own.clone()), None), (None, Some(&metadata[0])), (None, Some(&metadata[1]))] {
            let Options { terms, limit, model, reasoning, .. } = Options::read(own, metadata).unwrap();
            assert_eq!((terms, limit.map(NonZeroUsize::get)), (vec!["lang=zh".to_owned()], Some(3)));
            assert_eq!((model.as_deref(), reasoning), (Some("a/b"), true));
        }
        let all = |own: Value| Options::read(Some(own), None).unwrap().or_all(Some(true)).all;
        assert_eq!((all(json!({})), all(json!({"all": false}))), (Some(true), Some(false)));
        assert!(Options::read(None, Some(&json!({"other": "x"}))).unwrap().terms.is_empty());
        for wrong in [json!({"limit": 0}), json!({"whre": []}), json!("{"), json!(7)] {
            assert!(Options::read(Some(wrong), None).unwrap_err().message.contains("`ragstream`"));
        }
    }

    #[test]
    fn an_answer_that_no_minute_has_room_for_is_refused() {
        let mut plan = Plan::from_env();
        let (name, mut provider) = plan.providers.iter().next().map(|(name, plan)| (name.clone(), plan.clone())).unwrap();
        provider.limits.tpm = Some(30_000);
        plan.providers.insert(name.clone(), provider);
        let named = ModelChoice::Named(ModelRef { provider: name, model: "m".to_owned() });
        assert!(fits_quota(Some(30_000), &named, &plan).is_ok() && fits_quota(None, &named, &plan).is_ok());
        let fault = fits_quota(Some(30_001), &named, &plan).unwrap_err();
        assert!(fault.status.as_u16() == 400 && fault.message.contains("30000 tokens a minute"), "{}", fault.message);
        if let ModelChoice::Named(model) = named {
            plan.query.model = Some(model);
        }
        assert!(fits_quota(Some(30_001), &ModelChoice::Planned, &plan).is_err());
    }

    #[test]
    fn a_temperature_and_tokens_have_their_bounds() {
        assert!([-0.1, 2.1, f32::NAN, f32::INFINITY].into_iter().all(|t| temperature(Some(t)).is_err()));
        assert_eq!(temperature(Some(2.0)).unwrap(), Some(2.0));
        assert!(max_tokens(Some(MOST + 1)).is_err() && max_tokens(Some(MOST)).is_ok());
        assert!(max_tokens(Some(0)).is_err() && max_tokens(Some(1)).unwrap() == Some(1));
        assert!(no_tools(Some(&vec![json!({})]), None).is_err());
        assert!(no_tools(Some(&vec![json!({})]), Some(&json!("none"))).is_ok() && no_tools(Some(&vec![]), None).is_ok());
    }
}
