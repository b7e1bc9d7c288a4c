//! `PowerPoint` presentations (PPTX, slide shows and templates), as Markdown: a heading for each slide.
//!
//! Own reading: `office_oxide` 0.1.16 knows no notes of every slide, no charts and diagrams, and parts titles of two lines.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::order::{self, Frame};
use super::package::{Package, Relations};
use super::table::{Cell, Table};
use super::writer::{Block, Writer};
use super::xml::Element;
use super::{Extracted, Format, MAX_TEXT, ParseError, drawing, numerals, title};
use crate::document::Markup;

/// Slides of a presentation that are read.
const MAX_SLIDES: usize = 20_000;
/// Groups in groups.
const MAX_NESTING: usize = 30;
/// Columns that a cell of a table may cover.
const MAX_COLUMNS: usize = 500;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let mut package = Package::open(Format::Pptx, bytes)?;
    let main = package.main_part("ppt/presentation.xml");
    let presentation = package.required(&main)?;
    let relations = package.relations(&main);
    let authors = authors(&mut package, &relations);
    let slides = presentation.child("p:sldIdLst").into_iter().flat_map(|list| list.named("p:sldId"));
    let mut names: Vec<String> = slides
        .filter_map(|slide| relations.get(slide.attribute("r:id")?))
        .map(|relation| relation.target.clone())
        .take(MAX_SLIDES)
        .collect();
    if names.is_empty() {
        // A damaged list: the slides as they are named.
        names = (1..1000).map(|n| format!("ppt/slides/slide{n}.xml")).take_while(|name| package.has(name)).collect();
    }
    let mut layouts = Layouts::default();
    let mut out = Writer::default();
    let mut footers: Vec<String> = Vec::new();
    let mut first_title = None;
    for (nth, name) in (1..).zip(&names) {
        let Some(root) = package.part(name) else { continue };
        let own = package.relations(name);
        let frames = layouts.of(&mut package, &own);
        let mut slide = Slide {
            relations: &own,
            frames: &frames,
            parts: parts(&mut package, &own, &root),
            title: None,
            footers: Vec::new(),
        };
        let mut blocks = Vec::new();
        if let Some(tree) = root.at(&["p:cSld", "p:spTree"]) {
            slide.shapes(tree, 0, &mut blocks);
        }
        let hidden = matches!(root.attribute("show"), Some("0" | "false"));
        let heading = slide.title.as_deref().map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
        first_title = first_title.or_else(|| heading.as_deref().and_then(title::clean));
        let heading = heading.filter(|heading| !heading.is_empty());
        let notes = notes(&mut package, &own);
        let comments = comments(&mut package, &own, &authors);
        let is_empty = blocks.is_empty() && notes.is_empty() && comments.is_empty();
        if heading.is_some() || !is_empty {
            let heading = heading.unwrap_or_else(|| format!("Slide {nth}"));
            out.heading(2, &if hidden { format!("{heading} (hidden)") } else { heading });
        }
        for block in blocks.iter().chain(&notes).chain(&comments) {
            out.block(block);
        }
        for footer in slide.footers {
            if !footers.contains(&footer) {
                footers.push(footer);
            }
        }
        if out.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: Format::Pptx, limit: MAX_TEXT >> 20 });
        }
    }
    for footer in footers.into_iter().chain(layouts.said) {
        out.paragraph(&footer);
    }
    let text = out.finish();
    let title = package.title().or(first_title).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

/// Where the layouts and masters of slides have the places that slides fill: by layout, then by kind and number.
#[derive(Default)]
struct Layouts {
    known: HashMap<String, Vec<(String, String, Frame)>>,
    /// What they say on every slide.
    said: Vec<String>,
}

impl Layouts {
    fn of(&mut self, package: &mut Package, slide: &Relations) -> Vec<(String, String, Frame)> {
        let Some(name) = slide.values().find(|r| r.kind == "slideLayout").map(|r| r.target.clone()) else { return Vec::new() };
        if let Some(known) = self.known.get(&name) {
            return known.clone();
        }
        let mut frames = Vec::new();
        let master = package.relations(&name).values().find(|r| r.kind == "slideMaster").map(|r| r.target.clone());
        for part in std::iter::once(name.clone()).chain(master) {
            let Some(root) = package.part(&part) else { continue };
            for shape in root.all("p:sp") {
                match (place(shape), frame(shape)) {
                    (Some((kind, number)), Some(frame)) => frames.push((kind.to_owned(), number.to_owned(), frame)),
                    (Some(_), None) => {}
                    (None, _) => {
                        let said = shape.child("p:txBody").map(drawing::lines).unwrap_or_default();
                        if !self.said.contains(&said) {
                            self.said.push(said);
                        }
                    }
                }
            }
        }
        self.known.insert(name, frames.clone());
        frames
    }
}

/// Where a shape is, if it says so itself.
fn frame(shape: &Element) -> Option<Frame> {
    let place = shape
        .child("p:xfrm")
        .or_else(|| shape.child("p:spPr").and_then(|p| p.child("a:xfrm")))
        .or_else(|| shape.child("p:grpSpPr").and_then(|p| p.child("a:xfrm")))?;
    let (offset, size) = (place.child("a:off")?, place.child("a:ext")?);
    Some(Frame::new((offset.number("x")?, offset.number("y")?), (size.number("cx")?, size.number("cy")?)))
}

/// The kind and number of the place that a shape fills.
fn place(shape: &Element) -> Option<(&str, &str)> {
    let ph = shape.children().find(|e| e.name().starts_with("p:nv"))?.at(&["p:nvPr", "p:ph"])?;
    Some((ph.attribute("type").unwrap_or("obj"), ph.attribute("idx").unwrap_or("0")))
}

/// Charts and diagrams that a slide shows, by the id of their part.
fn parts(package: &mut Package, relations: &Relations, root: &Element) -> HashMap<String, Vec<Block>> {
    let mut parts = HashMap::new();
    if root.first("a:graphicData").is_none() {
        return parts;
    }
    for (id, relation) in relations {
        let blocks = match relation.kind.as_str() {
            "chart" => package.part(&relation.target).map(|root| drawing::chart(&root)),
            "diagramData" => package.part(&relation.target).map(|root| drawing::diagram(&root)),
            _ => None,
        };
        parts.extend(blocks.map(|blocks| (id.clone(), blocks)));
    }
    parts
}

fn notes(package: &mut Package, relations: &Relations) -> Vec<Block> {
    let Some(name) = relations.values().find(|r| r.kind == "notesSlide").map(|r| r.target.clone()) else { return Vec::new() };
    let Some(root) = package.part(&name) else { return Vec::new() };
    let mut lines: Vec<String> = Vec::new();
    for shape in root.all("p:sp") {
        // The picture of the slide, its number and the date are furniture of the notes' page.
        if !matches!(place(shape), Some(("sldNum" | "dt" | "ftr" | "hdr" | "sldImg", _)))
            && let Some(body) = shape.child("p:txBody")
        {
            lines.extend(body.named("a:p").map(drawing::paragraph).filter(|line| !line.trim().is_empty()));
        }
    }
    if let Some(first) = lines.first_mut() {
        *first = format!("Notes: {}", first.trim());
    }
    lines.into_iter().map(Block::Paragraph).collect()
}

fn authors(package: &mut Package, relations: &Relations) -> HashMap<String, String> {
    let names: Vec<String> = relations
        .values()
        .filter(|r| matches!(r.kind.as_str(), "commentAuthors" | "authors"))
        .map(|r| r.target.clone())
        .collect();
    let mut authors = HashMap::new();
    for name in names {
        let Some(root) = package.part(&name) else { continue };
        authors.extend(root.children().filter_map(|e| Some((e.attribute("id")?.to_owned(), e.attribute("name")?.to_owned()))));
    }
    authors
}

fn comments(package: &mut Package, relations: &Relations, authors: &HashMap<String, String>) -> Vec<Block> {
    let names: Vec<String> = relations.values().filter(|r| r.kind == "comments").map(|r| r.target.clone()).collect();
    let mut out = Vec::new();
    for name in names {
        let Some(root) = package.part(&name) else { continue };
        for comment in root.children() {
            let mut said: Vec<String> = comment.all("p:text").into_iter().map(Element::text).collect();
            said.extend(comment.all("a:p").into_iter().map(drawing::paragraph));
            let said = said.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            if !said.is_empty() {
                let author = comment.attribute("authorId").and_then(|id| authors.get(id)).map(|name| format!(" by {name}"));
                out.push(Block::Paragraph(format!("> Comment{}: {said}", author.unwrap_or_default())));
            }
        }
    }
    out
}

struct Slide<'a> {
    relations: &'a Relations,
    frames: &'a [(String, String, Frame)],
    parts: HashMap<String, Vec<Block>>,
    title: Option<String>,
    footers: Vec<String>,
}

impl Slide<'_> {
    /// Adds what the shapes of a slide or a group say, in the order in which one reads them.
    fn shapes(&mut self, tree: &Element, nesting: usize, out: &mut Vec<Block>) {
        if nesting > MAX_NESTING {
            return;
        }
        let mut shapes = Vec::new();
        for e in tree.children() {
            match e.name() {
                "p:sp" | "p:pic" | "p:graphicFrame" | "p:grpSp" | "p:cxnSp" => shapes.push(e),
                "mc:AlternateContent" => {
                    let chosen = e.child("mc:Choice").filter(|c| c.first("a:t").is_some() || c.first("c:chart").is_some());
                    shapes.extend(chosen.or_else(|| e.child("mc:Fallback")).into_iter().flat_map(Element::children));
                }
                _ => {}
            }
        }
        let frames: Vec<Option<Frame>> = shapes.iter().map(|shape| frame(shape).or_else(|| self.inherited(shape))).collect();
        for at in order::reading_order(&frames) {
            let Some(shape) = shapes.get(at) else { continue };
            match shape.name() {
                "p:grpSp" => self.shapes(shape, nesting + 1, out),
                "p:graphicFrame" => self.graphic(shape, out),
                "p:pic" => out.extend(described(shape).map(Block::Paragraph)),
                _ => self.shape(shape, out),
            }
        }
    }

    fn inherited(&self, shape: &Element) -> Option<Frame> {
        let (kind, number) = place(shape)?;
        let alike = |k: &str| k == kind || (matches!(k, "title" | "ctrTitle") && matches!(kind, "title" | "ctrTitle"));
        let by_number = self.frames.iter().find(|(k, n, _)| n == number && (alike(k) || kind == "obj"));
        by_number.or_else(|| self.frames.iter().find(|(k, ..)| alike(k))).map(|(.., frame)| *frame)
    }

    fn shape(&mut self, shape: &Element, out: &mut Vec<Block>) {
        let kind = place(shape).map(|(kind, _)| kind);
        let Some(body) = shape.child("p:txBody") else { return };
        match kind {
            Some("title" | "ctrTitle") if self.title.is_none() => {
                let title = drawing::lines(body);
                self.title = (!title.trim().is_empty()).then_some(title);
            }
            Some("sldNum" | "dt") => {}
            Some("ftr" | "hdr") => self.footers.push(drawing::lines(body)),
            _ => self.text(body, matches!(kind, Some("body" | "obj")), out),
        }
    }

    /// The paragraphs of a shape. In places for content they are items of a list where nothing else is said.
    fn text(&self, body: &Element, listed: bool, out: &mut Vec<Block>) {
        let paragraphs: Vec<(&Element, String)> =
            body.named("a:p").map(|p| (p, self.linked(p))).filter(|(_, text)| !text.trim().is_empty()).collect();
        let several = paragraphs.len() > 1;
        let mut counts: [u64; 9] = [0; 9];
        for (p, text) in paragraphs {
            let properties = p.child("a:pPr");
            let level = properties.and_then(|p| p.number::<usize>("lvl")).unwrap_or(0).min(8);
            let numbered = properties.and_then(|p| p.child("a:buAutoNum"));
            let marked = properties.is_some_and(|p| p.child("a:buChar").is_some() || p.child("a:buBlip").is_some());
            let bare = properties.is_some_and(|p| p.child("a:buNone").is_some());
            for deeper in counts.iter_mut().skip(level + 1) {
                *deeper = 0;
            }
            let Some(count) = counts.get_mut(level) else { continue };
            if let Some(numbered) = numbered {
                *count = if *count == 0 { numbered.number("startAt").unwrap_or(1) } else { count.saturating_add(1) };
                out.push(Block::Item(level, label(numbered.attribute("type").unwrap_or_default(), *count), text));
                continue;
            }
            *count = 0;
            if marked || (listed && several && !bare) {
                out.push(Block::Item(level, "-".to_owned(), text));
            } else {
                out.push(Block::Paragraph(text));
            }
        }
    }

    /// A paragraph, as a link where all of it is one.
    fn linked(&self, p: &Element) -> String {
        let text = drawing::paragraph(p);
        let mut targets = p.named("a:r").map(|r| r.at(&["a:rPr", "a:hlinkClick"]).and_then(|link| link.attribute("r:id")));
        let Some(Some(first)) = targets.next() else { return text };
        if !targets.all(|target| target == Some(first)) {
            return text;
        }
        self.relations.get(first).map_or(text.clone(), |relation| super::writer::link(&text, &relation.target))
    }

    fn graphic(&self, frame: &Element, out: &mut Vec<Block>) {
        if let Some(table) = frame.first("a:tbl") {
            out.push(Block::Table(Self::table(table)));
        }
        for (name, id) in [("c:chart", "r:id"), ("dgm:relIds", "r:dm")] {
            let part = frame.first(name).and_then(|e| e.attribute(id)).and_then(|id| self.parts.get(id));
            out.extend(part.into_iter().flatten().cloned());
        }
    }

    fn table(table: &Element) -> Table {
        let span = |cell: &Element, name: &str| cell.number::<usize>(name).unwrap_or(1).clamp(1, MAX_COLUMNS);
        let covered = |cell: &Element, name: &str| cell.attribute(name).is_some_and(|v| v == "1" || v == "true");
        let first_is_header = table.child("a:tblPr").is_some_and(|p| covered(p, "firstRow"));
        let rows = table.named("a:tr").enumerate().map(|(nth, row)| {
            row.named("a:tc")
                .filter(|cell| !covered(cell, "hMerge") && !covered(cell, "vMerge"))
                .map(|cell| Cell {
                    text: cell.child("a:txBody").map(drawing::lines).unwrap_or_default(),
                    header: first_is_header && nth == 0,
                    columns: span(cell, "gridSpan"),
                    rows: span(cell, "rowSpan"),
                })
                .collect()
        });
        Table { rows: rows.collect(), caption: None }
    }
}

/// What a picture is said to show.
fn described(picture: &Element) -> Option<String> {
    let text = picture.at(&["p:nvPicPr", "p:cNvPr"])?.attribute("descr")?;
    drawing::description(text).map(str::to_owned)
}

/// `arabicPeriod` 1 as `1.`, `alphaLcParenBoth` 2 as `(b)`.
fn label(kind: &str, n: u64) -> String {
    let format = if kind.starts_with("romanUc") {
        "upperRoman"
    } else if kind.starts_with("romanLc") {
        "lowerRoman"
    } else if kind.starts_with("alphaUc") {
        "upperLetter"
    } else if kind.starts_with("alphaLc") {
        "lowerLetter"
    } else if kind.starts_with("circleNum") {
        "decimalEnclosedCircle"
    } else if kind.starts_with("ea1") {
        "chineseCounting"
    } else {
        "decimal"
    };
    let number = numerals::in_format(format, n);
    if kind.ends_with("ParenBoth") {
        format!("({number})")
    } else if kind.ends_with("ParenR") {
        format!("{number})")
    } else if kind.ends_with("Plain") {
        number
    } else {
        format!("{number}.")
    }
}
