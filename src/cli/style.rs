//! How output looks: JSON or text, colours, links, widths.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Component, PathBuf};

use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;
use url::Url;

/// How output looks. The default is plain text, as for a pipe.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line, and any combination has a meaning")]
pub(super) struct Style {
    /// One JSON object a line, and nothing else.
    pub json: bool,
    /// ANSI colours.
    pub color: bool,
    /// Bold, dim and the like even without colours.
    pub emphasis: bool,
    /// An answer's Markdown is shown as what it means: for terminals only.
    pub markdown: bool,
    /// OSC 8 links: for terminals only.
    pub hyperlinks: bool,
    /// Columns of the terminal; `usize::MAX` where there is none, so that nothing is trimmed.
    pub width: usize,
    /// Tells the terminal's columns now: it may be resized while an answer comes.
    pub columns: Option<fn() -> usize>,
    /// Only what was asked for: no summaries.
    pub quiet: bool,
    /// What is doubtful of an answer's citations is said below it.
    pub why: bool,
    /// The folder that uris of files are relative to; without it they are not linked.
    pub base: Option<PathBuf>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            json: false,
            color: false,
            emphasis: false,
            markdown: false,
            hyperlinks: false,
            width: usize::MAX,
            columns: None,
            quiet: false,
            why: false,
            base: None,
        }
    }
}

/// How a piece of text is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Dim,
    Bold,
    Citation,
    Warning,
}

impl Style {
    /// `text` painted; as it is without colours.
    pub(super) fn paint<'a>(&self, paint: Paint, text: &'a str) -> Cow<'a, str> {
        let (code, shown) = match paint {
            Paint::Dim => ("2", self.color || self.emphasis),
            Paint::Bold => ("1", self.color || self.emphasis),
            Paint::Citation => ("36", self.color),
            Paint::Warning => ("33", self.color),
        };
        if !shown || text.is_empty() {
            return text.into();
        }
        format!("\x1b[{code}m{text}\x1b[0m").into()
    }

    /// `text` as a link to a document, at the passage where it has such a link, where links are wanted and the document has an address.
    pub(super) fn link<'a>(&self, uri: &str, link: Option<&str>, text: &'a str) -> Cow<'a, str> {
        match self.hyperlinks.then(|| self.address(uri, link)).flatten() {
            Some(address) => format!("\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\").into(),
            None => text.into(),
        }
    }

    /// The address of a document. What a `Url` prints is ASCII without control characters, and cannot end the link.
    pub(super) fn address(&self, uri: &str, link: Option<&str>) -> Option<Url> {
        if let Some(link) = link {
            return Url::parse(link).ok();
        }
        // An object of a bucket, a row: no file, and no page that a browser knows.
        let mut path = self.base.clone().filter(|_| !uri.contains("://"))?;
        path.push(uri);
        let plain = !path.components().any(|part| part == Component::ParentDir);
        plain.then(|| Url::from_file_path(path).ok()).flatten()
    }
}

/// Writes one JSON object as a line, and sends it off.
pub(super) fn json_line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(object).map_err(io::Error::other)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

/// What steers a terminal: control characters other than line feeds and tabs, and those that turn the direction of writing, which
/// can make a line read as what it is not.
pub(super) fn steers(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text from documents and models without what would steer a terminal.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if text.contains(steers) { text.chars().filter(|c| !steers(*c)).collect::<String>().into() } else { text.into() }
}

/// The same on one line.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    harmless(&words.join(" ")).into_owned()
}

/// A line cut to so many columns, the last of them `…` when something was cut. Tabs become four spaces; wide characters count two.
pub(super) fn trimmed(line: &str, columns: usize) -> String {
    let line = harmless(line).replace('\t', "    ");
    if line.width() <= columns {
        return line;
    }
    let room = columns.saturating_sub(1);
    let mut kept = String::new();
    let mut width = 0;
    for grapheme in line.graphemes(true) {
        width += grapheme.width();
        if width > room {
            break;
        }
        kept.push_str(grapheme);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// What the results were to be written to did not take them: a sentence for whoever reads no more than that.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn unwritten(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the results cannot be written to stdout: {error}"))
}

/// Whether the reader of our output has gone, which is its good right and no failure of ours.
pub(super) fn reader_left(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Whether the terminal that was written to has been closed.
pub(super) fn terminal_left(error: &io::Error) -> bool {
    // EIO: no kind of its own.
    cfg!(unix) && error.raw_os_error() == Some(5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_characters_count_two() {
        assert_eq!(trimmed("密钥轮换", 8), "密钥轮换");
        assert_eq!(trimmed("密钥轮换", 7), "密钥轮…");
        assert_eq!(trimmed("密钥轮换", 6), "密钥…", "half a character is none");
        assert_eq!(trimmed("a\tb", 6), "a    b");
        assert_eq!(trimmed("abc", 1), "…");
        assert_eq!(trimmed("abc", 0), "");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(harmless("a\x1b]8;;x\x07b\r\u{9b}c\n\td\u{202e}e"), "a]8;;xbc\n\tde");
        assert_eq!(one_line(" a\n\x1b[2Jb\t c "), "a [2Jb c");
    }

    #[test]
    fn links_only_where_an_address_is_known() {
        let mut style = Style { hyperlinks: true, ..Style::default() };
        assert_eq!(style.link("docs/a.md", None, "x"), "x");
        let page = "https://e.org/\x1bü";
        let linked = |link: Option<&str>| style.link(page, link, "x").into_owned();
        assert_eq!(linked(Some("https://e.org/\x1bü#a")), "\x1b]8;;https://e.org/%1B%C3%BC#a\x1b\\x\x1b]8;;\x1b\\");
        style.base = Some("/srv/kb".into());
        assert_eq!(style.link("docs/a b.md", None, "x"), "\x1b]8;;file:///srv/kb/docs/a%20b.md\x1b\\x\x1b]8;;\x1b\\");
        assert_eq!(style.link("../a.md", None, "x"), "x");
        assert_eq!(style.link("s3://docs/a.md", None, "x"), "x");
        style.hyperlinks = false;
        assert_eq!(style.link("docs/a.md", None, "x"), "x");
    }

    proptest! {
        #[test]
        fn never_wider_than_the_columns(line in "\\PC{0,60}", columns in 0_usize..80) {
            let cut = trimmed(&line, columns);
            prop_assert!(cut.width() <= columns, "{cut:?} is {} wide", cut.width());
        }
    }
}
