//! Commands to the chat itself.

use crate::suggest::did_you_mean;

pub(super) const HELP: &str = "\
/sources [N]   the last answer's sources with their passages; N: all of one
/why           what the last answer's sources do not say, where it is marked [2?]
/why FILE      why a document is, or is not, among the last answer's sources
/anyway        have a model answer the last question, where it was not asked
/all [Q]       read all documents for the last question, or for Q; the price is told first
/model [P/M]   which model answers; P/M: another one from now on
/clear         forget what was said
/save [FILE]   write the conversation as Markdown
/help          this
/quit          leave; so does Ctrl-D
Ctrl-C stops an answer.";

const NAMES: [&str; 9] = ["/sources", "/why", "/anyway", "/all", "/model", "/clear", "/save", "/help", "/quit"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Sources(Option<usize>),
    Why(Option<String>),
    Anyway,
    All(Option<String>),
    Model(Option<String>),
    Clear,
    Save(Option<String>),
    Help,
    Quit,
}

/// A line that begins with a `/`, unless it is a path or a question: `/etc/hosts` has a second one.
pub(super) fn parse(line: &str) -> Option<Result<Command, String>> {
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if !name.starts_with('/') || name.get(1..).is_some_and(|rest| rest.contains('/')) || line.contains('\n') {
        return None;
    }
    let argument = Some(argument.trim()).filter(|argument| !argument.is_empty());
    let text = argument.map(str::to_owned);
    Some(match name {
        "/sources" => match argument.map(str::parse) {
            None => Ok(Command::Sources(None)),
            Some(Ok(n)) => Ok(Command::Sources(Some(n))),
            Some(Err(_)) => Err("/sources takes a source's number".into()),
        },
        "/why" => Ok(Command::Why(text)),
        "/anyway" => Ok(Command::Anyway),
        "/all" => Ok(Command::All(text)),
        "/model" => Ok(Command::Model(text)),
        "/clear" => Ok(Command::Clear),
        "/save" => Ok(Command::Save(text)),
        "/help" | "/?" => Ok(Command::Help),
        "/quit" | "/exit" | "/q" => Ok(Command::Quit),
        _ => {
            let hint = did_you_mean(name, NAMES).unwrap_or_else(|| "/help lists what there is".into());
            Err(format!("there is no {name}; {hint}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_only_looks_like_one() {
        assert_eq!(parse("/sources 2"), Some(Ok(Command::Sources(Some(2)))));
        assert_eq!(parse("/save  my notes.md "), Some(Ok(Command::Save(Some("my notes.md".into())))));
        assert_eq!(parse("/why"), Some(Ok(Command::Why(None))));
        assert_eq!(parse("/why my notes.md"), Some(Ok(Command::Why(Some("my notes.md".into())))));
        assert_eq!(parse("/quit"), Some(Ok(Command::Quit)));
        assert_eq!(parse("/anyway"), Some(Ok(Command::Anyway)));
        assert_eq!(parse("/all"), Some(Ok(Command::All(None))));
        assert_eq!(parse("/all List the fires"), Some(Ok(Command::All(Some("List the fires".into())))));
        assert_eq!(parse("what is /quit?"), None);
        assert_eq!(parse("/etc/hosts says what?"), None);
        assert_eq!(parse("/souces"), Some(Err("there is no /souces; did you mean `/sources`?".into())));
        assert_eq!(parse("/xyzzy"), Some(Err("there is no /xyzzy; /help lists what there is".into())));
        assert!(matches!(parse("/sources x"), Some(Err(_))));
    }
}
