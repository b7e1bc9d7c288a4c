//! Variables in scalar values: `${V}`, `${V:-default}`, `${V:?message}` and `$$`.
//!
//! Invariant: this works on the tree, after the YAML is parsed, so that no value of a variable can become YAML, and a
//! comment is never looked at.

use std::ops::Range;

use super::diagnose::{Findings, printable};
use super::tree::{Filled, Node, Scalar, Value};

/// Bytes that variables may add to a file, in all.
const MAX_FILLED: usize = 4 << 20;

/// Fills in every variable of the tree. `env` gives a variable's value; what is not set or not well written is reported.
pub(super) fn fill(root: &mut Node, text: &str, env: &dyn Fn(&str) -> Option<String>, findings: &mut Findings) {
    let mut left = MAX_FILLED;
    visit(root, &mut |span, scalar| {
        if scalar.filled == Filled::AsWritten && scalar.text.contains('$') {
            let raw = text.get(span.clone()).unwrap_or_default();
            fill_scalar(scalar, span, raw, env, &mut left, findings);
        }
    });
}

/// How a value that came of variables is spoken of, between backticks: what it is, and where it stands. What may be a secret is not
/// shown.
pub(super) fn told(written: &str, value: &str) -> String {
    if may_be_secret(written, value) { written.to_owned() } else { format!("{}` of `{written}", printable(value)) }
}

/// Whether a value is to be told by its variable alone. Most keys have no use for a secret, and people put one there by mistake.
pub(super) fn may_be_secret(written: &str, value: &str) -> bool {
    const NAMES: [&str; 9] = ["KEY", "TOKEN", "SECRET", "PASS", "PWD", "CREDENTIAL", "AUTH", "LOGIN", "COOKIE"];
    /// Longer words are keys more often than names.
    const WORD: usize = 32;
    let pieces = pieces(written);
    let named = |piece: &Piece<'_>| match piece {
        Piece::Variable { reference: Ok(reference), .. } => {
            let name = reference.name.to_ascii_uppercase();
            NAMES.iter().any(|secret| name.contains(secret))
        }
        Piece::Text(_) | Piece::Dollar => false,
        // What was cut off may be anything.
        Piece::Variable { reference: Err(_), .. } | Piece::Unclosed(_) => true,
    };
    let address = value.contains("://") && value.contains(['@', '?']);
    let word = value.len() >= WORD && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '='));
    pieces.iter().any(named) || written.ends_with('…') || address || word || value.starts_with("sk-")
}

fn visit(node: &mut Node, each: &mut dyn FnMut(&Range<usize>, &mut Scalar)) {
    match &mut node.value {
        Value::Scalar(scalar) => each(&node.span, scalar),
        Value::List(items) => items.iter_mut().for_each(|item| visit(item, each)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| visit(&mut entry.node, each)),
    }
}

fn fill_scalar(
    scalar: &mut Scalar,
    span: &Range<usize>,
    raw: &str,
    env: &dyn Fn(&str) -> Option<String>,
    left: &mut usize,
    findings: &mut Findings,
) {
    let mut out = String::with_capacity(scalar.text.len());
    let (mut searched, mut used, mut failed) = (0, false, false);
    for piece in pieces(&scalar.text) {
        let (written, result) = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Dollar => {
                out.push('$');
                continue;
            }
            Piece::Variable { written, reference } => (written, reference.map(|reference| reference.value(env))),
            Piece::Unclosed(written) => (written, Err("`${` without its `}`".to_owned())),
        };
        // Where the file says it literally; escapes in a quoted scalar may hide it, then the whole scalar is meant.
        let found = raw.get(searched..).and_then(|rest| rest.find(written)).map(|at| searched + at);
        searched = found.map_or(raw.len(), |start| start + written.len());
        let place = found.map_or_else(|| span.clone(), |start| span.start + start..span.start + searched);
        let value = match result {
            Ok(Ok(value)) if value.len() <= *left => value,
            Ok(Ok(_)) => {
                findings.error(&place, "the variables of this file are too large", None);
                failed = true;
                continue;
            }
            Ok(Err((message, hint))) => {
                findings.error(&place, message, hint);
                failed = true;
                continue;
            }
            Err(message) => {
                let hint = "write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`, and `$$` for a dollar sign";
                findings.error(&place, message, hint.to_owned());
                failed = true;
                continue;
            }
        };
        used = true;
        *left -= value.len();
        out.push_str(&value);
    }
    scalar.text = out;
    scalar.filled = match (failed, used) {
        (true, _) => Filled::Failed,
        (false, true) => Filled::Yes,
        (false, false) => Filled::AsWritten,
    };
}

#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    /// `$$`
    Dollar,
    Variable {
        written: &'a str,
        reference: Result<Reference<'a>, String>,
    },
    /// `${` and no `}` after it.
    Unclosed(&'a str),
}

#[derive(Debug, PartialEq)]
struct Reference<'a> {
    name: &'a str,
    otherwise: Otherwise<'a>,
}

#[derive(Debug, PartialEq)]
enum Otherwise<'a> {
    Fail,
    Default(&'a str),
    FailSaying(&'a str),
}

impl Reference<'_> {
    /// The value, or message and hint. As in a shell, `:-` and `:?` take an empty variable for one that is not set.
    fn value(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<String, (String, Option<String>)> {
        let name = self.name;
        match (env(name), &self.otherwise) {
            (Some(value), Otherwise::Fail) => Ok(value),
            (Some(value), _) if !value.is_empty() => Ok(value),
            (_, Otherwise::Default(default)) => Ok((*default).to_owned()),
            (_, Otherwise::FailSaying(message)) if !message.trim().is_empty() => {
                Err((format!("`{name}` is not set: {}", printable(message.trim())), None))
            }
            _ => {
                Err((format!("the variable `{name}` is not set"), Some(format!("set it, or give a default: `${{{name}:-…}}`"))))
            }
        }
    }
}

/// Cuts a scalar's text at its variables; the pieces as written join to the text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            pieces.push(Piece::Dollar);
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let start = text.len() - after.len() - 1;
            if let Some((inner, after)) = inner.split_once('}') {
                let written = text.get(start..text.len() - after.len()).unwrap_or_default();
                pieces.push(Piece::Variable { written, reference: reference(inner) });
                rest = after;
            } else {
                pieces.push(Piece::Unclosed(text.get(start..).unwrap_or_default()));
                rest = "";
            }
        } else {
            // A dollar sign on its own is one, as in `costs $5`.
            pieces.push(Piece::Text("$"));
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

fn reference(inner: &str) -> Result<Reference<'_>, String> {
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("not the name of a variable".to_owned());
    }
    let otherwise = if rest.is_empty() {
        Otherwise::Fail
    } else if let Some(default) = rest.strip_prefix(":-") {
        Otherwise::Default(default)
    } else if let Some(message) = rest.strip_prefix(":?") {
        Otherwise::FailSaying(message)
    } else {
        return Err(format!("`{}` has no meaning after the variable's name", printable(rest)));
    };
    if rest.contains("${") {
        return Err("a default cannot hold another variable".to_owned());
    }
    Ok(Reference { name, otherwise })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail loudly")]

    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::diagnose::{Diagnostics, Source};
    use super::super::tree;
    use super::*;

    fn filled(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node, Diagnostics> {
        let mut root = tree::parse(text).root.unwrap();
        let mut findings = Findings::new(Arc::new(Source::new("t.yaml", text, &[])));
        fill(&mut root, text, env, &mut findings);
        findings.finish().map(|_| root)
    }

    fn scalar(root: &Node, key: &str) -> String {
        match &root.at(&[key]).unwrap().0.value {
            Value::Scalar(scalar) => scalar.text.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "EVIL" => Some("x\nstore: {qdrant: {url: http://evil}} # ${A} $$".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn every_form() {
        for (written, value) in [
            ("${A}", "1"),
            ("a${A}b${A}", "a1b1"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${A:?no}", "1"),
            ("$$ $${A} $5 $", "$ ${A} $5 $"),
        ] {
            let root = filled(&format!("k: '{written}'\n"), &env).unwrap();
            assert_eq!(scalar(&root, "k"), value, "{written}");
        }
    }

    #[test]
    fn a_value_is_told_with_its_variable_and_a_secret_is_not() {
        assert_eq!(told("${BY:-auto}", "words"), "words` of `${BY:-auto}");
        for (written, value) in [
            ("${OPENAI_API_KEY}", "x"),
            ("${db_password:-}", "x"),
            ("${BY}", "sk-1234"),
            ("${BY}", "0123456789abcdef0123456789abcdef"),
            ("${URL}", "postgres://ada:lovelace@db/docs"),
            ("${URL}", "http://db/?sig=1"),
            ("${A} and much more…", "x"),
            ("${A", "x"),
        ] {
            assert_eq!(told(written, value), written);
        }
    }

    #[test]
    fn errors_point_at_the_variable_itself() {
        for (text, column, message) in [
            ("k: a ${NONE} b", 6, "the variable `NONE` is not set"),
            ("k: \"${A}${NONE:?put it there}\"", 9, "`NONE` is not set: put it there"),
            ("k: '${1A}'", 5, "not the name of a variable"),
            ("k: '${A-b}'", 5, "`-b` has no meaning after the variable's name"),
            ("k: '${A:-${B}}'", 5, "a default cannot hold another variable"),
            ("k: 'a ${A'", 7, "`${` without its `}`"),
        ] {
            let found = filled(text, &env).unwrap_err();
            let first = found.iter().next().unwrap();
            assert_eq!((first.place.as_ref().unwrap().column, first.message.as_str()), (column, message));
        }
    }

    #[test]
    fn a_value_never_becomes_yaml_and_is_not_read_again() {
        let root = filled("# ${NONE}\nk: ${EVIL} # ${NONE}\n", &env).unwrap();
        assert_eq!(scalar(&root, "k"), env("EVIL").unwrap());
        assert!(root.at(&["store"]).is_none());
    }

    #[test]
    fn the_size_of_what_is_filled_in_is_bounded() {
        let big = "x".repeat(MAX_FILLED / 2 + 1);
        let found = filled("a: ${B}\nb: ${B}\n", &|_| Some(big.clone())).unwrap_err();
        assert_eq!(found.iter().next().unwrap().place.as_ref().unwrap().line, 2);
    }

    proptest! {
        #[test]
        fn pieces_join_to_the_text(text in "[$]{0,2}[{}A-Z:?\\-a-zé$]{0,24}") {
            let joined: String = pieces(&text).iter().map(|piece| match piece {
                Piece::Text(text) | Piece::Unclosed(text) => *text,
                Piece::Dollar => "$$",
                Piece::Variable { written, .. } => written,
            }).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn doubling_dollars_writes_any_text(text in "[ -~é]{1,40}") {
            let written = text.replace('$', "$$").replace('\'', "''");
            let root = filled(&format!("k: '{written}'\n"), &|_| None).unwrap();
            prop_assert_eq!(scalar(&root, "k"), text);
        }

        #[test]
        fn any_value_arrives_unchanged(value in any::<String>()) {
            let root = filled("k: ${V}\n", &|_| Some(value.clone())).unwrap();
            prop_assert_eq!(scalar(&root, "k"), value);
        }
    }
}
