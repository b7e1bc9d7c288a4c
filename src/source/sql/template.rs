//! Texts with columns in them: `{title}\n\n{body}`.

use std::collections::HashMap;

/// A text with columns in it. `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else if let Some(inside) = from.strip_prefix('{') {
                let (name, after) = inside.split_once('}').ok_or("a `{` is not closed; a brace itself is `{{`")?;
                let name = name.trim();
                if name.is_empty() {
                    return Err("`{}` names no column; a brace itself is `{{`".to_owned());
                }
                if name.contains('{') {
                    return Err(format!("`{{{name}}}`: a `{{` within a column's name"));
                }
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Column(name.to_owned()));
                rest = after;
            } else {
                return Err("a `}` closes nothing; a brace itself is `}}`".to_owned());
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// One column alone.
    pub fn column(name: impl Into<String>) -> Self {
        Self(vec![Piece::Column(name.into())])
    }

    /// A text, then these columns with `/` between them.
    pub(super) fn path(prefix: String, columns: &[String]) -> Self {
        let mut pieces = vec![Piece::Text(prefix)];
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                pieces.push(Piece::Text("/".to_owned()));
            }
            pieces.push(Piece::Column(column.clone()));
        }
        Self(pieces)
    }

    /// The columns in it, as often as they stand there.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Column(name) => Some(name.as_str()),
        })
    }

    /// The column that it is, where it is nothing else.
    pub(super) fn only(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Column(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether what stands between two columns is never a part of an escaped value, so that no two rows' values give one text.
    pub(super) fn keeps_apart(&self) -> bool {
        let mut parts = self.0.split(|piece| matches!(piece, Piece::Column(_)));
        // What stands before the first and after the last parts nothing.
        let _ends = (parts.next(), parts.next_back());
        parts.all(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(['/', '?', '#']))))
    }

    /// The columns' escaped values in a text that [`Self::fill`] gave; `None` of other texts, and where it cannot be told.
    pub(super) fn read<'a>(&self, text: &'a str) -> Option<HashMap<&str, &'a str>> {
        let (mut values, mut rest, mut column) = (HashMap::new(), text, None);
        for piece in &self.0 {
            match (piece, column.take()) {
                (Piece::Text(plain), None) => rest = rest.strip_prefix(plain.as_str())?,
                (Piece::Text(plain), Some(name)) => {
                    let (value, after) = rest.split_once(plain.as_str())?;
                    values.insert(name, value);
                    rest = after;
                }
                (Piece::Column(name), None) => column = Some(name.as_str()),
                (Piece::Column(_), Some(_)) => return None,
            }
        }
        match column {
            Some(name) => values.insert(name, rest),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(values)
    }

    /// Whether two columns stand side by side, so that `1` and `23` would be `12` and `3`.
    pub(crate) fn runs_together(&self) -> bool {
        self.0.windows(2).any(|pair| matches!(pair, [Piece::Column(_), Piece::Column(_)]))
    }

    /// The text before the first column.
    pub(crate) fn head(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// What is the same for all rows: two templates that say the same here may give the same text.
    pub(crate) fn skeleton(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Column(_) => "\0".to_owned(),
        };
        self.0.iter().map(piece).collect()
    }

    /// The text, with what `value` puts for each column.
    pub(super) fn fill(&self, mut value: impl FnMut(&str, &mut String)) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Column(name) => value(name, &mut text),
            }
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_braces_and_braces_are_doubled() {
        let filled = |text: &str| Template::parse(text).unwrap().fill(|name, out| out.extend(["<", name, ">"]));
        for (text, expected) in [
            ("{title}\n\n{body}", "<title>\n\n<body>"),
            ("{{{ 标题 }}}", "{<标题>}"),
            ("plain", "plain"),
            ("", ""),
            ("a{{b}}c", "a{b}c"),
            ("{a b}", "<a b>"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_told() {
        for (text, why) in [("{a", "not closed"), ("a}", "closes nothing"), ("{}", "names no column"), ("{a{b}", "within")] {
            assert!(Template::parse(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn values_are_read_out_of_a_text_again() {
        let read = |template: &str, text: &'static str| {
            let template = Template::parse(template).unwrap();
            let mut values: Vec<(String, &str)> =
                template.read(text)?.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            values.sort_unstable();
            Some(values)
        };
        let pair = |name: &str, value| (name.to_owned(), value);
        assert_eq!(read("sql://a/t/{x}/{y}", "sql://a/t/1/b%2F"), Some(vec![pair("x", "1"), pair("y", "b%2F")]));
        assert_eq!(read("https://a/{id}.html", "https://a/7.html"), Some(vec![pair("id", "7")]));
        for (template, other) in
            [("sql://a/t/{x}", "sql://b/t/1"), ("a/{x}.html", "a/1.htm"), ("a/{x}.html", "a/1.html5"), ("{x}{y}", "12")]
        {
            assert_eq!(read(template, other), None, "{template}");
        }
    }

    #[test]
    fn columns_are_kept_apart_by_what_no_value_has() {
        for (template, apart) in [
            ("a/{x}", true),
            ("{x}/{y}", true),
            ("a/{x}?n={y}#z", true),
            ("{x}-{y}", false),
            ("{x}/{y}{z}", false),
            ("a", true),
        ] {
            assert_eq!(Template::parse(template).unwrap().keeps_apart(), apart, "{template}");
        }
    }

    #[test]
    fn the_columns_of_a_template() {
        let template = Template::parse("https://a.example/{lang}/{id}").unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["lang", "id"]);
        assert_eq!((template.head(), template.only()), ("https://a.example/", None));
        assert_eq!(Template::column("id").only(), Some("id"));
        assert_eq!(template.skeleton(), Template::parse("https://a.example/{a}/{b}").unwrap().skeleton());
        let path = Template::path("sql://shop/items/".into(), &["a".into(), "b".into()]);
        assert_eq!(path, Template::parse("sql://shop/items/{a}/{b}").unwrap());
    }
}
