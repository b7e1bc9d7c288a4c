//! Numbers of lists and headings, counted as `LibreOffice` counts them.

use std::collections::HashMap;

use super::super::numerals;
use super::styles::{Level, Styles};

const LEVELS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Lists {
    counts: [Option<u64>; LEVELS],
    /// How far lists have counted, by their style.
    ended: HashMap<String, [Option<u64>; LEVELS]>,
    headings: [Option<u64>; LEVELS],
}

impl Lists {
    /// A list begins at some depth.
    pub(super) fn begin(&mut self, style: Option<&str>, depth: usize, goes_on: bool) {
        if depth == 0 {
            self.counts = style.filter(|_| goes_on).and_then(|style| self.ended.get(style)).copied().unwrap_or_default();
        } else if let Some(count) = self.counts.get_mut(depth) {
            *count = None;
        }
    }

    /// The mark of the next item.
    pub(super) fn next(&mut self, styles: &Styles, style: Option<&str>, depth: usize, start: Option<u64>) -> String {
        let Some(level) = style.and_then(|style| styles.level(style, depth)) else { return "-".to_owned() };
        if let Some(count) = self.counts.get_mut(depth) {
            *count = Some(start.unwrap_or_else(|| count.map_or(level.start, |n| n.saturating_add(1))));
        }
        for deeper in self.counts.iter_mut().skip(depth + 1) {
            *deeper = None;
        }
        if let Some(style) = style
            && (self.ended.len() < 10_000 || self.ended.contains_key(style))
        {
            self.ended.insert(style.to_owned(), self.counts);
        }
        let above = |nth: usize| style.and_then(|style| styles.level(style, nth));
        label(level, depth, &self.counts, &above).unwrap_or_else(|| "-".to_owned())
    }

    /// What stands before a heading, with a blank behind it.
    pub(super) fn heading(&mut self, styles: &Styles, level: usize, uncounted: bool) -> String {
        let Some(depth) = level.checked_sub(1).filter(|depth| *depth < LEVELS && !uncounted) else { return String::new() };
        let of = |nth: usize| styles.outline.iter().find(|level| level.number == nth + 1);
        let start = of(depth).map_or(1, |level| level.start);
        for (nth, count) in self.headings.iter_mut().enumerate() {
            if nth == depth {
                *count = Some(count.map_or(start, |n| n.saturating_add(1)));
            } else if nth > depth {
                *count = None;
            }
        }
        let label = of(depth).and_then(|level| label(level, depth, &self.headings, &of)).unwrap_or_default();
        if label.is_empty() { label } else { format!("{label} ") }
    }
}

fn label<'a>(
    level: &Level,
    depth: usize,
    counts: &[Option<u64>; LEVELS],
    of: &dyn Fn(usize) -> Option<&'a Level>,
) -> Option<String> {
    let format = level.format.as_deref()?;
    if format.is_empty() {
        return Some(format!("{}{}", level.prefix, level.suffix).trim().to_owned());
    }
    let first = (depth + 1).saturating_sub(level.shown.max(1));
    let numbers: Vec<String> = (first..=depth)
        .filter_map(|nth| {
            let format = if nth == depth { Some(format) } else { of(nth).and_then(|level| level.format.as_deref()) };
            let format = format.filter(|format| !format.is_empty())?;
            Some(numerals::in_format(numbered(format), counts.get(nth).copied().flatten().unwrap_or(1)))
        })
        .collect();
    Some(format!("{}{}{}", level.prefix, numbers.join("."), level.suffix).trim().to_owned())
}

/// The format of a number, as Word calls it.
fn numbered(format: &str) -> &str {
    match format {
        "a" => "lowerLetter",
        "A" => "upperLetter",
        "i" => "lowerRoman",
        "I" => "upperRoman",
        "一, 二, 三, ..." | "一" => "chineseCounting",
        "壹, 贰, 叁, ..." => "chineseLegalSimplified",
        "甲, 乙, 丙, ..." => "ideographTraditional",
        "①, ②, ③, ..." => "decimalEnclosedCircle",
        _ => "decimal",
    }
}
