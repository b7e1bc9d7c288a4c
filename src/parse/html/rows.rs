//! The rows and cells of a table element, or of elements that play one.

use super::tree::{Id, Tree};

/// A cell element.
pub(super) struct CellAt {
    pub(super) id: Id,
    pub(super) header: bool,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What a table element holds, in the order in which it is shown.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) captions: Vec<Id>,
    pub(super) cells: Vec<Vec<CellAt>>,
    /// Text between the rows, which browsers show before the table.
    pub(super) strays: Vec<Id>,
}

/// Groups of rows: a span ends where its group does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Head,
    Body,
    Foot,
}

/// Whether it is a table, or plays one.
pub(super) fn is_table(tree: &Tree, id: Id) -> bool {
    match tree.attribute(id, "role").map(str::trim) {
        Some("table" | "grid" | "treegrid") => {
            tree.name(id) == "table" || tree.all(id).skip(1).any(|id| tree.attribute(id, "role").map(str::trim) == Some("row"))
        }
        _ => tree.name(id) == "table",
    }
}

pub(super) fn rows_of(tree: &Tree, table: Id) -> Rows {
    let mut found = Rows::default();
    let mut foot = Vec::new();
    let mut todo: Vec<(Id, Group)> = vec![(table, Group::Body)];
    // Groups are read one at a time, so that their spans can be cut off at their end.
    while let Some((parent, group)) = todo.pop() {
        let mut rows = Vec::new();
        let mut deeper = Vec::new();
        for child in tree.children(parent) {
            match part(tree, child) {
                Part::Caption => found.captions.push(child),
                Part::Group(group) => {
                    finish(group, &mut rows, &mut found.cells, &mut foot);
                    deeper.push((child, group));
                }
                Part::Row => rows.push(cells(tree, child, group)),
                Part::Nothing => {}
                Part::Stray => found.strays.push(child),
            }
        }
        finish(group, &mut rows, &mut found.cells, &mut foot);
        todo.extend(deeper.into_iter().rev());
    }
    found.cells.append(&mut foot);
    found
}

fn finish(group: Group, rows: &mut Vec<Vec<CellAt>>, all: &mut Vec<Vec<CellAt>>, foot: &mut Vec<Vec<CellAt>>) {
    let count = rows.len();
    for (n, row) in rows.iter_mut().enumerate() {
        for cell in row {
            cell.rows = cell.rows.min(count - n);
        }
    }
    if group == Group::Foot { foot.append(rows) } else { all.append(rows) }
}

enum Part {
    Caption,
    Group(Group),
    Row,
    Nothing,
    Stray,
}

fn part(tree: &Tree, id: Id) -> Part {
    if let Some(text) = tree.text(id) {
        return if text.trim().is_empty() { Part::Nothing } else { Part::Stray };
    }
    let role = tree.attribute(id, "role").map(str::trim);
    match (tree.name(id), role) {
        ("caption", _) | (_, Some("caption")) => Part::Caption,
        ("thead", _) => Part::Group(Group::Head),
        ("tbody", _) | (_, Some("rowgroup")) => Part::Group(Group::Body),
        ("tfoot", _) => Part::Group(Group::Foot),
        ("tr", _) | (_, Some("row")) => Part::Row,
        ("colgroup" | "col" | "", _) => Part::Nothing,
        // What is wrapped around the rows of a table that is none.
        _ if tree.children(id).any(|child| tree.attribute(child, "role").map(str::trim) == Some("row")) => {
            Part::Group(Group::Body)
        }
        _ => Part::Stray,
    }
}

fn cells(tree: &Tree, row: Id, group: Group) -> Vec<CellAt> {
    let number = |id, names: [&str; 2]| {
        names.iter().find_map(|name| tree.attribute(id, name)?.trim().parse::<usize>().ok()).unwrap_or(1)
    };
    let cell = |id: Id| {
        let header = tree.name(id) == "th"
            || matches!(tree.attribute(id, "role").map(str::trim), Some("columnheader" | "rowheader"))
            || group == Group::Head;
        let rows = match number(id, ["rowspan", "aria-rowspan"]) {
            // To the end of the group.
            0 => usize::MAX,
            rows => rows,
        };
        CellAt { id, header, columns: number(id, ["colspan", "aria-colspan"]).max(1), rows }
    };
    tree.children(row)
        .filter(|&id| tree.is_element(id) || tree.text(id).is_some_and(|text| !text.trim().is_empty()))
        .map(cell)
        .collect()
}
