//! Word documents (DOCX, and the XML that Word 2003 wrote), as Markdown.
//!
//! Own reading: `office_oxide` 0.1.16 loses the base of ruby, the numbers of lists, spans and what is nested in tables.

mod inline;
mod styles;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::inline::{Attached, Inline, Running};
use self::styles::{Role, Styles};
use super::numbering::{Label, Numbering};
use super::package::{Package, Relations, own_title};
use super::table::{Cell, Table};
use super::writer::{Block, Writer};
use super::xml::Element;
use super::{Extracted, Format, MAX_TEXT, ParseError, drawing, html, title};
use crate::document::Markup;

/// Columns of a cell's span and of a row: Word has 63.
const MAX_COLUMNS: usize = 500;
/// Tables in tables.
const MAX_NESTING: usize = 20;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let mut package = Package::open(Format::Docx, bytes)?;
    let main = package.main_part("word/document.xml");
    let document = package.required(&main)?;
    let relations = package.relations(&main);
    let side = |package: &mut Package, kind: &str| {
        relations.values().find(|r| r.kind == kind && !r.external).and_then(|r| package.part(&r.target))
    };
    let styles = side(&mut package, "styles").map(|root| Styles::read(&root)).unwrap_or_default();
    let numbering = side(&mut package, "numbering").map(|root| Numbering::read(&root)).unwrap_or_default();
    let footnotes = side(&mut package, "footnotes");
    let endnotes = side(&mut package, "endnotes");
    let comments = side(&mut package, "comments");
    let body = document.child("w:body").or_else(|| document.first("w:body")).unwrap_or(&document);
    let (heads, feet) = furniture(&mut package, &relations, body);
    let mut reader = Reader {
        styles: &styles,
        numbering,
        relations: &relations,
        footnotes: by_id(footnotes.as_ref(), "w:footnote"),
        endnotes: by_id(endnotes.as_ref(), "w:endnote"),
        comments: by_id(comments.as_ref(), "w:comment"),
        parts: Parts::read(&mut package, &relations),
        running: Running::default(),
        carried: String::new(),
        after: Vec::new(),
        nesting: 0,
    };
    let mut out = Writer::default();
    for line in heads {
        out.paragraph(&line);
    }
    let mut own = None;
    let blocks = reader.blocks(body, &mut own);
    for block in blocks {
        out.block(&block);
        if out.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: Format::Docx, limit: MAX_TEXT >> 20 });
        }
    }
    for line in feet {
        out.paragraph(&line);
    }
    let text = out.finish();
    let title = package.title().or(own).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

/// Word 2003's XML, which is one file.
pub(super) fn extract_flat(source: &str) -> Result<Extracted, ParseError> {
    let document = Element::parse(source).map_err(|e| ParseError::broken(Format::Doc, e))?;
    let styles = document.child("w:styles").map(Styles::read).unwrap_or_default();
    let relations = Relations::new();
    let mut reader = Reader {
        styles: &styles,
        numbering: Numbering::default(),
        relations: &relations,
        footnotes: HashMap::new(),
        endnotes: HashMap::new(),
        comments: HashMap::new(),
        parts: Parts::default(),
        running: Running::default(),
        carried: String::new(),
        after: Vec::new(),
        nesting: 0,
    };
    let body = document.first("w:body").ok_or_else(|| ParseError::broken(Format::Doc, "it has no body"))?;
    let mut own = None;
    let mut out = Writer::default();
    for block in reader.blocks(body, &mut own) {
        out.block(&block);
    }
    let text = out.finish();
    let named = document.first("o:Title").and_then(|e| own_title(&e.text()));
    let title = named.or(own).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

fn by_id<'a>(root: Option<&'a Element>, name: &str) -> HashMap<&'a str, &'a Element> {
    let all = root.into_iter().flat_map(Element::children).filter(|e| e.name() == name);
    // The lines between notes and text are written as notes, too.
    all.filter(|e| !matches!(e.attribute("type"), Some("separator" | "continuationSeparator" | "continuationNotice")))
        .filter_map(|e| Some((e.attribute("id")?, e)))
        .collect()
}

/// What stands at the top and at the bottom of the pages: once, however many pages and sections have it.
fn furniture(package: &mut Package, relations: &Relations, body: &Element) -> (Vec<String>, Vec<String>) {
    let (mut heads, mut feet) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();
    for section in body.all("w:sectPr") {
        for e in section.children() {
            let lines = match e.name() {
                "w:headerReference" => &mut heads,
                "w:footerReference" => &mut feet,
                _ => continue,
            };
            let Some(relation) = e.attribute("r:id").and_then(|id| relations.get(id)) else { continue };
            if seen.contains(&relation.target) {
                continue;
            }
            seen.push(relation.target.clone());
            let Some(root) = package.part(&relation.target) else { continue };
            let own = package.relations(&relation.target);
            for paragraph in root.all("w:p") {
                let (mut running, styles) = (Running::default(), Styles::default());
                let mut inline = Inline {
                    styles: &styles,
                    relations: &own,
                    running: &mut running,
                    text: String::new(),
                    attached: Vec::new(),
                };
                inline.read(paragraph);
                let line = inline.text.split_whitespace().collect::<Vec<_>>().join(" ");
                let boxes = inline.attached.iter().filter_map(|a| match a {
                    Attached::Box(content) => Some(content.all("w:t").iter().map(|t| t.text()).collect::<Vec<_>>().join(" ")),
                    _ => None,
                });
                for line in std::iter::once(line).chain(boxes) {
                    if is_said(&line) && !lines.contains(&line) {
                        lines.push(line);
                    }
                }
            }
        }
    }
    (heads, feet)
}

/// Whether a line at the edge of the page says more than where the page is.
fn is_said(line: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric()).any(|word| {
        !matches!(
            word.to_lowercase().as_str(),
            "" | "page" | "of" | "seite" | "von" | "p" | "pg" | "sur" | "第" | "页" | "共" | "第页" | "页共" | "第页共页"
        ) && word.chars().any(char::is_alphabetic)
    })
}

/// Charts and diagrams, by the id of their part.
#[derive(Debug, Default)]
struct Parts(HashMap<String, Vec<Block>>);

impl Parts {
    fn read(package: &mut Package, relations: &Relations) -> Self {
        let mut parts = HashMap::new();
        for (id, relation) in relations {
            let blocks = match relation.kind.as_str() {
                "chart" => package.part(&relation.target).map(|root| drawing::chart(&root)),
                "diagramData" => package.part(&relation.target).map(|root| drawing::diagram(&root)),
                "aFChunk" => package.bytes(&relation.target).ok().and_then(|bytes| imported(&bytes)),
                _ => None,
            };
            parts.extend(blocks.map(|blocks| (id.clone(), blocks)));
        }
        Self(parts)
    }
}

/// A page that another program put into the document as it was.
fn imported(bytes: &[u8]) -> Option<Vec<Block>> {
    let start = bytes.trim_ascii_start();
    let is_page = start.starts_with(b"<") && !start.starts_with(b"<?mso");
    let page = is_page.then(|| html::extract(bytes, None).ok().map(|page| page.extracted)).flatten()?;
    Some(vec![Block::Paragraph(page.text)])
}

struct Reader<'a> {
    styles: &'a Styles,
    numbering: Numbering,
    relations: &'a Relations,
    footnotes: HashMap<&'a str, &'a Element>,
    endnotes: HashMap<&'a str, &'a Element>,
    comments: HashMap<&'a str, &'a Element>,
    parts: Parts,
    running: Running,
    /// A paragraph whose end was deleted: it goes on in the next one.
    carried: String,
    /// What a cell's paragraphs have attached: it follows the table.
    after: Vec<Block>,
    nesting: usize,
}

impl<'a> Reader<'a> {
    /// The blocks in some container. `own` becomes the text in the style "Title".
    fn blocks(&mut self, container: &'a Element, own: &mut Option<String>) -> Vec<Block> {
        let mut out = Vec::new();
        self.push_blocks(container, own, &mut out);
        let carried = std::mem::take(&mut self.carried);
        if !carried.trim().is_empty() {
            out.push(Block::Paragraph(carried));
        }
        out
    }

    fn push_blocks(&mut self, container: &'a Element, own: &mut Option<String>, out: &mut Vec<Block>) {
        for e in container.children() {
            match e.name() {
                "w:p" => self.paragraph(e, own, out),
                "w:tbl" => self.table(e, own, out),
                "w:sdt" => e.named("w:sdtContent").for_each(|content| self.push_blocks(content, own, out)),
                "mc:AlternateContent" => {
                    if let Some(chosen) = inline::chosen(e) {
                        self.push_blocks(chosen, own, out);
                    }
                }
                "w:altChunk" => {
                    out.extend(e.attribute("r:id").and_then(|id| self.parts.0.get(id)).into_iter().flatten().cloned());
                }
                "w:del" | "w:moveFrom" | "w:sectPr" | "w:tcPr" | "w:sdtPr" => {}
                _ => self.push_blocks(e, own, out),
            }
        }
    }

    fn paragraph(&mut self, p: &'a Element, own: &mut Option<String>, out: &mut Vec<Block>) {
        let properties = p.child("w:pPr");
        let mut inline = Inline {
            styles: self.styles,
            relations: self.relations,
            running: &mut self.running,
            text: std::mem::take(&mut self.carried),
            attached: Vec::new(),
        };
        inline.read(p);
        inline.close();
        let (text, attached) = (inline.text, inline.attached);
        if properties.and_then(|p| p.at(&["w:rPr", "w:del"])).is_some() {
            self.carried = text;
        } else {
            self.line(properties, &text, own, out);
        }
        for attached in attached {
            self.attached(&attached, own, out);
        }
    }

    /// The text of a paragraph as what it is.
    fn line(&mut self, properties: Option<&'a Element>, text: &str, own: &mut Option<String>, out: &mut Vec<Block>) {
        let style = properties.and_then(|p| p.value_of("w:pStyle"));
        let outline = properties.and_then(|p| p.value_of("w:outlineLvl")).and_then(|l| l.parse::<usize>().ok());
        let role = match outline {
            Some(level @ 0..=8) => Role::Heading(level + 1),
            _ => self.styles.role(style),
        };
        // A number is counted even where nothing stands behind it.
        let label = self.label(properties, style);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return;
        }
        let numbered = match &label {
            Some((Label::Number(number), _)) if !number.is_empty() => format!("{number} {trimmed}"),
            _ => trimmed.to_owned(),
        };
        out.push(match (role, label) {
            (Role::Title, _) => {
                if own.is_none() {
                    *own = title::clean(trimmed);
                }
                Block::Heading(1, trimmed.to_owned())
            }
            (Role::Heading(level), _) => Block::Heading(level, numbered),
            (Role::Code, _) => Block::Code(text.to_owned()),
            (Role::Body, Some((Label::Bullet, depth))) => Block::Item(depth, "-".to_owned(), trimmed.to_owned()),
            (Role::Body, Some((Label::Number(number), depth))) => Block::Item(depth, number, trimmed.to_owned()),
            (Role::Body, None) => Block::Paragraph(trimmed.to_owned()),
        });
    }

    fn label(&mut self, properties: Option<&'a Element>, style: Option<&str>) -> Option<(Label, usize)> {
        let direct = properties.and_then(|p| p.child("w:numPr"));
        let level: Option<usize> = direct.and_then(|n| n.value_of("w:ilvl")).and_then(|l| l.parse().ok());
        let by_style = self.styles.numbering(style);
        let (number, level) = match (direct.and_then(|n| n.value_of("w:numId")), by_style) {
            (Some(number), _) => (number, level.or_else(|| self.numbering.level_of_style(number, style?)).unwrap_or(0)),
            (None, Some((number, of_style, name))) => {
                let level = level.or_else(|| self.numbering.level_of_style(number, name)).or(of_style);
                (number, level.unwrap_or(0))
            }
            (None, None) => return None,
        };
        Some((self.numbering.next(number, level)?, level))
    }

    fn attached(&mut self, attached: &Attached<'a>, own: &mut Option<String>, out: &mut Vec<Block>) {
        match attached {
            Attached::Box(content) if self.nesting < MAX_NESTING => {
                self.nesting += 1;
                self.push_blocks(content, own, out);
                self.nesting -= 1;
            }
            Attached::Box(_) => {}
            Attached::Note(end, id, mark) => {
                // Taken out: a note that names itself would go on for ever.
                let note = if *end { self.endnotes.remove(id) } else { self.footnotes.remove(id) };
                if let Some(note) = note {
                    let text = self.plain(note);
                    self.later(Block::Paragraph(format!("[^{mark}]: {text}")), out);
                }
            }
            Attached::Comment(id) => {
                if let Some(comment) = self.comments.remove(id) {
                    let text = self.plain(comment);
                    let author = comment.attribute("author").filter(|a| !a.trim().is_empty()).map(|a| format!(" by {a}"));
                    if !text.is_empty() {
                        self.later(Block::Paragraph(format!("> Comment{}: {text}", author.unwrap_or_default())), out);
                    }
                }
            }
            Attached::Part(id) => {
                let blocks = self.parts.0.get(*id).cloned().unwrap_or_default();
                out.extend(blocks);
            }
        }
    }

    /// Within a table there is no place for a note.
    fn later(&mut self, block: Block, out: &mut Vec<Block>) {
        if self.nesting > 0 { self.after.push(block) } else { out.push(block) }
    }

    /// All that is in a note, on one line.
    fn plain(&mut self, container: &'a Element) -> String {
        let mut ignored = Some(String::new());
        let blocks = self.blocks(container, &mut ignored);
        let text: Vec<String> = blocks.iter().map(Block::plain).collect();
        text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn table(&mut self, table: &'a Element, own: &mut Option<String>, out: &mut Vec<Block>) {
        if self.nesting >= MAX_NESTING {
            return;
        }
        let mut rows = Vec::new();
        gather(table, "w:tr", &mut rows);
        let cells_of = |row: &'a Element| {
            let mut cells = Vec::new();
            gather(row, "w:tc", &mut cells);
            cells
        };
        let rows: Vec<(&Element, Vec<&Element>)> = rows
            .into_iter()
            .filter(|row| row.child("w:trPr").is_none_or(|p| p.child("w:del").is_none()))
            .map(|row| (row, cells_of(row)))
            .collect();
        // Frames around text: what is in them is text.
        if rows.iter().all(|(_, cells)| cells.len() <= 1) {
            for cell in rows.into_iter().flat_map(|(_, cells)| cells) {
                self.push_blocks(cell, own, out);
            }
            return;
        }
        self.nesting += 1;
        let mut built: Vec<Vec<Cell>> = Vec::new();
        // Where a cell that goes on downwards began: its first column, its row, its place there.
        let mut open: HashMap<usize, (usize, usize)> = HashMap::new();
        for (row, cells) in rows {
            let properties = row.child("w:trPr");
            let header = properties.is_some_and(|p| p.is_on("w:tblHeader"));
            let skipped = span(properties.and_then(|p| p.value_of("w:gridBefore")), 0);
            let mut line = Vec::new();
            let mut column = skipped;
            if skipped > 0 {
                line.push(Cell { text: String::new(), header, columns: skipped, rows: 1 });
            }
            for cell in cells {
                let of_cell = cell.child("w:tcPr");
                let columns = span(of_cell.and_then(|p| p.value_of("w:gridSpan")), 1).max(1);
                let merge = of_cell.and_then(|p| p.child("w:vMerge")).map(|m| m.attribute("val").unwrap_or("continue"));
                let above = open.get(&column).copied();
                if merge == Some("continue")
                    && let Some((at, nth)) = above
                    && let Some(start) = built.get_mut(at).and_then(|row: &mut Vec<Cell>| row.get_mut(nth))
                {
                    start.rows += 1;
                } else {
                    if merge.is_some() {
                        open.insert(column, (built.len(), line.len()));
                    } else {
                        open.remove(&column);
                    }
                    let text = self.cell(cell);
                    line.push(Cell { text, header, columns, rows: 1 });
                }
                column += columns;
                if column > MAX_COLUMNS {
                    break;
                }
            }
            built.push(line);
        }
        self.nesting -= 1;
        out.push(Block::Table(Table { rows: built, caption: None }));
        if self.nesting == 0 {
            out.append(&mut self.after);
        }
    }

    fn cell(&mut self, cell: &'a Element) -> String {
        let mut ignored = Some(String::new());
        let blocks = self.blocks(cell, &mut ignored);
        let text: Vec<String> = blocks.iter().map(Block::in_cell).collect();
        text.join("\n")
    }
}

fn span(value: Option<&str>, usual: usize) -> usize {
    value.and_then(|v| v.parse::<usize>().ok()).unwrap_or(usual).min(MAX_COLUMNS)
}

/// Rows or cells, which may stand in content controls and marks of changes.
fn gather<'a>(within: &'a Element, name: &str, out: &mut Vec<&'a Element>) {
    for e in within.children() {
        match e.name() {
            n if n == name => out.push(e),
            "w:tbl" | "w:p" | "w:del" | "w:moveFrom" => {}
            "mc:AlternateContent" => {
                if let Some(chosen) = inline::chosen(e) {
                    gather(chosen, name, out);
                }
            }
            _ => gather(e, name, out),
        }
    }
}
