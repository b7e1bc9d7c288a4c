//! What is asked, and what was said before it.

use serde::Deserialize;
use serde_json::Value;

use super::citations::without_list;
use crate::answer::Exchange;
use crate::providers::Message;
use crate::serve::fault::Fault;

/// How a prompt begins by which `Open WebUI` has a title, tags or follow-ups written: nothing is to be searched for.
const TASK: &str = "### Task:";

/// A message of a chat, or an item of a response's input.
#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    role: Option<String>,
    /// A text, or parts of it; null beside a call of a tool.
    #[serde(default)]
    content: Value,
}

impl Turn {
    /// A message of the user's.
    pub(super) fn user(text: String) -> Self {
        Self { kind: None, role: Some("user".to_owned()), content: Value::String(text) }
    }
}

/// A conversation, up to its last question.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Conversation {
    /// What system and developer say.
    pub(super) instructions: Option<String>,
    /// Oldest first.
    pub(super) history: Vec<Exchange>,
    pub(super) question: String,
    /// All documents are to be read for it.
    pub(super) all: bool,
}

impl Conversation {
    /// Reads messages, oldest first. What several of one speaker say in a row is one; what tools say is left out.
    ///
    /// # Errors
    /// When the last is not the user's, or what is said is no text.
    pub(super) fn read(turns: &[Turn]) -> Result<Self, Fault> {
        let mut read = Self::default();
        for turn in turns {
            let said = match turn.kind.as_deref() {
                None | Some("message") => text(&turn.content)?,
                Some("item_reference") => return Err(Fault::bad("no responses are kept here: send the items themselves")),
                // Thoughts, and calls of tools that another model made.
                Some(_) => continue,
            };
            match turn.role.as_deref() {
                Some("user") => add(&mut read.question, &said),
                Some("system" | "developer") => add(read.instructions.get_or_insert_default(), &said),
                Some("assistant") => {
                    let said = without_list(&said);
                    if !read.question.is_empty() {
                        let question = std::mem::take(&mut read.question);
                        read.history.push(Exchange { question, answer: said.to_owned() });
                    } else if let Some(last) = read.history.last_mut() {
                        add(&mut last.answer, said);
                    }
                }
                Some("tool" | "function") => {}
                role => {
                    let role = role.map_or("none".to_owned(), |role| format!("`{role}`"));
                    return Err(Fault::bad(format!("a message's role is system, developer, user or assistant, not {role}")));
                }
            }
        }
        if read.question.trim().is_empty() {
            return Err(Fault::bad("the last message must be the user's, and ask something"));
        }
        if let Some(question) = without_all(&read.question).map(str::to_owned) {
            (read.question, read.all) = (question, true);
        }
        for turn in &mut read.history {
            if let Some(question) = without_all(&turn.question).map(str::to_owned) {
                turn.question = question;
            }
        }
        Ok(read)
    }

    /// Whether it is a program's own, for which nothing is searched.
    pub(super) fn is_task(&self) -> bool {
        self.question.trim_start().starts_with(TASK)
    }

    /// All of it, for a model.
    pub(super) fn messages(self) -> Vec<Message> {
        let said = self.history.into_iter().filter(|turn| !turn.answer.trim().is_empty());
        let said = said.flat_map(|Exchange { question, answer }| [Message::user(question), Message::assistant(answer)]);
        said.chain([Message::user(self.question)]).collect()
    }
}

/// The question of `/all QUESTION`, as in a chat of the terminal: who types into a chat can send nothing else.
fn without_all(text: &str) -> Option<&str> {
    let question = text.trim_start().strip_prefix("/all")?;
    let told = question.starts_with(char::is_whitespace) && !question.trim().is_empty();
    told.then(|| question.trim_start())
}

fn add(to: &mut String, said: &str) {
    if !to.is_empty() && !said.is_empty() {
        to.push_str("\n\n");
    }
    to.push_str(said);
}

/// The text of a message.
fn text(content: &Value) -> Result<String, Fault> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let mut said = String::new();
            for part in parts {
                add(&mut said, part_text(part)?);
            }
            Ok(said)
        }
        _ => Err(Fault::bad("a message's `content` is a text, or a list of parts")),
    }
}

fn part_text(part: &Value) -> Result<&str, Fault> {
    let field = |name: &str| part.get(name).and_then(Value::as_str);
    let missing = || Fault::bad("a part of a message has no text");
    match field("type") {
        Some("text" | "input_text" | "output_text") => field("text").ok_or_else(missing),
        Some("refusal") => field("refusal").ok_or_else(missing),
        Some("image_url" | "input_image") => Err(Fault::bad("images are not read: send text alone")),
        Some("input_audio") => Err(Fault::bad("audio is not heard: send text alone")),
        Some("file" | "input_file") => Err(Fault::bad("files are not read from a message: ingest them, or send their text")),
        kind => Err(Fault::bad(format!("a part of a message is text, not `{}`", kind.unwrap_or_default()))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(messages: Value) -> Result<Conversation, Fault> {
        Conversation::read(&serde_json::from_value::<Vec<Turn>>(messages).unwrap())
    }

    #[test]
    fn the_last_is_the_question_and_what_came_before_its_history() {
        let parts = json!([{"type": "text", "text": "and"}, {"type": "text", "text": "how often?"}]);
        let conversation = read(json!([
            {"role": "system", "content": "Be brief."},
            {"role": "assistant", "content": "Hello! What do you want to know?"},
            {"role": "user", "content": "Who"},
            {"role": "user", "content": "rotates keys?", "name": "x"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": "42", "tool_call_id": "1"},
            {"role": "assistant", "content": "Ops [1].\n\nSources:\n\n- [1] Keys: http://x/"},
            {"role": "developer", "content": [{"type": "text", "text": "In English."}]},
            {"role": "user", "content": parts},
        ]))
        .unwrap();
        let answer = "Ops [1].".to_owned();
        let expected = Conversation {
            instructions: Some("Be brief.\n\nIn English.".to_owned()),
            history: vec![Exchange { question: "Who\n\nrotates keys?".to_owned(), answer }],
            question: "and\n\nhow often?".to_owned(),
            all: false,
        };
        assert_eq!(conversation, expected);
        assert!(!conversation.is_task());
        let messages = conversation.messages();
        assert_eq!(
            messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(),
            ["Who\n\nrotates keys?", "Ops [1].", "and\n\nhow often?"]
        );
    }

    #[test]
    fn items_of_a_response_are_messages_too() {
        let conversation = read(json!([
            {"role": "user", "content": "Who?"},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "id": "m", "status": "completed",
             "content": [{"type": "output_text", "text": "Ops.", "annotations": []}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "### Task:\nWrite a title"}]},
        ]))
        .unwrap();
        assert_eq!(conversation.history, [Exchange { question: "Who?".into(), answer: "Ops.".into() }]);
        assert!(conversation.is_task());
        assert!(read(json!([{"type": "item_reference", "id": "m"}])).unwrap_err().message.contains("kept"));
    }

    #[test]
    fn a_person_has_all_documents_read_by_what_is_typed() {
        let of = |text: &str| {
            let read = read(json!([{"role": "user", "content": text}])).unwrap();
            (read.question, read.all)
        };
        assert_eq!(of("/all List every key"), ("List every key".to_owned(), true));
        assert_eq!(of(" /all\n列出所有密钥"), ("列出所有密钥".to_owned(), true));
        for other in ["/all", "/allow keys?", "What is /all for?"] {
            assert_eq!(of(other), (other.to_owned(), false));
        }
        let before = read(json!([{"role": "user", "content": "/all Keys?"}, {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "Which?"}]));
        let before = before.unwrap();
        assert_eq!((before.history[0].question.as_str(), before.all), ("Keys?", false));
    }

    #[test]
    fn what_is_no_question_says_so() {
        let user = |content: Value| json!([{"role": "user", "content": content}]);
        for (messages, said) in [
            (json!([]), "the last message"),
            (json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]), "the last message"),
            (user(json!(" \n")), "ask something"),
            (user(json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:"}}])), "images"),
            (user(json!([{"type": "input_image"}])), "images"),
            (user(json!([{"type": "input_audio"}])), "audio"),
            (user(json!([{"type": "file"}])), "files"),
            (user(json!([{"type": "text"}])), "no text"),
            (user(json!({"text": "x"})), "`content`"),
            (json!([{"role": "wizard", "content": "x"}]), "`wizard`"),
            (json!([{"content": "x"}]), "not none"),
        ] {
            let fault = read(messages.clone()).unwrap_err();
            assert!(fault.message.contains(said), "{messages}: {}", fault.message);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_was_said_is_lost(turns in prop::collection::vec((0..3_usize, "[a-z密]{1,6}"), 0..12)) {
            let roles = ["user", "assistant", "system"];
            let messages: Vec<Value> =
                turns.iter().map(|(role, text)| json!({"role": roles[*role], "content": text})).collect();
            if let Ok(read) = read(json!(messages)) {
                let said = |role: usize| turns.iter().filter(move |(of, _)| *of == role).map(|(_, text)| text.as_str());
                let asked = read.history.iter().map(|turn| turn.question.as_str()).chain([read.question.as_str()]);
                prop_assert_eq!(asked.flat_map(|text| text.split("\n\n")).collect::<Vec<_>>(), said(0).collect::<Vec<_>>());
                let wished = read.instructions.as_deref().unwrap_or_default();
                prop_assert_eq!(wished.split("\n\n").filter(|text| !text.is_empty()).collect::<Vec<_>>(), said(2).collect::<Vec<_>>());
            }
        }
    }
}
