//! The text that the embedding model and BM25 get for a chunk: where it stands, if a model has said it, its headings, the names of a
//! table's columns, then the chunk.

use crate::document::Passage;

/// How long the path of headings may be, in bytes: some 50 tokens of English, so that it never crowds the text out.
const PATH: usize = 240;
/// How long one heading in it may be, in bytes.
const PART: usize = 100;
/// How long the names of a table's columns may be for an embedding model, in bytes.
const COLUMNS: usize = 480;
const SEPARATOR: &str = " > ";

/// `Title > Section > Subsection`, a blank line, and the text; above rows that are cut from their table's header, that row.
///
/// Of long names of columns the first 480 bytes are kept. The path is at most 240 bytes long: of a longer one the innermost headings stay. A title that the first heading repeats is
/// named once, and the last headings are left out where the text itself begins with them.
pub fn embedded_text(title: Option<&str>, headings: &[impl AsRef<str>], columns: Option<&str>, text: &str) -> String {
    let columns = columns.map(|columns| columns.get(..columns.floor_char_boundary(COLUMNS)).unwrap_or_default());
    let Some(path) = path(title, headings, text) else { return with_columns(columns, text) };
    format!("{path}\n\n{}", with_columns(columns, text))
}

/// The same of a passage of the index.
pub fn embedded_passage(passage: &Passage) -> String {
    let text = embedded_text(passage.title.as_deref(), &passage.headings, passage.columns.as_deref(), &passage.text);
    with_context(passage.context.as_deref(), text)
}

/// The text below what was said of its place in the document.
pub fn with_context(context: Option<&str>, text: String) -> String {
    match context {
        None => text,
        Some(context) => format!("{context}\n\n{text}"),
    }
}

/// The text, under the names of its columns where it has any: all of them, since the last ones of a wide table are names, too.
pub fn with_columns(columns: Option<&str>, text: &str) -> String {
    match columns {
        None => text.to_owned(),
        Some(columns) => format!("{columns}\n{text}"),
    }
}

fn path(title: Option<&str>, headings: &[impl AsRef<str>], text: &str) -> Option<String> {
    let headings = headings.iter().map(AsRef::as_ref);
    let mut path: Vec<&str> = Vec::new();
    for part in title.into_iter().chain(headings).map(str::trim).filter(|part| !part.is_empty()) {
        if path.last() != Some(&part) {
            path.push(part);
        }
    }
    let said = (0..path.len()).find(|i| path.get(*i..).is_some_and(|headings| begins_with(text, headings)));
    path.truncate(said.unwrap_or(path.len()));
    let mut room = PATH;
    let mut kept: Vec<&str> = Vec::new();
    for part in path.into_iter().rev() {
        let part = part.get(..part.floor_char_boundary(PART)).unwrap_or_default().trim_end();
        let Some(rest) = room.checked_sub(part.len() + SEPARATOR.len()) else { break };
        room = rest;
        kept.push(part);
    }
    kept.reverse();
    (!kept.is_empty()).then(|| kept.join(SEPARATOR))
}

/// Whether the first lines that say anything are these headings, as `## Heading ##`, over a line or between two.
fn begins_with(text: &str, headings: &[&str]) -> bool {
    let adornment = |line: &&str| line.chars().all(|c| c.is_ascii_punctuation());
    let mut lines = text.lines().map(str::trim).filter(|line| !adornment(line));
    headings.iter().all(|heading| {
        let bare = lines.next().unwrap_or_default().trim_start_matches('#').trim();
        // A long heading is kept in part only.
        bare == *heading
            || bare.trim_end_matches('#').trim_end() == *heading
            || (heading.len() > PART && bare.starts_with(heading))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn the_path_stands_above_the_text() {
        assert_eq!(embedded_text(Some("T"), &["A", "B"], None, "text"), "T > A > B\n\ntext");
        assert_eq!(embedded_text(None, &["A"], None, "text"), "A\n\ntext");
        assert_eq!(embedded_text(None, &NONE, None, "text"), "text");
        assert_eq!(embedded_text(Some(" "), &NONE, None, "text"), "text");
    }

    #[test]
    fn what_was_said_of_its_place_stands_above_all() {
        assert_eq!(with_context(Some("On keys."), embedded_text(Some("T"), &["A"], None, "text")), "On keys.\n\nT > A\n\ntext");
        assert_eq!(with_context(None, "text".into()), "text");
    }

    #[test]
    fn rows_stand_below_the_names_of_their_columns() {
        assert_eq!(embedded_text(Some("T"), &["A"], Some("a,b"), "1,2"), "T > A\n\na,b\n1,2");
        assert_eq!(embedded_text(None, &NONE, Some("a,b"), "1,2"), "a,b\n1,2");
        assert!(embedded_text(None, &NONE, Some(&"列".repeat(1000)), "x").len() <= COLUMNS + 2);
    }

    #[test]
    fn nothing_is_said_twice() {
        assert_eq!(embedded_text(Some("A"), &["A", "B"], None, "text"), "A > B\n\ntext");
        assert_eq!(embedded_text(Some("T"), &["A", "B"], None, "## B ##\n\ntext"), "T > A\n\n## B ##\n\ntext");
        assert_eq!(embedded_text(Some("T"), &["A", "B"], None, "# A\n\n## B\n\ntext"), "T\n\n# A\n\n## B\n\ntext");
        assert_eq!(embedded_text(None, &["B"], None, "B\n===\n\ntext"), "B\n===\n\ntext");
        assert_eq!(embedded_text(None, &["B"], None, "===\nB\n===\n\ntext"), "===\nB\n===\n\ntext");
        assert_eq!(embedded_text(Some("T"), &["B"], None, "Bees fly"), "T > B\n\nBees fly");
    }

    #[test]
    fn long_headings_never_crowd_the_text_out() {
        let long = "语".repeat(1000);
        let embedded = embedded_text(Some(&long), &[long.clone(), "x".repeat(500), "inner".to_string()], None, "text");
        assert!(embedded.len() <= PATH + "\n\ntext".len(), "{embedded}");
        assert!(embedded.ends_with("x > inner\n\ntext"), "{embedded}");
    }
}
