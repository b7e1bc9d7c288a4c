//! Excel workbooks (XLSX, XLSM and templates).
//!
//! Own reading: `calamine` 0.38 gives no text of a number as its format shows it, and no comments. Sheets are read as a stream:
//! as a tree a sheet of a million rows would take gigabytes.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::numfmt::NumberFormat;
use super::package::{Package, Relations};
use super::sheet::layout::{Kind, Merge, Sheets, Value};
use super::sheet::{cell_at, number};
use super::xml::Element;
use super::{Extracted, Format, ParseError, drawing, letters, text, title, writer};
use crate::document::Markup;

/// Columns of a sheet, as Excel has them.
const MAX_COLUMNS: u32 = 16_384;
/// Sheets of a workbook that are read.
const MAX_SHEETS: usize = 2000;
/// Merged cells of a sheet.
const MAX_MERGES: usize = 200_000;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let mut package = Package::open(Format::Xlsx, bytes)?;
    let main = package.main_part("xl/workbook.xml");
    let workbook = package.required(&main)?;
    let relations = package.relations(&main);
    let side = |kind: &str| relations.values().find(|r| r.kind == kind).map(|r| r.target.clone());
    let book = Book {
        strings: side("sharedStrings").map(|name| shared_strings(&mut package, &name)).unwrap_or_default(),
        formats: side("styles").and_then(|name| package.part(&name)).map(|root| formats(&root)).unwrap_or_default(),
        since_1904: workbook
            .child("x:workbookPr")
            .and_then(|p| p.attribute("date1904"))
            .is_some_and(|v| v == "1" || v == "true"),
    };
    let mut out = Sheets::new(Format::Xlsx);
    let sheets = workbook.child("x:sheets").into_iter().flat_map(|sheets| sheets.named("x:sheet"));
    for sheet in sheets.take(MAX_SHEETS) {
        let Some(relation) = sheet.attribute("r:id").and_then(|id| relations.get(id)) else { continue };
        let name = sheet.attribute("name").unwrap_or_default();
        let hidden = matches!(sheet.attribute("state"), Some("hidden" | "veryHidden"));
        // A sheet that cannot be read (of a macro, of a chart, a damaged one) costs itself alone.
        let Ok(source) = package.bytes(&relation.target).and_then(text::decode) else { continue };
        let own = package.relations(&relation.target);
        let (merges, links) = tail(&source, &own);
        out.begin(name, hidden, merges);
        let scan = Scan { book: &book, links: &links };
        scan.sheet(&source, &mut out)?;
        out.end(&comments(&mut package, &own));
        asides(&mut package, &own, &mut out);
    }
    let title = package.title().or_else(|| out.said.take());
    let text = out.finish();
    let title = title.or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

struct Book {
    strings: Vec<String>,
    /// By the index of a cell's style.
    formats: Vec<NumberFormat>,
    since_1904: bool,
}

/// What is said in each string; readings of Japanese names (`rPh`) are not said.
fn shared_strings(package: &mut Package, name: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let Ok(source) = package.bytes(name).and_then(text::decode) else { return strings };
    let mut reader = Reader::from_str(&source);
    let mut current = String::new();
    let (mut in_text, mut in_reading) = (false, false);
    loop {
        match reader.read_event() {
            Ok(Event::Start(e)) => match e.local_name().as_ref() {
                "si" => current.clear(),
                "t" => in_text = true,
                "rPh" => in_reading = true,
                _ => {}
            },
            Ok(Event::Empty(e)) if e.local_name().as_ref() == "si" => strings.push(String::new()),
            Ok(Event::End(e)) => match e.local_name().as_ref() {
                "si" => strings.push(unescaped(&std::mem::take(&mut current))),
                "t" => in_text = false,
                "rPh" => in_reading = false,
                _ => {}
            },
            Ok(Event::Eof) | Err(_) => return strings,
            Ok(event) if in_text && !in_reading => push_text(&event, &mut current),
            Ok(_) => {}
        }
    }
}

fn push_text(event: &Event<'_>, out: &mut String) {
    match event {
        Event::Text(t) => out.push_str(&t.xml_content(XmlVersion::Implicit1_0)),
        Event::CData(t) => out.push_str(&t.xml_content(XmlVersion::Implicit1_0)),
        Event::GeneralRef(r) => match r.resolve_char_ref() {
            Ok(Some(c)) => out.push(c),
            _ => out.push_str(
                quick_xml::escape::resolve_predefined_entity(&r.xml_content(XmlVersion::Implicit1_0)).unwrap_or_default(),
            ),
        },
        _ => {}
    }
}

/// Characters that XML cannot hold are written `_x000D_`.
fn unescaped(raw: &str) -> String {
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once("_x") {
        decoded.push_str(before);
        let code = after.get(..4).filter(|_| after.as_bytes().get(4) == Some(&b'_'));
        if let Some(c) = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32) {
            decoded.push(c);
            rest = after.get(5..).unwrap_or_default();
        } else {
            decoded.push_str("_x");
            rest = after;
        }
    }
    decoded.push_str(rest);
    let mut out = String::with_capacity(decoded.len());
    letters::push(&mut out, &decoded, None);
    out
}

fn formats(styles: &Element) -> Vec<NumberFormat> {
    let own: HashMap<u32, &str> = styles
        .child("x:numFmts")
        .into_iter()
        .flat_map(|all| all.named("x:numFmt"))
        .filter_map(|f| Some((f.number("numFmtId")?, f.attribute("formatCode")?)))
        .collect();
    let mut read: HashMap<u32, NumberFormat> = HashMap::new();
    let cells = styles.child("x:cellXfs").into_iter().flat_map(|all| all.named("x:xf"));
    cells
        .map(|xf| {
            let id = xf.number("numFmtId").unwrap_or(0);
            let new =
                || own.get(&id).map(|code| NumberFormat::new(code)).or_else(|| NumberFormat::built_in(id)).unwrap_or_default();
            read.entry(id).or_insert_with(new).clone()
        })
        .collect()
}

/// What a sheet says of its cells behind the last of them: which are merged, and which are links.
fn tail(source: &str, relations: &Relations) -> (Vec<Merge>, HashMap<(u32, u32), String>) {
    let (mut merges, mut links) = (Vec::new(), HashMap::new());
    let end = source.rfind("sheetData").unwrap_or(0);
    let mut reader = Reader::from_str(source.get(end..).unwrap_or_default());
    // It begins in the middle.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    loop {
        match reader.read_event() {
            Ok(Event::Start(e) | Event::Empty(e)) => match e.local_name().as_ref() {
                "mergeCell" if merges.len() < MAX_MERGES => merges.extend(attribute(&e, "ref").and_then(|area| merge(&area))),
                "hyperlink" => {
                    let target = attribute(&e, "id").and_then(|id| relations.get(&id)).map(|r| r.target.clone());
                    if let (Some(target), Some(area)) = (target, attribute(&e, "ref"))
                        && let Some(at) = cell_at(area.split(':').next().unwrap_or_default())
                    {
                        links.insert(at, target);
                    }
                }
                _ => {}
            },
            Ok(Event::Eof) | Err(_) => return (merges, links),
            Ok(_) => {}
        }
    }
}

/// The area of a reference such as `A1:C2`.
fn merge(area: &str) -> Option<Merge> {
    let (from, to) = area.split_once(':')?;
    let ((left, top), (right, bottom)) = (cell_at(from)?, cell_at(to)?);
    (left <= right && top <= bottom).then_some(Merge { rows: (top, bottom), columns: (left, right) })
}

fn attribute(e: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = e.attributes().with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

struct Scan<'a> {
    book: &'a Book,
    links: &'a HashMap<(u32, u32), String>,
}

/// A cell that is being read.
#[derive(Default)]
struct Raw {
    column: u32,
    style: usize,
    kind: String,
    value: String,
    formula: String,
    inline: String,
}

impl Scan<'_> {
    fn sheet(&self, source: &str, out: &mut Sheets) -> Result<(), ParseError> {
        let mut reader = Reader::from_str(source);
        reader.config_mut().check_end_names = false;
        let (mut line, mut column) = (0u32, 0u32);
        let mut row: Vec<Value> = Vec::new();
        let mut cell = Raw::default();
        let (mut in_value, mut in_formula, mut in_inline, mut in_reading) = (false, false, false, false);
        loop {
            match reader.read_event() {
                Ok(Event::Start(e)) => match e.local_name().as_ref() {
                    "row" => {
                        let at = attribute(&e, "r").and_then(|r| r.parse::<u32>().ok()).and_then(|r| r.checked_sub(1));
                        line = at.unwrap_or(line);
                        column = 0;
                    }
                    "c" => {
                        cell = begun(&e, column);
                        column = cell.column.saturating_add(1);
                    }
                    "v" => in_value = true,
                    "f" => in_formula = true,
                    "t" => in_inline = true,
                    "rPh" => in_reading = true,
                    _ => {}
                },
                Ok(Event::Empty(e)) => match e.local_name().as_ref() {
                    "c" => column = begun(&e, column).column.saturating_add(1),
                    "row" => line = line.saturating_add(1),
                    _ => {}
                },
                Ok(Event::End(e)) => match e.local_name().as_ref() {
                    "v" => in_value = false,
                    "f" => in_formula = false,
                    "t" => in_inline = false,
                    "rPh" => in_reading = false,
                    "c" if cell.column < MAX_COLUMNS => row.extend(self.value(line, &std::mem::take(&mut cell))),
                    "row" => {
                        row.sort_by_key(|value| value.column);
                        out.row(line, std::mem::take(&mut row))?;
                        line = line.saturating_add(1);
                    }
                    "sheetData" => return Ok(()),
                    _ => {}
                },
                // What was read of a damaged sheet is kept.
                Ok(Event::Eof) | Err(_) => return out.row(line, row),
                Ok(event) if in_value => push_text(&event, &mut cell.value),
                Ok(event) if in_formula => push_text(&event, &mut cell.formula),
                Ok(event) if in_inline && !in_reading => push_text(&event, &mut cell.inline),
                Ok(_) => {}
            }
        }
    }

    /// What a cell shows; `None` if it shows nothing.
    fn value(&self, line: u32, cell: &Raw) -> Option<Value> {
        let column = cell.column;
        let usual = NumberFormat::default();
        let format = self.book.formats.get(cell.style).unwrap_or(&usual);
        let word = |text: String| Value { column, text, kind: Kind::Word };
        let raw = cell.value.trim();
        let mut shown = match cell.kind.as_str() {
            "s" => word(format.text(self.book.strings.get(raw.parse::<usize>().ok()?)?)),
            "inlineStr" => word(format.text(&unescaped(&cell.inline))),
            "str" => word(format.text(&unescaped(&cell.value))),
            "b" => word(if raw == "1" || raw == "true" { "TRUE" } else { "FALSE" }.to_owned()),
            "e" => word(raw.to_owned()),
            // An ISO date, as the strict variant writes them.
            "d" => Value { column, text: raw.replace('T', " "), kind: Kind::Date },
            // Written by a program that does not calculate: what is to be calculated is all that is known.
            _ if raw.is_empty() && !cell.formula.is_empty() => {
                Value { column, text: format!("={}", unescaped(&cell.formula)), kind: Kind::Number }
            }
            _ if raw.is_empty() => word(unescaped(&cell.inline)),
            _ => match raw.parse::<f64>() {
                Ok(value) => number(column, value, format, self.book.since_1904),
                Err(_) => word(raw.to_owned()),
            },
        };
        if let Some(target) = self.links.get(&(column, line)) {
            shown.text = writer::link(&shown.text, target);
        }
        (!shown.text.trim().is_empty()).then_some(shown)
    }
}

fn begun(e: &BytesStart<'_>, next: u32) -> Raw {
    let mut cell = Raw { column: next, ..Raw::default() };
    for attribute in e.attributes().with_checks(false).flatten() {
        let value = || attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default();
        match attribute.key.as_ref() {
            "r" => cell.column = cell_at(&value()).map_or(next, |(column, _)| column),
            "s" => cell.style = value().parse().unwrap_or(0),
            "t" => cell.kind = value().into_owned(),
            _ => {}
        }
    }
    cell
}

/// Comments and notes: where, who, what.
fn comments(package: &mut Package, relations: &Relations) -> Vec<(String, String, String)> {
    let mut notes: Vec<(String, String, String)> = Vec::new();
    let targets =
        |kind: &str| relations.values().filter(|r| r.kind == kind && !r.external).map(|r| r.target.clone()).collect::<Vec<_>>();
    let threads = targets("threadedComment");
    for name in &threads {
        let Some(root) = package.part(name) else { continue };
        for comment in root.children().filter(|e| e.name().ends_with("threadedComment")) {
            let said = comment.children().filter(|e| e.name().ends_with("text")).map(Element::text).collect();
            notes.push((comment.attribute("ref").unwrap_or_default().to_owned(), String::new(), said));
        }
    }
    for name in targets("comments") {
        let Some(root) = package.part(&name) else { continue };
        let authors: Vec<String> =
            root.child("x:authors").map(|all| all.named("x:author").map(Element::text).collect()).unwrap_or_default();
        for comment in root.child("x:commentList").into_iter().flat_map(|list| list.named("x:comment")) {
            let at = comment.attribute("ref").unwrap_or_default();
            let author = comment.number::<usize>("authorId").and_then(|n| authors.get(n)).cloned().unwrap_or_default();
            // Threads have a copy for old programs.
            if author.starts_with("tc=") && notes.iter().any(|(there, ..)| there == at) {
                continue;
            }
            let said: String = comment.all("x:t").into_iter().map(Element::text).collect();
            let said = unescaped(&said);
            let bare = said.trim_start().strip_prefix(author.as_str()).and_then(|said| said.trim_start().strip_prefix(':'));
            let said = bare.filter(|_| !author.is_empty()).unwrap_or(&said).to_owned();
            notes.push((at.to_owned(), author, said));
        }
    }
    notes.sort_by_key(|(at, ..)| cell_at(at).map(|(column, row)| (row, column)));
    notes
}

/// Text boxes on a sheet.
fn asides(package: &mut Package, relations: &Relations, out: &mut Sheets) {
    let drawings: Vec<String> = relations.values().filter(|r| r.kind == "drawing").map(|r| r.target.clone()).collect();
    for name in drawings {
        let Some(root) = package.part(&name) else { continue };
        let boxes = root.all("xdr:txBody");
        for text in boxes.into_iter().map(drawing::lines) {
            out.aside(&text);
        }
    }
}
