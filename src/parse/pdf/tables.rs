//! Tables: by their rules, and by the places of their cells.

use hayro_font::kurbo::Rect;

use super::super::table::{Cell, Table};
use super::columns;
use super::lines::{self, Line};
use super::words::Word;

/// Rules that end this near to one another meet, in points.
const NEAR: f64 = 3.0;
/// Columns and rows of a table; what has more is a drawing.
const COLUMNS: usize = 60;
const ROWS: usize = 400;

/// A table that was found, and the room that it takes.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) bounds: Rect,
    pub(super) table: Table,
    /// Where its columns begin and end; none where no rules part them.
    pub(super) edges: Vec<f64>,
}

/// The tables that rules show; their words are taken out of `words`.
pub(super) fn ruled(rules: &[Rect], words: &mut Vec<Word>) -> Vec<Found> {
    let (flat, upright) = sort_out(rules);
    let mut found = Vec::new();
    for grid in grids(&flat, &upright) {
        take(words, grid.bounds(), &grid.xs, |inside| grid.fill(inside), &mut found);
    }
    for between in open_tables(&flat, &found) {
        take(words, between.bounds, &[], |inside| between.fill(inside), &mut found);
    }
    found
}

/// Takes the words of a part out, if they make a table.
fn take(
    words: &mut Vec<Word>,
    bounds: Rect,
    edges: &[f64],
    fill: impl Fn(&[Word]) -> Option<Vec<Vec<Cell>>>,
    found: &mut Vec<Found>,
) {
    let inside: Vec<Word> = words.iter().filter(|w| bounds.contains(w.middle())).cloned().collect();
    if inside.len() < 2 {
        return;
    }
    if let Some(rows) = fill(&inside) {
        words.retain(|w| !bounds.contains(w.middle()));
        found.push(Found { bounds, table: Table { rows, caption: None }, edges: edges.to_vec() });
    }
}

/// The lying and the standing rules, those that continue one another put together.
fn sort_out(rules: &[Rect]) -> (Vec<Rect>, Vec<Rect>) {
    let mut flat: Vec<Rect> = rules.iter().copied().filter(|r| r.height() < NEAR && r.width() > 6.0).collect();
    let mut upright: Vec<Rect> = rules.iter().copied().filter(|r| r.width() < NEAR && r.height() > 4.0).collect();
    flat.sort_by(|a, b| a.y0.total_cmp(&b.y0).then(a.x0.total_cmp(&b.x0)));
    upright.sort_by(|a, b| a.x0.total_cmp(&b.x0).then(a.y0.total_cmp(&b.y0)));
    (join(flat, |r| (r.center().y, r.x0, r.x1)), join(upright, |r| (r.center().x, r.y0, r.y1)))
}

fn join(rules: Vec<Rect>, line: impl Fn(&Rect) -> (f64, f64, f64)) -> Vec<Rect> {
    let mut out: Vec<Rect> = Vec::new();
    for rule in rules {
        let (at, from, _) = line(&rule);
        // They are sorted: what this one continues is among the last.
        let before = out.iter_mut().rev().take(40).find(|o| {
            let (there, _, to) = line(o);
            (there - at).abs() < 1.5 && from <= to + NEAR && from >= line(o).1 - NEAR
        });
        match before {
            Some(before) => *before = before.union(rule),
            None => out.push(rule),
        }
    }
    out
}

/// Rules that meet and make cells.
struct Grid {
    xs: Vec<f64>,
    ys: Vec<f64>,
    flat: Vec<Rect>,
    upright: Vec<Rect>,
}

/// The group that a rule belongs to.
fn root(of: &mut [usize], mut at: usize) -> usize {
    while let Some(&up) = of.get(at).filter(|&&up| up != at) {
        let above = of.get(up).copied().unwrap_or(up);
        if let Some(slot) = of.get_mut(at) {
            *slot = above;
        }
        at = above;
    }
    at
}

fn grids(flat: &[Rect], upright: &[Rect]) -> Vec<Grid> {
    if upright.len() < 2 || flat.len() < 2 || upright.len() + flat.len() > 4000 {
        return Vec::new();
    }
    let all: Vec<Rect> = flat.iter().chain(upright).copied().collect();
    let mut of: Vec<usize> = (0..all.len()).collect();
    for (i, a) in flat.iter().enumerate() {
        for (j, b) in upright.iter().enumerate() {
            if a.inflate(NEAR, NEAR).overlaps(*b) {
                let (x, y) = (root(&mut of, i), root(&mut of, flat.len() + j));
                if let Some(slot) = of.get_mut(x) {
                    *slot = y;
                }
            }
        }
    }
    let mut groups: std::collections::BTreeMap<usize, Grid> = std::collections::BTreeMap::new();
    for (i, rule) in all.iter().enumerate() {
        let key = root(&mut of, i);
        let grid = groups.entry(key).or_insert_with(|| Grid { xs: vec![], ys: vec![], flat: vec![], upright: vec![] });
        if i < flat.len() { grid.flat.push(*rule) } else { grid.upright.push(*rule) }
    }
    groups
        .into_values()
        .filter_map(|mut grid| {
            grid.xs = places(grid.upright.iter().map(|r| r.center().x));
            grid.ys = places(grid.flat.iter().map(|r| r.center().y));
            // Tables without rules at their sides.
            let (left, right) =
                grid.flat.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, r), f| (l.min(f.x0), r.max(f.x1)));
            if grid.xs.first().is_some_and(|x| x - left > 12.0) {
                grid.xs.insert(0, left);
            }
            if grid.xs.last().is_some_and(|x| right - x > 12.0) {
                grid.xs.push(right);
            }
            let (columns, rows) = (grid.xs.len().saturating_sub(1), grid.ys.len().saturating_sub(1));
            ((2..=COLUMNS).contains(&columns) && (1..=ROWS).contains(&rows)).then_some(grid)
        })
        .collect()
}

/// Distinct places, in order.
fn places(all: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|b, a| *b - *a < NEAR);
    all
}

impl Grid {
    fn bounds(&self) -> Rect {
        let ends = |v: &[f64]| (v.first().copied().unwrap_or(0.0), v.last().copied().unwrap_or(0.0));
        let ((x0, x1), (y0, y1)) = (ends(&self.xs), ends(&self.ys));
        Rect::new(x0, y0, x1, y1)
    }

    /// Whether a rule parts two cells.
    fn has_upright(&self, x: f64, y0: f64, y1: f64) -> bool {
        let covered: f64 = self
            .upright
            .iter()
            .filter(|r| (r.center().x - x).abs() < NEAR)
            .map(|r| (r.y1.min(y1) - r.y0.max(y0)).max(0.0))
            .sum();
        covered > 0.5 * (y1 - y0)
    }

    fn has_flat(&self, y: f64, x0: f64, x1: f64) -> bool {
        let covered: f64 =
            self.flat.iter().filter(|r| (r.center().y - y).abs() < NEAR).map(|r| (r.x1.min(x1) - r.x0.max(x0)).max(0.0)).sum();
        covered > 0.5 * (x1 - x0)
    }

    /// The cells that begin in each row, with the columns and rows that they span; `None` if this is no table.
    fn fill(&self, words: &[Word]) -> Option<Vec<Vec<Cell>>> {
        let (columns, rows) = (self.xs.len() - 1, self.ys.len() - 1);
        let spot = |v: &[f64], at: f64| v.iter().skip(1).position(|&edge| at < edge);
        let firsts = self.firsts();
        let mut cells: Vec<Vec<Vec<Word>>> = vec![vec![Vec::new(); columns]; rows];
        for word in words {
            let middle = word.middle();
            let (row, column) = *firsts.get(spot(&self.ys, middle.y)?)?.get(spot(&self.xs, middle.x)?)?;
            cells.get_mut(row)?.get_mut(column)?.push(word.clone());
        }
        let full = cells.iter().flatten().filter(|c| !c.is_empty()).count();
        let used = (0..columns).filter(|&c| cells.iter().any(|r| r.get(c).is_some_and(|c| !c.is_empty()))).count();
        // The grid of a chart, a page with frames.
        if used < 2 || full < 3 || full * 6 < columns * rows {
            return None;
        }
        let longest = cells.iter().flatten().map(Vec::len).max().unwrap_or(0);
        // Columns of text with a rule between them.
        if rows == 1 && longest > 60 {
            return None;
        }
        let begun = begin(cells, &firsts)?;
        // Columns in which nothing begins are there for what spans them.
        let mut live = vec![false; columns];
        for cell in begun.iter().flatten().filter(|c| !c.words.is_empty()) {
            if let Some(slot) = live.get_mut(cell.column) {
                *slot = true;
            }
        }
        let mut out = Vec::new();
        for mut row in begun {
            for cell in &mut row {
                let covered = live.get(cell.column..cell.column + cell.wide).unwrap_or_default();
                cell.wide = covered.iter().filter(|l| **l).count();
            }
            row.retain(|cell| cell.wide > 0);
            let spans: Vec<(usize, usize)> = row.iter().map(|c| (c.wide, c.high)).collect();
            let texts: Vec<Vec<Word>> = row.into_iter().map(|c| c.words).collect();
            let is_plain = spans.iter().all(|s| s.1 == 1);
            let parts = if is_plain { rows_within(texts) } else { vec![texts.into_iter().map(text_of).collect()] };
            for part in parts {
                let cells =
                    part.into_iter().zip(&spans).map(|(text, &(columns, rows))| Cell { columns, rows, ..Cell::new(text) });
                out.push(cells.collect());
            }
        }
        Some(out)
    }

    /// For each place that at which the cell begins that covers it.
    fn firsts(&self) -> Vec<Vec<(usize, usize)>> {
        let mut firsts: Vec<Vec<(usize, usize)>> = Vec::new();
        for (row, (y0, y1)) in self.ys.iter().zip(self.ys.iter().skip(1)).enumerate() {
            let mut here: Vec<(usize, usize)> = Vec::new();
            for (column, (x0, x1)) in self.xs.iter().zip(self.xs.iter().skip(1)).enumerate() {
                let beside = here.last().filter(|_| !self.has_upright(*x0, *y0, *y1)).copied();
                let above = || firsts.last().and_then(|f| f.get(column)).filter(|_| !self.has_flat(*y0, *x0, *x1)).copied();
                here.push(beside.or_else(above).unwrap_or((row, column)));
            }
            firsts.push(here);
        }
        firsts
    }
}

/// The cells where they begin, each a box of places. What is no box (rules are missing) is cut into some.
fn begin(cells: Vec<Vec<Vec<Word>>>, firsts: &[Vec<(usize, usize)>]) -> Option<Vec<Vec<Begun>>> {
    let (columns, rows) = (firsts.first()?.len(), firsts.len());
    let mut covered = vec![vec![false; columns]; rows];
    let mut begun: Vec<Vec<Begun>> = Vec::new();
    for (row, texts) in cells.into_iter().enumerate() {
        let mut here = Vec::new();
        for (column, words) in texts.into_iter().enumerate() {
            if *covered.get(row)?.get(column)? {
                continue;
            }
            let first = firsts.get(row)?.get(column)?;
            let is_same = |r: usize, c: usize| firsts.get(r).and_then(|f| f.get(c)) == Some(first);
            let wide = 1 + (column + 1..columns).take_while(|&c| is_same(row, c)).count();
            let high = 1 + (row + 1..rows).take_while(|&r| (column..column + wide).all(|c| is_same(r, c))).count();
            for line in covered.iter_mut().skip(row).take(high) {
                line.iter_mut().skip(column).take(wide).for_each(|place| *place = true);
            }
            // The body of a list that has rules about its head alone.
            if wide > 1 && words.len() > 12 && lines::lines(words.clone()).len() > 6 {
                return None;
            }
            here.push(Begun { column, wide, high, words });
        }
        begun.push(here);
    }
    Some(begun)
}

/// A cell where it begins.
struct Begun {
    column: usize,
    wide: usize,
    high: usize,
    words: Vec<Word>,
}

fn text_of(words: Vec<Word>) -> String {
    cell_text(lines::lines(words).iter())
}

/// The rows of one row between rules: some tables have rules about their head alone, or about groups of rows. A cell of one
/// line beside others of several is one for all of them.
fn rows_within(cells: Vec<Vec<Word>>) -> Vec<Vec<String>> {
    let lines: Vec<Vec<Line>> = cells.into_iter().map(lines::lines).collect();
    let most = lines.iter().map(Vec::len).max().unwrap_or(0);
    let several: Vec<&Vec<Line>> = lines.iter().filter(|l| l.len() > 1).collect();
    let at = |line: &Line, other: &Line| (line.y - other.y).abs() < 0.3 * line.size.max(1.0);
    let longest = several.iter().max_by_key(|l| l.len());
    let aligned = several.len() >= 2
        && several.iter().all(|column| {
            let met = column.iter().filter(|l| longest.is_some_and(|m| m.iter().any(|o| at(o, l)))).count();
            column.len() * 10 >= most * 9 && met * 10 >= column.len() * 9
        });
    // Values, not the lines of texts that happen to have as many.
    let texts = || several.iter().flat_map(|c| c.iter()).map(Line::text);
    let numbers = texts().filter(|t| t.chars().any(|c| c.is_ascii_digit())).count();
    let is_values = texts().all(|t| t.chars().count() < 30) && (numbers * 2 > texts().count() || most > 2);
    match longest {
        Some(longest) if aligned && is_values => longest
            .iter()
            .map(|row| {
                let cell = |column: &Vec<Line>| {
                    let is_for_all = column.len() < 2;
                    cell_text(column.iter().filter(|l| is_for_all || at(row, l)))
                };
                lines.iter().map(cell).collect()
            })
            .collect(),
        _ => vec![lines.iter().map(|column| cell_text(column.iter())).collect()],
    }
}

/// Tables with rules above and below, and none between columns.
struct Open {
    bounds: Rect,
    /// Where rules lie, from top to bottom.
    ys: Vec<f64>,
}

fn open_tables(flat: &[Rect], found: &[Found]) -> Vec<Open> {
    let mut out: Vec<Open> = Vec::new();
    let mut used = vec![false; flat.len()];
    for (i, first) in flat.iter().enumerate() {
        if used.get(i).copied().unwrap_or(true)
            || first.width() < 60.0
            || found.iter().any(|f| f.bounds.inflate(2.0, 2.0).overlaps(*first))
        {
            continue;
        }
        let mut ys = vec![first.center().y];
        for (j, other) in flat.iter().enumerate().skip(i + 1) {
            if (other.x0 - first.x0).abs() < 4.0 && (other.x1 - first.x1).abs() < 4.0 {
                if let Some(slot) = used.get_mut(j) {
                    *slot = true;
                }
                ys.push(other.center().y);
            }
        }
        ys.dedup_by(|b, a| *b - *a < NEAR);
        if let (true, Some(&top), Some(&bottom)) = (ys.len() >= 3, ys.first(), ys.last()) {
            out.push(Open { bounds: Rect::new(first.x0 - 2.0, top, first.x1 + 2.0, bottom), ys });
        }
    }
    out
}

impl Open {
    fn fill(&self, words: &[Word]) -> Option<Vec<Vec<Cell>>> {
        let size = lines::main_size(words.iter());
        // The names of columns may span some of them: the values show where these are.
        let head = *self.ys.get(1)?;
        let values: Vec<&Word> = words.iter().filter(|w| w.y > head).collect();
        let cuts = gaps(&values, 0.8 * size);
        if cuts.is_empty() || cuts.len() >= COLUMNS {
            return None;
        }
        // Text between two rules, such as an abstract, has no gaps; nor have its lines a row each.
        let bands = self.ys.len() - 1;
        let mut out = Vec::new();
        for (top, bottom) in self.ys.iter().zip(self.ys.iter().skip(1)) {
            let band: Vec<Word> = words.iter().filter(|w| w.middle().y > *top && w.middle().y <= *bottom).cloned().collect();
            if band.is_empty() {
                continue;
            }
            if bands > 4 {
                let cells = columns::split(band, &cuts).into_iter().map(lines::lines);
                out.push(cells.map(|c| cell_text(c.iter())).collect::<Vec<_>>());
            } else {
                out.extend(rows_of(band, &cuts));
            }
        }
        let full = out.iter().filter(|row| row.iter().filter(|c| !c.is_empty()).count() >= 2).count();
        (out.len() >= 2 && full * 2 > out.len()).then(|| plain_cells(out))
    }
}

/// The middles of the gaps that pass through all of some words.
fn gaps(words: &[&Word], least: f64) -> Vec<f64> {
    let mut taken: Vec<(f64, f64)> = words.iter().map(|w| (w.x0, w.x1)).collect();
    taken.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out = Vec::new();
    let mut reach = f64::NEG_INFINITY;
    for (x0, x1) in taken {
        if reach.is_finite() && x0 - reach >= least {
            out.push(f64::midpoint(reach, x0));
        }
        reach = reach.max(x1);
    }
    out
}

/// A table without rules, in Markdown. Of two columns it is a list of names and what is said of each (settings, contents, terms):
/// a line each reads better, and has no first row that would be taken for names of columns.
pub(super) fn aligned(words: Vec<Word>, cuts: &[f64]) -> String {
    let rows = rows_of(words, cuts);
    if cuts.len() > 1 {
        return markdown(plain_cells(rows));
    }
    let lines = rows.iter().map(|cells| cells.iter().filter(|cell| !cell.is_empty()).map(String::as_str).collect::<Vec<_>>());
    lines.map(|cells| cells.join(" ")).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The rows of a part whose columns are known: a line that does not begin in the first column goes on with the row above.
fn rows_of(words: Vec<Word>, cuts: &[f64]) -> Vec<Vec<String>> {
    let all = lines::lines(words);
    let mut rows: Vec<(f64, Vec<Vec<Line>>)> = Vec::new();
    let distances: Vec<f64> = all.iter().zip(all.iter().skip(1)).map(|(a, b)| b.y - a.y).collect();
    let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let filled = |line: &Line| columns::split(line.words.clone(), cuts).iter().filter(|c| !c.is_empty()).count();
    // Rows of several lines have a wider distance between them, and their further lines leave cells empty.
    let near = all.iter().zip(all.iter().skip(1)).filter(|(a, b)| b.y - a.y < 1.2 * least);
    let (near, partly) = near.fold((0, 0), |(n, p), (_, b)| (n + 1, p + usize::from(filled(b) <= cuts.len())));
    let wide = distances.iter().filter(|d| **d > 1.3 * least).count();
    let by_distance = wide * 5 >= all.len() && partly * 2 > near;
    for line in all {
        let y = line.y;
        let cells = columns::split(line.words, cuts);
        let goes_on = rows.last().is_some_and(|(last, _)| {
            let close = y - last < 1.2 * least.max(1.0);
            let first_is_empty = cells.first().is_some_and(Vec::is_empty);
            let several = cells.iter().filter(|c| !c.is_empty()).count();
            if by_distance { close } else { first_is_empty && close && several * 2 <= cells.len() + 1 }
        });
        let cells: Vec<Vec<Line>> = cells.into_iter().map(lines::lines).collect();
        match rows.last_mut() {
            Some((last, row)) if goes_on => {
                *last = y;
                for (cell, more) in row.iter_mut().zip(cells) {
                    cell.extend(more);
                }
            }
            _ => rows.push((y, cells)),
        }
    }
    rows.into_iter().map(|(_, row)| row.iter().map(|cell| cell_text(cell.iter())).collect()).collect()
}

fn cell_text<'l>(lines: impl Iterator<Item = &'l Line>) -> String {
    let mut out = String::new();
    for line in lines {
        let text = line.text();
        match lines::glue(&out, &text) {
            lines::Glue::Blank => out.push(' '),
            lines::Glue::Divided => {
                out.pop();
            }
            lines::Glue::Nothing => {}
        }
        out.push_str(&text);
    }
    out
}

fn plain_cells(rows: Vec<Vec<String>>) -> Vec<Vec<Cell>> {
    rows.into_iter().map(|row| row.into_iter().map(Cell::new).collect()).collect()
}

fn markdown(rows: Vec<Vec<Cell>>) -> String {
    Table { rows, caption: None }.to_markdown()
}
