//! Charts and diagrams of office files: what they say in words and numbers.

use std::collections::BTreeMap;

use super::letters;
use super::table::{Cell, Table};
use super::writer::Block;
use super::xml::Element;

/// Points of a chart that are kept.
const MAX_POINTS: usize = 5000;

/// The text of a paragraph of a drawing (`a:p`), its lines apart.
pub(super) fn paragraph(p: &Element) -> String {
    let mut out = String::new();
    push_paragraph(p, &mut out);
    out
}

fn push_paragraph(p: &Element, out: &mut String) {
    for e in p.children() {
        match e.name() {
            "a:r" | "a:fld" => {
                let properties = e.child("a:rPr");
                let baseline: i64 = properties.and_then(|p| p.number("baseline")).unwrap_or(0);
                let font = properties.and_then(|p| p.child("a:sym").or_else(|| p.child("a:latin"))?.attribute("typeface"));
                let text = e.child("a:t").map(Element::text).unwrap_or_default();
                if e.name() == "a:fld" && e.attribute("type") == Some("slidenum") {
                    continue;
                }
                if baseline > 0 { letters::push_raised(out, &text) } else { letters::push(out, &text, font) }
            }
            "a:br" => out.push('\n'),
            "mc:AlternateContent" => {
                if let Some(chosen) = e.child("mc:Choice").or_else(|| e.child("mc:Fallback")) {
                    push_paragraph(chosen, out);
                }
            }
            "a14:m" | "m:oMathPara" | "m:oMath" => out.push_str(&super::math::linear(e)),
            _ => {}
        }
    }
}

/// The paragraphs below, one a line.
pub(super) fn lines(e: &Element) -> String {
    let lines: Vec<String> = e.all("a:p").into_iter().map(paragraph).filter(|line| !line.trim().is_empty()).collect();
    lines.join("\n")
}

/// What a picture is said to show, if somebody said it: programs write the name of the file, and their guesses.
pub(super) fn description(text: &str) -> Option<&str> {
    let text = ["Description automatically generated", "Automatisch generierte Beschreibung"]
        .iter()
        .find_map(|made_up| text.trim().strip_suffix(made_up))
        .unwrap_or(text)
        .trim();
    let small = text.to_ascii_lowercase();
    let file =
        [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".emf", ".wmf", ".tif", ".tiff", ".svg"].iter().any(|e| small.ends_with(e));
    (!text.is_empty() && !file && !small.starts_with("http")).then_some(text)
}

/// A chart as a table: a row for each category, a column for each series.
pub(super) fn chart(root: &Element) -> Vec<Block> {
    let mut blocks = Vec::new();
    let Some(chart) = root.first("c:chart") else { return blocks };
    if let Some(title) = chart.child("c:title") {
        blocks.push(Block::Paragraph(lines(title)));
    }
    let Some(area) = chart.child("c:plotArea") else { return blocks };
    let mut names = Vec::new();
    let mut categories: BTreeMap<usize, String> = BTreeMap::new();
    let mut columns: Vec<BTreeMap<usize, String>> = Vec::new();
    for series in area.all("c:ser") {
        names.push(series.child("c:tx").map(|tx| points(tx).into_values().collect::<Vec<_>>().join(" ")).unwrap_or_default());
        for (nth, name) in ["c:cat", "c:xVal"].iter().find_map(|name| series.child(name)).map(points).unwrap_or_default() {
            categories.entry(nth).or_insert(name);
        }
        columns.push(["c:val", "c:yVal"].iter().find_map(|name| series.child(name)).map(points).unwrap_or_default());
    }
    let mut rows: Vec<usize> = categories.keys().chain(columns.iter().flat_map(BTreeMap::keys)).copied().collect();
    rows.sort_unstable();
    rows.dedup();
    rows.truncate(MAX_POINTS / columns.len().max(1));
    if !rows.is_empty() {
        let cell = |text: &str, header| Cell { text: text.to_owned(), header, columns: 1, rows: 1 };
        let mut table =
            vec![std::iter::once(cell("", true)).chain(names.iter().map(|name| cell(name, true))).collect::<Vec<_>>()];
        table.extend(rows.iter().map(|nth| {
            let value = |column: &BTreeMap<usize, String>| cell(column.get(nth).map_or("", String::as_str), false);
            std::iter::once(value(&categories)).chain(columns.iter().map(value)).collect()
        }));
        blocks.push(Block::Table(Table { rows: table, caption: None }));
    }
    for axis in area.children().filter(|e| e.name().ends_with("Ax")) {
        if let Some(title) = axis.child("c:title") {
            blocks.push(Block::Paragraph(lines(title)));
        }
    }
    blocks
}

/// The points of a series as they were when the file was saved.
fn points(e: &Element) -> BTreeMap<usize, String> {
    if let Some(levels) = e.first("c:multiLvlStrCache") {
        let mut joined: BTreeMap<usize, String> = BTreeMap::new();
        // The finest level is written first, and is shown nearest to the axis.
        for level in levels.all("c:lvl") {
            for (nth, name) in cached(level) {
                let entry = joined.entry(nth).or_default();
                *entry = if entry.is_empty() { name } else { format!("{name} {entry}") };
            }
        }
        return joined;
    }
    let cache = ["c:strCache", "c:numCache", "c:strLit", "c:numLit"].iter().find_map(|name| e.first(name));
    match cache {
        Some(cache) => cached(cache),
        None => e.child("c:v").map(|v| BTreeMap::from([(0, v.text())])).unwrap_or_default(),
    }
}

fn cached(cache: &Element) -> BTreeMap<usize, String> {
    cache
        .named("c:pt")
        .take(MAX_POINTS)
        .filter_map(|point| Some((point.number("idx")?, rounded(&point.child("c:v")?.text()))))
        .collect()
}

/// Sums of binary fractions are saved with all of their digits.
fn rounded(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if value.len() > 12 && number.is_finite() => {
            let short = format!("{number:.10}");
            short.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => value.to_owned(),
    }
}

/// A diagram's points of text, in order.
pub(super) fn diagram(root: &Element) -> Vec<Block> {
    root.all("dgm:pt")
        .into_iter()
        .filter_map(|point| point.child("dgm:t"))
        .map(lines)
        .filter(|text| !text.trim().is_empty())
        .map(|text| Block::Item(0, "-".to_owned(), text))
        .collect()
}
