//! Jupyter notebooks: text as it is, code and what it printed fenced, what it shows as it looks.

mod output;

use serde_json::Value;

use self::output::{Shown, joined};
use super::markdown::fence_for;
use super::{Extracted, Format, ParseError, text, title};
use crate::document::Markup;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let source = text::decode(bytes)?;
    // The parser's own bound on nesting (128) keeps it from the end of the stack.
    let notebook: Value =
        serde_json::from_str(source.trim_start_matches('\u{feff}')).map_err(|e| ParseError::broken(Format::Notebook, e))?;
    let cells = cells(&notebook).ok_or_else(|| ParseError::broken(Format::Notebook, "it has no cells"))?;
    let language = language(&notebook);
    let (mut blocks, mut prose) = (Vec::new(), Vec::new());
    for cell in cells {
        let source = joined(cell.get("source").or_else(|| cell.get("input")));
        let source = source.trim_matches('\n');
        match cell.get("cell_type").and_then(Value::as_str) {
            Some("code") => {
                push_fenced(&mut blocks, language, source);
                for shown in output::of(cell) {
                    match shown {
                        Shown::Plain(text) => push_fenced(&mut blocks, "text", &text),
                        Shown::Markdown(text) => blocks.push(text),
                    }
                }
            }
            Some("heading") => {
                let level = cell.get("level").and_then(Value::as_u64).unwrap_or(1).clamp(1, 6);
                let heading = format!("{} {source}", "#".repeat(level as usize));
                prose.push(heading.clone());
                blocks.push(heading);
            }
            _ if source.trim().is_empty() => {}
            _ => {
                let text = output::without_pictures(source);
                prose.push(text.clone());
                blocks.push(text);
            }
        }
    }
    let text = blocks.join("\n\n");
    // What an output calls itself is no name of the notebook.
    let of_prose = || prose.iter().find_map(|source| title::of_markdown(source));
    let title = notebook.pointer("/metadata/title").and_then(Value::as_str).and_then(title::clean);
    Ok(Extracted { title: title.or_else(of_prose), markup: Markup::Markdown, text })
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

fn push_fenced(blocks: &mut Vec<String>, language: &str, content: &str) {
    if !content.trim().is_empty() {
        let fence = fence_for(content);
        blocks.push(format!("{fence}{language}\n{content}\n{fence}"));
    }
}
