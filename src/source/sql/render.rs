//! From a row to a document.

use super::cell::{Cell, Column, Kind, Row};
use super::list;
use super::plan::{Format, SqlPlan, Text};
use super::reading::{Reading, Whole};
use super::stamp::{is_racy, nanoseconds};
use crate::document::{Markup, Metadata, Scalar};
use crate::source::{Body, FetchError, Fetched, FormatHint, SkipReason, Version};

/// Digits that a floating-point number keeps exactly.
const EXACT_DIGITS: usize = 15;

/// The document of a row.
///
/// # Errors
/// [`SkipReason::TooLarge`].
pub(super) fn document(plan: &SqlPlan, reading: &Reading, whole: Whole) -> Result<Fetched, FetchError> {
    let Whole { listed, updated, clock, values } = whole;
    let bytes: usize = values.iter().map(Cell::len).sum();
    if bytes as u64 > plan.max_bytes {
        return Err(FetchError::Skipped(SkipReason::TooLarge));
    }
    let row = Named { columns: &reading.used, values: &values };
    let title = plan.title.as_ref().map(|title| title.fill(|name, out| row.append(name, out)));
    let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|title| !title.is_empty());
    let body = match (&plan.text, reading.text.as_slice()) {
        (Text::Template(template), _) => written(template.fill(|name, out| row.append(name, out)), plan.format, title),
        (Text::Columns(_), [one]) => match row.value(&one.name) {
            // A file in a column: what it is shows in its bytes.
            Some(Cell::Bytes(bytes)) if plan.format.is_none() => {
                Body::Bytes { bytes: bytes.clone(), hint: FormatHint::default() }
            }
            _ => {
                let mut text = String::new();
                row.append(&one.name, &mut text);
                written(text, plan.format, title)
            }
        },
        (_, columns) => written(row.lines(columns), plan.format, title),
    };
    let racy = updated.as_deref().is_some_and(|updated| is_racy(updated, &clock));
    let mut fetched = Fetched::new(body, if racy { Version::UNKNOWN } else { listed.version });
    fetched.modified_ns = updated.as_deref().and_then(nanoseconds);
    fetched.metadata = metadata(plan, &row);
    Ok(fetched)
}

/// A row's values by the names of their columns.
struct Named<'a> {
    columns: &'a [Column],
    values: &'a Row,
}

impl Named<'_> {
    fn column(&self, name: &str) -> Option<(&Column, &Cell)> {
        self.columns.iter().zip(self.values).find(|(column, _)| column.name == name)
    }

    fn value(&self, name: &str) -> Option<&Cell> {
        self.column(name).map(|(_, cell)| cell)
    }

    /// Appends a value as text; `NULL` is nothing.
    fn append(&self, name: &str, out: &mut String) {
        if let Some(text) = self.value(name).and_then(Cell::text) {
            out.push_str(&text);
        }
    }

    /// `name: value`, a line each; a text of several lines stands below its name. What is `NULL` or empty is left out.
    fn lines(&self, columns: &[Column]) -> String {
        let mut out = String::new();
        for column in columns {
            let Some(text) = self.value(&column.name).and_then(Cell::text) else { continue };
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if text.contains('\n') {
                out.push_str(&format!("{}{}:\n\n{text}\n\n", if out.is_empty() { "" } else { "\n" }, column.name));
            } else {
                out.push_str(&format!("{}: {text}\n", column.name));
            }
        }
        out.truncate(out.trim_end().len());
        out
    }
}

/// A text in its format; where none is said, text, or HTML where it looks like that. Where there is none, its title.
fn written(text: String, format: Option<Format>, title: Option<String>) -> Body {
    if let Some(title) = title.as_ref().filter(|_| text.trim().is_empty()) {
        // A title alone says something, too.
        return Body::Text { text: title.clone(), markup: Markup::Text, title: Some(title.clone()) };
    }
    let format = format.unwrap_or(if looks_like_html(&text) { Format::Html } else { Format::Text });
    let markup = match format {
        Format::Text => Markup::Text,
        Format::Markdown => Markup::Markdown,
        Format::Html => {
            // Of two titles the first counts.
            let html = title.map_or_else(String::new, |title| {
                format!("<!DOCTYPE html><title>{}</title>", title.replace('&', "&amp;").replace('<', "&lt;"))
            });
            let hint = FormatHint::default().with_name("row.html").with_media_type("text/html; charset=utf-8");
            return Body::Bytes { bytes: (html + &text).into_bytes(), hint };
        }
    };
    Body::Text { text, markup, title }
}

/// What closes tags that hold text.
const CLOSING: [&str; 12] = [
    "</p>",
    "</div>",
    "</ul>",
    "</ol>",
    "</table>",
    "</h1>",
    "</h2>",
    "</h3>",
    "</html>",
    "</body>",
    "</section>",
    "</article>",
];

/// Begins with a tag, and closes one that holds text.
fn looks_like_html(text: &str) -> bool {
    let begins =
        text.trim_start().strip_prefix('<').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!'));
    begins && {
        let lower = text.to_ascii_lowercase();
        CLOSING.iter().any(|tag| lower.contains(tag))
    }
}

fn metadata(plan: &SqlPlan, row: &Named<'_>) -> Metadata {
    let value = |name: &String| row.column(name).and_then(|(column, cell)| Some((name.clone(), scalar(column.kind, cell)?)));
    plan.metadata.iter().filter_map(value).collect()
}

/// A value that can be filtered by; `NULL` is absent. Numbers that would lose digits stay texts.
fn scalar(kind: Kind, cell: &Cell) -> Option<Scalar> {
    match cell {
        Cell::Null => return None,
        Cell::Integer(number) if kind == Kind::Bool => return Some(Scalar::Bool(*number != 0)),
        Cell::Integer(number) => return Some(Scalar::Integer(*number)),
        Cell::Float(number) => return Some(Scalar::from(*number)),
        Cell::Text(_) | Cell::Bytes(_) => {}
    }
    let text = cell.text()?;
    Some(match kind {
        Kind::Bool => match text.as_ref() {
            "true" | "t" | "1" | "\u{1}" => Scalar::Bool(true),
            "false" | "f" | "0" | "\0" => Scalar::Bool(false),
            _ => Scalar::Text(text.into_owned()),
        },
        Kind::Integer | Kind::Bits | Kind::Decimal | Kind::Float => {
            number(kind, &text).unwrap_or_else(|| Scalar::Text(text.into_owned()))
        }
        Kind::List(of) => match list::elements(&text) {
            Some(all) => Scalar::List(all.into_iter().filter_map(|one| scalar(*of, &Cell::Text(one))).collect()),
            None => Scalar::Text(text.into_owned()),
        },
        // SQLite keeps JSON as text.
        Kind::Json | Kind::Any => list::json(&text).map_or_else(|| Scalar::Text(text.into_owned()), Scalar::List),
        Kind::Text | Kind::Bytes => Scalar::Text(text.into_owned()),
    })
}

fn number(kind: Kind, text: &str) -> Option<Scalar> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Scalar::Integer(whole));
    }
    let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if kind != Kind::Float && digits > EXACT_DIGITS {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Scalar::Float)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn values_that_can_be_filtered_by() {
        let text = |kind, text: &str| scalar(kind, &Cell::Text(text.into()));
        assert_eq!(text(Kind::Bool, "true"), Some(Scalar::Bool(true)));
        assert_eq!(text(Kind::Bool, "f"), Some(Scalar::Bool(false)));
        assert_eq!(text(Kind::Integer, "9007199254740993"), Some(Scalar::Integer(9_007_199_254_740_993)));
        assert_eq!(text(Kind::Integer, "18446744073709551615"), Some(Scalar::Text("18446744073709551615".into())));
        assert_eq!(text(Kind::Decimal, "1.50"), Some(Scalar::Float(1.5)));
        assert_eq!(text(Kind::Decimal, "0.1234567890123456789"), Some(Scalar::Text("0.1234567890123456789".into())));
        assert_eq!(text(Kind::Decimal, "NaN"), Some(Scalar::Text("NaN".into())));
        assert_eq!(text(Kind::Float, "0.30000000000000004"), Some(Scalar::Float(0.300_000_000_000_000_04)));
        assert_eq!(text(Kind::Float, "Infinity"), Some(Scalar::Text("Infinity".into())));
        assert_eq!(text(Kind::Text, "1"), Some(Scalar::Text("1".into())));
        assert_eq!(scalar(Kind::Any, &Cell::Integer(3)), Some(Scalar::Integer(3)));
        assert_eq!(scalar(Kind::Bool, &Cell::Integer(0)), Some(Scalar::Bool(false)));
        assert_eq!(scalar(Kind::Text, &Cell::Null), None);
        assert_eq!(text(Kind::Bits, "513"), Some(Scalar::Integer(513)));
        let tags = || Scalar::List(vec![Scalar::Text("茶具".into()), Scalar::Text("1".into())]);
        assert_eq!(text(Kind::List(&Kind::Text), "{茶具,1,NULL}"), Some(tags()));
        assert_eq!(text(Kind::List(&Kind::Integer), "{7,8}"), Some(Scalar::List(vec![Scalar::Integer(7), Scalar::Integer(8)])));
        assert_eq!(text(Kind::List(&Kind::Text), "no array"), Some(Scalar::Text("no array".into())));
        assert_eq!([text(Kind::Json, r#"["茶具", "1"]"#), text(Kind::Any, r#"["茶具","1"]"#)], [Some(tags()), Some(tags())]);
        assert_eq!(text(Kind::Json, r#"{"a": 1}"#), Some(Scalar::Text(r#"{"a": 1}"#.into())));
        assert_eq!(text(Kind::Text, "[1]"), Some(Scalar::Text("[1]".into())), "a text that is no JSON for its database");
    }

    #[test]
    fn a_title_alone_is_what_a_row_says() {
        for format in [None, Some(Format::Markdown), Some(Format::Html)] {
            let Body::Text { text, title, .. } = written(" \n".into(), format, Some("盖碗".into())) else { unreachable!() };
            assert_eq!((text.as_str(), title.as_deref()), ("盖碗", Some("盖碗")));
        }
        assert_eq!(written(String::new(), None, None).len(), 0);
    }

    #[test]
    fn lines_name_their_columns() {
        let column = |name: &str| Column { name: name.into(), kind: Kind::Text, ordered: true };
        let columns = ["名称", "body", "none", "price"].map(column);
        let values = vec![Cell::Text("茶壶".into()), Cell::Text("one\ntwo\n".into()), Cell::Null, Cell::Text("1.50".into())];
        let row = Named { columns: &columns, values: &values };
        assert_eq!(row.lines(&columns), "名称: 茶壶\n\nbody:\n\none\ntwo\n\nprice: 1.50");
    }

    #[test]
    fn html_is_told_from_text_that_has_signs() {
        for html in ["<p>One</p>", " <div class='a'><ul><li>x</li></ul></div>", "<!DOCTYPE html><html><body>x</body></html>"] {
            assert!(looks_like_html(html), "{html}");
        }
        for text in ["a < b", "<3 you</p>", "Write <p>x</p>", "<b>", "<T>(x: T)", ""] {
            assert!(!looks_like_html(text), "{text}");
        }
    }
}
