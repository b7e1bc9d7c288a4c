#![allow(clippy::unwrap_used, clippy::string_slice, reason = "tests may")]

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;

fn document(text: &str) -> Document {
    Document {
        uri: "a.md".to_owned(),
        title: None,
        markup: Markup::Markdown,
        text: text.into(),
        pages: Vec::new(),
        anchors: Vec::new(),
        modified_ns: 0,
        metadata: crate::document::Metadata::new(),
    }
}

fn chunks(text: &str, max_tokens: usize, overlap: usize) -> Vec<Chunk> {
    let max_tokens = NonZeroUsize::new(max_tokens).unwrap();
    Chunker::new(&ChunkPlan { max_tokens, overlap, ..ChunkPlan::default() }).chunk(&document(text), None)
}

/// A table whose cells say their column (`v3c7`: row 3, column 7), with a delimiter row of so many dashes.
fn table(columns: usize, rows: usize, dashes: usize) -> String {
    let row = |cell: &dyn Fn(usize) -> String| {
        format!("|{}\n", (0..columns).map(|c| format!(" {} |", cell(c))).collect::<Vec<_>>().concat())
    };
    let mut text = format!("# Sheet\n\n{}{}", row(&|c| format!("Name c{c}")), row(&|_| "-".repeat(dashes)));
    text.extend((0..rows).map(|r| row(&|c| format!("v{r}c{c}"))));
    text
}

fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// The rows of a chunk below the names that it has, each value below its own column.
fn check(text: &str, chunk: &Chunk) -> Result<(), TestCaseError> {
    let slice = &text[chunk.span.clone()];
    let own = slice.lines().find(|line| line.contains("Name c0 "));
    let Some(names) = chunk.columns.as_deref().or(own) else {
        prop_assert!(!slice.contains('v'), "values without names: {slice}");
        return Ok(());
    };
    let names = cells(names);
    for line in slice.lines().filter(|line| line.contains('v')) {
        let values = cells(line);
        prop_assert!(values.len() <= names.len(), "{names:?}\n{line}");
        for (name, value) in names.iter().zip(values) {
            let column = name.strip_prefix("Name ").unwrap_or(name);
            // A cell that is cut has a part of its name alone.
            let whole = value.starts_with('v') && value.contains('c') && value.ends_with(|c: char| c.is_ascii_digit());
            let last = line.trim_end().ends_with('|');
            prop_assert!(!whole || !last || value.ends_with(column), "{value} below {name} in\n{names:?}\n{slice}");
        }
    }
    Ok(())
}

#[test]
fn the_rows_of_a_wide_table_are_below_their_names() {
    // As a report of forty weeks: the header and the line below it are longer than a chunk.
    let text = table(40, 4, 3);
    for (max_tokens, overlap) in [(512, 64), (300, 150), (150, 40)] {
        let chunks = chunks(&text, max_tokens, overlap);
        assert!(chunks.len() > 1);
        for chunk in &chunks {
            check(&text, chunk).unwrap();
        }
    }
    let wide = chunks(&table(12, 30, 3), 200, 60);
    assert!(wide.iter().skip(1).all(|chunk| text_starts_a_row(&table(12, 30, 3), chunk)), "{wide:?}");
}

fn text_starts_a_row(text: &str, chunk: &Chunk) -> bool {
    text[chunk.span.clone()].starts_with('|') && text[..chunk.span.start].ends_with('\n')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_value_is_below_the_name_of_another_column(columns in 2..60_usize, rows in 1..12_usize, dashes in 1..5_usize, max_tokens in 40..400_usize, overlap in 0..150_usize) {
        let text = table(columns, rows, dashes);
        for chunk in chunks(&text, max_tokens, overlap) {
            check(&text, &chunk)?;
        }
    }
}
