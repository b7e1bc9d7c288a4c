//! Instructions to a model that are likely none, as other programs have them.

use super::meaning::{File, Problem};
use super::sources::resolve_path;

/// What the files of instructions end with.
const ENDINGS: [&str; 9] = [".txt", ".md", ".j2", ".jinja", ".jinja2", ".prompt", ".tmpl", ".yaml", ".yml"];
/// What others have filled in (`LangChain`, `LlamaIndex`, Haystack).
const PLACEHOLDERS: [&str; 10] = [
    "{question}",
    "{context}",
    "{query}",
    "{input}",
    "{documents}",
    "{sources}",
    "{context_str}",
    "{query_str}",
    "{chat_history}",
    "{history}",
];
/// Bytes of a path.
const MAX_PATH: usize = 1024;

/// Why these may be no instructions: a file's path, the preset's name in other letters, or text with placeholders that nothing fills in.
pub(super) fn unlike(file: &File<'_>, prompt: &str) -> Option<Problem> {
    let path = ["query", "answer", "prompt"];
    let text = prompt.trim();
    if text.eq_ignore_ascii_case("default") {
        let problem = Problem::new("this would be all that the model is told to do: the built-in instructions are `default`");
        return Some(problem.hint("write `prompt: default`, or leave it out"));
    }
    let short = text.len() <= MAX_PATH && !text.contains(['\n', '\0']);
    let ends = || !text.contains(char::is_whitespace) && ENDINGS.iter().any(|ending| text.to_lowercase().ends_with(ending));
    if short && (ends() || resolve_path(file.base, text).is_file()) {
        let problem = Problem::new(format!("`{}`: instructions are not read from a file", file.shown(&path, text)));
        return Some(problem.hint("write the instructions themselves, such as below `prompt: |`"));
    }
    let placeholder = placeholder(text)?;
    let problem = Problem::new(format!("`{placeholder}` is sent to the model as it is: nothing is put in its place"));
    Some(problem.hint("leave it out: the passages and the question follow the instructions by themselves"))
}

fn placeholder(text: &str) -> Option<String> {
    let doubled = text.split_once("{{").and_then(|(_, rest)| rest.split_once("}}")).map(|(name, _)| name);
    match doubled.filter(|name| name.len() <= 40 && !name.contains(['{', '\n'])) {
        Some(name) => Some(format!("{{{{{name}}}}}")),
        None => PLACEHOLDERS.iter().find(|known| text.contains(*known)).map(|known| (*known).to_owned()),
    }
}
