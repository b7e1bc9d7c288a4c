#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

use proptest::prelude::*;

use super::{Cell, Table};

/// Rows by line, cells by `|`; `^` before a cell makes it a header, `a*2` covers two columns, `a/2` two rows.
fn table(written: &str) -> Table {
    let cell = |cell: &str| {
        let cell = cell.trim();
        let (header, cell) = cell.strip_prefix('^').map_or((false, cell), |cell| (true, cell));
        let (cell, rows) = cell.rsplit_once('/').map_or((cell, 1), |(cell, n)| (cell, n.parse().unwrap()));
        let (text, columns) = cell.rsplit_once('*').map_or((cell, 1), |(cell, n)| (cell, n.parse().unwrap()));
        Cell { text: text.to_owned(), header, columns, rows }
    };
    Table { rows: written.lines().map(|line| line.trim().split('|').map(cell).collect()).collect(), caption: None }
}

fn shown(written: &str) -> String {
    table(written).to_markdown()
}

#[test]
fn header_rows_are_one() {
    assert_eq!(
        shown("^Port/2|^Fee*2\n^summer|^winter\nNord|10|7"),
        "| Port | Fee / summer | Fee / winter |\n| - | - | - |\n| Nord | 10 | 7 |"
    );
    // DataFrame.to_html: names of the index below those of the columns, two levels of these.
    assert_eq!(
        shown("^|^2019*2|^2020\n^|^Q1|^Q2|^Q1\n^region|^|^|^\n^North|1|2|3\n^South|4|5|6"),
        "| region | 2019 / Q1 | 2019 / Q2 | 2020 / Q1 |\n| - | - | - | - |\n| North | 1 | 2 | 3 |\n| South | 4 | 5 | 6 |"
    );
    assert_eq!(shown("^a|^b"), "| a | b |\n| - | - |");
    assert_eq!(shown("^Total*2|^Rest\n^Total|^x|^y\n1|2|3"), "| Total | Total / x | Rest / y |\n| - | - | - |\n| 1 | 2 | 3 |");
}

#[test]
fn parts_of_a_merged_name_are_named_by_the_row_below() {
    let joined = "| Item | Price / EUR | Price / CNY | Stock |\n| - | - | - | - |\n| A | 1 | 8 | 3 |";
    assert_eq!(shown("Item/2|Price*2|Stock/2\nEUR|CNY\nA|1|8|3"), joined);
    assert_eq!(shown("Item|Price*2|Stock\n|EUR|CNY|\nA|1|8|3"), joined);
    // The first row alone is marked, as PowerPoint does it.
    assert_eq!(shown("^Item/2|^Price*2|^Stock/2\nEUR|CNY\nA|1|8|3"), joined);
    assert_eq!(
        shown("Item|Price*2|Stock\nName|EUR|CNY|pieces\nA|1|8|3"),
        "| Item / Name | Price / EUR | Price / CNY | Stock / pieces |\n| - | - | - | - |\n| A | 1 | 8 | 3 |"
    );
    // Words below words may be values; so are quantities.
    assert_eq!(shown("Name|Address*2\nAnn|Main St|Oslo\nBob|Low St|Rome").lines().nth(2), Some("| Ann | Main St | Oslo |"));
    assert_eq!(shown("Name|Size*2\nA|1|2\nB|3|4").lines().nth(2), Some("| A | 1 | 2 |"));
}

#[test]
fn names_of_rows_stay_in_their_column() {
    assert_eq!(shown("^|^CPU|^RAM\n^a|4 cores|16 GB"), "| | CPU | RAM |\n| - | - | - |\n| a | 4 cores | 16 GB |");
    // No row of names, but names of rows.
    assert_eq!(shown("^CPU|4 cores\n^RAM|16 GB"), "| | |\n| - | - |\n| CPU | 4 cores |\n| RAM | 16 GB |");
}

#[test]
fn a_table_without_header_cells() {
    assert_eq!(shown("Port|Depth\nNord|6 m\nSüd|4 m"), "| Port | Depth |\n| - | - |\n| Nord | 6 m |\n| Süd | 4 m |");
    assert_eq!(shown("Retries|3 s\nTimeout|5 s"), "| | |\n| - | - |\n| Retries | 3 s |\n| Timeout | 5 s |");
    assert_eq!(shown("Land|2019|2020\nA|1|2"), "| Land | 2019 | 2020 |\n| - | - | - |\n| A | 1 | 2 |");
    assert_eq!(shown("|1|2\nA|1|2"), "| | 1 | 2 |\n| - | - | - |\n| A | 1 | 2 |");
    assert_eq!(shown("a|b"), "| | |\n| - | - |\n| a | b |");
}

#[test]
fn spans_stand_wherever_they_reach() {
    assert_eq!(shown("^k|^v|^w\na/2|1|2\n3|4"), "| k | v | w |\n| - | - | - |\n| a | 1 | 2 |\n| a | 3 | 4 |");
    assert_eq!(shown("^k|^v|^w\na|none*2"), "| k | v | w |\n| - | - | - |\n| a | none | none |");
    // A heading of rows stands once, a title above, a span of no meaning nowhere.
    assert_eq!(shown("^Fees*9\n^k|^v\nNorth*2\na|1"), "Fees\n\n| k | v |\n| - | - |\n| North | |\n| a | 1 |");
    assert_eq!(shown("^k*3|^v*2\na*3|1*2"), "| k | v |\n| - | - |\n| a | 1 |");
    assert_eq!(shown("a|b/65534\nc"), "| a | b |\n| - | - |\n| c | b |");
    assert_eq!(shown("^a/3|^b|^c\n1/2|2\n3"), "| a | b | c |\n| - | - | - |\n| a | 1 | 2 |\n| a | 1 | 3 |");
}

#[test]
fn rows_of_any_length() {
    assert_eq!(shown("^a|^b\n1\n1|2|3"), "| a | b | |\n| - | - | - |\n| 1 | | |\n| 1 | 2 | 3 |");
    assert_eq!(shown("^a||^b\n|\n1||2"), "| a | b |\n| - | - |\n| 1 | 2 |");
    assert_eq!(shown(""), "");
    assert_eq!(shown("|\n|"), "");
    assert_eq!(Table { rows: vec![vec![]], caption: Some("Only this".into()) }.to_markdown(), "Only this");
}

#[test]
fn cells_are_one_line() {
    let of = |text: &str| Table {
        rows: vec![vec![Cell::new(text), Cell::new("y")], vec![Cell::new("z"), Cell::new("w")]],
        caption: None,
    };
    let first = |text: &str| of(text).to_markdown().lines().next().unwrap().to_owned();
    assert_eq!(first("a | b"), r"| a \| b | y |");
    assert_eq!(first(r"a \| b \\| c"), r"| a \| b \\\| c | y |");
    assert_eq!(first(r"C:\"), r"| C:\  | y |");
    assert_eq!(first("one\ntwo\n\nthree"), "| one two three | y |");
    assert_eq!(first("Ports:\n\n- a\n- b"), "| Ports: a; b | y |");
    let nested = Cell::new("| k | v |\n| - | - |\n| 1 | 2 |");
    let rows = vec![
        vec![Cell { header: true, ..Cell::new("n") }, Cell { header: true, ..Cell::new("m") }],
        vec![nested, Cell::new("x")],
    ];
    assert_eq!(Table { rows, caption: None }.to_markdown(), "| n | m |\n| - | - |\n| k, v; 1, 2 | x |");
}

#[test]
fn layout_gives_blocks() {
    assert_eq!(shown("a\nb"), "a\n\nb");
    let long = "word ".repeat(100);
    assert_eq!(shown(&format!("menu|{long}")), format!("menu\n\n{}", long.trim()));
    let listing = "```\nfn a() {\n    b()\n}\n```";
    let rows = |header| {
        vec![
            vec![Cell { header, ..Cell::new("How") }, Cell { header, ..Cell::new("What") }],
            vec![Cell::new("x"), Cell::new(listing)],
        ]
    };
    assert_eq!(Table { rows: rows(false), caption: None }.to_markdown(), format!("How\n\nWhat\n\nx\n\n{listing}"));
    assert_eq!(Table { rows: rows(true), caption: None }.to_markdown(), format!("How: x\n\nWhat:\n\n{listing}"));
}

#[test]
fn small_bombs_stay_small() {
    let wide = Cell { text: "x".into(), header: false, columns: usize::MAX, rows: usize::MAX };
    let mut rows = vec![vec![wide; 1000]];
    rows.extend((0..100_000).map(|_| vec![Cell { columns: 1000, ..Cell::new("") }, Cell::new("y")]));
    assert!(Table { rows, caption: None }.to_markdown().len() < 20 << 20);
    let mut rows = vec![vec![Cell::new("x"); 10_000]];
    rows.extend((0..100_000).map(|_| vec![Cell::new("y")]));
    assert!(Table { rows, caption: None }.to_markdown().len() < 2 << 20);
    let long = Cell { rows: 60_000, ..Cell::new("z".repeat(150)) };
    let mut rows = vec![vec![long; 20]];
    rows.extend((0..60_000).map(|_| vec![Cell::new("y"), Cell::new("1")]));
    assert!(Table { rows, caption: None }.to_markdown().len() < 8 << 20);
}

/// Each cell's text tells its row and column on the grid, so that what the table says can be checked.
fn any_table() -> impl Strategy<Value = Table> {
    let cell = (any::<bool>(), 1..4usize, 1..4usize, prop::bool::weighted(0.2));
    let cell = cell.prop_map(|(header, columns, rows, blank)| Cell {
        text: if blank { String::new() } else { "v".to_owned() },
        header,
        columns,
        rows,
    });
    prop::collection::vec(prop::collection::vec(cell, 0..5), 0..7).prop_map(|mut rows| {
        for (r, row) in rows.iter_mut().enumerate() {
            for (c, cell) in row.iter_mut().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
                cell.text = format!("v{r}x{c}");
            }
        }
        Table { rows, caption: None }
    })
}

/// The grid as the standard lays it out, one place at a time: which cell covers which place.
fn places(table: &Table) -> Vec<Vec<Option<(usize, usize)>>> {
    let rows = table.rows.len();
    let mut grid = vec![vec![None; 40]; rows];
    for (r, row) in table.rows.iter().enumerate() {
        let mut at = 0;
        for (c, cell) in row.iter().enumerate() {
            while grid[r][at].is_some() {
                at += 1;
            }
            let mut end = at;
            while end < at + cell.columns && grid[r][end].is_none() {
                end += 1;
            }
            for line in grid.iter_mut().take((r + cell.rows).min(rows)).skip(r) {
                for place in line.iter_mut().take(end).skip(at) {
                    place.get_or_insert((r, c));
                }
            }
            at = end;
        }
    }
    grid
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_moves(table in any_table()) {
        let text = table.to_markdown();
        for (r, row) in table.rows.iter().enumerate() {
            for (c, _) in row.iter().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
                prop_assert!(text.contains(&format!("v{r}x{c}")), "v{r}x{c} is lost in\n{text}");
            }
        }
        let lines: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        prop_assert!(lines.windows(2).all(|pair| pair[0].len() == pair[1].len()), "{text}");
        // What stands in one column of the output shares a column of the grid with each other value of it, spans aside: two
        // values of the same column never stand in two columns that have no place of theirs in common.
        let grid = places(&table);
        let covers = |cell: (usize, usize)| -> Vec<usize> {
            (0..40).filter(|&column| grid.iter().any(|line| line[column] == Some(cell))).collect()
        };
        let parse = |name: &str| -> Option<(usize, usize)> {
            let (r, c) = name.strip_prefix('v')?.split_once('x')?;
            Some((r.parse().ok()?, c.parse().ok()?))
        };
        for column in 0..lines.first().map_or(0, Vec::len) {
            let cells: Vec<(usize, usize)> = lines.iter().flat_map(|line| line[column].split(" / ")).filter_map(parse).collect();
            let common = (0..40).any(|at| cells.iter().all(|&cell| covers(cell).contains(&at)));
            prop_assert!(cells.is_empty() || common, "column {column} of\n{text}\nholds values of several columns: {cells:?}");
        }
    }

    #[test]
    fn any_text_survives(words in prop::collection::vec("[a-z|\\\\`\\-# \n]{0,12}", 1..12)) {
        let rows = words.chunks(3).map(|row| row.iter().map(Cell::new).collect()).collect();
        let text = Table { rows, caption: None }.to_markdown();
        for letters in words.iter().flat_map(|w| w.split(|c: char| !c.is_ascii_lowercase())) {
            prop_assert!(text.contains(letters));
        }
    }
}
