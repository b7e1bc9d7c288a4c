//! Tables that go on on the next page, below the names of their columns.

use super::Sheet;
use super::blocks::Content;
use super::tables::Found;

/// How far the edges of columns may be apart that are the same, in points.
const NEAR: f64 = 3.0;
/// The parts of a page's height below which a table ends that goes on, and above which it does so.
const LOW: f64 = 0.65;
const HIGH: f64 = 0.3;

/// Gives the names of its columns to each table that is the rest of one: it is the first thing on its page, the other the last
/// thing on the page before, rules part both into columns of the same widths, and its first row is no header of its own. Its rows
/// stay on their page, which is named when they are quoted.
pub(super) fn name_columns(sheets: &mut [Sheet]) {
    for at in 1..sheets.len() {
        let (done, rest) = sheets.split_at_mut(at);
        let (Some(page), Some(sheet)) = (done.last(), rest.first_mut()) else { continue };
        if page.number + 1 == sheet.number
            && let Some(above) = cut_off(page)
            && let Some(block) = sheet.blocks.first_mut()
            && let Some(found) = &mut block.ruled
            && found.bounds.y0 < HIGH * sheet.height.max(1.0)
            && have_same_columns(above, found)
            && found.table.go_on_from(&above.table)
        {
            block.content = Content::Table(found.table.to_markdown());
        }
    }
}

/// The table that a page ends with, near its lower edge.
fn cut_off(sheet: &Sheet) -> Option<&Found> {
    let last = sheet.blocks.iter().rev().find(|block| !block.is_note && !block.is_turned)?;
    last.ruled.as_deref().filter(|found| found.bounds.y1 > LOW * sheet.height.max(1.0))
}

fn have_same_columns(one: &Found, other: &Found) -> bool {
    let widths = |found: &Found| found.edges.iter().zip(found.edges.iter().skip(1)).map(|(a, b)| b - a).collect::<Vec<f64>>();
    let (one, other) = (widths(one), widths(other));
    // Pages may have their margins on either side.
    one.len() > 1 && one.len() == other.len() && one.iter().zip(&other).all(|(a, b)| (a - b).abs() < NEAR)
}
