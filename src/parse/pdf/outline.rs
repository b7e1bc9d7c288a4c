//! The document's outline (its bookmarks), the labels of its pages, and which of its layers are hidden.

use std::collections::{HashMap, HashSet};

use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, String as PdfString};

use super::strings;
use crate::parse::roman::roman;

/// Entries that are read; a dictionary has some thousands.
const ENTRIES: usize = 20_000;
/// Levels of headings in Markdown.
const LEVELS: usize = 6;

/// A heading as the outline names it.
pub(super) struct Entry {
    pub(super) title: String,
    /// From 1.
    pub(super) level: usize,
    /// The number of its page, from 0, where that is said without names.
    pub(super) page: Option<usize>,
}

fn catalog(pdf: &Pdf) -> Option<Dict<'_>> {
    pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())
}

/// The outline, in its order.
pub(super) fn outline(pdf: &Pdf) -> Vec<Entry> {
    let pages: HashMap<ObjectIdentifier, usize> =
        pdf.pages().iter().enumerate().filter_map(|(i, page)| Some((page.raw().obj_id()?, i))).collect();
    let mut entries = Vec::new();
    // By where they stand: entries within others have no number of their own.
    let mut seen: HashSet<*const u8> = HashSet::new();
    let first = catalog(pdf)
        .and_then(|c| c.get::<Dict<'_>>(b"Outlines".as_slice()))
        .and_then(|o| o.get::<Dict<'_>>(b"First".as_slice()));
    let mut stack: Vec<(Dict<'_>, usize)> = first.map(|f| (f, 1)).into_iter().collect();
    while let Some((item, level)) = stack.pop() {
        if !seen.insert(item.data().as_ptr()) || entries.len() >= ENTRIES {
            continue;
        }
        if let Some(title) = item.get::<PdfString<'_>>(b"Title".as_slice()) {
            entries.push(Entry { title: strings::decode(&title), level: level.min(LEVELS), page: target(&item, &pages) });
        }
        if let Some(next) = item.get::<Dict<'_>>(b"Next".as_slice()) {
            stack.push((next, level));
        }
        if let Some(child) = item.get::<Dict<'_>>(b"First".as_slice()) {
            stack.push((child, level + 1));
        }
    }
    entries
}

fn target(item: &Dict<'_>, pages: &HashMap<ObjectIdentifier, usize>) -> Option<usize> {
    let to = item.get::<Array<'_>>(b"Dest".as_slice()).or_else(|| {
        let action = item.get::<Dict<'_>>(b"A".as_slice())?;
        action.get::<Array<'_>>(b"D".as_slice())
    })?;
    let page = to.raw_iter().next()?.as_obj_ref()?;
    pages.get(&page.into()).copied()
}

/// What each page calls itself ("iv", "12", "A-3"); its number from 1 where nothing is said.
pub(super) fn labels(pdf: &Pdf) -> Vec<String> {
    let count = pdf.pages().len();
    let mut ranges: Vec<(usize, Dict<'_>)> = Vec::new();
    let mut stack: Vec<Dict<'_>> = catalog(pdf).and_then(|c| c.get::<Dict<'_>>(b"PageLabels".as_slice())).into_iter().collect();
    let mut steps = 0;
    while let Some(node) = stack.pop() {
        steps += 1;
        if steps > ENTRIES {
            break;
        }
        if let Some(numbers) = node.get::<Array<'_>>(b"Nums".as_slice()) {
            let mut pairs = numbers.flex_iter();
            while let Some((first, label)) = pairs.next::<(u32, Dict<'_>)>() {
                ranges.push((first as usize, label));
            }
        }
        if let Some(kids) = node.get::<Array<'_>>(b"Kids".as_slice()) {
            stack.extend(kids.iter::<Dict<'_>>().take(ENTRIES));
        }
    }
    ranges.sort_by_key(|r| r.0);
    (0..count)
        .map(|page| {
            let Some((first, label)) = ranges.iter().rev().find(|r| r.0 <= page) else { return (page + 1).to_string() };
            let start = label.get::<u32>(b"St".as_slice()).unwrap_or(1) as usize;
            let number = start.saturating_add(page - first);
            let prefix = label.get::<PdfString<'_>>(b"P".as_slice()).map(|p| strings::decode(&p)).unwrap_or_default();
            let style = label.get::<Name<'_>>(b"S".as_slice());
            let written = match style.as_deref() {
                Some(b"D") => number.to_string(),
                Some(b"r") if number > 0 => roman(number as u64).to_lowercase(),
                Some(b"R") if number > 0 => roman(number as u64),
                Some(b"a") => letters(number).to_lowercase(),
                Some(b"A") => letters(number),
                _ => String::new(),
            };
            let label: String = prefix.chars().take(40).chain(written.chars()).collect();
            if label.is_empty() { (page + 1).to_string() } else { label }
        })
        .collect()
}

/// A to Z, then AA to ZZ, and so on.
fn letters(number: usize) -> String {
    let Some(at) = number.checked_sub(1) else { return String::new() };
    let letter = char::from(b'A' + (at % 26) as u8);
    std::iter::repeat_n(letter, (at / 26 + 1).min(20)).collect()
}

/// The layers that are switched off when the document is opened.
pub(super) fn hidden_layers(pdf: &Pdf) -> HashSet<ObjectIdentifier> {
    let mut hidden = HashSet::new();
    let Some(layers) = catalog(pdf).and_then(|c| c.get::<Dict<'_>>(b"OCProperties".as_slice())) else { return hidden };
    let Some(usual) = layers.get::<Dict<'_>>(b"D".as_slice()) else { return hidden };
    let refs = |of: &Dict<'_>, key: &[u8]| -> Vec<ObjectIdentifier> {
        let Some(list) = of.get::<Array<'_>>(key) else { return Vec::new() };
        list.raw_iter().filter_map(|o| o.as_obj_ref()).map(Into::into).take(ENTRIES).collect()
    };
    if usual.get::<Object<'_>>(b"BaseState".as_slice()).and_then(Object::into_name).is_some_and(|n| n.as_ref() == b"OFF") {
        hidden.extend(refs(&layers, b"OCGs"));
        for on in refs(&usual, b"ON") {
            hidden.remove(&on);
        }
    }
    hidden.extend(refs(&usual, b"OFF"));
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_pages_are_written_in_any_style() {
        assert_eq!((roman(14), roman(1999)), ("XIV".to_owned(), "MCMXCIX".to_owned()));
        assert_eq!((letters(1), letters(27), letters(0)), ("A".to_owned(), "AA".to_owned(), String::new()));
    }
}
