//! Tables: held until their widths are known.

use unicode_width::UnicodeWidthStr;

use super::flow::{Flow, Ink, Screen};
use super::inline::Inline;

/// What a table holds back, in bytes, before its columns are as wide as the rows so far.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// A longer row is text.
pub(super) const MAX_ROW_BYTES: usize = 4 * 1024;
/// Cells a row, at most.
const MAX_COLUMNS: usize = 32;
/// Narrower columns are no table any more: a row becomes a list.
const MIN_WIDTH: usize = 8;

const GAP: &str = " │ ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Table {
    header: Vec<String>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
    bytes: usize,
    /// What begins each line, and its width.
    indent: (String, usize),
    /// The columns' widths, once they are fixed.
    widths: Option<Vec<usize>>,
}

impl Table {
    /// A table, if these two lines begin one.
    pub fn begin(header: &str, rule: &str, indent: (String, usize)) -> Option<Self> {
        let header = cells(header);
        let align = cells(rule).iter().map(|cell| alignment(cell)).collect::<Option<Vec<_>>>()?;
        let fits = header.len() == align.len() && header.len() <= MAX_COLUMNS;
        fits.then(|| Self { header, align, rows: Vec::new(), bytes: 0, indent, widths: None })
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// A row. It is shown at once when the widths are fixed.
    pub fn push(&mut self, row: &str, flow: &mut Flow) {
        let mut cells = cells(row);
        // GFM leaves out what there is no header for; no word of an answer is left out here.
        let more = cells.split_off(cells.len().min(self.header.len()));
        if let Some(last) = cells.last_mut() {
            for cell in more {
                last.push_str(&format!(" | {cell}"));
            }
        }
        cells.resize(self.header.len(), String::new());
        self.bytes += row.len();
        self.rows.push(cells);
        if self.widths.is_some() || self.bytes > MAX_BYTES {
            self.show(flow);
        }
    }

    /// Shows what is held.
    pub fn show(&mut self, flow: &mut Flow) {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let columns = flow.screen.width.saturating_sub(self.indent.1);
        let (widths, first) = match self.widths.clone() {
            Some(widths) => (widths, false),
            None => (self.fit(&rows, columns, flow.screen), true),
        };
        self.widths = Some(widths.clone());
        if widths.contains(&0) {
            return self.as_lists(rows, flow);
        }
        if first {
            self.line(&self.header, &widths, &Ink { bold: true, ..Ink::default() }, flow);
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            flow.begin_with(self.indent.clone());
            flow.begin(&rule.join("─┼─"), Ink::dim(), (String::new(), 0));
            flow.end_line();
        }
        for row in &rows {
            self.line(row, &widths, &Ink::default(), flow);
        }
    }

    /// As wide as the widest cell, the wide ones cut down to what the screen has; all 0 where that is too little.
    fn fit(&self, rows: &[Vec<String>], columns: usize, screen: Screen) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|cell| natural(cell, screen)).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(natural(cell, screen));
            }
        }
        let room = columns.saturating_sub(GAP.width() * widths.len().saturating_sub(1));
        let sum = |most: usize| widths.iter().map(|width| *width.min(&most)).sum::<usize>();
        let mut most = widths.iter().copied().max().unwrap_or(0);
        while sum(most) > room {
            if most <= MIN_WIDTH {
                return vec![0; widths.len()];
            }
            most -= 1;
        }
        widths.iter().map(|width| (*width).min(most).max(1)).collect()
    }

    /// One row, of as many lines as its highest cell.
    fn line(&self, row: &[String], widths: &[usize], ink: &Ink, flow: &mut Flow) {
        let cells: Vec<Vec<(String, usize)>> =
            row.iter().zip(widths).map(|(cell, width)| lines(cell, *width, ink, flow.screen)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for n in 0..height {
            flow.begin_with(self.indent.clone());
            let mut pending = 0;
            for (at, ((cell, width), align)) in cells.iter().zip(widths).zip(&self.align).enumerate() {
                if at > 0 {
                    flow.raw(&" ".repeat(std::mem::take(&mut pending)));
                    flow.begin(GAP, Ink::dim(), (String::new(), 0));
                }
                let (text, used) = cell.get(n).map_or(("", 0), |(text, used)| (text.as_str(), *used));
                let padding = width.saturating_sub(used);
                if *align == Align::Right {
                    flow.raw(&" ".repeat(padding));
                } else {
                    pending = padding;
                }
                flow.raw(text);
            }
            flow.end_line();
        }
    }

    /// `header: cell`, a line each.
    fn as_lists(&self, rows: Vec<Vec<String>>, flow: &mut Flow) {
        let rows = if rows.is_empty() { vec![vec!["–".to_owned(); self.header.len()]] } else { rows };
        for row in rows {
            for (header, cell) in self.header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                flow.begin_with(self.indent.clone());
                flow.begin("", Ink::default(), (format!("{}  ", self.indent.0), self.indent.1 + 2));
                inline(&format!("{header}:"), &Ink { bold: true, ..Ink::default() }, flow);
                flow.put(' ');
                inline(&cell, &Ink::default(), flow);
                flow.end_line();
            }
            flow.end_line();
        }
    }
}

fn inline(text: &str, ink: &Ink, flow: &mut Flow) {
    let mut inline = Inline::new(ink.clone());
    text.chars().for_each(|c| inline.read(c, flow));
    inline.end_line(flow);
}

/// A cell wrapped into a column, each line with its width.
fn lines(cell: &str, width: usize, ink: &Ink, screen: Screen) -> Vec<(String, usize)> {
    let mut flow = Flow::new(Screen { width, ..screen });
    (flow.widths, flow.patient) = (Some(Vec::new()), true);
    inline(cell, ink, &mut flow);
    flow.end_line();
    let widths = flow.widths.take().unwrap_or_default();
    flow.take().lines().map(str::to_owned).zip(widths).collect()
}

fn natural(cell: &str, screen: Screen) -> usize {
    lines(cell, usize::MAX, &Ink::default(), screen).iter().map(|(_, width)| *width).max().unwrap_or(0)
}

/// What stands between the bars; `\|` is none.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let (mut cells, mut cell, mut escaped) = (Vec::new(), String::new(), false);
    for c in row.chars() {
        match c {
            '|' if escaped => {
                cell.pop();
                cell.push('|');
            }
            '|' => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            _ => cell.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells
}

/// `---`, `:--`, `--:` or `:-:`.
fn alignment(cell: &str) -> Option<Align> {
    let dashes = cell.strip_prefix(':').unwrap_or(cell);
    let (dashes, right) = dashes.strip_suffix(':').map_or((dashes, false), |dashes| (dashes, true));
    let valid = !dashes.is_empty() && dashes.bytes().all(|b| b == b'-');
    valid.then_some(if right && !cell.starts_with(':') { Align::Right } else { Align::Left })
}
