//! A pipeline file while its meaning is checked: where each value stands, and what has been found.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::diagnose::{Findings, printable};
use super::interpolate;
use super::tree::{Filled, Node, Value};

/// What is wrong with a value, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The file that a plan is made of.
pub(super) struct File<'a> {
    pub(super) root: &'a Node,
    pub(super) tainted: &'a BTreeSet<Vec<String>>,
    pub(super) findings: &'a mut Findings,
    /// The folder that relative paths are relative to, absolute.
    pub(super) base: &'a Path,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
}

impl File<'_> {
    /// The bytes of the value, or of the nearest thing above it that the file has.
    fn place(&self, path: &[&str]) -> Range<usize> {
        for length in (1..=path.len()).rev() {
            let Some((node, key)) = path.get(..length).and_then(|path| self.root.at(path)) else { continue };
            return if length == path.len() { node.span.clone() } else { key.unwrap_or(&node.span).clone() };
        }
        self.root.span.clone()
    }

    pub(super) fn error(&mut self, path: &[&str], problem: Problem) {
        self.findings.error(&self.place(path), problem.message, problem.hint);
    }

    pub(super) fn warning(&mut self, path: &[&str], problem: Problem) {
        self.findings.warning(&self.place(path), problem.message, problem.hint);
    }

    /// Points at the key instead of the value.
    pub(super) fn key_error(&mut self, path: &[&str], problem: Problem) {
        let key = self.root.at(path).and_then(|(_, key)| key.cloned());
        self.findings.error(&key.unwrap_or_else(|| self.place(path)), problem.message, problem.hint);
    }

    /// Whether something in this mapping was left out, so that what is missing has been reported already.
    pub(super) fn tainted(&self, path: &[&str]) -> bool {
        self.tainted.iter().any(|known| known.iter().map(String::as_str).eq(path.iter().copied()))
    }

    /// How the value is spoken of, between backticks. Text that came of a variable may be a secret: then it is the variable. What is a
    /// secret in plain sight is covered.
    pub(super) fn shown(&self, path: &[&str], text: &str) -> String {
        match self.root.at(path).map(|(node, _)| node) {
            Some(Node { value: Value::Scalar(scalar), span }) if scalar.filled != Filled::AsWritten => {
                interpolate::told(self.findings.source().excerpt(span).trim_matches(['"', '\'']), text)
            }
            Some(Node { value: Value::Scalar(_), span }) if self.findings.source().is_masked(span) => {
                self.findings.source().excerpt(span).trim_matches(['"', '\'']).to_owned()
            }
            _ => printable(text),
        }
    }

    /// Whether the value may be shown as it is: no variable stands in it, and no secret.
    pub(super) fn is_plain(&self, path: &[&str]) -> bool {
        let is_masked = self.root.at(path).is_some_and(|(node, _)| self.findings.source().is_masked(&node.span));
        !is_masked && !self.has_variable(path)
    }

    /// Whether a variable stands in the value.
    pub(super) fn has_variable(&self, path: &[&str]) -> bool {
        let scalar = self.root.at(path).map(|(node, _)| &node.value);
        matches!(scalar, Some(Value::Scalar(scalar)) if scalar.filled != Filled::AsWritten)
    }
}
