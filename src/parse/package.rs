//! The parts of an office file in a zip container, and how they refer to each other.

use std::collections::HashMap;
use std::io::{Read, Seek};

use zip::ZipArchive;

use super::container::{self, Archive};
use super::xml::Element;
use super::{Format, ParseError, text, title};

/// An opened file.
pub(super) struct Package {
    archive: Archive,
    format: Format,
}

/// What a part refers to, by id.
pub(super) type Relations = HashMap<String, Relation>;

/// One reference.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// The last step of the address that says what it is: `slide`, `hyperlink`.
    pub(super) kind: String,
    /// The name of a part, or an address outside of the file.
    pub(super) target: String,
    /// Whether it leads out of the file.
    pub(super) external: bool,
}

impl Package {
    pub(super) fn open(format: Format, bytes: Vec<u8>) -> Result<Self, ParseError> {
        Ok(Self { archive: container::open(format, bytes)?, format })
    }

    /// A part as a tree; `None` if it is not there or not to be read, which costs that part alone.
    pub(super) fn part(&mut self, name: &str) -> Option<Element> {
        self.required(name).inspect_err(|error| tracing::debug!(%error, name, "a part of an office file was not read")).ok()
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Element, ParseError> {
        let source = text::decode(self.bytes(name)?)?;
        Element::parse(&source).map_err(|e| ParseError::broken(self.format, format_args!("{name}: {e}")))
    }

    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, ParseError> {
        let name = entry_name(&self.archive, name).unwrap_or_else(|| name.to_owned());
        container::entry(&mut self.archive, self.format, &name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        entry_name(&self.archive, name).is_some()
    }

    /// The part that the file is about.
    pub(super) fn main_part(&mut self, usual: &str) -> String {
        let root = self.relations("");
        let named = root.values().find(|r| r.kind == "officeDocument").map(|r| r.target.clone());
        named.filter(|name| self.has(name)).unwrap_or_else(|| usual.to_owned())
    }

    /// What a part refers to.
    pub(super) fn relations(&mut self, part: &str) -> Relations {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let name = if folder.is_empty() { format!("_rels/{file}.rels") } else { format!("{folder}/_rels/{file}.rels") };
        let Some(root) = self.part(&name) else { return Relations::new() };
        root.children()
            .filter_map(|e| {
                let kind = e.attribute("Type")?.rsplit('/').next()?.to_owned();
                let external = e.attribute("TargetMode") == Some("External");
                let target = e.attribute("Target")?;
                let target = if external { target.to_owned() } else { resolve(folder, target) };
                Some((e.attribute("Id")?.to_owned(), Relation { kind, target, external }))
            })
            .collect()
    }

    /// The title among the file's properties, unless a program made it up.
    pub(super) fn title(&mut self) -> Option<String> {
        let root = self.relations("");
        let name = root.values().find(|r| r.kind == "core-properties").map(|r| r.target.clone());
        let properties = self.part(name.as_deref().unwrap_or("docProps/core.xml"))?;
        own_title(&properties.child("dc:title")?.text())
    }
}

/// A title of a file's properties, if somebody gave it: programs write "Document1" or the name of the file they printed.
pub(super) fn own_title(raw: &str) -> Option<String> {
    let title = title::clean(raw)?;
    let small = title.to_lowercase();
    let bare = small.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    let made_up = matches!(
        bare,
        "" | "document"
            | "dokument"
            | "untitled"
            | "unbenannt"
            | "sans titre"
            | "presentation"
            | "powerpoint presentation"
            | "powerpoint-präsentation"
            | "présentation powerpoint"
            | "presentación de powerpoint"
            | "slide"
            | "title"
            | "book"
            | "workbook"
            | "sheet"
            | "word document"
            | "microsoft word"
            | "no slide title"
            | "(anonymous)"
            | "文档"
            | "幻灯片"
            | "演示文稿"
            | "powerpoint 演示文稿"
            | "プレゼンテーション"
            | "无标题"
            | "無題"
    ) || small.starts_with("microsoft word - ")
        || small.starts_with("microsoft powerpoint - ")
        || [".doc", ".docx", ".dot", ".dotx", ".ppt", ".pptx", ".xls", ".xlsx", ".rtf", ".odt", ".txt", ".tmp"]
            .iter()
            .any(|extension| small.ends_with(extension));
    (!made_up).then_some(title)
}

/// The name of an entry as the archive spells it: some programs write `Word\Document.xml`.
fn entry_name<R: Read + Seek>(archive: &ZipArchive<R>, name: &str) -> Option<String> {
    if archive.index_for_name(name).is_some() {
        return Some(name.to_owned());
    }
    let alike = |other: &str| {
        let other = other.trim_start_matches(['/', '\\']);
        other.len() == name.len()
            && other.bytes().zip(name.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a == b'\\' && b == b'/'))
    };
    archive.file_names().flatten().find(|other| alike(other)).map(std::borrow::Cow::into_owned)
}

/// The name of the part that a part in `folder` refers to.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default().replace('\\', "/");
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        assert_eq!(resolve("ppt/slides", "../notesSlides/n1.xml"), "ppt/notesSlides/n1.xml");
        assert_eq!(resolve("", "/word/document2.xml"), "word/document2.xml");
        assert_eq!(resolve("xl", "worksheets\\sheet1.xml"), "xl/worksheets/sheet1.xml");
    }

    #[test]
    fn titles_that_nobody_gave() {
        for made_up in ["Document1", "Microsoft Word - lease.doc", "PowerPoint Presentation", "report.docx", " ", "2019"] {
            assert_eq!(own_title(made_up), None, "{made_up}");
        }
        assert_eq!(own_title(" The  lease ").as_deref(), Some("The lease"));
    }
}
