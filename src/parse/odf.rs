//! `OpenDocument` texts, presentations, drawings and spreadsheets, in containers or as one XML file; those of `OpenOffice` 1, too.

mod body;
mod inline;
mod lists;
mod sheets;
mod slides;
mod styles;
#[cfg(test)]
mod tests;

use self::body::Reader;
use self::inline::Inline;
use self::styles::Styles;
use super::package::{Package, own_title};
use super::sheet::layout::Sheets;
use super::writer::Writer;
use super::xml::Element;
use super::{Extracted, Format, MAX_TEXT, ParseError, container, text, title};
use crate::document::Markup;

pub(super) fn extract(format: Format, bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let file = File::open(format, bytes)?;
    if format == Format::Ods {
        let mut out = Sheets::new(format);
        sheets::read(&file.content, &mut out)?;
        let said = out.said.take();
        let text = out.finish();
        let title = file.title.or(said).or_else(|| title::of_markdown(&text));
        return Ok(Extracted { title, markup: Markup::Markdown, text });
    }
    let root = Element::parse(&file.content).map_err(|e| ParseError::broken(format, e))?;
    let mut styles = Styles::default();
    styles.read(&root);
    if let Some(root) = &file.styles {
        styles.read(root);
    }
    let body = root.child("office:body").unwrap_or(&root);
    let mut out = Writer::default();
    let mut reader = Reader::new(&styles);
    let of_styles = file.styles.as_ref().unwrap_or(&root);
    for line in edges(of_styles, "style:header") {
        out.paragraph(&line);
    }
    let mut blocks = Vec::new();
    for part in body.children() {
        match part.name() {
            "office:presentation" | "office:drawing" => slides::read(&mut reader, part, &mut blocks),
            _ => reader.blocks(part, &mut blocks),
        }
    }
    if body.child("office:text").is_none() && body.children().next().is_none_or(|e| !e.name().starts_with("office:")) {
        // The first versions had the text in the body itself.
        reader.blocks(body, &mut blocks);
    }
    for block in &blocks {
        out.block(block);
        if out.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format, limit: MAX_TEXT >> 20 });
        }
    }
    for line in edges(of_styles, "style:footer") {
        out.paragraph(&line);
    }
    let text = out.finish();
    let title = file.title.or(reader.own).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

struct File {
    content: String,
    styles: Option<Element>,
    title: Option<String>,
}

impl File {
    fn open(format: Format, bytes: Vec<u8>) -> Result<Self, ParseError> {
        if !bytes.starts_with(container::MAGIC) {
            let content = text::decode(bytes)?;
            return Ok(Self { content, styles: None, title: None });
        }
        let mut package = Package::open(format, bytes)?;
        if let Some(manifest) = package.part("META-INF/manifest.xml")
            && manifest.all("manifest:file-entry").iter().any(|e| {
                e.attribute("full-path").is_some_and(|path| path == "content.xml")
                    && e.child("manifest:encryption-data").is_some()
            })
        {
            return Err(ParseError::Encrypted(format));
        }
        let content = text::decode(package.bytes("content.xml")?)?;
        let title = package.part("meta.xml").and_then(|meta| own_title(&meta.first("dc:title")?.text()));
        Ok(Self { content, styles: package.part("styles.xml"), title })
    }
}

/// What stands at the top or the bottom of the pages, once.
fn edges(styles: &Element, name: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let none = Styles::default();
    for edge in styles.all("style:master-page").into_iter().flat_map(|page| page.named(name)) {
        for paragraph in edge.all("text:p") {
            let mut inline = Inline::new(&none, 0);
            inline.read(paragraph);
            let line = inline.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.chars().any(char::is_alphabetic) && !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}
