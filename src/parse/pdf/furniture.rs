//! Running headers, footers and page numbers: what stands at the same place of many pages and says the same but for numbers.

use std::collections::HashMap;

use super::Sheet;
use super::blocks::{Content, Row};

/// Documents with fewer pages have none that could be told from text. Of two pages numbers alone are told: see [`numbers`].
const PAGES: usize = 2;
/// The part of a page's height, at its top and at its bottom, in which furniture stands.
const EDGE: f64 = 0.18;
/// Lines at each edge that are looked at.
const LINES: usize = 4;

/// A line without what changes from page to page.
fn pattern(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let roman = !bare.is_empty() && bare.len() <= 6 && bare.chars().all(|c| "ivxlc".contains(c));
        if roman {
            out.push('#');
        } else {
            for c in word.chars() {
                if !c.is_numeric() {
                    out.extend(c.to_lowercase());
                } else if !out.ends_with('#') {
                    out.push('#');
                }
            }
        }
        out.push(' ');
    }
    out.trim_end().to_owned()
}

/// Words beside the number of a page.
const BESIDE: [&str; 18] = [
    "page", "pages", "of", "p", "pg", "seite", "von", "página", "pagina", "de", "di", "sur", "стр", "из", "第", "页", "頁",
    "共",
];

/// Whether a line is a page's number and nothing else, in any wording.
fn is_number(pattern: &str) -> bool {
    let words = pattern.split(|c: char| !c.is_alphabetic()).flat_map(|word| {
        // Chinese words stand side by side.
        let step = if word.chars().any(super::letters::is_cjk) { 1 } else { word.chars().count().max(1) };
        let letters: Vec<char> = word.chars().collect();
        letters.chunks(step).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
    });
    pattern.contains('#') && words.filter(|w| !w.is_empty()).all(|w| BESIDE.contains(&w.as_str()))
}

/// The lines at the edges of a page: those of its paragraphs that stand highest and lowest.
fn edges(sheet: &Sheet) -> Vec<(usize, usize, &Row)> {
    let mut rows: Vec<(usize, usize, &Row)> = Vec::new();
    for (b, block) in sheet.blocks.iter().enumerate() {
        // Lines of longer paragraphs are text, wherever they stand.
        if !block.is_turned && block.rows.len() <= 3 && !matches!(block.content, Content::Table(_)) {
            rows.extend(block.rows.iter().enumerate().map(|(r, row)| (b, r, row)));
        }
    }
    rows.sort_by(|a, b| a.2.y.total_cmp(&b.2.y));
    let top = rows.iter().take(LINES).filter(|r| r.2.y < EDGE * sheet.height).copied();
    let bottom = rows.iter().rev().take(LINES).filter(|r| r.2.y > (1.0 - EDGE) * sheet.height).copied();
    top.chain(bottom).filter(|r| !r.2.text.is_empty()).collect()
}

/// Takes furniture off all pages. What it says is kept where it is said first, but for numbers of pages.
pub(super) fn remove(sheets: &mut [Sheet]) {
    if sheets.len() < PAGES {
        return;
    }
    let two: Option<Vec<String>> = match sheets {
        [one, other] => Some(numbers(one, other)),
        _ => None,
    };
    let mut seen: HashMap<(String, i64), Vec<usize>> = HashMap::new();
    for (page, sheet) in sheets.iter().enumerate() {
        for (_, _, row) in edges(sheet) {
            let pages = seen.entry((pattern(&row.text), place(row, sheet))).or_default();
            if pages.last() != Some(&page) {
                pages.push(page);
            }
        }
    }
    let least = if two.is_some() { 2 } else { (sheets.len() / 5).clamp(3, 5) };
    let on = |key: &(String, i64)| -> usize {
        // A step to both sides: the same line may fall into either of two.
        (-1..=1).filter_map(|d| seen.get(&(key.0.clone(), key.1 + d))).map(Vec::len).sum()
    };
    let mut kept: Vec<String> = Vec::new();
    let mut doomed: Vec<Vec<(usize, usize)>> = Vec::new();
    for sheet in sheets.iter() {
        let mut here = Vec::new();
        for (block, at, row) in edges(sheet) {
            let key = (pattern(&row.text), place(row, sheet));
            if on(&key) < least || two.as_ref().is_some_and(|two| !two.contains(&row.text)) {
                continue;
            }
            if is_number(&key.0) || kept.contains(&key.0) {
                here.push((block, at));
            } else {
                kept.push(key.0);
            }
        }
        // A page that would have nothing left is no page with furniture.
        let rows = sheet.blocks.iter().map(|b| b.rows.len()).sum::<usize>();
        doomed.push(if here.len() < rows { here } else { Vec::new() });
    }
    for (sheet, here) in sheets.iter_mut().zip(doomed) {
        for (b, block) in sheet.blocks.iter_mut().enumerate() {
            let mut at = 0;
            block.rows.retain(|_| {
                at += 1;
                !here.contains(&(b, at - 1))
            });
        }
        sheet.blocks.retain(|b| !b.rows.is_empty());
    }
}

/// The numbers at the edges of two pages that are the whole document: at the same height, the second the next one. Any other line
/// that two pages have in common may be text.
fn numbers(one: &Sheet, other: &Sheet) -> Vec<String> {
    let number = |text: &str| -> Option<u64> {
        let digits: String = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|_| is_number(&pattern(text)))
    };
    let mut out = Vec::new();
    for (_, _, row) in edges(one) {
        for (_, _, below) in edges(other) {
            let next = number(&row.text).zip(number(&below.text)).is_some_and(|(a, b)| a.checked_add(1) == Some(b));
            if next && (place(row, one) - place(below, other)).abs() <= 1 {
                out.extend([row.text.clone(), below.text.clone()]);
            }
        }
    }
    out
}

/// How high a line stands, in hundredths of the page.
fn place(row: &Row, sheet: &Sheet) -> i64 {
    (row.y / sheet.height.max(1.0) * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_pages_are_told_in_any_wording() {
        for (text, number) in [
            ("12", true),
            ("- 12 -", true),
            ("Page 3 of 10", true),
            ("xiv", true),
            ("第 3 页", true),
            ("Annual report 2026", false),
            ("The end", false),
        ] {
            assert_eq!(is_number(&pattern(text)), number, "{text}");
        }
    }
}
