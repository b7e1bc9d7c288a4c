//! The numbers of Word's lists, which stand nowhere in the text: they are counted as Word counts them.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::numerals;
use super::xml::Element;

/// Levels of a list.
const LEVELS: usize = 9;

#[derive(Debug, Default)]
pub(super) struct Numbering {
    abstracts: HashMap<String, Abstract>,
    instances: HashMap<String, Instance>,
    /// How far each abstract list has counted.
    counts: HashMap<String, [Option<u64>; LEVELS]>,
}

#[derive(Debug, Default)]
struct Abstract {
    levels: HashMap<usize, Level>,
    /// The style of lists that defines this one elsewhere, and the one that this defines.
    see: Option<String>,
    defines: Option<String>,
}

#[derive(Debug, Default)]
struct Instance {
    of: String,
    overrides: HashMap<usize, Override>,
}

#[derive(Debug, Default)]
struct Override {
    level: Option<Level>,
    start: Option<u64>,
    /// A start counts once.
    used: bool,
}

/// What the items at one level of a list are like.
#[derive(Debug, Clone)]
pub(super) struct Level {
    start: u64,
    format: String,
    text: String,
    /// The level after which it begins anew; 0 for never.
    restart: Option<usize>,
    /// All numbers in plain figures.
    legal: bool,
    style: Option<String>,
}

/// What stands before a paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// A mark without a number.
    Bullet,
    /// `1.`, `(a)`, `第一章`; may be empty.
    Number(String),
}

impl Numbering {
    pub(super) fn read(root: &Element) -> Self {
        let mut numbering = Self::default();
        for e in root.named("w:abstractNum") {
            let Some(id) = e.attribute("abstractNumId") else { continue };
            let levels = e.named("w:lvl").filter_map(|l| Some((l.number("ilvl")?, Level::read(l)))).collect();
            let of = |name: &str| e.value_of(name).map(str::to_owned);
            numbering
                .abstracts
                .insert(id.to_owned(), Abstract { levels, see: of("w:numStyleLink"), defines: of("w:styleLink") });
        }
        for e in root.named("w:num") {
            let (Some(id), Some(of)) = (e.attribute("numId"), e.value_of("w:abstractNumId")) else { continue };
            let overrides = e.named("w:lvlOverride").filter_map(|o| Some((o.number("ilvl")?, Override::read(o)))).collect();
            numbering.instances.insert(id.to_owned(), Instance { of: of.to_owned(), overrides });
        }
        numbering
    }

    /// A list by its id, with its levels.
    pub(super) fn define(&mut self, list: &str, levels: impl IntoIterator<Item = (usize, Level)>) {
        let levels = levels.into_iter().collect();
        self.abstracts.insert(list.to_owned(), Abstract { levels, see: None, defines: None });
    }

    /// A use of a list under a number, with what is other there: at which level, where it starts, what it is like.
    pub(super) fn instantiate(
        &mut self,
        number: &str,
        list: &str,
        others: impl IntoIterator<Item = (usize, Option<u64>, Option<Level>)>,
    ) {
        let overrides = others.into_iter().map(|(at, start, level)| (at, Override { level, start, used: false })).collect();
        self.instances.insert(number.to_owned(), Instance { of: list.to_owned(), overrides });
    }

    /// The level of a list that belongs to a style of paragraphs.
    pub(super) fn level_of_style(&self, number: &str, style: &str) -> Option<usize> {
        let list = self.abstract_of(&self.instances.get(number)?.of)?;
        let (level, _) = self.abstracts.get(list)?.levels.iter().find(|(_, level)| level.style.as_deref() == Some(style))?;
        Some(*level)
    }

    /// Counts a paragraph; `None` if there is no such list.
    pub(super) fn next(&mut self, number: &str, at: usize) -> Option<Label> {
        if at >= LEVELS {
            return None;
        }
        let list = self.abstract_of(&self.instances.get(number)?.of)?.to_owned();
        let levels: Vec<Option<Level>> = (0..LEVELS).map(|at| self.level(number, &list, at)).collect();
        let level = levels.get(at)?.as_ref()?;
        let counts = self.counts.entry(list).or_default();
        // A list that shares its count with others begins anew where it is first used.
        for (nth, over) in &mut self.instances.get_mut(number)?.overrides {
            if *nth <= at
                && !over.used
                && let Some(start) = over.start
                && let Some(count) = counts.get_mut(*nth)
            {
                over.used = true;
                *count = (*nth < at).then_some(start);
            }
        }
        for (nth, count) in counts.iter_mut().enumerate() {
            let start = levels.get(nth).and_then(Option::as_ref).map_or(1, |l| l.start);
            match nth.cmp(&at) {
                Ordering::Less => {
                    count.get_or_insert(start);
                }
                Ordering::Equal => *count = Some(count.map_or(start, |n| n.saturating_add(1))),
                Ordering::Greater => {
                    let restart = levels.get(nth).and_then(Option::as_ref).and_then(|l| l.restart);
                    if restart.is_none_or(|after| after > at) {
                        *count = None;
                    }
                }
            }
        }
        if level.format == "bullet" {
            return Some(Label::Bullet);
        }
        Some(Label::Number(level.label(&levels, counts)))
    }

    fn level(&self, number: &str, list: &str, at: usize) -> Option<Level> {
        let over = self.instances.get(number)?.overrides.get(&at);
        let mut level = over.and_then(|o| o.level.clone()).or_else(|| self.abstracts.get(list)?.levels.get(&at).cloned())?;
        if let Some(start) = over.and_then(|o| o.start) {
            level.start = start;
        }
        Some(level)
    }

    /// Follows a list that is defined by a style to where that style has its levels.
    fn abstract_of<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        let found = self.abstracts.get(id)?;
        match &found.see {
            Some(style) if found.levels.is_empty() => {
                self.abstracts.iter().find(|(_, a)| a.defines.as_ref() == Some(style)).map(|(id, _)| id.as_str())
            }
            _ => Some(id),
        }
    }
}

impl Override {
    fn read(e: &Element) -> Self {
        let start = e.value_of("w:startOverride").and_then(|s| s.parse().ok());
        Self { level: e.child("w:lvl").map(Level::read), start, used: false }
    }
}

impl Level {
    /// `format`: as Word names it. `text`: with `%1` where the number of the first level stands.
    pub(super) fn new(start: u64, format: &str, text: String, legal: bool) -> Self {
        Self { start, format: format.to_owned(), text, restart: None, legal, style: None }
    }

    fn read(e: &Element) -> Self {
        // Newer formats stand beside an older one for older programs.
        let format = e
            .child("mc:AlternateContent")
            .and_then(|a| a.at(&["mc:Choice", "w:numFmt"]))
            .and_then(|f| {
                if f.attribute("format").is_some_and(|f| f.starts_with('0')) { Some("decimalZero") } else { f.attribute("val") }
            })
            .or_else(|| e.value_of("w:numFmt"));
        Self {
            start: e.value_of("w:start").and_then(|s| s.parse().ok()).unwrap_or(1),
            format: format.unwrap_or("decimal").to_owned(),
            text: e.value_of("w:lvlText").unwrap_or_default().to_owned(),
            restart: e.value_of("w:lvlRestart").and_then(|r| r.parse().ok()),
            legal: e.is_on("w:isLgl"),
            style: e.value_of("w:pStyle").map(str::to_owned),
        }
    }

    fn label(&self, levels: &[Option<Self>], counts: &[Option<u64>; LEVELS]) -> String {
        let mut out = String::new();
        let mut chars = self.text.chars().peekable();
        while let Some(c) = chars.next() {
            let place = (c == '%').then(|| chars.peek().and_then(|d| d.to_digit(10))).flatten().filter(|d| (1..=9).contains(d));
            let Some(place) = place else {
                out.push(c);
                continue;
            };
            chars.next();
            let nth = place as usize - 1;
            let count = counts.get(nth).copied().flatten().unwrap_or(0);
            let format = levels.get(nth).and_then(Option::as_ref).map_or("decimal", |l| l.format.as_str());
            out.push_str(&numerals::in_format(if self.legal { "decimal" } else { format }, count));
        }
        out.trim().to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    fn numbering() -> Numbering {
        Numbering::read(
            &Element::parse(
                "<w:numbering xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>
                <w:abstractNum w:abstractNumId='0'>
                  <w:lvl w:ilvl='0'><w:start w:val='1'/><w:numFmt w:val='decimal'/><w:pStyle w:val='Clause'/><w:lvlText w:val='%1.'/></w:lvl>
                  <w:lvl w:ilvl='1'><w:start w:val='1'/><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='(%2)'/></w:lvl>
                  <w:lvl w:ilvl='2'><w:start w:val='1'/><w:numFmt w:val='upperRoman'/><w:isLgl/><w:lvlText w:val='%1.%2.%3'/></w:lvl>
                  <w:lvl w:ilvl='3'><w:start w:val='1'/><w:numFmt w:val='decimal'/><w:lvlRestart w:val='0'/><w:lvlText w:val='#%4'/></w:lvl>
                </w:abstractNum>
                <w:abstractNum w:abstractNumId='1'><w:lvl w:ilvl='0'><w:numFmt w:val='bullet'/><w:lvlText w:val='·'/></w:lvl></w:abstractNum>
                <w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>
                <w:num w:numId='2'><w:abstractNumId w:val='0'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='7'/></w:lvlOverride></w:num>
                <w:num w:numId='3'><w:abstractNumId w:val='1'/></w:num>
                </w:numbering>",
            )
            .unwrap(),
        )
    }

    #[test]
    fn numbers_restart_continue_and_are_overridden() {
        let mut n = numbering();
        let mut next = |list: &str, at| match n.next(list, at).unwrap() {
            Label::Number(label) => label,
            Label::Bullet => "*".to_owned(),
        };
        let seen: Vec<String> = [
            ("1", 0),
            ("1", 1),
            ("1", 1),
            ("1", 3),
            ("1", 0),
            ("1", 1),
            ("1", 2),
            ("1", 3),
            ("3", 0),
            ("2", 0),
            ("2", 0),
            ("1", 0),
        ]
        .into_iter()
        .map(|(list, at)| next(list, at))
        .collect();
        assert_eq!(seen, ["1.", "(a)", "(b)", "#1", "2.", "(a)", "2.1.1", "#2", "*", "7.", "8.", "9."]);
        assert_eq!(n.level_of_style("1", "Clause"), Some(0));
        assert_eq!((n.next("9", 0), n.next("1", 99)), (None, None));
    }
}
