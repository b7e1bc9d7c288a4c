//! Circles among arrows.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::Arrow;

/// How many arrows are shown of each pair.
const SHOWN: usize = 4;

/// What hangs together in circles: a text for each knot, with files and lines.
pub fn of(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|from| (*from, reachable(from, &next))).collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut knots = Vec::new();
    for (from, ends) in &reached {
        if !ends.contains(from) || told.contains(from) {
            continue;
        }
        let knot: BTreeSet<&str> =
            ends.iter().copied().filter(|end| reached.get(end).is_some_and(|back| back.contains(from))).collect();
        told.extend(&knot);
        knots.push(shown(&knot, arrows));
    }
    knots
}

/// All that can be reached in one step or more.
fn reachable<'a>(from: &'a str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        open.extend(next.get(at).into_iter().flatten().filter(|to| reached.insert(**to)));
    }
    reached
}

fn shown(knot: &BTreeSet<&str>, arrows: &BTreeSet<Arrow>) -> String {
    let mut pairs: BTreeMap<(&str, &str), Vec<&Arrow>> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| knot.contains(arrow.from.as_str()) && knot.contains(arrow.to.as_str())) {
        pairs.entry((&arrow.from, &arrow.to)).or_default().push(arrow);
    }
    let names: Vec<&str> = knot.iter().copied().collect();
    let mut text = format!("a circle of {}:", names.join(", "));
    for ((from, to), arrows) in pairs {
        text += &format!("\n  {from} → {to}");
        for arrow in arrows.iter().take(SHOWN) {
            text += &format!("\n    {}:{}: {}", arrow.file, arrow.line, arrow.path);
        }
        if let Some(more) = arrows.len().checked_sub(SHOWN + 1) {
            text += &format!("\n    and {} more", more + 1);
        }
    }
    text
}
