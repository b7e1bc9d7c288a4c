//! A line of a file of queries, and what may be wrong with it.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::marks::SpanLine;
use crate::answer::Exchange;
use crate::eval::claims::LabelledClaim;
use crate::suggest::misspelt;

/// Keys that a line may do without. One that is nearly called so is a mistake, since without it the set says something else.
const OPTIONAL: [&str; 4] = ["answerable", "spans", "history", "claims"];

/// A line of a file of queries. Other keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueryLine {
    /// Tells the query from others.
    #[serde(alias = "_id", deserialize_with = "text_or_number")]
    pub id: String,
    /// The query.
    #[serde(deserialize_with = "text")]
    pub text: String,
    /// `false`: no document answers it. That none is known to do is not the same.
    #[serde(default, deserialize_with = "answerable")]
    pub answerable: Option<bool>,
    /// The parts of documents that answer it.
    #[serde(default, deserialize_with = "spans")]
    pub spans: Vec<SpanLine>,
    /// What was asked before it, oldest first.
    #[serde(default, deserialize_with = "history")]
    pub history: Vec<Turn>,
    /// What may be claimed in an answer to it, rightly or wrongly.
    #[serde(default, deserialize_with = "claims")]
    pub claims: Vec<LabelledClaim>,
}

/// An earlier question, alone or with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`history` must hold questions: texts, or {\"question\": …, \"answer\": …}")]
pub enum Turn {
    /// The question.
    Question(String),
    /// And its answer.
    Exchange {
        /// The question.
        question: String,
        /// The answer; without one no model can tell what the next question goes on from.
        #[serde(default)]
        answer: String,
    },
}

impl From<Turn> for Exchange {
    fn from(turn: Turn) -> Self {
        match turn {
            Turn::Question(question) => Self { question, answer: String::new() },
            Turn::Exchange { question, answer } => Self { question, answer },
        }
    }
}

impl QueryLine {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let query: Self = serde_json::from_str(line).map_err(|error| {
            let said = error.to_string();
            let what = said.split(" at line ").next().unwrap_or(&said);
            format!("{what} (wanted {{\"id\": …, \"text\": …}})")
        })?;
        let keys: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
        match keys.keys().find_map(|key| Some((key, meant(key, &keys)?))) {
            Some((key, meant)) => Err(format!("unknown key `{key}`: did you mean `{meant}`?")),
            None => Ok(query),
        }
    }
}

/// What a key that is not known is a mistake for. Sets have keys of their own: only what begins with the same letter, or has a known key
/// in it (`is_answerable`), is one.
fn meant(key: &str, keys: &Map<String, Value>) -> Option<&'static str> {
    if OPTIONAL.contains(&key) {
        return None;
    }
    let first = |word: &str| word.chars().next().map(|c| c.to_ascii_lowercase());
    let absent = OPTIONAL.into_iter().filter(|known| !keys.contains_key(*known));
    misspelt(key, absent).into_iter().find(|known| first(key) == first(known) || key.contains(known))
}

/// Reads an id that is a text or a number: labelled sets number their queries as often as they name them.
pub fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`id` must be a text or a number")]
    enum Id {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        _ => Err(D::Error::custom("`text` must be a text")),
    }
}

fn answerable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(answerable) => Ok(Some(answerable)),
        Value::Null => Ok(None),
        _ => Err(D::Error::custom("`answerable` must be true or false")),
    }
}

fn spans<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SpanLine>, D::Error> {
    list("spans", deserializer)
}

fn history<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Turn>, D::Error> {
    list("history", deserializer)
}

fn claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LabelledClaim>, D::Error> {
    list("claims", deserializer)
}

fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(key: &str, deserializer: D) -> Result<Vec<T>, D::Error> {
    let list @ Value::Array(_) = Value::deserialize(deserializer)? else {
        return Err(D::Error::custom(format!("`{key}` must be a list")));
    };
    serde_json::from_value(list).map_err(|error| {
        let said = error.to_string();
        // What is said of a type does not say where.
        D::Error::custom(if said.starts_with("invalid") { format!("in `{key}`: {said}") } else { said })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn fault(more: &str) -> Option<String> {
        QueryLine::parse(&format!("{{\"id\": 1, \"text\": \"备份？\"{more}}}")).err()
    }

    #[test]
    fn a_value_of_another_type_names_its_key() {
        for (more, wanted) in [
            (r#", "answerable": "no""#, "`answerable` must be true or false"),
            (r#", "answerable": 0"#, "`answerable` must be true or false"),
            (r#", "spans": {"document": "a.md"}"#, "`spans` must be a list"),
            (r#", "history": "备份在哪里？""#, "`history` must be a list"),
            (r#", "claims": "每天一次。""#, "`claims` must be a list"),
            (r#", "spans": [{"document": 7}]"#, "in `spans`: invalid type: integer `7`"),
            (r#", "claims": [{"text": "Daily.", "supported": "no"}]"#, "in `claims`: invalid type: string \"no\""),
        ] {
            let fault = fault(more).unwrap();
            assert!(fault.starts_with(wanted), "{more}: {fault}");
            assert!(!fault.contains(" at line "), "{fault}");
        }
        let text = QueryLine::parse(r#"{"id": 1, "text": 7}"#).unwrap_err();
        assert!(text.starts_with("`text` must be a text"), "{text}");
        assert_eq!((fault(r#", "answerable": null"#), fault(r#", "answerable": true"#)), (None, None));
    }

    #[test]
    fn a_key_that_is_nearly_known_is_a_mistake_and_others_are_ignored() {
        for (key, meant) in [
            ("answerble", "answerable"),
            ("Answerable", "answerable"),
            ("is_answerable", "answerable"),
            ("span", "spans"),
            ("histroy", "history"),
            ("claim", "claims"),
        ] {
            let wanted = format!("unknown key `{key}`: did you mean `{meant}`?");
            assert_eq!(fault(&format!(", \"{key}\": []")), Some(wanted));
        }
        for key in ["metadata", "answer", "answers", "story", "title", "qid", "context", "备注"] {
            assert_eq!(fault(&format!(", \"{key}\": []")), None, "{key}");
        }
        assert_eq!(fault(", \"spans\": [], \"span\": 1"), None, "who says both means both");
    }
}
