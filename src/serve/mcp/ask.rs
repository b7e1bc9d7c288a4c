//! `ask`: an answer with its sources.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::pages::{Pages, TOKENS};
use super::told::{Told, cut};
use super::tool;
use crate::answer::source::heading_path;
use crate::answer::{Doubt, Question, doubted};
use crate::error::Error;
use crate::serve::answering;
use crate::serve::api::ask::{Whole, whole};
use crate::serve::api::read::{filter, model};
use crate::serve::fault::Fault;
use crate::serve::service::Service;

pub(super) const NAME: &str = "ask";
const DESCRIPTION: &str = "Has a language model answer a question from the indexed documents, with citations `[n]` that are checked, and \
lists the sources as `path:first-last`. It costs a model's tokens and takes seconds: where you would read the passages yourself, use \
`search`. The text of the sources is not part of the result: `get` has it.";

/// Letters of a source's title and headings, and of what is doubtful.
const PATH: usize = 160;
/// Tokens for what is said besides the answer and its sources.
const FRAME: usize = 60;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The question; it must stand alone.
    question: String,
    /// Which index, where several are served (or some, as `docs+tickets`); `status` names them. None: all of them together.
    #[serde(default)]
    pipeline: Option<String>,
    /// Passages that are retrieved, at most.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<NonZeroUsize>,
    /// Answer only from documents like `path=docs/api/**`, `lang=zh` or `modified>=2026-01-31`; all must hold.
    #[serde(default, rename = "where")]
    terms: Vec<String>,
    /// The model that answers, as `provider/model`; none: the pipeline's.
    #[serde(default)]
    model: Option<String>,
    /// Read all documents for it ("list every incident"), not only the best passages: a request for every part of the index.
    #[serde(default)]
    all: Option<bool>,
    /// Tokens of the result, at most; a longer answer is cut.
    #[serde(default = "tokens")]
    #[schemars(range(min = 500, max = 100_000))]
    max_tokens: u32,
}

fn tokens() -> u32 {
    TOKENS
}

pub(super) fn tool() -> Tool {
    tool::tool::<Arguments>(NAME, "Ask the documents", DESCRIPTION)
}

pub(super) async fn call(service: &Service, arguments: Arguments) -> Result<Told, Fault> {
    let Arguments { question, pipeline, limit, terms, model: named, all, max_tokens } = arguments;
    let budget = Pages::bound(max_tokens)?;
    Pages::passages(limit)?;
    let scope = service.scopes.asked(pipeline.as_deref())?;
    let model = model(named.as_deref(), &scope.first().runtime.plan)?;
    let question = Question { text: question, limit, filter: filter(&terms)?, model, all, ..Question::default() };
    let answer = whole(answering::ask(service, &scope, question).await?, false).await?;
    let shown = tokio::task::spawn_blocking(move || shown(answer, budget)).await;
    Ok(shown.map_err(|error| Error::worker("cut the answer", error))?)
}

/// The sources are as many as there is room for, those that are cited first; then the answer, as much as there is room for. An agent acts
/// upon the text: it has the marks of what is doubtful, and says below the sources what that is.
fn shown(answer: Whole, budget: usize) -> Told {
    let Whole { body: mut answer, shown: marked } = answer;
    let counts = Pages::new();
    let cited: Vec<u64> =
        answer.get("citations").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
    let sources = answer.get_mut("sources").map(Value::take).and_then(|sources| match sources {
        Value::Array(sources) => Some(sources),
        _ => None,
    });
    let is_cited = |source: &Value| source.get("n").and_then(Value::as_u64).is_some_and(|n| cited.contains(&n));
    let (first, others): (Vec<Value>, Vec<Value>) = sources.unwrap_or_default().into_iter().partition(is_cited);
    let text = answer.get_mut("answer").map(Value::take).and_then(|text| text.as_str().map(|text| text.trim_end().to_owned()));
    let (text, marked) = (text.unwrap_or_default(), marked.trim_end());
    let doubts = doubts(&answer);
    let (mut kept, mut lines) = (Vec::new(), String::new());
    let mut spent = counts.count(&answer.to_string()).max(counts.count(&doubts)) + FRAME;
    for mut source in first.into_iter().chain(others) {
        if let Some(source) = source.as_object_mut() {
            source.remove("text");
        }
        let line = line(&source, is_cited(&source));
        let tokens = counts.count(&line).max(counts.count(&source.to_string())) + 1;
        if spent + tokens > budget / 2 {
            break;
        }
        spent += tokens;
        lines.push_str(&line);
        kept.push(source);
    }
    let fitting = counts.fitting(&text, budget.saturating_sub(spent));
    let said = counts.fitting(marked, budget.saturating_sub(spent));
    let is_cut = fitting.len() < text.len() || said.len() < marked.len();
    let nothing_found = answer.get("stop").is_some_and(|stop| stop == "nothing_found");
    let mut shown = match text.as_str() {
        "" if nothing_found => {
            "Nothing was found that answers this: ask in other words, or with fewer terms in `where`.\n".to_owned()
        }
        "" => "The model wrote nothing.\n".to_owned(),
        _ => format!("{said}\n"),
    };
    if is_cut {
        shown.push_str("(cut here: a larger `max_tokens` shows more)\n");
    }
    if let Some(note) = answer.get("note").and_then(Value::as_str) {
        shown.push_str(&format!("\nNote: {note}\n"));
    }
    if !lines.is_empty() {
        shown.push_str(&format!("\nSources (* is cited):\n{lines}"));
    }
    shown.push_str(&doubts);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("answer".to_owned(), fitting.into());
        answer.insert("sources".to_owned(), kept.into());
        if is_cut {
            answer.insert("cut".to_owned(), true.into());
        }
    }
    Told { text: shown, objects: answer }
}

/// What is doubtful in the answer, a line each; empty where nothing is.
fn doubts(answer: &Value) -> String {
    fn read<T: serde::de::DeserializeOwned>(answer: &Value, key: &str) -> Vec<T> {
        answer.get(key).and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
    }
    let told = read::<Doubt>(answer, "doubts").iter().map(doubted::told).collect::<Vec<_>>();
    let mut lines = String::new();
    if !told.is_empty() {
        let _ = writeln!(lines, "\n{}:", doubted::ABOVE);
    }
    for (mark, what) in &told {
        let _ = writeln!(lines, "{mark} {}", cut(what, PATH));
    }
    if let Some(unknown) = doubted::unknown(&read(answer, "unknown_citations")) {
        let _ = writeln!(lines, "\n{unknown}");
    }
    lines
}

/// `*[1] docs/a.md:10-31 Title > Heading`
fn line(source: &Value, is_cited: bool) -> String {
    let text = |key: &str| source.get(key).and_then(Value::as_str);
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
    let lines = source.get("lines");
    let headings: Vec<String> =
        source.get("headings").and_then(|headings| serde_json::from_value(headings.clone()).ok()).unwrap_or_default();
    let path = cut(&heading_path(text("title"), &headings), PATH);
    let pipeline = text("pipeline").map(|pipeline| format!(" · in {pipeline}")).unwrap_or_default();
    format!(
        "{}[{}] {}:{}-{} {path}{pipeline}\n",
        if is_cited { "*" } else { "" },
        number(source.get("n")),
        text("uri").unwrap_or_default(),
        number(lines.and_then(|lines| lines.get(0))),
        number(lines.and_then(|lines| lines.get(1))),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(n: usize) -> Value {
        let headings = ["Keys", "Rotate"];
        json!({"n": n, "uri": format!("docs/{n}.md"), "title": "Keys", "headings": headings, "start": 0, "end": 9, "lines": [3, 5], "score": 0.5, "text": "secret text"})
    }

    fn answer(text: &str, sources: usize) -> Whole {
        let body = json!({"type": "answer", "answer": text, "sources": (1..=sources).map(source).collect::<Vec<_>>(), "citations": [2], "model": "own/one"});
        Whole { body, shown: text.to_owned() }
    }

    fn ended(body: Value) -> Told {
        let text = body["answer"].as_str().unwrap().to_owned();
        shown(Whole { body, shown: text }, 8_000)
    }

    #[test]
    fn what_is_cited_stands_first_and_no_source_has_its_text() {
        let told = shown(answer("Weekly [2].", 3), 8_000);
        assert_eq!(
            told.text,
            "Weekly [2].\n\nSources (* is cited):\n*[2] docs/2.md:3-5 Keys > Rotate\n[1] docs/1.md:3-5 Keys > Rotate\n[3] docs/3.md:3-5 Keys > Rotate\n"
        );
        assert_eq!((told.objects["sources"][0]["n"].as_u64(), told.objects["model"].as_str()), (Some(2), Some("own/one")));
        assert!(!told.objects.to_string().contains("secret text") && told.objects.get("cut").is_none());
    }

    #[test]
    fn what_went_otherwise_is_said_in_the_text() {
        let mut answer = answer("Weekly [2].", 1);
        answer.body["note"] = "The pipeline b is left out.".into();
        let told = shown(answer, 8_000);
        assert!(told.text.starts_with("Weekly [2].\n\nNote: The pipeline b is left out.\n\nSources"), "{}", told.text);
    }

    #[test]
    fn what_is_doubtful_is_marked_and_told_below_the_sources() {
        let mut answer = answer("It weighs 13.5 kg [2] and [9].", 2);
        answer.shown = "It weighs 13.5 kg [2?] and [9?].".into();
        answer.body["doubts"] = json!([{"kind": "number", "said": "13.5 kg", "n": [2]}]);
        answer.body["unknown_citations"] = json!([9]);
        let told = shown(answer, 8_000);
        assert!(told.text.starts_with("It weighs 13.5 kg [2?] and [9?].\n\nSources"), "{}", told.text);
        let below = "Keys > Rotate\n\nNot in the sources that are cited for it:\n[2?] number: 13.5 kg\n\n\
                     [9?]: no source has this number\n";
        assert!(told.text.ends_with(below), "{}", told.text);
        assert_eq!(told.objects["answer"], "It weighs 13.5 kg [2] and [9].", "the objects are those of --json");
    }

    #[test]
    fn it_stays_within_its_bound_and_says_where_it_is_cut() {
        let (counts, long) = (Pages::new(), "Keys are rotated \"weekly\" 密钥 [2].\n".repeat(400));
        for budget in [500, 1_000, 3_000] {
            let told = shown(answer(&long, 200), budget);
            let tokens = counts.count(&told.text).max(counts.count(&told.objects.to_string()));
            assert!(tokens <= budget && tokens > budget / 2, "{tokens} of {budget}");
            assert!(told.text.contains("(cut here") && told.objects["cut"].as_bool().unwrap());
        }
    }

    #[test]
    fn where_nothing_is_found_it_says_so() {
        let told = ended(json!({"type": "answer", "answer": "", "sources": [], "stop": "nothing_found"}));
        assert!(told.text.starts_with("Nothing was found"), "{}", told.text);
        let told = ended(json!({"type": "answer", "answer": " ", "sources": [], "stop": "refused"}));
        assert_eq!(told.text, "The model wrote nothing.\n");
    }
}
