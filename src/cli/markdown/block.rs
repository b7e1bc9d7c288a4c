//! Which block a line belongs to, told from its first characters.

/// Bars shown for quotes within quotes.
const MAX_QUOTES: usize = 4;

/// What a line begins with.
pub(super) enum Start {
    /// More must be seen.
    Unknown,
    Blank,
    /// The rest is text from this byte on.
    Text,
    Heading(usize),
    Rule,
    Fence(Fence),
    /// A list's mark, in bytes of the source, and what stands for it.
    Mark(usize, String),
    Row,
    Code,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Fence {
    pub(super) mark: char,
    pub(super) length: usize,
    pub(super) indent: usize,
}

/// The place that a line stands in, as far as it decides what the line's first characters mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Columns that the text of the list around it is indented by.
    pub(super) content: usize,
    /// Columns of the source before it, where a list's mark stands before it.
    pub(super) nested: usize,
    /// The line before it was text of a paragraph.
    pub(super) paragraph: bool,
    /// It has been begun on the screen.
    pub(super) begun: bool,
}

impl Place {
    /// The kind of a line that begins with this, after `indent` columns. `complete`: no more of it will come.
    pub(super) fn start(&self, text: &str, indent: usize, complete: bool) -> Start {
        let Some(first) = text.chars().next() else { return if complete { Start::Blank } else { Start::Unknown } };
        let unknown = |otherwise: Start| if complete { otherwise } else { Start::Unknown };
        if indent >= self.content + 4 && !self.paragraph && self.nested == 0 {
            return Start::Code;
        }
        let run = text.len() - text.trim_start_matches(first).len();
        let after = text.get(run..).unwrap_or_default();
        match first {
            '`' | '~' if run == text.len() && run < 3 => unknown(Start::Text),
            '`' | '~' if run >= 3 && !(first == '`' && after.contains('`')) => {
                unknown(Start::Fence(Fence { mark: first, length: run, indent }))
            }
            '#' if run <= 6 && after.is_empty() => unknown(Start::Heading(run)),
            '#' if run <= 6 && after.starts_with([' ', '\t']) => Start::Heading(run),
            '-' | '*' | '_' | '=' if text.chars().all(|c| c == first || c == ' ' || c == '\t') => {
                let marks = text.chars().filter(|c| *c == first).count();
                unknown(match (first, marks) {
                    ('=', _) if self.paragraph && !text.trim().contains(' ') => Start::Rule,
                    ('=', _) => Start::Text,
                    (_, 3..) => Start::Rule,
                    ('-' | '*', _) => self.mark(text, complete),
                    _ => Start::Text,
                })
            }
            '-' | '*' | '+' | '0'..='9' => self.mark(text, complete),
            '|' if !self.begun => Start::Row,
            _ => Start::Text,
        }
    }

    /// A list's mark, or text.
    fn mark(&self, text: &str, complete: bool) -> Start {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let length = match digits {
            0 => 1,
            1..=9 if text.len() == digits && !complete => return Start::Unknown,
            1..=9 if text.get(digits..).is_some_and(|rest| rest.starts_with(['.', ')'])) => digits + 1,
            _ => return Start::Text,
        };
        match text.get(length..).and_then(|rest| rest.chars().next()) {
            Some(' ' | '\t') => {}
            None if !complete => return Start::Unknown,
            // An empty item does not interrupt a paragraph.
            None if !self.paragraph => {}
            _ => return Start::Text,
        }
        let shown = if digits == 0 { "•" } else { text.get(..length).unwrap_or_default() };
        Start::Mark(length, format!("{shown} "))
    }
}

/// How many quotes a line is in, and the rest of it. Empty when more must be seen.
pub(super) fn quoted(line: &str) -> (usize, &str) {
    let (mut quotes, mut rest) = (0, line);
    while let Some(inner) = rest.trim_start_matches(' ').strip_prefix('>').filter(|_| !rest.starts_with("    ")) {
        quotes += 1;
        rest = inner.strip_prefix(' ').unwrap_or(inner);
    }
    (quotes.min(MAX_QUOTES), rest)
}

pub(super) fn columns(space: &str) -> usize {
    space.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum()
}
