//! `PowerPoint` presentations of before 2007, as Markdown.
//!
//! Own reading: `office_oxide` 0.1.16 leaves out notes, and text that only the outline has.

mod records;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use self::records::{Record, records};
use super::compound::{Compound, u16_at, u32_at, utf16};
use super::order::{self, Frame};
use super::writer::{Block, Writer};
use super::{Extracted, Format, ParseError, codepage, letters, summary, text, title};
use crate::document::Markup;

/// Edits that were saved one after another.
const MAX_EDITS: usize = 10_000;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let broken = |what: &str| ParseError::broken(Format::Ppt, what);
    let file = Compound::open(bytes).ok_or_else(|| broken("its container is damaged"))?;
    let stream = file.stream(0, "PowerPoint Document").ok_or_else(|| broken("it has no presentation in it"))?;
    let user = file.stream(0, "Current User").unwrap_or_default();
    if u32_at(&user, 12) == Some(0xf3d1_c4df) || file.find(0, "EncryptedSummary").is_some() {
        return Err(ParseError::Encrypted(Format::Ppt));
    }
    let places = places(&stream, u32_at(&user, 16).unwrap_or(0) as usize);
    let document = places.document.and_then(|at| records(&stream, at).next()).filter(|r| r.kind == 0x3e8);
    let mut out = Writer::default();
    let mut first_title = None;
    if let Some(document) = document {
        let mut reader = Reader { stream: &stream, offsets: &places.offsets, footers: Vec::new() };
        let notes = reader.notes(&document);
        for (nth, slide) in (1..).zip(Reader::list(&document, 0)) {
            reader.slide(nth, &slide, &notes, &mut first_title, &mut out);
        }
        for footer in reader.footers {
            out.paragraph(&footer);
        }
    } else {
        // A damaged directory: all text there is, in the order of the file.
        let mut said = HashSet::new();
        for text in all_texts(&stream) {
            if said.insert(text.clone()) {
                out.paragraph(&text);
            }
        }
        // PowerPoint 95 has other records, and all its text once more by itself.
        if said.is_empty()
            && let Some(mut bytes) = file.stream(0, "Text_Content")
        {
            bytes.retain(|b| *b != 0);
            let lines = text::decode(bytes).unwrap_or_default();
            lines.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).for_each(|line| out.paragraph(line));
        }
    }
    let text = out.finish();
    let title = summary::title(&file).or(first_title).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

struct Places {
    offsets: HashMap<u32, usize>,
    document: Option<usize>,
}

/// Where the parts of a presentation are, in the newest edit that has them.
fn places(stream: &[u8], newest: usize) -> Places {
    let mut offsets: HashMap<u32, usize> = HashMap::new();
    let mut document = None;
    let mut at = newest;
    for _ in 0..MAX_EDITS {
        let Some(edit) = records(stream, at).next().filter(|r| r.kind == 0xff5) else { break };
        document = document.or_else(|| u32_at(edit.data, 16));
        if let Some(directory) =
            u32_at(edit.data, 12).and_then(|at| records(stream, at as usize).next()).filter(|r| r.kind == 0x1772)
        {
            let mut at = 0;
            while let Some(head) = u32_at(directory.data, at) {
                at += 4;
                for nth in 0..head >> 20 {
                    let Some(offset) = u32_at(directory.data, at) else { break };
                    offsets.entry((head & 0xf_ffff) + nth).or_insert(offset as usize);
                    at += 4;
                }
            }
        }
        match u32_at(edit.data, 8) {
            Some(before) if before != 0 && (before as usize) < at => at = before as usize,
            _ => break,
        }
    }
    let document = document.and_then(|id| offsets.get(&id)).copied();
    // Without a directory the first part is the document, if it is one.
    let first = || records(stream, 0).next().filter(|r| r.kind == 0x3e8).map(|_| 0);
    Places { document: document.or_else(first), offsets }
}

/// A slide or a page of notes as the document lists it.
struct Listed {
    persist: u32,
    id: u32,
    /// What the outline says of it.
    texts: Vec<(u32, String)>,
}

/// A text on a slide: of what kind, where.
struct Placed {
    kind: u32,
    text: String,
    frame: Option<Frame>,
}

struct Reader<'a> {
    stream: &'a [u8],
    offsets: &'a HashMap<u32, usize>,
    footers: Vec<String>,
}

impl<'a> Reader<'a> {
    fn list(document: &Record<'a>, which: u16) -> Vec<Listed> {
        let mut out: Vec<Listed> = Vec::new();
        for list in document.children().filter(|r| r.kind == 0xff0 && r.instance == which) {
            let mut kind = 4;
            for record in list.children() {
                match record.kind {
                    0x3f3 => out.push(Listed {
                        persist: u32_at(record.data, 0).unwrap_or(0),
                        id: u32_at(record.data, 12).unwrap_or(0),
                        texts: Vec::new(),
                    }),
                    0xf9f => {
                        kind = u32_at(record.data, 0).unwrap_or(4);
                        // A text may be blank, and still be counted.
                        if let Some(slide) = out.last_mut() {
                            slide.texts.push((kind, String::new()));
                        }
                    }
                    _ => {
                        if let (Some(text), Some(slide)) = (text_of(&record), out.last_mut()) {
                            match slide.texts.last_mut() {
                                Some(last) => last.1 = text,
                                None => slide.texts.push((kind, text)),
                            }
                        }
                    }
                }
            }
        }
        out
    }

    fn part(&self, persist: u32, kind: u16) -> Option<Record<'a>> {
        records(self.stream, *self.offsets.get(&persist)?).next().filter(|r| r.kind == kind)
    }

    /// Notes, by the slide that they are about.
    fn notes(&mut self, document: &Record<'a>) -> HashMap<u32, Vec<String>> {
        let mut notes = HashMap::new();
        for listed in Self::list(document, 2) {
            let Some(page) = self.part(listed.persist, 0x3f0) else { continue };
            let Some(about) = page.children().find(|r| r.kind == 0x3f1).and_then(|r| u32_at(r.data, 0)) else { continue };
            let texts = texts_on(&page, &listed.texts);
            let lines: Vec<String> = texts.into_iter().filter(|t| t.kind == 2 || t.kind == 4).map(|t| t.text).collect();
            notes.insert(about, lines);
        }
        notes
    }

    fn slide(
        &mut self,
        nth: usize,
        listed: &Listed,
        notes: &HashMap<u32, Vec<String>>,
        first_title: &mut Option<String>,
        out: &mut Writer,
    ) {
        let page = self.part(listed.persist, 0x3ee);
        let mut texts = page.as_ref().map(|page| texts_on(page, &listed.texts)).unwrap_or_default();
        // What the outline alone has.
        for (kind, text) in &listed.texts {
            if !texts.iter().any(|placed| placed.text == *text) {
                texts.push(Placed { kind: *kind, text: text.clone(), frame: None });
            }
        }
        texts.retain(|placed| !placed.text.trim().is_empty());
        let hidden = page.as_ref().is_some_and(|page| {
            page.children().find(|r| r.kind == 0x3f9).and_then(|r| u16_at(r.data, 10)).is_some_and(|flags| flags & 4 != 0)
        });
        let title = texts.iter().position(|placed| matches!(placed.kind, 0 | 6)).map(|at| texts.remove(at).text);
        let heading = title.as_deref().map(|title| title.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
        *first_title = first_title.take().or_else(|| title::clean(&heading));
        let said = notes.get(&listed.id);
        if !heading.is_empty() || !texts.is_empty() || said.is_some_and(|lines| !lines.is_empty()) {
            let heading = if heading.is_empty() { format!("Slide {nth}") } else { heading };
            out.heading(2, &if hidden { format!("{heading} (hidden)") } else { heading });
        }
        let frames: Vec<Option<Frame>> = texts.iter().map(|placed| placed.frame).collect();
        let (placed, nowhere): (Vec<usize>, Vec<usize>) =
            order::reading_order(&frames).into_iter().partition(|at| frames.get(*at).is_some_and(Option::is_some));
        for at in placed.into_iter().chain(nowhere) {
            let Some(placed) = texts.get(at) else { continue };
            let lines: Vec<&str> = placed.text.split('\n').filter(|line| !line.trim().is_empty()).collect();
            let listed = matches!(placed.kind, 1 | 7 | 8) && lines.len() > 1;
            for line in lines {
                let line = line.replace('\u{b}', "\n");
                out.block(&if listed { Block::Item(0, "-".to_owned(), line) } else { Block::Paragraph(line) });
            }
        }
        let mut first = true;
        for line in said.into_iter().flatten().flat_map(|text| text.split('\n')).filter(|line| !line.trim().is_empty()) {
            out.paragraph(&if std::mem::take(&mut first) { format!("Notes: {}", line.trim()) } else { line.to_owned() });
        }
        if let Some(page) = page {
            self.asides(&page, out);
        }
    }

    /// Comments, and what stands at the foot of the slide.
    fn asides(&mut self, page: &Record<'a>, out: &mut Writer) {
        for record in page.all(&[0x2ee0, 0xfd9]) {
            let said = |instance: u16| {
                let text = record.children().find(|r| r.kind == 0xfba && r.instance == instance).map(|r| utf16(r.data));
                text.map(|text| text.replace('\r', " ").trim().to_owned()).filter(|text| !text.is_empty())
            };
            if record.kind == 0x2ee0 {
                if let Some(text) = said(1) {
                    let by = said(0).map(|author| format!(" by {author}")).unwrap_or_default();
                    out.paragraph(&format!("> Comment{by}: {text}"));
                }
            } else if let Some(footer) = said(2).filter(|footer| !self.footers.contains(footer)) {
                self.footers.push(footer);
            }
        }
    }
}

/// The texts on a slide or a page of notes.
fn texts_on(page: &Record<'_>, outline: &[(u32, String)]) -> Vec<Placed> {
    let mut out = Vec::new();
    for shape in page.all(&[0xf004]) {
        let mut kind = 4;
        let mut frame = None;
        for record in shape.children() {
            match record.kind {
                0xf010 | 0xf00f => frame = anchor(record.data, record.kind == 0xf010),
                0xf00d => {
                    for record in record.children() {
                        match record.kind {
                            0xf9f => kind = u32_at(record.data, 0).unwrap_or(4),
                            0xf9e => {
                                if let Some((kind, text)) = u32_at(record.data, 0).and_then(|nth| outline.get(nth as usize)) {
                                    out.push(Placed { kind: *kind, text: text.clone(), frame });
                                }
                            }
                            _ => out.extend(text_of(&record).map(|text| Placed { kind, text, frame })),
                        }
                    }
                }
                _ => {}
            }
        }
    }
    out
}

/// Where a shape is, in one of three forms.
fn anchor(data: &[u8], of_slide: bool) -> Option<Frame> {
    let narrow = |at: usize| u16_at(data, at).map(|n| i64::from(n as i16));
    let wide = |at: usize| u32_at(data, at).map(|n| i64::from(n as i32));
    let (left, top, right, bottom) = match (data.len(), of_slide) {
        (8, true) => (narrow(2)?, narrow(0)?, narrow(4)?, narrow(6)?),
        (_, true) => (wide(4)?, wide(0)?, wide(8)?, wide(12)?),
        // Within a group the numbers are the group's own.
        _ => return None,
    };
    Some(Frame::new((left, top), (right - left, bottom - top)))
}

/// Paragraphs on lines of their own; a line that was broken within one is marked as it is in the file.
fn text_of(record: &Record<'_>) -> Option<String> {
    let raw = match record.kind {
        0xfa0 => utf16(record.data),
        // The lower halves of letters.
        0xfa8 => codepage::decode(1252, record.data),
        _ => return None,
    };
    let mut out = String::new();
    for (nth, paragraph) in raw.split('\r').enumerate() {
        if nth > 0 {
            out.push('\n');
        }
        for (nth, line) in paragraph.split('\u{b}').enumerate() {
            if nth > 0 {
                out.push('\u{b}');
            }
            letters::push(&mut out, line, Some("Symbol"));
        }
    }
    Some(out)
}

fn all_texts(stream: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for record in records(stream, 0) {
        out.extend(text_of(&record));
        for inner in record.all(&[0xfa0, 0xfa8]) {
            out.extend(text_of(&inner));
        }
    }
    out.iter().map(|text| text.replace('\u{b}', "\n")).filter(|text| !text.trim().is_empty()).collect()
}
