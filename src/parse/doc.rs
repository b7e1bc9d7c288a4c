//! Word documents of before 2007, as Markdown.
//!
//! Own reading: `office_oxide` 0.1.16 reads old code pages as Latin, and takes readings of names for text.

mod lists;
mod properties;
#[cfg(test)]
mod tests;
use std::collections::HashMap;

use self::properties::{Letters, Paragraph, Paragraphs, Runs};
use super::compound::{Compound, u16_at, u32_at, utf16};
use super::edges::Rows;
use super::numbering::{Label, Numbering};
use super::writer::{Block, Writer, link};
use super::{Extracted, Format, MAX_TEXT, ParseError, codepage, letters, summary, text, title};
use crate::document::Markup;

/// Pieces that a text is put together of.
const MAX_PIECES: usize = 500_000;
/// Styles that are based on one another.
const CHAIN: usize = 12;
/// Fields within fields.
const MAX_FIELDS: usize = 50;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let broken = |what: &str| ParseError::broken(Format::Doc, what);
    if u16_at(&bytes, 0).is_some_and(|mark| matches!(mark, 0xa5db | 0xa59b | 0xa59c | 0xa5dc)) {
        // Word 2 to 6, without a container.
        return plain_file(&bytes);
    }
    let file = Compound::open(bytes).ok_or_else(|| broken("its container is damaged"))?;
    let main = file.stream(0, "WordDocument").ok_or_else(|| broken("it has no document in it"))?;
    let flags = u16_at(&main, 10).ok_or_else(|| broken("it ends in its head"))?;
    if flags & 0x100 != 0 {
        return Err(ParseError::Encrypted(Format::Doc));
    }
    let is_new = u16_at(&main, 2).is_some_and(|version| version >= 0xc1);
    let story = if is_new {
        let side = file.stream(0, if flags & 0x200 != 0 { "1Table" } else { "0Table" });
        let side = side.or_else(|| file.stream(0, "1Table")).or_else(|| file.stream(0, "0Table")).unwrap_or_default();
        Story::new(&main, &side)
    } else {
        Story::old(&main, flags)
    };
    let text = story.to_markdown();
    if text.len() > MAX_TEXT {
        return Err(ParseError::Bomb { format: Format::Doc, limit: MAX_TEXT >> 20 });
    }
    let title = summary::title(&file).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

/// A document that is one stream: its letters lie between two places that its head names.
fn plain_file(bytes: &[u8]) -> Result<Extracted, ParseError> {
    let flags = u16_at(bytes, 10).unwrap_or(0);
    if flags & 0x100 != 0 {
        return Err(ParseError::Encrypted(Format::Doc));
    }
    let text = Story::old(bytes, flags).to_markdown();
    Ok(Extracted { title: title::of_markdown(&text), markup: Markup::Markdown, text })
}

/// A letter, and where it is in the file.
#[derive(Debug, Clone, Copy)]
struct Letter {
    c: char,
    place: u32,
}

/// All the letters of a document, and what is known of them.
struct Story {
    letters: Vec<Letter>,
    /// How many of them are the text, its footnotes, its headers, its comments, its endnotes, its boxes.
    parts: [usize; 6],
    paragraphs: Option<Paragraphs>,
    looks: Option<Runs<Letters>>,
    /// Headings among the styles: their level.
    headings: HashMap<u16, usize>,
    /// What the lists of the text are like.
    lists: Vec<u8>,
    uses: Vec<u8>,
}

impl Story {
    /// Of Word 97 to 2003.
    fn new(main: &[u8], side: &[u8]) -> Self {
        let long = |at: usize| u32_at(main, at).unwrap_or(0) as usize;
        let table = |at: usize| {
            let (from, length) = (long(at), long(at + 4));
            side.get(from..from.saturating_add(length).min(side.len())).unwrap_or_default()
        };
        let parts = [long(0x4c), long(0x50), long(0x54), long(0x5c), long(0x60), long(0x64)];
        // Narrow letters are those of Windows, on a Macintosh as well.
        let mut letters = pieces(main, table(0x1a2), 1252);
        if letters.is_empty() {
            let (from, to) = (long(0x18), long(0x1c).min(main.len()));
            letters = narrow(main, from, to, 1252);
        }
        Self {
            letters,
            parts,
            paragraphs: Some(properties::paragraphs(main, table(0x102))),
            looks: Some(properties::letters(main, table(0xfa))),
            headings: headings(table(0xa2)),
            // The levels stand behind the table of lists, whose length leaves them out.
            lists: side.get(long(0x2e2)..).filter(|_| long(0x2e6) > 0).unwrap_or_default().to_vec(),
            uses: table(0x2ea).to_vec(),
        }
    }

    /// Of Word 2 to 95: letters of one byte, in the code page of the document's language, or of what they look like.
    fn old(main: &[u8], flags: u16) -> Self {
        let long = |at: usize| u32_at(main, at).unwrap_or(0) as usize;
        let (from, to) = (long(0x18), long(0x1c).min(main.len()));
        let parts = [long(0x34), long(0x38), long(0x3c), long(0x44), long(0x48), long(0x4c)];
        let page = page_of(main, from, to);
        let fast = flags & 4 != 0;
        let table = fast.then(|| main.get(long(0x160)..long(0x160).saturating_add(long(0x164)).min(main.len()))).flatten();
        let mut letters = table.map(|table| old_pieces(main, table, page)).unwrap_or_default();
        if letters.is_empty() {
            letters = narrow(main, from, to, page);
        }
        let parts = if u16_at(main, 0) == Some(0xa5db) { [usize::MAX, 0, 0, 0, 0, 0] } else { parts };
        Self { letters, parts, paragraphs: None, looks: None, headings: HashMap::new(), lists: Vec::new(), uses: Vec::new() }
    }

    fn to_markdown(&self) -> String {
        let mut out = Writer::default();
        let mut rest = self.letters.as_slice();
        for (nth, count) in self.parts.iter().enumerate() {
            let (part, after) = rest.split_at_checked(*count).unwrap_or((rest, &[]));
            rest = after;
            let mut reader = Reader {
                story: self,
                line: String::new(),
                fields: Vec::new(),
                rows: Rows::default(),
                cells: Vec::new(),
                empty: 0,
                numbering: lists::numbering(&self.lists, &self.uses),
            };
            if nth == 0 {
                reader.read(part, &mut |block| out.block(&block));
                continue;
            }
            // Headers are written for each section anew; what is in notes is one paragraph each.
            let mut seen: Vec<String> = Vec::new();
            reader.read(part, &mut |block| {
                let said = block.plain();
                let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                if !said.chars().any(char::is_alphabetic) || (nth == 2 && seen.contains(&said)) {
                    return;
                }
                out.paragraph(&if nth == 3 { format!("> Comment: {said}") } else { said.clone() });
                seen.push(said);
            });
        }
        out.finish()
    }
}

/// The letters of a document of Word 97 and later, piece by piece.
fn pieces(main: &[u8], table: &[u8], page: u32) -> Vec<Letter> {
    let mut at = 0;
    // Lists of changes stand before the pieces.
    while table.get(at) == Some(&1) {
        at += 3 + u16_at(table, at + 1).map_or(0, usize::from);
    }
    let mut out = Vec::new();
    if table.get(at) != Some(&2) {
        return out;
    }
    let length = u32_at(table, at + 1).unwrap_or(0) as usize;
    let Some(plc) = table.get(at + 5..(at + 5).saturating_add(length).min(table.len())) else { return out };
    let count = (plc.len().saturating_sub(4) / 12).min(MAX_PIECES);
    for nth in 0..count {
        let (Some(start), Some(end)) = (u32_at(plc, 4 * nth), u32_at(plc, 4 * nth + 4)) else { break };
        let Some(place) = u32_at(plc, 4 * (count + 1) + 8 * nth + 2) else { break };
        let letters = end.saturating_sub(start) as usize;
        // The pieces of a damaged table may all be the whole file.
        if out.len().saturating_add(letters) > main.len().saturating_mul(2) {
            break;
        }
        if place & 0x4000_0000 != 0 {
            let from = (place & 0x3fff_ffff) as usize / 2;
            out.extend(narrow(main, from, from.saturating_add(letters), page));
        } else {
            let from = place as usize;
            let bytes = main.get(from..from.saturating_add(2 * letters).min(main.len())).unwrap_or_default();
            let mut place = place;
            for c in utf16(bytes).chars() {
                out.push(Letter { c, place });
                // Counted in units: each of a pair is a letter to Word.
                if c.len_utf16() == 2 {
                    out.push(Letter { c: '\u{2060}', place });
                }
                place = place.saturating_add(2 * c.len_utf16() as u32);
            }
        }
    }
    out
}

/// Those of a document of Word 6 or 95 that was saved in a hurry.
fn old_pieces(main: &[u8], table: &[u8], page: u32) -> Vec<Letter> {
    let mut at = 0;
    while table.get(at) == Some(&1) {
        at += 3 + u16_at(table, at + 1).map_or(0, usize::from);
    }
    let mut out = Vec::new();
    let Some(plc) = table.get(at..).filter(|t| t.first() == Some(&2)).and_then(|t| t.get(3..)) else { return out };
    let length = u16_at(table, at + 1).map_or(0, usize::from);
    let plc = plc.get(..length).unwrap_or(plc);
    let count = plc.len().saturating_sub(4) / 12;
    for nth in 0..count {
        let (Some(start), Some(end)) = (u32_at(plc, 4 * nth), u32_at(plc, 4 * nth + 4)) else { break };
        let Some(from) = u32_at(plc, 4 * (count + 1) + 8 * nth + 2) else { break };
        let letters = end.saturating_sub(start) as usize;
        if out.len().saturating_add(letters) > main.len().saturating_mul(2) {
            break;
        }
        out.extend(narrow(main, from as usize, (from as usize).saturating_add(letters), page));
    }
    out
}

/// Letters of one byte (two in Chinese, Japanese and Korean, of which the second then counts, too).
fn narrow(main: &[u8], from: usize, to: usize, page: u32) -> Vec<Letter> {
    let bytes = main.get(from..to.min(main.len())).unwrap_or_default();
    let mut out = Vec::with_capacity(bytes.len());
    let is_wide = matches!(page, 932 | 936 | 949 | 950);
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let width = if is_wide && *first >= 0x81 && *first != 0xa0 && at + 1 < bytes.len() { 2 } else { 1 };
        let place = (from + at) as u32;
        let c = if *first < 0x80 {
            char::from(*first)
        } else {
            codepage::decode(page, bytes.get(at..at + width).unwrap_or_default()).chars().next().unwrap_or(' ')
        };
        out.push(Letter { c, place });
        if width == 2 {
            out.push(Letter { c: '\u{2060}', place });
        }
        at += width;
    }
    out
}

/// The code page of a document of Word 6 or 95.
fn page_of(main: &[u8], from: usize, to: usize) -> u32 {
    if is_of_mac(main) {
        return 10_000;
    }
    let by_language = codepage::of_language(u16_at(main, 6).map_or(0, u32::from));
    if by_language != 1252 {
        return by_language;
    }
    // Many a program of the time says "English" whatever the letters are.
    let bytes: Vec<u8> = main.get(from..to).unwrap_or_default().iter().copied().filter(|b| *b >= 0x20 || *b == b'\r').collect();
    let high = bytes.iter().filter(|b| **b >= 0xc0).count();
    let low = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
    if high * 2 < low {
        return 1252;
    }
    match text::guess_encoding(&bytes).name() {
        "windows-1251" | "KOI8-U" | "IBM866" | "ISO-8859-5" => 1251,
        "windows-1253" | "ISO-8859-7" => 1253,
        "windows-1255" | "ISO-8859-8" => 1255,
        "windows-1256" | "ISO-8859-6" => 1256,
        "windows-1250" | "ISO-8859-2" => 1250,
        "windows-874" => 874,
        "GBK" | "gb18030" => 936,
        "Big5" => 950,
        "Shift_JIS" | "EUC-JP" => 932,
        "EUC-KR" => 949,
        _ => 1252,
    }
}

/// Whether the letters are those of the Macintosh.
fn is_of_mac(main: &[u8]) -> bool {
    u16_at(main, 0x14) == Some(256) || main.get(0x12) == Some(&1)
}

/// Headings among the styles. Those that Word has from the beginning have numbers that say which they are.
fn headings(sheet: &[u8]) -> HashMap<u16, usize> {
    let mut own: HashMap<u16, Option<usize>> = HashMap::new();
    let mut based: HashMap<u16, u16> = HashMap::new();
    let mut at = 2 + u16_at(sheet, 0).map_or(0, usize::from);
    for number in 0..4096u16 {
        let Some(length) = u16_at(sheet, at) else { break };
        at += 2;
        if let (Some(kind), Some(base)) = (u16_at(sheet, at), u16_at(sheet, at + 2))
            && length > 4
        {
            let level = match kind & 0xfff {
                built_in @ 1..=9 => Some(usize::from(built_in)),
                62 => Some(1),
                _ => None,
            };
            own.insert(number, level);
            based.insert(number, base >> 4);
        }
        at += usize::from(length);
    }
    let level = |number: &u16| {
        let chain = std::iter::successors(Some(*number), |n| based.get(n).copied()).take(CHAIN);
        chain.into_iter().find_map(|n| own.get(&n).copied().flatten())
    };
    own.keys().filter_map(|number| Some((*number, level(number)?))).collect()
}

/// A word with how it is read, which Word writes as a formula: `EQ \\* jc2 … \\o\\ad(\\s\\up 10(とうきょう),東京)`.
fn reading(code: &str) -> Option<String> {
    let code = code.trim().strip_prefix("EQ")?;
    let (_, after) = code.split_once("\\up ")?;
    let (_, after) = after.split_once('(')?;
    let (reading, base) = after.split_once(')')?;
    let base = base.trim_start_matches([',', ';', ' ']).trim_end().strip_suffix(')')?;
    Some(format!("{base}({reading})"))
}

/// Reads one of the texts of a document.
struct Reader<'a> {
    story: &'a Story,
    line: String,
    /// Fields that are open: their code, where their result begins.
    fields: Vec<(String, Option<usize>)>,
    rows: Rows,
    cells: Vec<String>,
    /// Ends of cells that follow each other: two are the end of a row, where nothing else says so.
    empty: usize,
    numbering: Numbering,
}

impl Reader<'_> {
    fn read(&mut self, text: &[Letter], out: &mut dyn FnMut(Block)) {
        for letter in text {
            match letter.c {
                '\r' | '\u{c}' | '\u{e}' => self.end_of_paragraph(letter.place, out),
                '\u{7}' => self.end_of_cell(letter.place),
                '\u{13}' => {
                    if self.fields.len() < MAX_FIELDS {
                        self.fields.push((String::new(), None));
                    }
                }
                '\u{14}' => {
                    let since = self.line.len();
                    if let Some(field) = self.fields.last_mut() {
                        field.1 = Some(since);
                    }
                }
                '\u{15}' => self.end_of_field(),
                c => self.letter(c, letter.place),
            }
        }
        self.end_of_paragraph(text.last().map_or(0, |letter| letter.place), out);
        self.close_table(out);
    }

    fn letter(&mut self, c: char, place: u32) {
        if let Some((code, None)) = self.fields.last_mut() {
            if code.len() < 2000 {
                code.push(c);
            }
            return;
        }
        if self.fields.iter().any(|(_, since)| since.is_none()) {
            return;
        }
        let look = self.story.looks.as_ref().map(|looks| looks.at(place)).unwrap_or_default();
        if look.gone {
            return;
        }
        self.empty = 0;
        match c {
            '\u{1e}' => self.line.push('-'),
            // Pictures, marks of notes, hyphens that do not show.
            '\u{0}'..='\u{8}' | '\u{1f}' => {}
            c if look.raised => letters::push_raised(&mut self.line, c.encode_utf8(&mut [0; 4])),
            c => letters::push(&mut self.line, c.encode_utf8(&mut [0; 4]), Some("Symbol")),
        }
    }

    fn end_of_field(&mut self) {
        let Some((code, since)) = self.fields.pop() else { return };
        let Some(since) = since else {
            if self.fields.iter().all(|(_, since)| since.is_some()) {
                self.line.push_str(&reading(&code).unwrap_or_default());
            }
            return;
        };
        let Some(shown) = self.line.get(since..) else { return };
        let mut words = code.split_whitespace();
        match words.next() {
            Some("HYPERLINK") => {
                let target = words.find(|word| !word.starts_with('\\')).unwrap_or_default().trim_matches('"');
                let linked = link(shown, target);
                self.line.truncate(since);
                self.line.push_str(&linked);
            }
            Some("PAGE" | "NUMPAGES") => self.line.truncate(since),
            _ => {}
        }
    }

    fn paragraph(&self, place: u32) -> Paragraph {
        self.story.paragraphs.as_ref().map(|paragraphs| paragraphs.at(place)).unwrap_or_default()
    }

    fn end_of_paragraph(&mut self, place: u32, out: &mut dyn FnMut(Block)) {
        let paragraph = self.paragraph(place);
        self.fields.retain(|(_, since)| since.is_some());
        for field in &mut self.fields {
            field.1 = Some(0);
        }
        if paragraph.in_table || !self.cells.is_empty() {
            self.line.push('\n');
            return;
        }
        self.close_table(out);
        let line = std::mem::take(&mut self.line);
        let text = line.trim();
        if text.is_empty() {
            return;
        }
        let outline = paragraph.outline.filter(|level| *level < 9).map(|level| usize::from(level) + 1);
        let level = outline.or_else(|| self.story.headings.get(&paragraph.style).copied());
        let listed = paragraph.list != 0 && paragraph.list != 2047;
        let at = usize::from(paragraph.level.min(8));
        let label = listed.then(|| self.numbering.next(&paragraph.list.to_string(), at)).flatten();
        let label = match label {
            Some(Label::Number(number)) if !number.is_empty() => Some(number),
            Some(Label::Number(_)) => None,
            Some(Label::Bullet) => Some("-".to_owned()),
            None => listed.then(|| "-".to_owned()),
        };
        out(match (level, label) {
            (Some(level), Some(label)) if label != "-" => Block::Heading(level, format!("{label} {text}")),
            (Some(level), _) => Block::Heading(level, text.to_owned()),
            (None, Some(label)) => Block::Item(at, label, text.to_owned()),
            (None, None) => Block::Paragraph(text.to_owned()),
        });
    }

    fn end_of_cell(&mut self, place: u32) {
        self.empty += 1;
        let by_mark = self.story.paragraphs.is_none() && self.empty >= 2;
        if self.paragraph(place).ends_row || by_mark {
            let cells = std::mem::take(&mut self.cells);
            self.line.clear();
            self.empty = 0;
            self.end_of_row(cells, place);
            return;
        }
        self.cells.push(std::mem::take(&mut self.line).trim().to_owned());
    }

    fn close_table(&mut self, out: &mut dyn FnMut(Block)) {
        if !self.cells.is_empty() {
            let cells = std::mem::take(&mut self.cells);
            self.rows.begin_row();
            self.add_row(cells);
        }
        if let Some(table) = self.rows.finish() {
            out(Block::Table(table));
        }
    }

    /// A row with its cells' places, which merged ones are told by: its mark has them.
    fn end_of_row(&mut self, cells: Vec<String>, place: u32) {
        self.rows.begin_row();
        for edge in self.story.paragraphs.as_ref().map_or(&[][..], |paragraphs| paragraphs.row(paragraphs.at(place))) {
            self.rows.place(*edge);
        }
        self.add_row(cells);
    }

    fn add_row(&mut self, cells: Vec<String>) {
        for cell in cells {
            self.rows.cell(cell);
        }
        self.rows.end_row();
    }
}
