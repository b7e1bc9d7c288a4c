//! Ways into a payload, as Qdrant writes them: `metadata."a b.c"`, `parts[].name`, `lines[0]`.

use std::fmt;

use serde_json::{Map, Value};

/// A way to values in a payload; there may be several, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    first: String,
    rest: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
    Every,
}

impl Path {
    /// The path that is written so; `None` when none is.
    pub fn read(text: &str) -> Option<Self> {
        let (first, mut left) = key(text)?;
        let mut rest = Vec::new();
        while !left.is_empty() {
            let step;
            (step, left) = if let Some(after) = left.strip_prefix('.') {
                let (key, after) = key(after)?;
                (Step::Key(key), after)
            } else if let Some(after) = left.strip_prefix("[]") {
                (Step::Every, after)
            } else {
                let (digits, after) = left.strip_prefix('[')?.split_once(']')?;
                // Rust would read a sign, too.
                let index = if digits.starts_with('+') { None } else { digits.parse().ok() };
                (Step::Index(index?), after)
            };
            rest.push(step);
        }
        Some(Self { first, rest })
    }

    /// The values at the path.
    pub fn values<'a>(&self, payload: &'a Map<String, Value>) -> Vec<&'a Value> {
        let mut found: Vec<&Value> = payload.get(&self.first).into_iter().collect();
        for step in &self.rest {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        found
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Key(key) => value.as_object().and_then(|object| object.get(key)).into_iter().collect(),
            Self::Index(index) => value.as_array().and_then(|array| array.get(*index)).into_iter().collect(),
            Self::Every => value.as_array().into_iter().flatten().collect(),
        }
    }
}

/// A key at the beginning, and what follows.
fn key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, after) = quoted.split_once('"')?;
        return (!key.contains('\\')).then(|| (key.to_owned(), after));
    }
    let end = text.find(|c| !is_bare(c)).unwrap_or(text.len());
    let (key, after) = text.split_at(end);
    (!key.is_empty()).then(|| (key.to_owned(), after))
}

/// Whether it may stand in a key without quotes.
fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = |key: &str| if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { format!("\"{key}\"") };
        f.write_str(&quote(&self.first))?;
        for step in &self.rest {
            match step {
                Step::Key(key) => write!(f, ".{}", quote(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Every => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_read_and_written() {
        for path in ["uri", "a.b", "metadata.\"a b.c\"", "foo[1][50].bar-baz[].\"qux[.]quux\"", "说明.名", "a.\"\"", "_-[0]"]
        {
            assert_eq!(Path::read(path).unwrap().to_string(), path);
        }
        assert_eq!(Path::read("\"plain\"").unwrap(), Path::read("plain").unwrap());
        for no in [
            "",
            ".",
            "a.",
            ".a",
            "a b",
            "a[",
            "a[x]",
            "a[-1]",
            "a[+1]",
            "a[99999999999999999999]",
            "\"a",
            "\"a\\\"\"",
            "[0]",
            "a[0]b",
            "a$",
        ] {
            assert_eq!(Path::read(no), None, "{no}");
        }
    }

    #[test]
    fn paths_lead_to_values() {
        let payload = json!({"a": {"b c": 1, "l": [1, {"x": 2}, [{"x": 3}]]}, "s": "t", "n": null});
        let at = |path: &str| {
            Path::read(path).unwrap().values(payload.as_object().unwrap()).into_iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(at("a.\"b c\""), [json!(1)]);
        assert_eq!(at("a.l[0]"), [json!(1)]);
        assert_eq!(at("a.l[].x"), [json!(2)]);
        assert_eq!(at("a.l[][].x"), [json!(3)]);
        assert_eq!(at("a.l"), [payload["a"]["l"].clone()], "a list is one value");
        assert_eq!(at("n"), [json!(null)]);
        for nothing in ["b", "a.b", "a.l.x", "a.l[7]", "s.t", "s[]", "s[0]", "n.x"] {
            assert!(at(nothing).is_empty(), "{nothing}");
        }
    }
}
