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
    for line in raw_lines(text).filter(|line| !line.is_blank()) {
        outline.push_line(line.start, strength::PARAGRAPH, false);
    }
}
