//! Reads a text as what it is said to be.

use super::outline::{Outline, after_marker, raw_lines, strength};
use super::{code, markdown, rst};
use crate::document::Markup;

impl Outline {
    /// The outline of a text in this markup.
    pub(super) fn of(text: &str, markup: Markup) -> Self {
        let mut outline = Self::default();
        outline.open_section(0, 0, 0, "");
        match markup {
            Markup::Markdown => markdown::scan(text, &mut outline),
            Markup::Rst => rst::scan(text, &mut outline),
            Markup::Code => code::scan(text, &mut outline),
            Markup::Text => scan_text(text, &mut outline),
            Markup::Records => scan_records(text, &mut outline),
        }
        outline
    }
}

/// Whether the first line of a table in text names its columns: cells that differ, none of them blank or a number. The first line
/// of JSON does not.
fn is_header(line: &str) -> bool {
    let line = line.trim();
    // Quotes that are open go on in the next line.
    if line.starts_with(['{', '[']) || !line.matches('"').count().is_multiple_of(2) {
        return false;
    }
    let Some(separator) = [',', ';', '\t', '|'].into_iter().max_by_key(|separator| line.matches(*separator).count()) else {
        return false;
    };
    let mut cells: Vec<&str> = line.split(separator).map(|cell| cell.trim_matches(['"', ' '])).collect();
    let all = cells.len();
    let names = |cell: &&str| cell.contains(char::is_alphabetic) && !cell.starts_with(|c: char| c.is_ascii_digit());
    // The first column of what pandas writes has no name.
    let named = cells.iter().filter(|cell| names(cell)).count();
    cells.sort_unstable();
    cells.dedup();
    all >= 2 && cells.len() == all && named + 1 >= all
}

fn scan_text(text: &str, outline: &mut Outline) {
    let mut blank = true;
    for line in raw_lines(text) {
        if line.is_blank() {
            blank = true;
            continue;
        }
        let strength = if blank {
            strength::PARAGRAPH
        } else if after_marker(line.text.trim_start()).is_some() {
            strength::ITEM
        } else {
            strength::LINE
        };
        outline.push_line(line.start, strength, true);
        blank = false;
    }
}

fn scan_records(text: &str, outline: &mut Outline) {
    // Excel is told the separator by a line above the header.
    let above = |line: &str| line.len() == 5 && line.starts_with("sep=");
    let first = raw_lines(text).find(|line| !line.is_blank() && !above(line.text));
    if let Some(first) = first.filter(|line| is_header(line.text)) {
        outline.push_table(first.end, first.end..text.len(), first.text, false);
    }
    for line in raw_lines(text).filter(|line| !line.is_blank()) {
        outline.push_line(line.start, strength::PARAGRAPH, false);
    }
}
