//! PDF, page by page, by where its letters stand.
//!
//! A page is a drawing: glyphs at places, rules, pictures. In this order it becomes text: glyphs (`content`, `font`) → words by
//! the gaps between them (`words`) → tables that rules show (`tables`) → columns along the white between blocks (`columns`) →
//! lines, paragraphs, items, code (`lines`, `blocks`). Over all pages: what repeats at their edges goes (`furniture`), tables
//! that go on keep their headings (`over_pages`), sizes
//! and outline make headings, divided words are joined (`markdown`). Pictures without text are counted, and read where OCR is
//! wished for (`ocr`).
//!
//! `hayro` (0.9 of its syntax) opens the document: damaged cross-references, encryption, filters. What it leaves to its user is
//! bounded in `bounds`.

mod bidi;
mod blocks;
mod bounds;
mod columns;
mod content;
mod font;
mod furniture;
mod letters;
mod lines;
mod markdown;
mod ocr;
mod outline;
mod over_pages;
mod paths;
mod strings;
mod tables;
#[cfg(test)]
mod tests;
mod vertical;
mod words;

use std::time::{Duration, Instant};

use hayro_font::kurbo::Rect;
use hayro_syntax::{LoadPdfError, Pdf};

use self::blocks::{Block, Content};
use self::columns::Region;
use self::content::Shown;
use self::font::Fonts;
use self::words::{Direction, Word};
use super::{Extracted, Format, MAX_TEXT, ParseError, ParseOptions, Parsed, title};
use crate::document::{Markup, PageStart};

/// A page once it is read.
struct Sheet {
    /// From 0.
    number: usize,
    height: f64,
    /// In reading order.
    blocks: Vec<Block>,
}

pub(super) fn extract(bytes: Vec<u8>, options: &ParseOptions, deadline: Instant) -> Result<Parsed, ParseError> {
    bounds::check(&bytes)?;
    let began = Instant::now();
    let late = || ParseError::TimedOut { format: Format::Pdf, after: Duration::from_secs(began.elapsed().as_secs().max(1)) };
    let pdf = open(bytes, options)?;
    let hidden = outline::hidden_layers(&pdf);
    let mut fonts = Fonts::new();
    let mut sheets = Vec::new();
    let mut unread = Vec::new();
    let mut size = 0;
    for (number, page) in pdf.pages().iter().enumerate() {
        let mut shown = content::read(page, &mut fonts, &hidden, deadline).map_err(|_| late())?;
        vertical::stand_up(&mut shown.glyphs);
        if shown.is_cut {
            tracing::warn!(page = number + 1, "a page of a PDF holds more than is read of one");
        }
        let (mut sheet, is_scan) = lay_out(&shown, number);
        if is_scan {
            match options.ocr.as_ref().and_then(|ocr| ocr::read(&shown, ocr, deadline)) {
                Some(read) => sheet.blocks = read,
                None => unread.push(number as u32 + 1),
            }
        }
        size += sheet.blocks.iter().flat_map(|b| &b.rows).map(|r| r.text.len()).sum::<usize>();
        sheets.push(sheet);
        if size > MAX_TEXT {
            return Err(ParseError::Bomb { format: Format::Pdf, limit: MAX_TEXT >> 20 });
        }
        if Instant::now() >= deadline {
            return Err(late());
        }
    }
    let headings = outline::outline(&pdf);
    furniture::remove(&mut sheets);
    over_pages::name_columns(&mut sheets);
    let written = markdown::write(&sheets, &headings);
    if written.text.trim().is_empty() {
        return Err(ParseError::NoText(Format::Pdf));
    }
    let labels = outline::labels(&pdf);
    let starts = written.pages.iter().enumerate().filter_map(|(i, offset)| {
        Some(PageStart { start: (*offset)?, page: i as u32 + 1, label: labels.get(i).cloned().unwrap_or_default() })
    });
    let pages = starts.collect();
    let title = own_title(&pdf).or_else(|| largest(&sheets));
    let extracted = Extracted { title, markup: Markup::Markdown, text: written.text };
    Ok(Parsed { pages, unread_pages: unread, ..Parsed::from(extracted) })
}

/// Opens the document: without a password, which is enough where only printing or copying is restricted, else with one of
/// those that were given.
fn open(bytes: Vec<u8>, options: &ParseOptions) -> Result<Pdf, ParseError> {
    let bytes: std::sync::Arc<Vec<u8>> = std::sync::Arc::new(bytes);
    let passwords = std::iter::once("").chain(options.passwords.iter().map(super::Password::reveal));
    let mut is_locked = false;
    for password in passwords {
        match Pdf::new_with_password(bytes.clone(), password) {
            Ok(pdf) => return Ok(pdf),
            Err(LoadPdfError::Decryption(_)) => is_locked = true,
            Err(LoadPdfError::Invalid) => break,
        }
    }
    Err(if is_locked {
        ParseError::Encrypted(Format::Pdf)
    } else {
        ParseError::broken(Format::Pdf, "no pages were found in it")
    })
}

/// A page's blocks in reading order, and whether it is a picture of text instead.
fn lay_out(shown: &Shown<'_>, number: usize) -> (Sheet, bool) {
    let mut blocks = Vec::new();
    for direction in words::directions(&shown.glyphs) {
        let words = words::words(&shown.glyphs, direction);
        let rules: Vec<Rect> = shown.rules.iter().filter_map(|r| direction.turn_box(*r)).collect();
        let mut some = read_words(words, &rules);
        for block in &mut some {
            block.is_turned = direction != Direction::UPRIGHT;
        }
        blocks.append(&mut some);
    }
    // A page all turned is a page like any other.
    if blocks.iter().all(|b| b.is_turned) {
        for block in &mut blocks {
            block.is_turned = false;
        }
    }
    let letters: usize = shown.glyphs.iter().filter(|g| !g.text.trim().is_empty()).count();
    let page = shown.width * shown.height;
    let covered: f64 = shown.pictures.iter().map(|p| p.bounds.area()).sum();
    let is_scan = letters < 10 && covered > 0.3 * page;
    (Sheet { number, height: shown.height, blocks }, is_scan)
}

/// The blocks of the words that run in one direction.
fn read_words(mut words: Vec<Word>, rules: &[Rect]) -> Vec<Block> {
    let mut tables: Vec<tables::Found> = Vec::new();
    for found in tables::ruled(rules, &mut words) {
        words.push(Word::place_of(tables.len(), found.bounds));
        tables.push(found);
    }
    let (mut right, mut all) = (0, 0);
    for word in &words {
        all += 1;
        right += usize::from(bidi::has_right_to_left(&word.text));
    }
    let body = lines::main_size(words.iter());
    let regions = columns::cut(words, right * 2 > all);
    let spacing = blocks::spacing(regions.iter().filter_map(|r| match r {
        Region::Lines(lines) => Some(lines.as_slice()),
        Region::Table(..) => None,
    }));
    let mut out = Vec::new();
    for region in regions {
        match region {
            Region::Lines(lines) => out.append(&mut blocks::blocks(lines, spacing, body, &tables)),
            Region::Table(words, cuts) => {
                let y = words.iter().map(|w| w.y).fold(f64::INFINITY, f64::min);
                out.push(Block::table(tables::aligned(words, &cuts), y));
            }
        }
    }
    notes_last(&mut out, body);
    out
}

/// Puts footnotes behind the text of their page: in two columns, those of the first stand between.
fn notes_last(blocks: &mut [Block], body: f64) {
    let lowest = blocks.iter().flat_map(|b| &b.rows).map(|r| r.y).fold(0.0, f64::max);
    for block in blocks.iter_mut() {
        let Some(first) = block.rows.first() else { continue };
        let mark = first.text.chars().next();
        block.is_note = block.content == Content::Paragraph
            && first.size < 0.93 * body
            && first.y > 0.5 * lowest
            && mark.is_some_and(|c| c.is_ascii_digit() || "*∗⋆†‡§¶¹²³①②③④⑤".contains(c));
    }
    blocks.sort_by_key(|b| b.is_note);
}

/// `/Title` of the document's information, unless it is what a program puts there by itself.
fn own_title(pdf: &Pdf) -> Option<String> {
    let raw = pdf.metadata().title.as_deref()?;
    let title = title::clean(&strings::decode(raw))?;
    let lower = title.to_lowercase();
    let automatic =
        ["microsoft word - ", "microsoft powerpoint - ", "untitled", "(anonymous)", "unspecified", "slide 1", "no title"]
            .iter()
            .any(|start| lower.starts_with(start))
            || [
                ".doc", ".docx", ".dvi", ".tex", ".pdf", ".ps", ".indd", ".qxd", ".rtf", ".odt", ".ppt", ".pptx", ".xls",
                ".xlsx",
            ]
            .iter()
            .any(|end| lower.ends_with(end))
            || !title.chars().any(char::is_alphabetic);
    // Bytes of an encoding that nobody knows.
    let is_readable = title.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace()).count() * 2 > title.chars().count();
    (!automatic && is_readable).then_some(title)
}

/// What stands in the largest letters on the first page, if these are clearly larger than those of the text.
fn largest(sheets: &[Sheet]) -> Option<String> {
    let body = markdown::body_size(sheets);
    let first = sheets.iter().find(|s| !s.blocks.is_empty())?;
    let heads = first.blocks.iter().filter(|b| b.content == Content::Paragraph && !b.is_turned && b.size() > 1.25 * body);
    let size = heads.clone().map(Block::size).fold(0.0, f64::max);
    let mut text = String::new();
    for block in heads.filter(|b| b.size() > 0.95 * size).take(2) {
        for row in &block.rows {
            text.push(' ');
            text.push_str(&row.text);
        }
    }
    let words = text.chars().filter(|c| c.is_alphabetic()).count();
    title::clean(&text).filter(|t| words >= 4 && t.chars().count() <= 250)
}
