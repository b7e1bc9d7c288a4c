//! Styles of `OpenDocument`: of paragraphs, of letters, of lists.

use std::collections::HashMap;

use super::super::xml::Element;

/// Styles that are based on one another, at most.
const CHAIN: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Styles {
    by_name: HashMap<String, Style>,
    lists: HashMap<String, Vec<Level>>,
    /// Numbers of headings.
    pub(super) outline: Vec<Level>,
}

#[derive(Debug, Default)]
struct Style {
    parent: Option<String>,
    shown: String,
    outline: Option<usize>,
    raised: bool,
    hidden: bool,
}

/// A level of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    pub(super) number: usize,
    /// `1`, `a`, `I`; blank for none, `None` for a bullet.
    pub(super) format: Option<String>,
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// Levels that are shown, this one and those above it.
    pub(super) shown: usize,
    pub(super) start: u64,
}

impl Styles {
    /// Adds the styles of a part.
    pub(super) fn read(&mut self, root: &Element) {
        for e in root.all("style:style").into_iter().chain(root.all("style:default-style")) {
            let Some(name) = e.attribute("name") else { continue };
            let letters = e.child("style:text-properties").or_else(|| e.child("style:properties"));
            let page = e.child("style:drawing-page-properties");
            let table = e.child("style:table-properties");
            self.by_name.insert(
                name.to_lowercase(),
                Style {
                    parent: e.attribute("parent-style-name").map(str::to_lowercase),
                    shown: e.attribute("display-name").unwrap_or(name).to_lowercase(),
                    outline: e.number("default-outline-level"),
                    raised: letters.and_then(|l| l.attribute("text-position")).is_some_and(is_raised),
                    hidden: letters.is_some_and(|l| l.attribute("display") == Some("none"))
                        || page.is_some_and(|p| p.attribute("visibility") == Some("hidden"))
                        || table.is_some_and(|t| t.attribute("display") == Some("false")),
                },
            );
        }
        for e in root.all("text:list-style") {
            if let Some(name) = e.attribute("name") {
                self.lists.insert(name.to_owned(), e.children().filter_map(Level::read).collect());
            }
        }
        if let Some(outline) = root.first("text:outline-style") {
            self.outline = outline.children().filter_map(Level::read).collect();
        }
    }

    fn chain<'a>(&'a self, name: Option<&str>) -> impl Iterator<Item = &'a Style> {
        let get = |name: &str| self.by_name.get(name);
        let first = name.and_then(|name| get(&name.to_lowercase()));
        std::iter::successors(first, move |style| style.parent.as_deref().and_then(get)).take(CHAIN)
    }

    /// Whether a style is the one of this name (in small letters), or is based on it.
    pub(super) fn is(&self, style: Option<&str>, name: &str) -> bool {
        style.is_some_and(|style| style.eq_ignore_ascii_case(name))
            || self.chain(style).any(|s| s.shown.replace(' ', "_20_") == name || s.parent.as_deref() == Some(name))
    }

    pub(super) fn outline(&self, style: Option<&str>) -> Option<usize> {
        self.chain(style).find_map(|s| s.outline).filter(|level| *level > 0)
    }

    pub(super) fn is_raised(&self, style: Option<&str>) -> bool {
        self.chain(style).any(|s| s.raised)
    }

    pub(super) fn is_hidden(&self, style: Option<&str>) -> bool {
        self.chain(style).any(|s| s.hidden)
    }

    pub(super) fn level(&self, list: &str, depth: usize) -> Option<&Level> {
        self.lists.get(list)?.iter().find(|level| level.number == depth + 1)
    }
}

fn is_raised(position: &str) -> bool {
    position.starts_with("super") || position.split('%').next().is_some_and(|p| p.trim().parse::<f64>().is_ok_and(|p| p > 0.0))
}

impl Level {
    fn read(e: &Element) -> Option<Self> {
        let number = e.number("level")?;
        let format = match e.name() {
            "text:list-level-style-number" | "text:outline-level-style" => {
                Some(e.attribute("num-format").unwrap_or_default().to_owned())
            }
            _ => None,
        };
        let of = |name: &str| e.attribute(name).unwrap_or_default().to_owned();
        Some(Self {
            number,
            format,
            prefix: of("num-prefix"),
            suffix: of("num-suffix"),
            shown: e.number("display-levels").unwrap_or(1),
            start: e.number("start-value").unwrap_or(1),
        })
    }
}
