//! What a tool tells an agent.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use crate::serve::fault::Fault;

/// What a tool tells.
#[derive(Debug)]
pub(super) struct Told {
    /// For the model to read.
    pub(super) text: String,
    /// The same as objects, as `--json` has them.
    pub(super) objects: Value,
}

impl From<Told> for CallToolResult {
    fn from(told: Told) -> Self {
        let mut result = Self::success(vec![ContentBlock::text(told.text)]);
        result.structured_content = Some(told.objects);
        result
    }
}

/// What has failed, for the model to read and to do better.
impl From<Fault> for CallToolResult {
    fn from(fault: Fault) -> Self {
        let mut text = format!("error: {}\n", fault.message);
        if let Some(hint) = &fault.hint {
            text.push_str(&format!("hint: {hint}\n"));
        }
        if let Some(seconds) = fault.retry_after {
            text.push_str(&format!("hint: the same may succeed in {seconds} seconds\n"));
        }
        let mut result = Self::error(vec![ContentBlock::text(text)]);
        result.structured_content = serde_json::to_value(fault.line()).ok();
        result
    }
}

/// A line of it with at most so many letters.
pub(super) fn cut(line: &str, letters: usize) -> String {
    let mut shown: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(letters).collect();
    if line.chars().nth(letters).is_some() {
        shown.push('…');
    }
    shown
}
