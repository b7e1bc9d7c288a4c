//! Values that are lists: arrays of Postgres, and of JSON.

use serde_json::Value as Json;

use crate::document::Scalar;

/// The elements of an array as Postgres writes it (`{a,"b c",NULL}`), those of one within another one after another, without `NULL`.
/// `None` of what is none.
pub(super) fn elements(text: &str) -> Option<Vec<String>> {
    // `[0:1]={a,b}`: one whose first element has another number.
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let (mut all, mut one) = (Vec::new(), Element::default());
    let mut open = false;
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => one.text.push(chars.next()?),
            '"' => (open, one.quoted) = (!open, true),
            ',' if !open => all.extend(std::mem::take(&mut one).value()),
            '{' | '}' if !open => {}
            c => one.text.push(c),
        }
    }
    all.extend(one.value());
    (!open).then_some(all)
}

/// An element that is being read.
#[derive(Default)]
struct Element {
    text: String,
    quoted: bool,
}

impl Element {
    fn value(self) -> Option<String> {
        (self.quoted || !(self.text.is_empty() || self.text.eq_ignore_ascii_case("null"))).then_some(self.text)
    }
}

/// The elements of a JSON array of texts, numbers and truths, without `null`. `None` of all other JSON, and of what is none.
pub(super) fn json(text: &str) -> Option<Vec<Scalar>> {
    let trimmed = text.trim();
    if !(trimmed.starts_with('[') && trimmed.ends_with(']')) {
        return None;
    }
    let values: Vec<Json> = serde_json::from_str(trimmed).ok()?;
    let element = |value: Json| match value {
        Json::String(text) => Some(Scalar::Text(text)),
        Json::Bool(truth) => Some(Scalar::Bool(truth)),
        Json::Number(number) => {
            let small = number.as_i64().map(Scalar::Integer);
            small
                .or_else(|| number.as_f64().filter(|_| !number.is_u64()).map(Scalar::Float))
                .or(Some(Scalar::Text(number.to_string())))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    let plain = values.into_iter().filter(|value| !value.is_null()).map(element);
    plain.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_postgres_are_read_as_it_writes_them() {
        for (text, expected) in [
            ("{}", &[][..]),
            ("{茶具,铸铁}", &["茶具", "铸铁"]),
            (r#"{a,"b c","say \"hi\", \\ {x}",NULL,"NULL",""}"#, &["a", "b c", r#"say "hi", \ {x}"#, "NULL", ""]),
            ("{{1,2},{3,4}}", &["1", "2", "3", "4"]),
            ("[0:1]={a,b}", &["a", "b"]),
        ] {
            assert_eq!(elements(text).unwrap(), expected, "{text}");
        }
        for none in ["", "a", "{a", r#"{"a}"#, r"{a\}", "[1,2]"] {
            assert_eq!(elements(none), None, "{none}");
        }
    }

    #[test]
    fn arrays_of_json_are_lists_of_plain_values() {
        let text = |text: &str| Scalar::Text(text.into());
        let read = json(r#" ["茶", 3, 1.5, true, null, 18446744073709551615] "#).unwrap();
        assert_eq!(
            read,
            [text("茶"), Scalar::Integer(3), Scalar::Float(1.5), Scalar::Bool(true), text("18446744073709551615")]
        );
        assert_eq!(json("[]"), Some(Vec::new()));
        for none in ["[1, [2]]", r#"[{"a": 1}]"#, r#"{"a": 1}"#, r#""a""#, "[a]", "[draft]", "", "[1"] {
            assert_eq!(json(none), None, "{none}");
        }
    }
}
