//! Texts put together under headings.

use crate::parse::markdown::fence_for;
use crate::parse::table::{Cell, Table};

/// Rows of a table that is attached.
const MAX_ROWS: usize = 20_000;

/// Appends a block after an empty line.
pub(super) fn push_block(text: &mut String, block: &str) {
    let block = block.trim_matches(['\n', '\r']);
    if block.trim().is_empty() {
        return;
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(block);
}

/// Plain text such that Markdown takes nothing in it for a heading, and no fence in it swallows what follows.
pub(super) fn of_plain(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    let is_fence = |line: &&str| line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
    // Of an odd number the last one would stay open.
    let mut left = plain.lines().filter(is_fence).count();
    let is_odd = left % 2 == 1;
    let mut before = "";
    for line in plain.lines() {
        let bare = line.trim();
        let is_rule = !bare.is_empty() && (bare.bytes().all(|b| b == b'-') || bare.bytes().all(|b| b == b'='));
        if is_rule && !before.is_empty() {
            // A rule right below a line would make that line a heading.
            out.push('\n');
        }
        left -= usize::from(is_fence(&line));
        let is_lone = is_fence(&line) && left == 0 && is_odd;
        if bare.starts_with('#') || is_lone {
            out.push('\\');
            out.push_str(line.trim_start());
        } else {
            out.push_str(line);
        }
        out.push('\n');
        before = bare;
    }
    out.trim_end().to_owned()
}

/// A text that is no prose, in a fence.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let fence = fence_for(text);
    format!("{fence}{language}\n{}\n{fence}", text.trim_matches(['\n', '\r']))
}

/// Comma-, semicolon- or tab-separated values as a table; `None` where that is not what they are.
pub(super) fn table_of_records(text: &str) -> Option<String> {
    let first = text.lines().next()?;
    let mark = [b',', b';', b'\t'].into_iter().max_by_key(|&mark| first.bytes().filter(|&b| b == mark).count())?;
    let mut reader = csv::ReaderBuilder::new().delimiter(mark).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records().take(MAX_ROWS) {
        rows.push(record.ok()?.iter().map(Cell::new).collect::<Vec<_>>());
    }
    let header = rows.first_mut().filter(|row| row.len() > 1)?;
    for cell in header {
        cell.header = true;
    }
    Some(Table { rows, caption: None }.to_markdown())
}

/// The same under a heading: its own headings are one level deeper, down to the sixth.
pub(super) fn below(heading: &str, markdown: &str) -> String {
    let mut out = format!("# {heading}\n\n");
    let mut fence: Option<&str> = None;
    let mut before: Option<&str> = None;
    for line in markdown.lines() {
        let bare = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (Some(open), Some(close)) if open == close => fence = None,
            (None, Some(open)) => fence = Some(open),
            (None, None) => {
                let level = bare.bytes().take_while(|&b| b == b'#').count();
                let is_heading = (1..6).contains(&level) && bare.get(level..).is_some_and(|rest| rest.starts_with([' ', '\t']));
                if is_heading && line.len() - bare.len() < 4 {
                    out.push('#');
                }
                if let (Some(level), Some(title)) = (underline(bare), before) {
                    // An underlined heading of the first or second level.
                    out.truncate(out.len() - title.len() - 1);
                    out.push_str(&format!("{} {}\n", "#".repeat(level + 1), title.trim()));
                    before = None;
                    continue;
                }
            }
            _ => {}
        }
        out.push_str(line);
        out.push('\n');
        let is_prose =
            fence.is_none() && mark.is_none() && !bare.is_empty() && !bare.starts_with(['#', '>', '|', '-', '*', '+']);
        before = is_prose.then_some(line);
    }
    out.trim_end().to_owned()
}

fn underline(bare: &str) -> Option<usize> {
    let bare = bare.trim_end();
    let of = |mark: u8| bare.len() > 1 && bare.bytes().all(|b| b == mark);
    if of(b'=') { Some(1) } else { of(b'-').then_some(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_move_down() {
        assert_eq!(
            below("Mail", "intro\n# One\n```sh\n# comment\n```\nTwo\n===\n###### Six\n#tag"),
            "# Mail\n\nintro\n## One\n```sh\n# comment\n```\n## Two\n###### Six\n#tag"
        );
        assert_eq!(below("Mail", "| a |\n| --- |\n| 1 |\n\n---\nx"), "# Mail\n\n| a |\n| --- |\n| 1 |\n\n---\nx");
    }

    #[test]
    fn plain_text_has_no_headings() {
        assert_eq!(of_plain("a\n---\n# b\n```\nx"), "a\n\n---\n\\# b\n\\```\nx");
        assert_eq!(of_plain("```\nx\n```"), "```\nx\n```");
    }
}
