//! Styles of Word's paragraphs: which of them are headings, listings, numbered.

use std::collections::HashMap;

use super::super::xml::Element;

/// Styles that are based on one another, at most: a chain that is longer is a circle.
const CHAIN: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Styles {
    by_id: HashMap<String, Style>,
    /// Of paragraphs that name none.
    default: Option<String>,
}

#[derive(Debug, Default)]
struct Style {
    /// In small letters.
    name: String,
    based_on: Option<String>,
    outline: Option<usize>,
    number: Option<String>,
    level: Option<usize>,
    position: Option<String>,
}

/// What a style makes of a paragraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Body,
    Title,
    Heading(usize),
    Code,
}

impl Styles {
    pub(super) fn read(root: &Element) -> Self {
        let mut styles = Self::default();
        for e in root.named("w:style") {
            let Some(id) = e.attribute("styleId") else { continue };
            if e.attribute("default").is_some_and(|d| d != "0" && d != "false") && e.attribute("type") == Some("paragraph") {
                styles.default = Some(id.to_owned());
            }
            let paragraph = e.child("w:pPr");
            let numbering = paragraph.and_then(|p| p.child("w:numPr"));
            styles.by_id.insert(
                id.to_owned(),
                Style {
                    name: e.value_of("w:name").unwrap_or(id).to_lowercase(),
                    based_on: e.value_of("w:basedOn").map(str::to_owned),
                    outline: paragraph.and_then(|p| p.value_of("w:outlineLvl")).and_then(|l| l.parse().ok()),
                    number: numbering.and_then(|n| n.value_of("w:numId")).map(str::to_owned),
                    level: numbering.and_then(|n| n.value_of("w:ilvl")).and_then(|l| l.parse().ok()),
                    position: e.child("w:rPr").and_then(|r| r.value_of("w:vertAlign")).map(str::to_owned),
                },
            );
        }
        styles
    }

    fn chain<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = (&'a str, &'a Style)> {
        let first = id.filter(|id| self.by_id.contains_key(*id)).or(self.default.as_deref());
        let get = |id: &'a str| self.by_id.get(id).map(|style| (id, style));
        std::iter::successors(first.and_then(get), move |(_, style)| style.based_on.as_deref().and_then(get)).take(CHAIN)
    }

    /// By the outline level, else by the name that the style has or had before somebody translated it.
    pub(super) fn role(&self, id: Option<&str>) -> Role {
        for (_, style) in self.chain(id) {
            match style.outline {
                Some(level @ 0..=8) => return Role::Heading(level + 1),
                Some(_) => return Role::Body,
                None => {}
            }
            if let Some(role) = named(&style.name) {
                return role;
            }
        }
        // A style that the file does not have is known by its id alone.
        match id {
            Some(id) if !self.by_id.contains_key(id) => named(&id.to_lowercase()).unwrap_or(Role::Body),
            _ => Role::Body,
        }
    }

    /// The numbering that a style brings: its id, its level, and the style that says so.
    pub(super) fn numbering<'a>(&'a self, id: Option<&'a str>) -> Option<(&'a str, Option<usize>, &'a str)> {
        self.chain(id).find_map(|(id, style)| Some((style.number.as_deref()?, style.level, id)))
    }

    /// Whether a style of characters raises or lowers them.
    pub(super) fn position(&self, id: &str) -> Option<&str> {
        self.by_id.get(id)?.position.as_deref()
    }
}

/// The role of a style with one of the names that Word, `LibreOffice` and WPS give their own.
fn named(name: &str) -> Option<Role> {
    let name = name.split(',').next().unwrap_or_default().trim();
    match name {
        "title" | "titel" | "titre" | "título" | "titolo" | "标题" | "表題" | "제목" | "название" => {
            return Some(Role::Title);
        }
        "code" | "source code" | "sourcecode" | "html preformatted" | "preformatted text" | "macro text" | "code block"
        | "listing" | "programlisting" => return Some(Role::Code),
        _ => {}
    }
    let level = name.chars().next_back()?.to_digit(10).filter(|level| (1..=9).contains(level))?;
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    matches!(
        word,
        "heading"
            | "überschrift"
            | "titre"
            | "título"
            | "titulo"
            | "titolo"
            | "标题"
            | "標題"
            | "見出し"
            | "제목"
            | "заголовок"
            | "nagłówek"
            | "kop"
            | "rubrik"
            | "overskrift"
            | "otsikko"
            | "nadpis"
            | "başlık"
            | "címsor"
            | "επικεφαλίδα"
            | "berschrift"
    )
    .then_some(Role::Heading(level as usize))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn headings_by_outline_by_base_and_by_name() {
        let styles = Styles::read(
            &Element::parse(
                "<w:styles xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>
                <w:style w:type='paragraph' w:default='1' w:styleId='a'><w:name w:val='Normal'/></w:style>
                <w:style w:styleId='b1'><w:name w:val='Kapitel'/><w:pPr><w:outlineLvl w:val='1'/></w:pPr></w:style>
                <w:style w:styleId='b2'><w:name w:val='Unterkapitel'/><w:basedOn w:val='b1'/></w:style>
                <w:style w:styleId='b3'><w:name w:val='标题 3'/></w:style>
                <w:style w:styleId='b4'><w:name w:val='Lead'/><w:basedOn w:val='b1'/><w:pPr><w:outlineLvl w:val='9'/></w:pPr></w:style>
                <w:style w:styleId='x'><w:name w:val='X'/><w:basedOn w:val='y'/></w:style>
                <w:style w:styleId='y'><w:name w:val='Y'/><w:basedOn w:val='x'/></w:style>
                </w:styles>",
            )
            .unwrap(),
        );
        let role = |id| styles.role(Some(id));
        assert_eq!((role("b1"), role("b2"), role("b3")), (Role::Heading(2), Role::Heading(2), Role::Heading(3)));
        assert_eq!((role("b4"), role("a"), role("x"), styles.role(None)), (Role::Body, Role::Body, Role::Body, Role::Body));
        assert_eq!(role("Heading2"), Role::Heading(2));
    }
}
