//! Rich Text Format, as Markdown.

mod state;
#[cfg(test)]
mod tests;
pub(super) mod token;

use std::collections::HashMap;

use self::state::{Destination, Font, Paragraph, State};
use self::token::{Token, Tokens};
use super::edges::Rows;
use super::package::own_title;
use super::writer::{Block, Writer, link};
use super::{Extracted, Format, MAX_TEXT, ParseError, codepage, letters, title};
use crate::document::Markup;

/// Groups in groups: what lies deeper belongs to the group at this depth.
const MAX_DEPTH: usize = 2000;

pub(super) fn extract(bytes: &[u8]) -> Result<Extracted, ParseError> {
    let mut reader = Reader::default();
    for token in Tokens::new(bytes) {
        reader.token(token);
        if reader.out.len() + reader.line.len() > MAX_TEXT {
            return Err(ParseError::Bomb { format: Format::Rtf, limit: MAX_TEXT >> 20 });
        }
    }
    reader.end();
    let own = own_title(&reader.title);
    let text = reader.out.finish();
    let title = own.or_else(|| title::of_markdown(&text));
    Ok(Extracted { title, markup: Markup::Markdown, text })
}

#[derive(Default)]
struct Reader {
    out: Writer,
    stack: Vec<State>,
    state: State,
    /// Groups beyond the depth that is kept.
    beyond: usize,
    fonts: HashMap<i32, Font>,
    current_font: i32,
    default_font: i32,
    page: Option<u32>,
    /// Headings among the styles: their level.
    styles: HashMap<i32, usize>,
    current_style: (Option<i32>, Option<usize>, String),
    /// Bytes in a code page, not decoded yet.
    bytes: Vec<u8>,
    /// Half of a character beyond 16 bits.
    surrogate: Option<u32>,
    skipping: usize,
    /// Whether nothing of the present group has been read.
    fresh: bool,
    /// Whether a `\*` has been read that began a group, and nothing since.
    starred: bool,
    line: String,
    label: String,
    code: String,
    title: String,
    author: String,
    paragraph: Paragraph,
    rows: Rows,
    /// Lines that notes have interrupted, and of which paragraphs.
    interrupted: Vec<(String, Paragraph)>,
    notes: Vec<Block>,
    count: usize,
    edges: Vec<String>,
}

impl Reader {
    fn token(&mut self, token: Token<'_>) {
        let fresh = std::mem::replace(&mut self.fresh, token == Token::Open);
        let starred = std::mem::replace(&mut self.starred, fresh && token == Token::Sign(b'*'));
        match token {
            Token::Open => {
                self.flush();
                self.skipping = 0;
                if self.stack.len() < MAX_DEPTH { self.stack.push(self.state.clone()) } else { self.beyond += 1 }
            }
            Token::Close => {
                self.flush();
                if self.beyond > 0 { self.beyond -= 1 } else { self.close() }
            }
            Token::Byte(byte) => self.byte(byte),
            Token::Text(bytes) => bytes.iter().for_each(|&byte| self.byte(byte)),
            Token::Sign(b'~' | b'_') if self.skipping > 0 => self.skipping -= 1,
            Token::Sign(sign) => match sign {
                b'~' => self.char(' '),
                b'_' => self.char('-'),
                b'*' if fresh => self.unknown_is_skipped(),
                // `\-` shows at the end of a line alone; `\|`, `\:` are of indexes.
                _ => {}
            },
            Token::Word(word, number) => {
                if self.skipping > 0 && character(word).is_some() {
                    self.skipping -= 1;
                    return;
                }
                if word != "u" {
                    self.flush();
                    self.skipping = 0;
                }
                if starred && word == "footnote" {
                    // Marked as if readers might not know it; the text around it is where it belongs to.
                    self.state = self.stack.last().cloned().unwrap_or_default();
                }
                self.word(word, number);
            }
        }
    }

    /// `\*`: a destination that readers may not know. Those that are known say so themselves, in the next word.
    fn unknown_is_skipped(&mut self) {
        if self.state.destination != Destination::Skipped {
            self.state.destination = Destination::Skipped;
            self.skipping = 0;
            self.state.hidden = false;
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.skipping > 0 {
            self.skipping -= 1;
            return;
        }
        if self.state.destination != Destination::Skipped {
            self.bytes.push(byte);
        }
    }

    fn char(&mut self, c: char) {
        self.flush();
        self.text(&c.to_string());
    }

    /// Decodes what has gathered, in the code page of its font.
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let font = if self.state.destination == Destination::Fonts { self.current_font } else { self.state.font };
        let page = self.fonts.get(&font).and_then(|font| font.page).or(self.page).unwrap_or(1252);
        let text = codepage::decode(page, &bytes);
        self.text(&text);
    }

    fn text(&mut self, text: &str) {
        if (self.state.hidden || self.state.deleted) && self.state.destination != Destination::FieldCode {
            return;
        }
        match self.state.destination {
            Destination::Skipped => {}
            Destination::Fonts => {
                if let Some(font) = self.fonts.get_mut(&self.current_font) {
                    font.name.push_str(text.trim_end_matches(';'));
                }
            }
            Destination::Styles => self.current_style.2.push_str(text),
            Destination::Title => self.title.push_str(text),
            Destination::Label => letters::push(&mut self.label, text, Some("Symbol")),
            Destination::FieldCode => self.code.push_str(text),
            Destination::Author => self.author.push_str(text),
            _ if self.state.raised => letters::push_raised(&mut self.line, text),
            _ => {
                let font = self.fonts.get(&self.state.font);
                let symbols =
                    font.filter(|f| f.name.eq_ignore_ascii_case("symbol") || f.name.to_lowercase().contains("wingdings"));
                match symbols {
                    // Letters of such a font are no letters.
                    Some(font) => self.line.extend(
                        text.chars()
                            .filter_map(|c| if c.is_whitespace() { Some(c) } else { letters::symbol(&font.name, c as u32) }),
                    ),
                    None => letters::push(&mut self.line, text, font.map(|f| f.name.as_str())),
                }
            }
        }
    }

    #[allow(clippy::too_many_lines, reason = "one match over the words of the format")]
    fn word(&mut self, word: &str, number: Option<i32>) {
        use Destination::{Author, Comment, Edge, FieldCode, Fonts, Label, Note, Skipped, Styles, Title};
        let on = number != Some(0);
        match word {
            "ansicpg" => self.page = number.filter(|&n| n > 0).and_then(|n| u32::try_from(n).ok()),
            "mac" => self.page = Some(10_000),
            "pc" | "pca" => self.page = self.page.or(Some(1252)),
            "deff" => {
                self.default_font = number.unwrap_or(0);
                self.state.font = self.default_font;
            }
            "uc" => self.state.skip = number.unwrap_or(1).clamp(0, 20) as usize,
            "u" => self.unicode(number.unwrap_or(0)),
            "fonttbl" => self.state.destination = Fonts,
            "stylesheet" => self.state.destination = Styles,
            "title" if self.stack.len() < 6 && self.title.is_empty() => self.state.destination = Title,
            "listtext" | "pntext" => self.state.destination = Label,
            "fldinst" => {
                self.code.clear();
                self.state.destination = FieldCode;
            }
            "fldrslt" => {
                self.state.destination = if self.stack.iter().any(|s| s.destination == Edge) { Edge } else { self.inherited() };
                self.state.field = Some(self.line.len());
            }
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf" => self.begin(Edge),
            "footnote" => self.begin(Note),
            "annotation" => self.begin(Comment),
            "atnauthor" => {
                self.author.clear();
                self.state.destination = Author;
            }
            // Text of shapes stands in destinations for readers that know them.
            "info" => {
                self.state.destination = Skipped;
                self.state.in_info = true;
            }
            "ud" if self.state.in_info => self.state.destination = Skipped,
            "shpinst" | "shptxt" | "nesttableprops" | "result" | "ud" => self.state.destination = self.inherited(),
            "pict" | "objdata" | "objclass" | "colortbl" | "listtable" | "listoverridetable" | "revtbl" | "rsidtbl"
            | "generator" | "filetbl" | "xmlnstbl" | "themedata" | "colorschememapping" | "datastore" | "latentstyles"
            | "nonesttables" | "shprslt" | "sp" | "nonshppict" | "bkmkstart" | "bkmkend" | "xe" | "tc" | "template"
            | "private" | "fldtype" | "atnid" | "atnref" | "atndate" | "atnparent" | "formfield" | "pgptbl" | "ftnsep"
            | "ftnsepc" | "aftnsep" | "aftnsepc" | "upr" | "pnseclvl" | "mmathPr" | "wgrffmtfilter" | "passwordhash"
            | "userprops" => self.state.destination = Skipped,
            "fcharset" => {
                let page = u32::try_from(number.unwrap_or(0)).ok().and_then(codepage::of_charset);
                let font = self.fonts.entry(self.current_font).or_default();
                font.page = font.page.or(page);
            }
            "cpg" if self.state.destination == Fonts => {
                let page = u32::try_from(number.unwrap_or(0)).ok().filter(|&page| page > 0);
                self.fonts.entry(self.current_font).or_default().page = page;
            }
            "f" if self.state.destination == Fonts => {
                self.current_font = number.unwrap_or(0);
                self.fonts.insert(self.current_font, Font::default());
            }
            "f" => self.state.font = number.unwrap_or(0),
            "s" if self.state.destination == Styles => self.current_style.0 = number,
            "outlinelevel" if self.state.destination == Styles => {
                self.current_style.1 = number.and_then(|n| usize::try_from(n).ok());
            }
            _ if self.state.destination == Skipped || self.state.destination == Styles => {}
            "s" => self.paragraph.style = number,
            "outlinelevel" => self.paragraph.outline = number.and_then(|n| usize::try_from(n).ok()),
            "ilvl" => self.paragraph.depth = number.unwrap_or(0).clamp(0, 8) as usize,
            "v" => self.state.hidden = on,
            "deleted" => self.state.deleted = on,
            "super" => self.state.raised = on,
            "nosupersub" | "sub" => self.state.raised = false,
            "plain" => {
                self.state.font = self.default_font;
                self.state.hidden = false;
                self.state.deleted = false;
                self.state.raised = false;
            }
            // In the label of an item it is about the label.
            "pard" if self.state.destination == Label => {}
            "pard" => {
                // A row that is being written goes on until a paragraph says that it is outside of it.
                let in_table = self.paragraph.in_table && self.rows.is_open();
                self.paragraph = Paragraph { in_table, ..Paragraph::default() };
            }
            "intbl" => self.paragraph.in_table = true,
            "par" | "sect" | "page" => self.end_of_paragraph(),
            "line" | "softline" | "column" => self.char('\n'),
            "tab" => self.char('\t'),
            "cell" | "nestcell" => self.end_of_cell(word == "nestcell"),
            "row" | "nestrow" if word == "row" => self.rows.end_row(),
            "trowd" => self.rows.begin_row(),
            "cellx" => self.rows.edge(number.unwrap_or(0)),
            "clvmrg" => self.rows.goes_on(),
            "clmrg" => self.rows.joins_left(),
            "trhdr" => self.rows.is_header(),
            "chftn" if self.state.destination != Note => {
                self.count += 1;
                let mark = format!("[^{}]", self.count);
                self.text(&mark);
            }
            _ => {
                if let Some(c) = character(word) {
                    self.char(c);
                }
            }
        }
    }

    /// What a destination within another one belongs to.
    fn inherited(&self) -> Destination {
        let outer = self.stack.iter().rev().map(|state| state.destination);
        outer.into_iter().find(|d| !matches!(d, Destination::Skipped | Destination::FieldCode)).unwrap_or_default()
    }

    fn unicode(&mut self, number: i32) {
        self.flush();
        self.skipping = self.state.skip;
        let code = (number as u32) & 0xffff;
        let c = match (self.surrogate.take(), code) {
            (_, 0xd800..=0xdbff) => {
                self.surrogate = Some(code);
                return;
            }
            (Some(high), 0xdc00..=0xdfff) => char::from_u32(0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00)),
            _ => char::from_u32(if number > 0xffff { number as u32 } else { code }),
        };
        if let Some(c) = c {
            self.text(&c.to_string());
        }
    }

    /// Begins a text that interrupts the line.
    fn begin(&mut self, destination: Destination) {
        if self.state.destination == Destination::Skipped && destination != Destination::Comment {
            return;
        }
        self.state.destination = destination;
        self.interrupted.push((std::mem::take(&mut self.line), self.paragraph));
    }

    fn close(&mut self) {
        let Some(outer) = self.stack.pop() else { return };
        let inner = std::mem::replace(&mut self.state, outer);
        self.skipping = 0;
        let outer = self.state.destination;
        match inner.destination {
            Destination::Styles => self.style(),
            Destination::Edge | Destination::Note | Destination::Comment if outer != inner.destination => {
                let (line, paragraph) = self.interrupted.pop().unwrap_or_default();
                self.paragraph = paragraph;
                let said = std::mem::replace(&mut self.line, line);
                self.said(inner.destination, &said);
            }
            _ => {}
        }
        if let Some(since) = inner.field.filter(|_| self.state.field.is_none()) {
            self.end_of_field(since);
        }
    }

    fn style(&mut self) {
        let (number, outline, name) = std::mem::take(&mut self.current_style);
        let name = name.trim_end_matches(';').trim().to_lowercase();
        let by_name = ["heading ", "überschrift ", "titre ", "标题 "]
            .iter()
            .find_map(|word| name.strip_prefix(word)?.parse::<usize>().ok());
        let level = outline
            .filter(|&l| l < 9)
            .map(|l| l + 1)
            .or(by_name.filter(|l| (1..=9).contains(l)))
            .or((name == "title").then_some(1));
        if let Some(level) = level {
            self.styles.insert(number.unwrap_or(0), level);
        }
    }

    fn said(&mut self, what: Destination, said: &str) {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if said.is_empty() {
            return;
        }
        match what {
            Destination::Note => {
                let count = self.count.max(1);
                let said = said.trim_start_matches(&format!("[^{count}]")).trim_start().to_owned();
                self.notes.push(Block::Paragraph(format!("[^{count}]: {said}")));
            }
            Destination::Comment => {
                let by = if self.author.trim().is_empty() { String::new() } else { format!(" by {}", self.author.trim()) };
                self.notes.push(Block::Paragraph(format!("> Comment{by}: {said}")));
            }
            _ if said.chars().any(char::is_alphabetic) && !self.edges.contains(&said) => self.edges.push(said),
            _ => {}
        }
    }

    fn end_of_field(&mut self, since: usize) {
        let mut words = self.code.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let target = words.find(|word| !word.starts_with('\\')).unwrap_or_default().trim_matches('"').to_owned();
        let Some(shown) = self.line.get(since..) else { return };
        match kind {
            "HYPERLINK" => {
                let linked = link(shown, &target);
                self.line.truncate(since);
                self.line.push_str(&linked);
            }
            "PAGE" | "NUMPAGES" => self.line.truncate(since),
            _ => {}
        }
        self.code.clear();
    }

    fn end_of_paragraph(&mut self) {
        if matches!(self.state.destination, Destination::Edge | Destination::Note | Destination::Comment) {
            self.line.push('\n');
            return;
        }
        if self.state.destination != Destination::Body {
            return;
        }
        if self.state.deleted {
            return;
        }
        if let Some(since) = &mut self.state.field {
            *since = 0;
        }
        if self.paragraph.in_table {
            self.line.push('\n');
            return;
        }
        self.close_table();
        let line = std::mem::take(&mut self.line);
        let text = line.trim();
        let outline = self.paragraph.outline.filter(|&l| l < 9).map(|l| l + 1);
        let level = outline.or_else(|| self.styles.get(&self.paragraph.style?).copied());
        let label = self.label.trim().to_owned();
        if !text.is_empty() {
            let is_mark = !label.chars().any(char::is_alphanumeric);
            self.out.block(&match level {
                Some(level) if is_mark => Block::Heading(level, text.to_owned()),
                Some(level) => Block::Heading(level, format!("{label} {text}")),
                None if label.is_empty() => Block::Paragraph(text.to_owned()),
                None => Block::Item(self.paragraph.depth, if is_mark { "-".to_owned() } else { label }, text.to_owned()),
            });
        }
        self.label.clear();
        for note in std::mem::take(&mut self.notes) {
            self.out.block(&note);
        }
    }

    fn end_of_cell(&mut self, nested: bool) {
        if self.state.destination != Destination::Body {
            return;
        }
        let label = std::mem::take(&mut self.label);
        let line = std::mem::take(&mut self.line);
        let text = if label.trim().is_empty() { line } else { format!("{} {line}", label.trim()) };
        if nested {
            // Tables in tables: their values stay in the cell around them.
            self.line = format!("{}, ", text.trim_end());
        } else {
            self.rows.cell(text.trim().trim_end_matches(',').to_owned());
        }
    }

    fn close_table(&mut self) {
        if let Some(table) = self.rows.finish() {
            self.out.block(&Block::Table(table));
        }
    }

    fn end(&mut self) {
        self.flush();
        while !self.stack.is_empty() {
            self.close();
        }
        self.state = State::default();
        self.paragraph.in_table = false;
        self.end_of_paragraph();
        for line in std::mem::take(&mut self.edges) {
            self.out.paragraph(&line);
        }
    }
}

/// The character that a word stands for. It may be what stands behind `\u` for readers that do not know that.
fn character(word: &str) -> Option<char> {
    Some(match word {
        "emdash" => '—',
        "endash" => '–',
        "lquote" => '‘',
        "rquote" => '’',
        "ldblquote" => '“',
        "rdblquote" => '”',
        "bullet" => '•',
        "emspace" | "enspace" | "qmspace" => ' ',
        _ => return None,
    })
}
