//! Columns: cuts a page along the white between its blocks, by the places of its words.
//!
//! A gutter is white from top to bottom of a part of the page, with lines on both of its sides: how wide it has to be depends
//! on how many lines it passes, so that 10 points part two columns of a paper, and the blanks of a paragraph that happen to
//! stand below one another part nothing. What stands on both sides may still be the columns of a table, which are read
//! across: these are told by their rows.

use super::letters;
use super::lines::{self, Line};
use super::words::Word;

/// Parts within parts.
const DEPTH: usize = 24;
/// Words beyond which a part is not cut any more: a page of a telephone book has some thousands.
const WORDS: usize = 40_000;

/// Gutters of a part that are tried.
const TRIED: usize = 12;

/// A part of a page that is read as one.
pub(super) enum Region {
    /// Lines below one another.
    Lines(Vec<Line>),
    /// A table without rules: its words, and where its columns are parted.
    Table(Vec<Word>, Vec<f64>),
}

/// A white box.
#[derive(Debug, Clone, Copy)]
struct White {
    x0: f64,
    x1: f64,
    y0: f64,
    y1: f64,
}

/// The parts of a page in reading order; `rtl`: columns are read from the right.
pub(super) fn cut(words: Vec<Word>, rtl: bool) -> Vec<Region> {
    let mut out = Vec::new();
    divide(words, rtl, DEPTH, &mut out);
    out
}

fn divide(words: Vec<Word>, rtl: bool, depth: usize, out: &mut Vec<Region>) {
    if words.is_empty() {
        return;
    }
    if depth == 0 || words.len() < 6 || words.len() > WORDS {
        out.push(Region::Lines(lines::lines(words)));
        return;
    }
    let size = lines::main_size(words.iter());
    for mut gutter in best_gutters(&words, size) {
        let (mut band, mut cuts) = band_of(&words, gutter, size);
        let kind = kind_of(&band, &cuts, size);
        if matches!(kind, Kind::Neither) {
            continue;
        }
        if matches!(kind, Kind::Table)
            && let Some(inner) = without_lone_lines(&band, &cuts, gutter)
        {
            let (of_inner, cuts_of_inner) = band_of(&words, inner, size);
            if matches!(kind_of(&of_inner, &cuts_of_inner, size), Kind::Table) {
                (gutter, band, cuts) = (inner, of_inner, cuts_of_inner);
            }
        }
        let (above, rest): (Vec<Word>, Vec<Word>) = words.into_iter().partition(|w| w.middle().y < gutter.y0);
        let below: Vec<Word> = rest.into_iter().filter(|w| w.middle().y > gutter.y1).collect();
        divide(above, rtl, depth - 1, out);
        if matches!(kind, Kind::Table) {
            out.push(Region::Table(band, cuts));
        } else {
            let mut columns = split(band, &cuts);
            if rtl {
                columns.reverse();
            }
            for column in columns {
                divide(column, rtl, depth - 1, out);
            }
        }
        divide(below, rtl, depth - 1, out);
        return;
    }
    out.push(Region::Lines(lines::lines(words)));
}

/// The words beside a gutter, and where these are parted by all gutters there.
fn band_of(words: &[Word], gutter: White, size: f64) -> (Vec<Word>, Vec<f64>) {
    let band: Vec<Word> = words.iter().filter(|w| (gutter.y0..=gutter.y1).contains(&w.middle().y)).cloned().collect();
    let mut gutters: Vec<White> = gutters_through(&band, gutter, size);
    gutters.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    let cuts = gutters.iter().map(|g| f64::midpoint(g.x0, g.x1)).collect();
    (band, cuts)
}

/// The band of a table without the lines above and below it that stand beside no other cell and are no cells: a heading is set in
/// another size, a sentence begins where no row has a cell, or nowhere near the left edge of one and at another distance than
/// that of the rows. `None` if there are none, or too few rows besides.
fn without_lone_lines(band: &[Word], cuts: &[f64], gutter: White) -> Option<White> {
    let lines = lines::lines(band.to_vec());
    // The columns in which there are words, and where these begin.
    let cells = |line: &Line| -> Vec<(usize, f64)> {
        let of = |(column, words): (usize, Vec<Word>)| Some((column, words.iter().map(|word| word.x0).reduce(f64::min)?));
        split(line.words.clone(), cuts).into_iter().enumerate().filter_map(of).collect()
    };
    let rows: Vec<(&Line, Vec<(usize, f64)>)> = lines.iter().map(|line| (line, cells(line))).collect();
    let several = || rows.iter().filter(|(_, cells)| cells.len() > 1);
    let size = lines::main_size(several().flat_map(|(line, _)| &line.words));
    let usual = {
        let ys: Vec<f64> = several().map(|(line, _)| line.y).collect();
        let mut steps: Vec<f64> = ys.iter().zip(ys.iter().skip(1)).map(|(a, b)| b - a).collect();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied()?
    };
    let is_lone = |at: usize, beside: Option<usize>| {
        let Some((line, own)) = rows.get(at) else { return false };
        let [(column, _)] = own.as_slice() else { return false };
        let step = beside.and_then(|at| rows.get(at)).map_or(0.0, |(other, _)| (other.y - line.y).abs());
        let starts = || several().flat_map(|(_, cells)| cells).filter(|(of, _)| of == column).map(|(_, start)| *start);
        let is_at_edge = || starts().any(|start| (start - line.x0).abs() < 0.3 * size);
        (line.size - size).abs() > 0.1 * size
            || starts().next().is_none()
            || (step - usual).abs() > 0.1 * usual && !is_at_edge()
    };
    let (mut first, mut last) = (0, rows.len().checked_sub(1)?);
    while is_lone(first, Some(first + 1)) {
        first += 1;
    }
    while last > first && is_lone(last, last.checked_sub(1)) {
        last -= 1;
    }
    if (first == 0 && last + 1 == rows.len()) || last < first + 2 {
        return None;
    }
    let top = |(line, _): &(&Line, Vec<(usize, f64)>)| line.words.iter().map(Word::top).fold(f64::INFINITY, f64::min);
    let bottom = |(line, _): &(&Line, Vec<(usize, f64)>)| line.words.iter().map(Word::bottom).fold(f64::NEG_INFINITY, f64::max);
    Some(White { y0: top(rows.get(first)?), y1: bottom(rows.get(last)?), ..gutter })
}

pub(super) fn split(words: Vec<Word>, cuts: &[f64]) -> Vec<Vec<Word>> {
    let mut columns: Vec<Vec<Word>> = Vec::new();
    columns.resize_with(cuts.len() + 1, Vec::new);
    for word in words {
        let column = cuts.iter().filter(|&&cut| word.middle().x > cut).count();
        if let Some(column) = columns.get_mut(column) {
            column.push(word);
        }
    }
    columns
}

/// The gutters that are tallest, among those with lines on both sides.
fn best_gutters(words: &[Word], size: f64) -> Vec<White> {
    let mut found: Vec<(f64, White)> = Vec::new();
    for white in whites(words, size) {
        let Some((white, rows)) = with_lines(words, white) else { continue };
        if is_wide_enough(white.x1 - white.x0, rows, size) {
            // The taller, then the wider.
            found.push(((white.y1 - white.y0) + 0.5 * (white.x1 - white.x0).min(3.0 * size), white));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(TRIED);
    found.into_iter().map(|(_, white)| white).collect()
}

/// How wide a gutter has to be that passes so many lines.
fn is_wide_enough(width: f64, rows: usize, size: f64) -> bool {
    let least = match rows {
        0 | 1 => return false,
        2 => 2.0,
        3 => 1.5,
        4..=5 => 1.0,
        6..=9 => 0.75,
        _ => 0.55,
    };
    width >= least * size
}

/// All other gutters that pass the whole of a band.
fn gutters_through(band: &[Word], first: White, size: f64) -> Vec<White> {
    let (y0, y1) = (first.y0, first.y1);
    let mut taken: Vec<(f64, f64)> = band.iter().map(|w| (w.x0, w.x1)).collect();
    taken.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut gutters = Vec::new();
    let mut reach = f64::NEG_INFINITY;
    for (x0, x1) in taken {
        if reach.is_finite() && x0 - reach > 0.3 * size {
            let white = White { x0: reach, x1: x0, y0, y1 };
            if with_lines(band, white).is_some_and(|(_, rows)| is_wide_enough(x0 - reach, rows, size)) {
                gutters.push(white);
            }
        }
        reach = reach.max(x1);
    }
    if gutters.is_empty() {
        gutters.push(first);
    }
    gutters
}

/// A white box without what it has above and below the lines that stand at both of its sides, and how many lines these are.
fn with_lines(words: &[Word], white: White) -> Option<(White, usize)> {
    let within = |w: &&Word| {
        let y = w.middle().y;
        y > white.y0 && y < white.y1
    };
    let left: Vec<&Word> = words.iter().filter(within).filter(|w| w.x1 <= white.x0 + 0.5).collect();
    let right: Vec<&Word> = words.iter().filter(within).filter(|w| w.x0 >= white.x1 - 0.5).collect();
    let rows = rows(&left).min(rows(&right));
    let span = |side: &[&Word]| {
        let top = side.iter().map(|w| w.top()).fold(f64::INFINITY, f64::min);
        let bottom = side.iter().map(|w| w.bottom()).fold(f64::NEG_INFINITY, f64::max);
        (top, bottom)
    };
    let ((lt, lb), (rt, rb)) = (span(&left), span(&right));
    // They have to stand beside one another, not above.
    let both = lb.min(rb) - lt.max(rt);
    if rows < 2 || both < 0.3 * (lb - lt).min(rb - rt) {
        return None;
    }
    Some((White { y0: lt.min(rt).max(white.y0), y1: lb.max(rb).min(white.y1), ..white }, rows))
}

/// Lines among words, about.
fn rows(words: &[&Word]) -> usize {
    let mut ys: Vec<(f64, f64)> = words.iter().map(|w| (w.y, w.size)).collect();
    ys.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut count = 0;
    let mut last = f64::NEG_INFINITY;
    for (y, size) in ys {
        if y - last > 0.5 * size {
            count += 1;
            last = y;
        }
    }
    count
}

/// The white boxes of a part that cannot be made larger: tall ones, between words.
fn whites(words: &[Word], size: f64) -> Vec<White> {
    let (left, right) = words.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, r), w| (l.min(w.x0), r.max(w.x1)));
    let (top, bottom) = words.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(t, b), w| (t.min(w.top()), b.max(w.bottom())));
    // In steps of about a tenth of a letter, but not more than some hundreds over the page.
    let step = (size / 8.0).max((right - left) / 1200.0).max(0.05);
    let count = (((right - left) / step).ceil() as usize).clamp(1, 1300);
    let mut taken: Vec<Vec<(f64, f64)>> = vec![Vec::new(); count];
    for word in words {
        // Inner steps alone: what a word only touches stays white.
        let first = ((word.x0 - left) / step).floor().max(0.0) as usize;
        let last = ((word.x1 - left) / step).ceil().max(0.0) as usize;
        let span = (word.top(), word.bottom());
        if let Some(steps) = taken.get_mut(first..last.min(count)) {
            for at in steps {
                at.push(span);
            }
        }
    }
    let least = 1.6 * size;
    let free: Vec<Vec<(f64, f64)>> = taken
        .into_iter()
        .map(|mut spans| {
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut runs = Vec::new();
            let mut reach = top;
            for (t, b) in spans {
                if t - reach >= least {
                    runs.push((reach, t));
                }
                reach = reach.max(b);
            }
            if bottom - reach >= least {
                runs.push((reach, bottom));
            }
            runs
        })
        .collect();
    let holds = |at: usize, (t, b): (f64, f64)| {
        free.get(at).is_some_and(|runs| runs.iter().any(|&(rt, rb)| rt <= t + 0.01 && rb >= b - 0.01))
    };
    let mut out: Vec<White> = Vec::new();
    for (at, runs) in free.iter().enumerate() {
        for &run in runs {
            let same = |o: &(f64, f64)| (o.0 - run.0).abs() < 0.01 && (o.1 - run.1).abs() < 0.01;
            if at > 0 && free.get(at - 1).is_some_and(|before| before.iter().any(same)) {
                continue;
            }
            // Each box once: from its first step that is no part of a box to the left with the same height.
            let mut from = at;
            while from > 0 && holds(from - 1, run) {
                from -= 1;
            }
            let mut to = at;
            while holds(to + 1, run) {
                to += 1;
            }
            let white = White { x0: left + from as f64 * step, x1: left + (to + 1) as f64 * step, y0: run.0, y1: run.1 };
            let known = out.last().is_some_and(|l: &White| {
                (l.x0 - white.x0).abs() < 0.01
                    && (l.x1 - white.x1).abs() < 0.01
                    && (l.y0 - white.y0).abs() < 0.01
                    && (l.y1 - white.y1).abs() < 0.01
            });
            let inside = from > 0 && to + 1 < count;
            if !known && inside && white.x1 - white.x0 >= 0.5 * size {
                out.push(white);
            }
        }
    }
    // The tallest are looked at; a page of scattered labels has thousands of small ones.
    out.sort_by(|a, b| (b.y1 - b.y0).total_cmp(&(a.y1 - a.y0)));
    out.truncate(200);
    out
}

enum Kind {
    Columns,
    Table,
    Neither,
}

/// What is known of one column of a band.
struct Column {
    lines: Vec<Line>,
    /// Letters of a line, on average; an ideograph counts twice.
    letters: f64,
    /// How full its lines are, of the column's width.
    fill: f64,
    /// The part of its lines that go on in the next one.
    flow: f64,
}

impl Column {
    fn of(words: Vec<Word>) -> Self {
        let lines = lines::lines(words);
        let count = lines.len().max(1) as f64;
        let texts: Vec<String> = lines.iter().map(Line::text).collect();
        let weigh = |c: char| if letters::is_cjk(c) { 2 } else { usize::from(!c.is_whitespace()) };
        let letters = texts.iter().map(|t| t.chars().map(weigh).sum::<usize>()).sum::<usize>() as f64 / count;
        let left = lines.iter().map(|l| l.x0).fold(f64::INFINITY, f64::min);
        let right = lines.iter().map(|l| l.x1).fold(f64::NEG_INFINITY, f64::max);
        let width = (right - left).max(1.0);
        let fill = lines.iter().map(|l| (l.x1 - l.x0) / width).sum::<f64>() / count;
        let flows = texts.iter().zip(texts.iter().skip(1)).zip(&lines).filter(|((a, b), line)| {
            let ends = a.ends_with(['.', '!', '?', ':', ';', '。', '！', '？']);
            let full = line.x1 > right - 0.12 * width;
            match b.chars().next() {
                Some(c) if letters::is_cjk(c) => full && !ends,
                Some(c) if c.is_lowercase() => !ends,
                // Scripts without small letters.
                Some(c) if c.is_alphabetic() && !c.is_uppercase() => full,
                _ => false,
            }
        });
        let flow = flows.count() as f64 / (lines.len().max(2) - 1) as f64;
        Self { lines, letters, fill, flow }
    }

    fn is_prose(&self) -> bool {
        let flows = self.letters >= 14.0 && self.fill >= 0.55 && self.flow >= 0.25;
        self.lines.len() >= 2 && (flows || self.letters >= 8.0 && self.flow >= 0.45)
    }
}

fn kind_of(band: &[Word], cuts: &[f64], size: f64) -> Kind {
    let columns: Vec<Column> = split(band.to_vec(), cuts).into_iter().map(Column::of).filter(|c| !c.lines.is_empty()).collect();
    if columns.len() < 2 {
        return Kind::Neither;
    }
    let least = columns.iter().map(|c| c.lines.len()).min().unwrap_or(0);
    // Marks and numbers before the items of a list.
    let is_marks = |c: &Column| {
        c.lines.iter().all(|l| l.words.len() <= 2 && l.words.iter().map(|w| w.text.chars().count()).sum::<usize>() <= 4)
    };
    let marks = columns.first().is_some_and(is_marks);
    if marks && columns.len() == 2 {
        return Kind::Neither;
    }
    // Contents in several columns.
    let leads =
        |l: &Line| l.words.iter().any(|w| w.text.contains("....")) || l.words.iter().filter(|w| w.text == ".").count() > 3;
    if columns.iter().all(|c| c.lines.iter().filter(|l| leads(l)).count() * 2 > c.lines.len()) {
        return Kind::Columns;
    }
    let prose = columns.iter().filter(|c| c.is_prose()).count();
    if prose == columns.len() {
        return Kind::Columns;
    }
    // Rows: lines that stand at the height of a line of the next column. A part that was read before is no cell.
    let rows = aligned(&columns, size);
    if rows >= 0.7 && least >= 2 && band.iter().all(|w| w.part.is_none()) {
        return if prose * 2 > columns.len() && columns.iter().all(|c| c.letters > 20.0) { Kind::Columns } else { Kind::Table };
    }
    // Cells of several lines: the first line of each stands at the height of one of the fullest column.
    Kind::Columns
}

/// The part of the lines of the shorter columns that stand on a line of the longest.
fn aligned(columns: &[Column], size: f64) -> f64 {
    let Some(longest) = columns.iter().max_by_key(|c| c.lines.len()) else { return 0.0 };
    let (mut all, mut met) = (0usize, 0usize);
    for column in columns {
        if std::ptr::eq(column, longest) {
            continue;
        }
        for line in &column.lines {
            all += 1;
            met += usize::from(longest.lines.iter().any(|l| (l.y - line.y).abs() < 0.25 * size));
        }
    }
    if all == 0 { 0.0 } else { met as f64 / all as f64 }
}
