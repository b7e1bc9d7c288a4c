//! Text wrapped at words while it comes: what has been written is never moved.
//!
//! A unit is what no line is broken within: a word, or a wide character with the punctuation that clings to it. One that begins
//! in the left half of the screen is written as it comes; of one in the right half it must be known first whether it fits.

use std::fmt::Write as _;
use std::sync::Arc;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A longer unit is written before its end is known, in bytes, and broken by the terminal.
const MAX_UNIT_BYTES: usize = 256;

/// What the terminal takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Columns; `usize::MAX` wraps nothing.
    pub width: usize,
    /// Bold, dim, italic, underlined, struck.
    pub emphasis: bool,
    /// Colours.
    pub colors: bool,
    /// OSC 8 links.
    pub links: bool,
}

/// How a piece of text looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a terminal's attributes are switched one by one")]
pub(super) struct Ink {
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub struck: bool,
    /// An SGR code.
    pub color: Option<u8>,
    /// An address that is ASCII without control characters.
    pub link: Option<Arc<str>>,
}

impl Ink {
    pub fn dim() -> Self {
        Self { dim: true, ..Self::default() }
    }

    /// What the terminal can show of it.
    fn on(self, screen: Screen) -> Self {
        let Self { bold, dim, italic, underline, struck, color, link } = self;
        let keep = screen.emphasis;
        Self {
            bold: bold && keep,
            dim: dim && keep,
            italic: italic && keep,
            underline: underline && keep,
            struck: struck && keep,
            color: color.filter(|_| screen.colors),
            link: link.filter(|_| screen.links),
        }
    }

    fn codes(&self) -> String {
        let Self { bold, dim, italic, underline, struck, color, link: _ } = self;
        let mut codes = String::new();
        for (on, code) in [(bold, 1), (dim, 2), (italic, 3), (underline, 4), (struck, 9)] {
            if *on {
                let _ = write!(codes, ";{code}");
            }
        }
        if let Some(color) = color {
            let _ = write!(codes, ";{color}");
        }
        codes.split_off(codes.len().min(1))
    }
}

/// Wraps text to a width and writes it as soon as its place is certain.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "where the line stands: any combination has a meaning")]
pub(super) struct Flow {
    pub screen: Screen,
    out: String,
    /// How the next characters look.
    ink: Ink,
    /// How the last character written looks.
    written: Ink,
    /// Columns written in this line.
    column: usize,
    /// Begins each line after the first of a block; its own escapes leave nothing switched on.
    indent: (String, usize),
    /// Something other than what begins the line has been written in it.
    filled: bool,
    space: bool,
    /// The unit that is held.
    held: Vec<(Ink, String)>,
    /// The unit's visible text, held or written.
    unit: String,
    /// The unit began in the left half and is written as it comes.
    eager: bool,
    last: Option<char>,
    /// Everything is held until it is known to fit, and what is wider than a line is broken: for a table's cells.
    pub patient: bool,
    /// Widths of the lines ended, where they are wanted.
    pub widths: Option<Vec<usize>>,
}

impl Flow {
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            out: String::new(),
            ink: Ink::default(),
            written: Ink::default(),
            column: 0,
            indent: (String::new(), 0),
            filled: false,
            space: false,
            held: Vec::new(),
            unit: String::new(),
            eager: false,
            last: None,
            patient: false,
            widths: None,
        }
    }

    /// What has become certain since the last call.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    pub fn set_ink(&mut self, ink: Ink) {
        self.ink = ink.on(self.screen);
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(|(_, text)| text.len()).sum::<usize>() + self.out.len()
    }

    /// Begins a line with what lines begin with that it is wrapped into.
    pub fn begin_with(&mut self, indent: (String, usize)) {
        self.raw(&indent.0);
        self.column += indent.1;
        self.begin("", Ink::default(), indent);
    }

    /// Begins a line with this text; lines that it is wrapped into begin with `indent`.
    pub fn begin(&mut self, first: &str, ink: Ink, indent: (String, usize)) {
        self.end_unit();
        self.switch(&ink.on(self.screen));
        self.out.push_str(first);
        self.switch(&Ink::default());
        self.column += first.width();
        self.indent = indent;
        (self.filled, self.space, self.last) = (false, false, None);
    }

    /// A character of running text.
    pub fn put(&mut self, c: char) {
        if c == ' ' {
            self.end_unit();
            self.space = self.filled;
            self.last = None;
            return;
        }
        if self.last.is_some_and(|last| may_break(last, c)) {
            self.end_unit();
        }
        self.cling(c);
    }

    /// A character that no line begins with.
    pub fn cling(&mut self, c: char) {
        if self.patient && self.unit.width() + c.width().unwrap_or(0) > self.screen.width {
            self.end_unit();
        }
        self.last = Some(c);
        if self.eager {
            self.write(c);
            let width = self.unit.width();
            self.unit.push(c);
            self.column += self.unit.width().saturating_sub(width);
            if self.unit.len() > MAX_UNIT_BYTES {
                self.unit.clear();
            }
            return;
        }
        self.unit.push(c);
        match self.held.last_mut() {
            Some((ink, text)) if *ink == self.ink => text.push(c),
            _ => self.held.push((self.ink.clone(), c.into())),
        }
        let start = self.column + usize::from(self.space);
        let fits = start + self.unit.width() <= self.screen.width / 2;
        if fits && !self.patient || self.unit.len() > MAX_UNIT_BYTES {
            self.place();
            self.eager = true;
        }
    }

    /// A character where it stands: of code, which the terminal may break but we do not.
    pub fn verbatim(&mut self, c: char) {
        self.write(c);
        self.column += c.width().unwrap_or(0);
        self.filled = true;
    }

    /// Text that leaves the terminal as it finds it.
    pub fn raw(&mut self, text: &str) {
        self.end_unit();
        self.switch(&Ink::default());
        self.out.push_str(text);
    }

    /// Breaks the line within a block.
    pub fn wrap(&mut self) {
        self.end_line();
        self.out.push_str(&self.indent.0);
        self.column = self.indent.1;
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        self.end_unit();
        self.switch(&Ink::default());
        self.out.push('\n');
        if let Some(widths) = &mut self.widths {
            widths.push(self.column);
        }
        self.column = 0;
        (self.filled, self.space, self.last) = (false, false, None);
    }

    pub fn end_unit(&mut self) {
        if !self.held.is_empty() {
            self.place();
        }
        self.unit.clear();
        self.eager = false;
    }

    fn place(&mut self) {
        let width = self.unit.width();
        if self.filled && (self.column + usize::from(self.space)).saturating_add(width) > self.screen.width {
            self.wrap_held();
        }
        let held = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.space) {
            if held.first().is_none_or(|(ink, _)| *ink != self.written) {
                self.switch(&Ink::default());
            }
            self.out.push(' ');
            self.column += 1;
        }
        for (ink, text) in held {
            self.switch(&ink);
            self.out.push_str(&text);
        }
        self.column += width;
        self.filled = true;
    }

    /// As [`Self::wrap`], before the unit that is held.
    fn wrap_held(&mut self) {
        let (held, unit, last) = (std::mem::take(&mut self.held), std::mem::take(&mut self.unit), self.last);
        self.wrap();
        (self.held, self.unit, self.last) = (held, unit, last);
    }

    fn write(&mut self, c: char) {
        let ink = self.ink.clone();
        self.switch(&ink);
        self.out.push(c);
    }

    /// Switches the terminal's attributes.
    fn switch(&mut self, to: &Ink) {
        if self.written == *to {
            return;
        }
        if self.written.link != to.link && self.written.link.is_some() {
            self.out.push_str("\x1b]8;;\x1b\\");
        }
        let (before, after) = (self.written.codes(), to.codes());
        if before != after {
            if !before.is_empty() {
                self.out.push_str("\x1b[0m");
            }
            if !after.is_empty() {
                let _ = write!(self.out, "\x1b[{after}m");
            }
        }
        if self.written.link != to.link
            && let Some(link) = &to.link
        {
            let _ = write!(self.out, "\x1b]8;;{link}\x1b\\");
        }
        self.written = to.clone();
    }
}

/// Whether a line may be broken between two characters that no space parts: at a wide one, but not before what closes nor after
/// what opens, and never within what is drawn as one character.
fn may_break(before: char, after: char) -> bool {
    let wide = |c: char| c.width() == Some(2);
    (wide(before) || wide(after))
        && after.width() != Some(0)
        && before != '\u{200d}'
        && !('\u{1f3fb}'..='\u{1f3ff}').contains(&after)
        && !closes(after)
        && !opens(before)
}

fn opens(c: char) -> bool {
    matches!(c, '(' | '[' | '{' | '“' | '‘' | '（' | '［' | '｛' | '【' | '《' | '「' | '『' | '〈' | '〔' | '￥' | '＄')
}

fn closes(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '(' | '[' | '{' | '<' | '#' | '$' | '@' | '&' | '"' | '\'' | '`' | '*' | '_')
        || matches!(c, '”' | '’' | '…' | '—' | '·' | '，' | '。' | '、' | '；' | '：' | '？' | '！' | '％' | '～')
        || matches!(
            c,
            '）' | '］' | '｝' | '】' | '》' | '」' | '』' | '〉' | '〕' | 'ー' | '々' | 'っ' | 'ッ' | 'ゃ' | 'ゅ' | 'ょ'
        )
}
