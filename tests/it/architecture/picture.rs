//! The list in the crate's documentation, and what runs against it.

use std::collections::BTreeSet;

use super::paths::Arrow;

const HEADING: &str = "# The rooms, from the ground up";

/// The rooms in the order of the list: of each numbered item the first link.
pub fn rooms(lib: &str) -> Result<Vec<String>, String> {
    let docs = lib.lines().filter_map(|line| line.trim_start().strip_prefix("//!")).map(str::trim);
    let mut docs = docs.skip_while(|line| *line != HEADING);
    docs.next().ok_or_else(|| format!("src/lib.rs has no heading `{HEADING}`"))?;
    let mut items: Vec<String> = Vec::new();
    for line in docs.take_while(|line| !line.starts_with("# ")) {
        let number = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        match line.get(number..).and_then(|rest| rest.strip_prefix(". ")) {
            Some(item) if number > 0 => items.push(item.to_owned()),
            _ => items.last_mut().into_iter().for_each(|item| *item = format!("{item} {line}")),
        }
    }
    if items.is_empty() {
        return Err(format!("src/lib.rs has no numbered list under `{HEADING}`"));
    }
    let room = |item: &String| {
        let (_, link) = item.split_once('[')?;
        let name = link.split_once(']')?.0.trim_matches('`');
        Some(name.strip_prefix("crate::").unwrap_or(name).to_owned())
    };
    items.iter().map(|item| room(item).ok_or_else(|| format!("src/lib.rs links no room in `{item}`"))).collect()
}

/// Between the list and the modules that there are.
pub fn differences(picture: &[String], modules: &BTreeSet<&str>) -> Vec<String> {
    let shown: BTreeSet<&str> = picture.iter().map(String::as_str).collect();
    let missing = modules.difference(&shown).map(|room| format!("the picture in src/lib.rs does not show {room}"));
    let extra = shown.difference(modules).map(|room| format!("the picture in src/lib.rs shows {room}, which is no module"));
    let twice = picture.iter().enumerate().filter(|(n, room)| picture[..*n].contains(room));
    missing.chain(extra).chain(twice.map(|(_, room)| format!("the picture in src/lib.rs shows {room} twice"))).collect()
}

/// Arrows from a room to one that stands above it.
pub fn upward(picture: &[String], arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let height = |room: &str| picture.iter().position(|shown| shown == room);
    let is_upward = |arrow: &&Arrow| height(&arrow.from) < height(&arrow.to);
    arrows.iter().filter(is_upward).map(|arrow| format!("{arrow}, which stands above {}", arrow.from)).collect()
}

/// Arrows to a room from others than these.
pub fn imports_of(room: &str, allowed: &[&str], arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let wrong = arrows.iter().filter(|arrow| arrow.to == room && !allowed.contains(&arrow.from.as_str()));
    wrong.map(|arrow| format!("{arrow}, which {} may not know", arrow.from)).collect()
}
