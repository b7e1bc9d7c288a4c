//! Shows Markdown on a terminal while it streams in. What has been written is never moved, erased or painted over.
//!
//! ```text
//! characters ─▶ lines ([block]: which one?) ─▶ [inline] (emphasis, links) ─▶ [flow] (wrapped at words) ─▶ bytes
//!                                              └▶ [table] (held until its widths are known)
//! ```
//!
//! Held back is only what is ambiguous, and never more than 32 KiB (a test holds it to that): a line's first characters until they say what it is,
//! a mark until what closes it is seen (or too far away), a word that may not fit into the line, a table. A line that the model
//! wrote is a line on the screen; code is shown as it is and wrapped by the terminal, so that it can be copied.
//!
//! Invariant: what is written does not depend on how the text was cut.

mod block;
mod closing;
mod flow;
mod inline;
mod table;
#[cfg(test)]
mod tests;

use unicode_width::UnicodeWidthStr;

use self::block::{Fence, Place, Start, columns, quoted};
use self::flow::{Flow, Ink, Screen};
use self::inline::{ADDRESS, CITED, END, Inline, MISCITED, is_mark};
use self::table::Table;
use super::style::{Style, steers};

#[cfg(test)]
/// What is held back, at most, in bytes.
pub const MAX_HELD_BYTES: usize = 32 * 1024;
/// A line that is longer and still not known is text. A fence with a longer info line is none.
const MAX_HEAD_BYTES: usize = 256;
/// Columns that a block of code is indented by.
const CODE_INDENT: &str = "    ";
/// Columns of a thematic break.
const RULE_WIDTH: usize = 24;

/// Markdown on its way to a terminal.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what came before on the screen: any combination has a meaning")]
pub struct Markdown {
    flow: Flow,
    inline: Inline,
    line: Line,
    /// What is held of the line: its beginning, or all of a row.
    head: String,
    /// Columns of the source before `head`, where a list's mark stands before it.
    nested: usize,
    /// The line has been begun on the screen.
    begun: bool,
    /// Something has been written.
    started: bool,
    /// A blank line came last.
    blank: bool,
    /// The line before this one was text of a paragraph.
    paragraph: bool,
    quotes: usize,
    lists: Vec<Item>,
    fence: Option<Fence>,
    table: Rows,
}

/// What the line that is being read is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Not known yet.
    Start,
    /// Runtime text.
    Text,
    /// Code, as it is.
    Code,
    /// A row of a table, or what may be one.
    Row,
}

/// A list's item that what follows may belong to, in columns of the source and of the screen.
#[derive(Debug, Clone, Copy)]
struct Item {
    mark: usize,
    content: usize,
    shown: usize,
}

/// Rows of what may be a table.
#[derive(Debug)]
enum Rows {
    None,
    /// A first row; the second decides.
    Header(String),
    Table(Table),
}

impl Markdown {
    /// Markdown for a terminal of this style.
    pub fn new(style: &Style) -> Self {
        let screen = Screen {
            width: style.width,
            emphasis: style.emphasis || style.color,
            colors: style.color,
            links: style.hyperlinks,
        };
        Self {
            flow: Flow::new(screen),
            inline: Inline::default(),
            line: Line::Start,
            head: String::new(),
            nested: 0,
            begun: false,
            started: false,
            blank: false,
            paragraph: false,
            quotes: 0,
            lists: Vec::new(),
            fence: None,
            table: Rows::None,
        }
    }

    /// The terminal has another width now. Lines begun before keep theirs.
    pub fn resize(&mut self, width: usize) {
        self.flow.screen.width = width;
    }

    /// Reads on; returns what can be written now.
    pub fn push(&mut self, text: &str) -> String {
        for c in text.chars().filter(|c| !steers(*c) && !is_mark(*c)) {
            self.read(c);
        }
        self.flow.take()
    }

    /// Reads a citation, linked to an address where there is one; `known` says that all its numbers were given.
    pub fn cite(&mut self, text: &str, known: bool, address: Option<&str>) -> String {
        if self.fence.is_some() || self.line == Line::Code {
            return self.push(text);
        }
        let mark = if known { CITED } else { MISCITED };
        let shown = text.chars().filter(|c| !steers(*c) && !is_mark(*c));
        // A bar would end a table's cell.
        let address = address.filter(|address| !address.contains('|')).unwrap_or_default();
        let address = address.chars().filter(char::is_ascii_graphic);
        for c in [mark].into_iter().chain(shown).chain([ADDRESS]).chain(address).chain([END]) {
            self.read(c);
        }
        self.flow.take()
    }

    /// The text has ended, or was cut off: returns the rest, with the end of its last line.
    pub fn finish(&mut self) -> String {
        if !self.head.is_empty() || self.begun {
            self.end_line();
        }
        self.end_table();
        self.flow.take()
    }

    #[cfg(test)]
    /// Bytes that were read and not written yet.
    pub fn held_bytes(&self) -> usize {
        let table = match &self.table {
            Rows::None => 0,
            Rows::Header(row) => row.len(),
            Rows::Table(table) => table.held_bytes(),
        };
        self.head.len() + self.inline.held_bytes() + self.flow.held_bytes() + table
    }

    fn read(&mut self, c: char) {
        match (self.line, c) {
            (_, '\n') => self.end_line(),
            (Line::Start, _) => {
                self.head.push(c);
                self.start(false);
            }
            (Line::Text, _) => self.inline.read(c, &mut self.flow),
            (Line::Code, _) => self.code(c),
            (Line::Row, _) => {
                self.head.push(c);
                if self.head.len() > table::MAX_ROW_BYTES {
                    self.end_table();
                    self.text();
                }
            }
        }
    }

    fn end_line(&mut self) {
        if self.line == Line::Start {
            self.start(true);
        }
        match self.line {
            Line::Row => self.end_row(),
            Line::Text => self.inline.end_line(&mut self.flow),
            Line::Start | Line::Code => {}
        }
        if std::mem::take(&mut self.begun) {
            self.flow.end_line();
        }
        self.head.clear();
        self.line = Line::Start;
        self.nested = 0;
    }

    /// Looks at what is held of the line and goes on as soon as that says what it is.
    fn start(&mut self, complete: bool) {
        let head = std::mem::take(&mut self.head);
        let forced = head.len() > MAX_HEAD_BYTES;
        let (quotes, content) = if self.begun { (self.quotes, head.as_str()) } else { quoted(&head) };
        if content.is_empty() && !complete && !forced {
            self.head = head;
            return;
        }
        if let Some(fence) = self.fence {
            if quotes >= self.quotes {
                return self.in_fence(fence, &head, complete, forced);
            }
            self.fence = None;
        }
        let spaces = content.len() - content.trim_start_matches([' ', '\t']).len();
        let (space, text) = content.split_at_checked(spaces).unwrap_or_default();
        let indent = self.nested + columns(space);
        let start = self.place().start(text, indent, complete || forced);
        if matches!(start, Start::Unknown) {
            self.head = head;
            return;
        }
        if !matches!(start, Start::Row) {
            self.end_table();
        }
        self.enter(quotes, indent, &start);
        let text = text.to_owned();
        self.block(start, indent, text, complete);
    }

    /// Leaves the quotes and lists that the line does not belong to.
    fn enter(&mut self, quotes: usize, indent: usize, start: &Start) {
        if quotes != self.quotes && !(self.paragraph && matches!(start, Start::Text) && quotes == 0) {
            (self.quotes, self.paragraph) = (quotes, false);
            self.lists.clear();
        }
        match start {
            Start::Mark(..) if self.begun => {}
            Start::Mark(..) => self.lists.retain(|item| item.mark + 2 <= indent),
            // A paragraph goes on wherever its next line begins.
            Start::Text if self.paragraph => {}
            Start::Blank => {}
            _ if self.begun => {}
            _ => self.lists.retain(|item| item.content <= indent),
        }
        if !(self.paragraph && matches!(start, Start::Text)) {
            self.inline = Inline::default();
        }
        self.paragraph = matches!(start, Start::Text);
    }

    fn block(&mut self, start: Start, indent: usize, text: String, complete: bool) {
        match start {
            Start::Unknown => {}
            Start::Blank => self.blank = self.started,
            Start::Text => {
                self.head = text;
                self.text();
            }
            Start::Heading(level) => {
                self.inline = Inline::new(Ink { bold: true, underline: level == 1, ..Ink::default() });
                self.head = text.trim_start_matches('#').trim_start().to_owned();
                self.text();
                self.paragraph = false;
            }
            Start::Rule => {
                self.begin();
                let rule = "─".repeat(RULE_WIDTH.min(self.flow.screen.width));
                self.flow.begin(&rule, Ink::dim(), (String::new(), 0));
                self.line = Line::Code;
            }
            Start::Fence(fence) => self.fence = Some(fence),
            Start::Mark(length, shown) => self.item(length, &shown, indent, &text, complete),
            Start::Row => {
                self.head = text;
                self.line = Line::Row;
            }
            Start::Code => self.verbatim(&text, indent.saturating_sub(self.content() + 4)),
        }
    }

    /// Begins a list's item; what follows the mark is looked at as the beginning of a line.
    fn item(&mut self, length: usize, shown: &str, indent: usize, text: &str, complete: bool) {
        self.begin();
        let rest = text.get(length..).unwrap_or_default();
        let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let content = indent + length + if (1..=4).contains(&spaces) { spaces } else { 1 };
        let outer = self.lists.last().map_or(0, |item| item.shown);
        let width = shown.width();
        // However deep the list, half of the screen is for the text.
        let inner = if outer + width <= self.flow.screen.width / 2 { outer + width } else { outer };
        self.lists.push(Item { mark: indent, content, shown: inner });
        let indent = self.indent();
        self.flow.begin(shown, Ink::default(), indent);
        self.nested = content;
        rest.trim_start_matches([' ', '\t']).clone_into(&mut self.head);
        if !self.head.is_empty() || complete {
            let empty = self.head.is_empty();
            self.start(complete);
            if empty {
                // Nothing but the mark: the item's text may follow on the next line.
                self.blank = false;
            }
        }
    }

    /// The rest of the line is running text, what is held included.
    fn text(&mut self) {
        self.begin();
        self.line = Line::Text;
        for c in std::mem::take(&mut self.head).chars() {
            self.inline.read(c, &mut self.flow);
        }
    }

    /// A line within a fence, which may be the one that closes it.
    fn in_fence(&mut self, fence: Fence, head: &str, complete: bool, forced: bool) {
        let mut content = head;
        for _ in 0..self.quotes {
            content = content.trim_start_matches(' ').strip_prefix('>').unwrap_or(content);
        }
        if self.quotes > 0 {
            content = content.strip_prefix(' ').unwrap_or(content);
        }
        let text = content.trim_start_matches(' ');
        let run = text.len() - text.trim_start_matches(fence.mark).len();
        let may_close = !forced && text.get(run..).is_some_and(|rest| rest.trim().is_empty());
        if may_close && !complete {
            head.clone_into(&mut self.head);
        } else if may_close && run >= fence.length {
            self.fence = None;
            self.line = Line::Code;
        } else if !(content.is_empty() && complete) {
            let kept = content.len() - text.len();
            self.verbatim(text, kept.saturating_sub(fence.indent));
        } else {
            self.blank_code();
        }
    }

    /// An empty line of code is one on the screen.
    fn blank_code(&mut self) {
        self.begin();
        self.line = Line::Code;
    }

    /// A line of code that begins with this, after so many spaces.
    fn verbatim(&mut self, text: &str, spaces: usize) {
        self.begin();
        self.flow.begin(CODE_INDENT, Ink::default(), (String::new(), 0));
        self.flow.set_ink(Ink::default());
        self.line = Line::Code;
        (0..spaces).for_each(|_| self.flow.verbatim(' '));
        text.chars().for_each(|c| self.code(c));
    }

    fn code(&mut self, c: char) {
        match c {
            '\t' => (0..4).for_each(|_| self.flow.verbatim(' ')),
            c => self.flow.verbatim(c),
        }
    }

    /// A row has ended: it is one of a table, or text.
    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.head);
        match std::mem::replace(&mut self.table, Rows::None) {
            Rows::None => self.table = Rows::Header(row),
            Rows::Header(header) => {
                if let Some(table) = Table::begin(&header, &row, self.indent()) {
                    self.blank_line();
                    self.table = Rows::Table(table);
                } else {
                    self.row_as_text(&header);
                    self.table = Rows::Header(row);
                }
            }
            Rows::Table(mut table) => {
                table.push(&row, &mut self.flow);
                self.table = Rows::Table(table);
            }
        }
    }

    fn end_table(&mut self) {
        match std::mem::replace(&mut self.table, Rows::None) {
            Rows::None => {}
            Rows::Header(row) => self.row_as_text(&row),
            Rows::Table(mut table) => table.show(&mut self.flow),
        }
    }

    fn row_as_text(&mut self, row: &str) {
        self.inline = Inline::default();
        self.begin();
        for c in row.chars() {
            self.inline.read(c, &mut self.flow);
        }
        self.inline.end_line(&mut self.flow);
        self.flow.end_line();
        self.begun = false;
    }

    /// Begins the line on the screen.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.blank_line();
        let indent = self.indent();
        self.flow.begin_with(indent);
    }

    /// The blank line that came before, if any.
    fn blank_line(&mut self) {
        if std::mem::take(&mut self.blank) {
            self.flow.end_line();
        }
        self.started = true;
    }

    /// What begins a line that this one is wrapped into, and its width.
    fn indent(&self) -> (String, usize) {
        let (bars, spaces) = ("│ ".repeat(self.quotes), self.lists.last().map_or(0, |item| item.shown));
        let width = bars.width() + spaces;
        let bars = if bars.is_empty() || !self.flow.screen.emphasis { bars } else { format!("\x1b[2m{bars}\x1b[0m") };
        (bars + &" ".repeat(spaces), width)
    }

    fn place(&self) -> Place {
        Place { content: self.content(), nested: self.nested, paragraph: self.paragraph, begun: self.begun }
    }

    /// The column of the source that the innermost item's content begins at.
    fn content(&self) -> usize {
        self.lists.last().map_or(0, |item| item.content)
    }
}
