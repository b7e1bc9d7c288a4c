//! What stands over tables and at the edges of pages.

use super::*;

/// A table with rules, whose first row is at this height.
fn ruled(top: f64, rows: &[[&str; 3]]) -> String {
    let mut page = String::new();
    let bottom = top - 20.0 * rows.len() as f64;
    for i in 0..=rows.len() {
        let y = top - 20.0 * i as f64;
        let _ = writeln!(page, "72 {y} m 372 {y} l S");
    }
    for x in [72, 172, 272, 372] {
        let _ = writeln!(page, "{x} {bottom} m {x} {top} l S");
    }
    for (row, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            page += &put("F1", 10.0, 76.0 + 100.0 * column as f64, top - 14.0 - 20.0 * row as f64, cell);
        }
    }
    page
}

const NAMES: [&str; 3] = ["Item", "EUR", "CNY"];
const ROWS: [[&str; 3]; 2] = [["A-1", "1.50", "11.70"], ["A-2", "3.00", "23.40"]];

/// A table down to the bottom of the first page, and one at the top of the second.
fn two_pages(second: &[[&str; 3]], before: &str, top: f64) -> String {
    let first: Vec<[&str; 3]> = std::iter::once(NAMES).chain(std::iter::repeat_n(ROWS, 10).flatten()).collect();
    text(&[ruled(500.0, &first), before.to_owned() + &ruled(top, second)])
}

#[test]
fn the_rest_of_a_table_on_the_next_page_keeps_its_names() {
    let header = "| Item | EUR | CNY |\n| - | - | - |\n";
    let count = |text: &str| text.matches(header).count();
    let goes_on = two_pages(&[["A-3", "4.50", "35.10"], ["A-4", "6.00", "46.80"]], "", 720.0);
    assert!(goes_on.contains(&format!("{header}| A-3 | 4.50 | 35.10 |\n| A-4")) && count(&goes_on) == 2, "{goes_on}");
    // Names that are repeated, or others, or a paragraph between, or a place in the middle of the page.
    let repeated = two_pages(&[NAMES, ROWS[0], ROWS[1]], "", 720.0);
    assert_eq!(count(&repeated), 2, "{repeated}");
    let other = two_pages(&[["Part", "USD", "JPY"], ROWS[0], ROWS[1]], "", 720.0);
    assert!(count(&other) == 1 && other.contains("| Part | USD | JPY |\n| - | - | - |\n| A-1"), "{other}");
    let apart = two_pages(&ROWS, &put("F1", 10.0, 72.0, 740.0, "Another list of the same width."), 700.0);
    assert_eq!(count(&apart), 1, "{apart}");
    assert_eq!(count(&two_pages(&ROWS, "", 400.0)), 1);
}

#[test]
fn a_heading_above_a_table_without_rules_is_none_of_its_rows() {
    let mut page = put(
        "F1",
        10.0,
        72.0,
        740.0,
        "A sentence above the table, which is long enough to reach over all of its columns and beyond.",
    );
    page += &put("F3", 18.0, 72.0, 705.0, "No rules");
    for (row, cells) in std::iter::once(["Item", "Length mm", "Weight kg"]).chain([["B-1", "10", "0.3"]; 11]).enumerate() {
        for (x, cell) in [220.0, 275.0, 345.0].into_iter().zip(cells) {
            page += &put("F1", 10.0, x, 680.0 - 18.0 * row as f64, cell);
        }
    }
    page += &put("F1", 10.0, 72.0, 468.0, "A sentence below.");
    let text = text(&[page]);
    assert!(text.contains("# No rules\n\n| Item | Length mm | Weight kg |\n| - | - | - |\n| B-1 | 10 | 0.3 |\n"), "{text}");
    assert!(text.ends_with("| B-1 | 10 | 0.3 |\n\nA sentence below."), "{text}");
}

#[test]
fn the_numbers_of_two_pages_are_no_text() {
    let page = |number: &str, lines: &[&str]| {
        put("F1", 9.0, 72.0, 760.0, "Manual of the harbour")
            + &super::lines(10.0, 72.0, 700.0, 12.0, lines)
            + &put("F1", 9.0, 300.0, 40.0, number)
    };
    let text = text(&[page("Page 1", &STORE), page("Page 2", &NODES)]);
    assert!(!text.contains("Page 1") && !text.contains("Page 2"), "{text}");
    // What is said above both may be text, as it is where there are no more pages.
    assert_eq!(text.matches("Manual of the harbour").count(), 2, "{text}");
    // Lines that differ in more, and numbers that do not follow one another, are text.
    let other = super::text(&[page("Part 1", &STORE), page("Part 2", &NODES)]);
    assert!(other.contains("Part 1") && other.contains("Part 2"), "{other}");
    let years = super::text(&[page("2019", &STORE), page("2026", &NODES)]);
    assert!(years.contains("2019") && years.contains("2026"), "{years}");
}
