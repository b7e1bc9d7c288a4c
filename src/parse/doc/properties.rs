//! What letters and paragraphs of old documents are: lists of changes (sprms) in pages of 512 bytes.

use super::super::compound::{u16_at, u32_at};
use super::super::edges::Place;

/// Runs of a document.
const MAX_RUNS: usize = 2_000_000;

/// Cells of a row, and rows whose cells' places are kept.
const MAX_CELLS: usize = 64;
const MAX_ROWS: usize = 50_000;

/// Paragraphs, and the rows that end with some of them.
#[derive(Debug)]
pub(super) struct Paragraphs {
    runs: Runs<Paragraph>,
    rows: Vec<Vec<Place>>,
}

impl Paragraphs {
    /// Of the letter at some place in the file.
    pub(super) fn at(&self, place: u32) -> Paragraph {
        self.runs.at(place)
    }

    /// The places of the cells of the row that a paragraph ends; none where they are not known.
    pub(super) fn row(&self, paragraph: Paragraph) -> &[Place] {
        paragraph.row.and_then(|row| self.rows.get(row as usize)).map_or(&[], Vec::as_slice)
    }
}

/// What is kept of a paragraph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Paragraph {
    /// The number of its style.
    pub(super) style: u16,
    pub(super) outline: Option<u8>,
    pub(super) in_table: bool,
    /// The end of a row.
    pub(super) ends_row: bool,
    /// The cells of that row, by number.
    row: Option<u32>,
    /// Its list (0: none), and how deep it is in it.
    pub(super) list: u16,
    pub(super) level: u8,
}

/// What is kept of letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Letters {
    pub(super) raised: bool,
    /// Deleted or hidden.
    pub(super) gone: bool,
}

/// Properties by where their text ends in the file, in ascending order.
#[derive(Debug)]
pub(super) struct Runs<T>(Vec<(u32, u32, T)>);

impl<T: Copy + Default> Runs<T> {
    /// Of the letter at some place in the file.
    pub(super) fn at(&self, place: u32) -> T {
        let nth = self.0.partition_point(|(_, end, _)| *end <= place);
        self.0.get(nth).filter(|(start, ..)| *start <= place).map(|(.., value)| *value).unwrap_or_default()
    }
}

/// Runs from the pages that a table of them names.
pub(super) fn paragraphs(document: &[u8], pages: &[u8]) -> Paragraphs {
    let mut rows: Vec<Vec<Place>> = Vec::new();
    let runs = runs(document, pages, 13, |page, at| {
        let words = usize::from(*page.get(at)?);
        let (from, length) = if words == 0 { (at + 2, usize::from(*page.get(at + 1)?) * 2) } else { (at + 1, words * 2 - 1) };
        let list = page.get(from..(from + length).min(page.len()))?;
        let mut paragraph = Paragraph { style: u16_at(list, 0)?, ..Paragraph::default() };
        let list = list.get(2..)?;
        let mut row = Vec::new();
        changes(list, &mut |code, value, at| match code {
            0xd608 => row = cells(list.get(at..).unwrap_or_default()),
            // What is said of the merging of one cell afterwards.
            0xd62b => {
                let operand = list.get(at..).unwrap_or_default();
                if let (Some(nth), Some(how)) = (operand.get(1), operand.get(2))
                    && let Some(place) = row.get_mut(usize::from(*nth))
                {
                    place.from_above = *how == 1;
                }
            }
            0x2416 => paragraph.in_table = value != 0,
            0x2417 => paragraph.ends_row = value != 0,
            0x2640 => paragraph.outline = Some(value as u8),
            0x460b => paragraph.list = value as u16,
            0x260a => paragraph.level = value as u8,
            _ => {}
        });
        if paragraph.ends_row && !row.is_empty() && rows.len() < MAX_ROWS {
            paragraph.row = Some(rows.len() as u32);
            rows.push(row);
        }
        Some(paragraph)
    });
    Paragraphs { runs, rows }
}

/// The cells of a row (`TDefTable`): how many, the edges between them, 20 bytes of each.
fn cells(operand: &[u8]) -> Vec<Place> {
    let count = operand.get(2).map_or(0, |count| usize::from(*count));
    let place = |nth: usize| {
        let right = i32::from(u16_at(operand, 3 + 2 * (nth + 1))?.cast_signed());
        // What is left out at the end is as usual.
        let flags = u16_at(operand, 3 + 2 * (count + 1) + 20 * nth).unwrap_or(0);
        Some(Place { right, from_above: flags >> 5 & 3 == 1, from_left: flags & 2 != 0 })
    };
    (0..count.min(MAX_CELLS)).map_while(place).collect()
}

pub(super) fn letters(document: &[u8], pages: &[u8]) -> Runs<Letters> {
    runs(document, pages, 1, |page, at| {
        let length = usize::from(*page.get(at)?);
        let list = page.get(at + 1..(at + 1 + length).min(page.len()))?;
        let mut letters = Letters::default();
        changes(list, &mut |code, value, _| match code {
            0x0800 | 0x083c => letters.gone |= value == 1,
            0x2a48 => letters.raised = value == 1,
            _ => {}
        });
        Some(letters)
    })
}

fn runs<T: Default>(document: &[u8], table: &[u8], entry: usize, mut read: impl FnMut(&[u8], usize) -> Option<T>) -> Runs<T> {
    let mut out = Vec::new();
    let count = table.len().saturating_sub(4) / 8;
    for nth in 0..count {
        let Some(number) = u32_at(table, 4 * (count + 1) + 4 * nth) else { break };
        let from = (number & 0x3f_ffff) as usize * 512;
        let Some(page) = document.get(from..from.saturating_add(512)) else { continue };
        let runs = usize::from(page.last().copied().unwrap_or(0));
        for run in 0..runs {
            let (Some(start), Some(end)) = (u32_at(page, 4 * run), u32_at(page, 4 * run + 4)) else { break };
            let at = page.get(4 * (runs + 1) + entry * run).map_or(0, |at| usize::from(*at) * 2);
            let value = if at == 0 { T::default() } else { read(page, at).unwrap_or_default() };
            if start < end && out.len() < MAX_RUNS {
                out.push((start, end, value));
            }
        }
    }
    out.sort_by_key(|(_, end, _)| *end);
    Runs(out)
}

/// The changes in a list: their codes and values, and where these stand.
fn changes(list: &[u8], change: &mut dyn FnMut(u16, u32, usize)) {
    let mut at = 0;
    while let Some(code) = u16_at(list, at) {
        at += 2;
        let byte = |at: usize| list.get(at).copied().map_or(0, u32::from);
        let (value, length) = match code >> 13 {
            0 | 1 => (byte(at), 1),
            2 | 4 | 5 => (u16_at(list, at).map_or(0, u32::from), 2),
            3 => (u32_at(list, at).unwrap_or(0), 4),
            7 => (0, 3),
            _ if code == 0xd608 => (0, u16_at(list, at).map_or(2, |n| usize::from(n) + 1)),
            _ => (0, byte(at) as usize + 1),
        };
        change(code, value, at);
        at += length;
    }
}
