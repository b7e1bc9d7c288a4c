//! EPUB: the chapters in the order of the book's spine.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::container::{self, Archive};
use super::{Extracted, Format, MAX_TEXT, ParseError, html, text, title};
use crate::document::Markup;

pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, ParseError> {
    let mut archive = container::open(Format::Epub, bytes)?;
    let root = xml(&mut archive, "META-INF/container.xml")?;
    let package = first_attribute(&root, "rootfile", "full-path")?
        .ok_or_else(|| ParseError::broken(Format::Epub, "META-INF/container.xml names no package"))?;
    let book = Book::read(&xml(&mut archive, &package)?)?;
    if archive.index_for_name("META-INF/encryption.xml").is_some()
        && xml(&mut archive, "META-INF/encryption.xml")?.contains("xhtml")
    {
        return Err(ParseError::Encrypted(Format::Epub));
    }
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let labels = book.labels(&mut archive, folder);
    let mut text = String::new();
    let (mut read, mut failure) = (0, None);
    for href in &book.spine {
        let name = resolve(folder, href);
        match chapter(&mut archive, &name, labels.get(&name).map(String::as_str)) {
            Ok(chapter) => {
                read += 1;
                if !text.is_empty() && !chapter.is_empty() {
                    text.push_str("\n\n");
                }
                text.push_str(&chapter);
            }
            Err(e) => failure = Some(e),
        }
        if text.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: Format::Epub, limit: MAX_TEXT >> 20 });
        }
    }
    match failure {
        Some(e) if read == 0 => return Err(e),
        Some(error) => tracing::warn!(%error, "a chapter of an EPUB could not be read"),
        None => {}
    }
    let title = book.title.as_deref().and_then(title::clean).or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

#[derive(Default)]
struct Book {
    title: Option<String>,
    /// The chapters' files, relative to the package file.
    spine: Vec<String>,
    /// The file of the table of contents, if there is one.
    contents: Option<String>,
}

impl Book {
    /// What the table of contents calls each file, by its name in the archive.
    fn labels(&self, archive: &mut Archive, folder: &str) -> HashMap<String, String> {
        let mut labels = HashMap::new();
        let Some(name) = self.contents.as_deref().map(|href| resolve(folder, href)) else { return labels };
        // A book without its table of contents is a book.
        let Ok(source) = xml(archive, &name) else { return labels };
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (href, label) in html::contents(&source) {
            labels.entry(resolve(folder, &href)).or_insert(label);
        }
        labels
    }

    fn read(package: &str) -> Result<Self, ParseError> {
        let mut book = Self::default();
        let mut files: HashMap<String, String> = HashMap::new();
        let mut reader = Reader::from_str(package);
        let mut in_title = false;
        loop {
            match reader.read_event().map_err(|e| ParseError::broken(Format::Epub, e))? {
                Event::Start(e) | Event::Empty(e) if e.local_name().as_ref() == "item" => {
                    let kind = attribute(&e, "media-type").unwrap_or_default();
                    let contents = attribute(&e, "properties").is_some_and(|p| p.split(' ').any(|p| p == "nav"));
                    if contents || (kind == "application/x-dtbncx+xml" && book.contents.is_none()) {
                        book.contents = attribute(&e, "href");
                    }
                    if let (Some(id), Some(href)) = (attribute(&e, "id"), attribute(&e, "href"))
                        && kind.contains("html")
                        && !contents
                    {
                        files.insert(id, href);
                    }
                }
                Event::Start(e) | Event::Empty(e) if e.local_name().as_ref() == "itemref" => {
                    // An entry that is not in the manifest, or is a picture or the table of contents, is no chapter.
                    book.spine.extend(attribute(&e, "idref").and_then(|id| files.remove(&id)));
                }
                Event::Start(e) => in_title = e.local_name().as_ref() == "title" && book.title.is_none(),
                Event::Text(t) if in_title => {
                    book.title.get_or_insert_default().push_str(&t.xml_content(XmlVersion::Implicit1_0));
                }
                Event::GeneralRef(r) if in_title => {
                    let named = r.xml_content(XmlVersion::Implicit1_0);
                    let resolved = match r.resolve_char_ref() {
                        Ok(Some(c)) => Some(c.to_string()),
                        _ => quick_xml::escape::resolve_predefined_entity(&named).map(str::to_owned),
                    };
                    book.title.get_or_insert_default().push_str(&resolved.unwrap_or_default());
                }
                Event::End(_) => in_title = false,
                Event::Eof => return Ok(book),
                _ => {}
            }
        }
    }
}

/// A chapter under its own heading, or under what the table of contents calls it.
fn chapter(archive: &mut Archive, name: &str, label: Option<&str>) -> Result<String, ParseError> {
    let source = html::decode(&container::entry(archive, Format::Epub, name)?)?;
    let text = html::to_markdown(&source, Format::Epub)?.text;
    let headed = text.lines().take(40).any(|line| line.starts_with('#'));
    match label.and_then(title::clean) {
        Some(label) if !headed && !text.trim().is_empty() => Ok(format!("# {label}\n\n{text}")),
        _ => Ok(text),
    }
}

fn xml(archive: &mut Archive, name: &str) -> Result<String, ParseError> {
    text::decode(container::entry(archive, Format::Epub, name)?)
}

fn first_attribute(xml: &str, element: &str, name: &str) -> Result<Option<String>, ParseError> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(|e| ParseError::broken(Format::Epub, e))? {
            Event::Start(e) | Event::Empty(e) if e.local_name().as_ref() == element => return Ok(attribute(&e, name)),
            Event::Eof => return Ok(None),
            _ => {}
        }
    }
}

fn attribute(e: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = e.attributes().flatten().find(|a| a.key.local_name().as_ref() == name)?;
    found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
}

/// The name in the archive of what the package file in `folder` refers to.
fn resolve(folder: &str, href: &str) -> String {
    let href = href.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in href.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    percent_decoded(&parts.join("/"))
}

fn percent_decoded(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        let code =
            after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match code {
            Some(code) if b == b'%' => {
                out.push(code);
                after.get(2..).unwrap_or_default()
            }
            _ => {
                out.push(b);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_archive() {
        assert_eq!(resolve("OEBPS/pkg", "../Text/a%20b.xhtml#x"), "OEBPS/Text/a b.xhtml");
        assert_eq!(resolve("", "a.xhtml"), "a.xhtml");
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
