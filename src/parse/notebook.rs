//! Jupyter notebooks: text as it is, code and its output fenced.

use serde_json::Value;

use super::markdown::fence_for;
use super::{Extracted, Format, ParseError, text, title};
use crate::document::Markup;

/// Bytes of output kept for a cell: enough for a table or a traceback, not for a log.
const MAX_OUTPUT: usize = 2000;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let source = text::decode(bytes)?;
    // The parser's own bound on nesting (128) keeps it from the end of the stack.
    let notebook: Value =
        serde_json::from_str(source.trim_start_matches('\u{feff}')).map_err(|e| ParseError::broken(Format::Notebook, e))?;
    let cells = cells(&notebook).ok_or_else(|| ParseError::broken(Format::Notebook, "it has no cells"))?;
    let language = language(&notebook);
    let mut blocks = Vec::new();
    for cell in cells {
        let source = joined(cell.get("source").or_else(|| cell.get("input")));
        let source = source.trim_matches('\n');
        match cell.get("cell_type").and_then(Value::as_str) {
            Some("code") => {
                push_fenced(&mut blocks, language, source);
                push_fenced(&mut blocks, "text", &outputs(cell));
            }
            Some("heading") => {
                let level = cell.get("level").and_then(Value::as_u64).unwrap_or(1).clamp(1, 6);
                blocks.push(format!("{} {source}", "#".repeat(level as usize)));
            }
            _ if source.trim().is_empty() => {}
            _ => blocks.push(source.to_owned()),
        }
    }
    let text = blocks.join("\n\n");
    let title = notebook.pointer("/metadata/title").and_then(Value::as_str).and_then(title::clean);
    Ok(Extracted { title: title.or_else(|| title::of_markdown(&text)), markup: Markup::Markdown, text })
}

/// Of version 4, or of version 3, which had sheets of them.
fn cells(notebook: &Value) -> Option<Vec<&Value>> {
    if let Some(cells) = notebook.get("cells").and_then(Value::as_array) {
        return Some(cells.iter().collect());
    }
    let sheets = notebook.get("worksheets")?.as_array()?;
    Some(sheets.iter().filter_map(|sheet| sheet.get("cells")?.as_array()).flatten().collect())
}

fn language(notebook: &Value) -> &str {
    ["/metadata/language_info/name", "/metadata/kernelspec/language"]
        .iter()
        .find_map(|at| notebook.pointer(at)?.as_str())
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#-_.".contains(&b)))
        .unwrap_or("python")
}

/// A string, or lines of it, as both are allowed.
fn joined(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn push_fenced(blocks: &mut Vec<String>, language: &str, content: &str) {
    if !content.trim().is_empty() {
        let fence = fence_for(content);
        blocks.push(format!("{fence}{language}\n{content}\n{fence}"));
    }
}

/// What the cell printed, returned or failed with, as text. Pictures and widgets have none.
fn outputs(cell: &Value) -> String {
    let mut all = String::new();
    for output in cell.get("outputs").and_then(Value::as_array).into_iter().flatten() {
        let plain = match output.get("output_type").and_then(Value::as_str) {
            Some("stream") => joined(output.get("text")),
            Some("error" | "pyerr") => {
                let part = |key| output.get(key).and_then(Value::as_str).unwrap_or_default();
                format!("{}: {}", part("ename"), part("evalue"))
            }
            _ => joined(output.pointer("/data/text~1plain").or_else(|| output.get("text"))),
        };
        all.push_str(plain.trim_matches('\n'));
        all.push('\n');
        if all.len() > MAX_OUTPUT {
            all.truncate(all.floor_char_boundary(MAX_OUTPUT));
            all.push('…');
            break;
        }
    }
    all.trim_end().to_owned()
}
