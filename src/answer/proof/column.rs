//! Units that numbers have from the head of their table: `销售额（万元）`, `单位：亿元`, `Revenue ($m)`, `(in millions of dollars)`.

use std::ops::Range;

use super::amount::{self, Decimal};
use super::lex::{Gap, Kind, Token};
use super::number::Column;
use super::rate::{self, Rate};
use super::unit;
use super::value::{Value, What};

/// Tokens between the brackets of a unit, at most: `in millions of US dollars`.
const LONGEST: usize = 8;

/// Gives the numbers of tables the units of their columns, of their rows, or of the line above the table.
pub(super) fn units(text: &str, tokens: &[Token], values: &mut [Value]) {
    // The units of the head that is in force, by cell, and how many cells its lines have.
    let mut head: Vec<Option<Column>> = Vec::new();
    // What a line above tells of all numbers, whether a table has begun since.
    let mut above: Option<(Column, bool)> = None;
    for line in lines(tokens) {
        let parts = tokens.get(line.clone()).unwrap_or_default();
        if is_rule(parts) {
            continue;
        }
        if parts.first().is_some_and(|first| first.gap == Gap::Paragraph) {
            head.clear();
            above = above.filter(|(_, begun)| !begun);
        }
        if let Some(told) = told_above(parts) {
            head.clear();
            above = Some((told, false));
            continue;
        }
        let cells = cells(text, tokens, &line);
        let named: Vec<Option<Column>> = cells.iter().map(|cell| tokens.get(cell.clone()).and_then(of_cell)).collect();
        if parts.last().is_some_and(|last| last.is("。") || last.is(".")) {
            above = None;
        }
        for cell in &cells {
            named_number(tokens, cell, values);
        }
        if cells.len() > 1 && named.iter().any(Option::is_some) {
            // A row of which the first cell names the unit of the others, or the head of columns.
            let rest = cells.get(1..).unwrap_or_default();
            match named.first().copied().flatten().filter(|_| rest.iter().any(|cell| has_numbers(cell, values))) {
                Some(column) => rest.iter().for_each(|cell| give(cell, column, values)),
                None => head = named,
            }
        } else if head.len() == cells.len() {
            for (cell, column) in cells.iter().zip(&head) {
                if let Some(column) = column {
                    give(cell, *column, values);
                }
            }
        } else {
            head.clear();
        }
        if let Some((column, begun)) = above.as_mut() {
            *begun |= has_numbers(&line, values);
            give(&line, *column, values);
        }
    }
}

/// The lines of a text, as ranges of its tokens.
fn lines(tokens: &[Token]) -> Vec<Range<usize>> {
    let starts = tokens.iter().enumerate().filter(|(at, token)| *at == 0 || token.gap >= Gap::Line).map(|(at, _)| at);
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().skip(1).copied().chain([tokens.len()]);
    starts.iter().copied().zip(ends).map(|(begin, end)| begin..end).collect()
}

/// Whether a line parts the head of a Markdown table from its rows.
fn is_rule(line: &[Token]) -> bool {
    line.iter().all(|token| token.is("|") || token.is("-") || token.is(":")) && line.iter().any(|token| token.is("-"))
}

/// The cells of a line: between bars, commas, tabs and wide blanks.
fn cells(text: &str, tokens: &[Token], line: &Range<usize>) -> Vec<Range<usize>> {
    let key = |at: usize, mark: &str| tokens.get(at).is_some_and(|token| token.is(mark));
    let bars = line.clone().any(|at| key(at, "|"));
    let mut cells = Vec::new();
    let mut begin = line.start;
    for at in line.clone() {
        if key(at, if bars { "|" } else { "," }) {
            // The bar before the first cell ends none.
            if !(bars && at == line.start) {
                cells.push(begin..at);
            }
            begin = at + 1;
        } else if !bars && at > begin && is_wide(text, tokens, at) {
            cells.push(begin..at);
            begin = at;
        }
    }
    if begin < line.end {
        cells.push(begin..line.end);
    }
    cells
}

/// Whether a tab or a wide blank stands before a token.
fn is_wide(text: &str, tokens: &[Token], at: usize) -> bool {
    let end = |at: usize| tokens.get(at).map(|token| token.bytes.end);
    let begin = at.checked_sub(1).and_then(end);
    let blank = begin.zip(tokens.get(at)).and_then(|(begin, token)| text.get(begin..token.bytes.start));
    blank.is_some_and(|blank| blank.contains(['\t', '\u{3000}']) || blank.contains("  "))
}

/// The unit in the brackets that a cell ends with.
fn of_cell(cell: &[Token]) -> Option<Column> {
    let (close, inner) = cell.split_last()?;
    let open = inner.iter().rposition(|token| token.is("(") || token.is("["))?;
    let plural = open.checked_sub(1).and_then(|at| inner.get(at)).is_some_and(|before| before.kind == Kind::Word)
        && inner.get(open).is_some_and(Token::is_glued);
    // `item(s)`
    let inner = inner.get(open + 1..).filter(|inner| !(plural && inner.len() == 1 && inner.iter().all(|t| &*t.key == "s")))?;
    (close.is(")") || close.is("]")).then(|| of(inner)).flatten()
}

/// What a line tells of the numbers below it: `单位：亿元`, `Unit: kg`, `(in millions of dollars)`.
fn told_above(line: &[Token]) -> Option<Column> {
    let key = |at: usize| line.get(at).map(|token| &*token.key).unwrap_or_default();
    let closes = usize::from(line.last().is_some_and(|last| last.is(")") || last.is("]")));
    let end = line.len() - closes;
    for at in 0..line.len() {
        let begin = match (key(at), key(at + 1), key(at + 2)) {
            ("单", "位", ":") => at + 3,
            ("unit" | "units", ":", _) => at + 2,
            // Of a line that says more, in brackets alone.
            ("in", _, _) if at == 0 || closes == 1 && matches!(key(at - 1), "(" | "[" | ",") => at + 1,
            ("(" | "[", "$" | "€" | "£" | "¥", "in") => at + 1,
            _ => continue,
        };
        let column = line.get(begin..end).and_then(of);
        if column.is_some() {
            return column;
        }
    }
    None
}

/// The unit that some tokens are, and nothing else: `万元`, `人民币亿元`, `$m`, `USD million`, `millions of dollars`.
fn of(tokens: &[Token]) -> Option<Column> {
    const ONE: Decimal = Decimal::of(1, 0);
    if tokens.is_empty() || tokens.len() > LONGEST {
        return None;
    }
    let whole = |rest: &[Token]| unit::after(rest).filter(|(_, length)| *length == rest.len()).map(|(unit, _)| unit);
    if let Some(unit) = whole(tokens) {
        return Some(Column { scale: ONE, unit: Some(unit), rate: Rate::default() });
    }
    // `L/min`
    if let Some((unit, length)) = unit::after(tokens)
        && let Some((rate, _)) = tokens.get(length..).and_then(rate::ahead).filter(|(_, more)| length + more == tokens.len())
    {
        return Some(Column { scale: ONE, unit: Some(unit), rate });
    }
    let key = |at: usize| tokens.get(at).map(|token| &*token.key).unwrap_or_default();
    // The currency first: `人民币万元`, `US$ million`, `$ in millions`, `yuan million`.
    let named = (1..=3).rev().find_map(|length| {
        let (money, rest) = tokens.split_at_checked(length)?;
        let unit =
            whole(money).or_else(|| unit::before(money).filter(|_| length < 3)).filter(|unit| unit.measure.is_money())?;
        let rest = if rest.first().is_some_and(|token| &*token.key == "in") { rest.get(1..)? } else { rest };
        let (scale, more) = scale(rest).or_else(|| amount::scale_of_money(rest)).unwrap_or((ONE, 0));
        let rest = rest.get(more..)?;
        // `人民币亿元`
        let again = rest.is_empty() || whole(rest).is_some_and(|again| again.measure.is_like(unit.measure));
        again.then_some(Column { scale, unit: Some(unit), rate: Rate::default() })
    });
    if named.is_some() {
        return named;
    }
    let begin = usize::from(key(0) == "in");
    let (scale, more) = scale(tokens.get(begin..)?)?;
    let at = begin + more + usize::from(key(begin + more) == "of");
    let at = at + usize::from(key(at) == "us" && key(at + 1) != "$");
    let rest = tokens.get(at..)?;
    let counted = rest.is_empty()
        || rest.len() == 1 && matches!(key(at), "人" | "辆" | "台" | "户" | "家" | "件" | "个" | "次" | "套" | "部" | "people");
    let unit = whole(rest).or_else(|| unit::before(rest).filter(|_| rest.len() < 3));
    (unit.is_some() || counted).then_some(Column { scale, unit, rate: Rate::default() })
}

/// What numbers are in: `万`, `million`, `thousands`.
fn scale(tokens: &[Token]) -> Option<(Decimal, usize)> {
    let thousands = tokens.first().filter(|token| &*token.key == "thousands").map(|_| (Decimal::of(1, 3), 1));
    thousands.or_else(|| amount::scale(tokens))
}

/// Gives the number of `产量（万吨）：320` its unit; a cell may hold several such.
fn named_number(tokens: &[Token], cell: &Range<usize>, values: &mut [Value]) {
    for colon in cell.clone().filter(|at| tokens.get(*at).is_some_and(|token| token.is(":"))) {
        let column = tokens.get(cell.start..colon).and_then(of_cell);
        if let Some(column) = column
            && let Some(value) = values.iter_mut().find(|value| value.tokens.start > colon && value.tokens.start <= colon + 2)
        {
            give_one(value, column);
        }
    }
}

fn within<'a>(cell: &Range<usize>, values: &'a mut [Value]) -> &'a mut [Value] {
    let begin = values.partition_point(|value| value.tokens.start < cell.start);
    let end = values.partition_point(|value| value.tokens.start < cell.end);
    values.get_mut(begin..end).unwrap_or_default()
}

/// Whether a cell has numbers that may have a unit: years alone may have none.
fn has_numbers(cell: &Range<usize>, values: &[Value]) -> bool {
    values.iter().any(|value| cell.contains(&value.tokens.start) && is_bare(value) && !is_year(value))
}

/// Whether it is a number without a unit.
fn is_bare(value: &Value) -> bool {
    match &value.what {
        What::Number(number) => {
            let other = number.ordinal || number.soft || number.decade;
            number.unit.is_none() && number.parts.is_none() && !other
        }
        _ => false,
    }
}

fn is_year(value: &Value) -> bool {
    matches!(&value.what, What::Number(number) if number.year.is_some_and(|year| (1900..=2100).contains(&year)))
}

/// Gives the numbers of a cell or a line a unit; where there are only years, they are years.
fn give(cell: &Range<usize>, column: Column, values: &mut [Value]) {
    let here = within(cell, values);
    if here.len() > 1 && here.iter().all(|value| !is_bare(value) || is_year(value)) {
        return;
    }
    for value in here {
        give_one(value, column);
    }
}

fn give_one(value: &mut Value, column: Column) {
    if is_bare(value)
        && let What::Number(number) = &mut value.what
    {
        number.column.get_or_insert_with(|| Box::new(column));
    }
}
