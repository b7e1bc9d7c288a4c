//! Thoughts that come within the text, from servers that do not tell them apart: `<think>…</think>` before the answer.
//!
//! A tag counts only where a model's template puts it: the opening one at the very beginning of the text (and after thoughts,
//! once more), so that an answer may speak of tags. Some templates write the opening tag into the prompt, and the text has the
//! closing one alone: that counts once, outside of code, at an edge of its line, where no opening one was spoken of before.
//! Until it comes, thoughts look like an answer: they are held back where the model is known for it, else taken back
//! ([`ChatEvent::Retracted`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_stream::stream;
use futures_util::StreamExt;

use super::model::{ChatEvent, ChatStream};

/// What the tags are called. No name is the beginning of another's tag.
const NAMES: [&str; 4] = ["think", "thinking", "thought", "reasoning"];

/// What is held back of a text that may turn out to be thoughts, at most: more is shown.
const MAX_HELD: usize = 64 << 10;

/// Spaces after a closing tag that are looked past for the end of its line.
const MAX_SPACES: usize = 64;

/// Models whose templates put the opening tag into the prompt, by what is in their names.
const UNTAGGED: [&str; 6] = ["deepseek-r1", "qwq", "think", "reason", "-r1", "/r1"];

/// Whether a model of this name most likely thinks without an opening tag.
pub(super) fn thinks_untagged(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    // `no-think` and the like say the opposite.
    !model.contains("no-think") && !model.contains("non-think") && UNTAGGED.iter().any(|part| model.contains(part))
}

/// The answer with the thoughts in its text told apart. `untagged` says that the model begins with thoughts without a tag; it is
/// set where that is found.
pub(super) fn apart(mut answer: ChatStream, untagged: Arc<AtomicBool>) -> ChatStream {
    Box::pin(stream! {
        let mut reader = Reader::new(untagged.load(Ordering::Relaxed));
        while let Some(event) = answer.next().await {
            match event {
                Ok(ChatEvent::Text(text)) => {
                    for piece in reader.push(&text) {
                        // Once is enough: its next answers are held back.
                        if piece == ChatEvent::Retracted {
                            untagged.store(true, Ordering::Relaxed);
                        }
                        yield Ok(piece);
                    }
                }
                // A server that tells thoughts apart leaves none without a tag.
                Ok(ChatEvent::Reasoning(thought)) => {
                    reader.told_apart();
                    yield Ok(ChatEvent::Reasoning(thought));
                }
                last => {
                    for piece in reader.finish() {
                        yield Ok(piece);
                    }
                    yield last;
                }
            }
        }
    })
}

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before anything was said: a tag may open here.
    Start,
    /// In thoughts, which this name's closing tag ends.
    Thoughts(&'static str),
    /// In text that may turn out to be thoughts: all of it is held back.
    Undecided,
    /// In text that is shown, and that may still turn out to have been thoughts.
    Text,
    /// In the answer.
    Answer,
}

/// Reads the text of an answer, cut anywhere.
#[derive(Debug)]
struct Reader {
    place: Place,
    hold: bool,
    /// After thoughts: what separates them from the answer is none of it.
    after_thoughts: bool,
    /// What was read and is not given out yet.
    held: String,
    /// How much of it was looked through for a closing tag.
    seen: usize,
    /// Some of it was given out as text.
    shown: bool,
    code: Code,
}

impl Reader {
    fn new(hold: bool) -> Self {
        let (held, code) = (String::new(), Code::default());
        Self { place: Place::Start, hold, after_thoughts: false, held, seen: 0, shown: false, code }
    }

    /// Thoughts come apart from the text.
    fn told_apart(&mut self) {
        self.hold = false;
        if self.place == Place::Start && self.held.is_empty() {
            self.after_thoughts = true;
        }
    }

    /// Reads on, and gives out what has become certain.
    fn push(&mut self, text: &str) -> Vec<ChatEvent> {
        self.held.push_str(text);
        let mut given = Vec::new();
        while self.step(&mut given, false) {}
        given
    }

    /// The text has ended: gives out what was held back.
    fn finish(&mut self) -> Vec<ChatEvent> {
        let mut given = Vec::new();
        while self.step(&mut given, true) {}
        let rest = std::mem::take(&mut self.held);
        match self.place {
            Place::Thoughts(_) => give(&mut given, ChatEvent::Reasoning, rest),
            _ => give(&mut given, ChatEvent::Text, rest),
        }
        given
    }

    /// One decision; `false` where more must be read first. `ended`: there is no more.
    fn step(&mut self, given: &mut Vec<ChatEvent>, ended: bool) -> bool {
        match self.place {
            Place::Start => self.start(ended),
            Place::Thoughts(name) => self.thoughts(name, given),
            Place::Undecided | Place::Text => self.text(given, ended),
            Place::Answer => {
                give(given, ChatEvent::Text, std::mem::take(&mut self.held));
                false
            }
        }
    }

    fn start(&mut self, ended: bool) -> bool {
        let said = self.held.trim_start();
        if let Some((name, rest)) = NAMES.iter().find_map(|name| Some((*name, opened(said, name)?))) {
            self.held = rest.to_owned();
            self.place = Place::Thoughts(name);
            return true;
        }
        if !ended && (said.is_empty() || NAMES.iter().any(|name| may_open(said, name))) {
            return false;
        }
        if self.after_thoughts {
            self.held = said.to_owned();
            self.place = Place::Answer;
        } else {
            self.place = if self.hold { Place::Undecided } else { Place::Text };
        }
        true
    }

    fn thoughts(&mut self, name: &'static str, given: &mut Vec<ChatEvent>) -> bool {
        let close = format!("</{name}>");
        if let Some(at) = find(&self.held, &close) {
            let rest = self.held.split_off(at);
            give(given, ChatEvent::Reasoning, std::mem::replace(&mut self.held, beyond(&rest, close.len()).to_owned()));
            self.after_thoughts = true;
            self.place = Place::Start;
            return true;
        }
        let kept = ending(&self.held, &close);
        let rest = self.held.split_off(self.held.len() - kept);
        give(given, ChatEvent::Reasoning, std::mem::replace(&mut self.held, rest));
        false
    }

    /// Looks for a closing tag without an opening one.
    fn text(&mut self, given: &mut Vec<ChatEvent>, ended: bool) -> bool {
        while let Some(unread) = self.held.get(self.seen..).filter(|unread| !unread.is_empty()) {
            let Some(c) = unread.chars().next() else { break };
            if c == '<' && !self.code.is_inside() {
                match self.tag(unread, ended) {
                    Tag::Unclear => break,
                    Tag::Opens => return self.settle(),
                    Tag::Closes(length) => return self.close(length, given),
                    Tag::None => {}
                }
            }
            self.code.read(c);
            self.seen += c.len_utf8();
        }
        if self.place == Place::Undecided && self.held.len() <= MAX_HELD {
            return false;
        }
        self.place = Place::Text;
        let rest = self.held.split_off(self.seen);
        self.shown |= self.seen > 0;
        self.seen = 0;
        give(given, ChatEvent::Text, std::mem::replace(&mut self.held, rest));
        false
    }

    /// What a `<` is the beginning of.
    fn tag(&self, unread: &str, ended: bool) -> Tag {
        for name in NAMES {
            if opened(unread, name).is_some() {
                return Tag::Opens;
            }
            let close = format!("</{name}>");
            if starts_with(unread, &close) {
                let begins_line = self.code.only_spaces;
                let mut next = beyond(unread, close.len()).chars().take(MAX_SPACES).skip_while(|c| matches!(c, ' ' | '\t'));
                return match next.next() {
                    _ if begins_line => Tag::Closes(close.len()),
                    Some('\n' | '\r') => Tag::Closes(close.len()),
                    None if ended => Tag::Closes(close.len()),
                    None if unread.len() < close.len() + MAX_SPACES => Tag::Unclear,
                    // Within a line it is spoken of.
                    _ => Tag::Opens,
                };
            }
        }
        let may_be = |name: &&str| may_open(unread, name) || starts_with(&format!("</{name}>"), unread);
        if !ended && NAMES.iter().any(may_be) { Tag::Unclear } else { Tag::None }
    }

    /// Tags are spoken of: from here on none counts.
    fn settle(&mut self) -> bool {
        self.place = Place::Answer;
        true
    }

    /// All so far were thoughts.
    fn close(&mut self, length: usize, given: &mut Vec<ChatEvent>) -> bool {
        if std::mem::take(&mut self.shown) {
            given.push(ChatEvent::Retracted);
        }
        let rest = self.held.split_off(self.seen);
        give(given, ChatEvent::Reasoning, std::mem::replace(&mut self.held, beyond(&rest, length).to_owned()));
        self.seen = 0;
        self.after_thoughts = true;
        self.place = Place::Start;
        true
    }
}

/// What a `<` is the beginning of.
enum Tag {
    /// More must be read.
    Unclear,
    /// An opening tag, or one that is spoken of.
    Opens,
    /// A closing tag of so many bytes, which stands for itself.
    Closes(usize),
    /// Something else.
    None,
}

/// Whether the reader is in code, as far as tags are concerned: fences, and spans within a line.
#[derive(Debug)]
struct Code {
    fence: Option<char>,
    span: bool,
    /// The run of this character that is being read.
    run: Option<(char, usize, bool)>,
    /// Only white space so far in this line.
    only_spaces: bool,
}

impl Default for Code {
    fn default() -> Self {
        Self { fence: None, span: false, run: None, only_spaces: true }
    }
}

impl Code {
    fn is_inside(&self) -> bool {
        match self.run {
            // What the run before this character makes of it: it opens code, or ends a span.
            Some((mark, length, begins)) if self.fence.is_none() && !self.span => (begins && length >= 3) || mark == '`',
            Some(('`', ..)) if self.fence.is_none() => false,
            _ => self.fence.is_some() || self.span,
        }
    }

    fn read(&mut self, c: char) {
        match &mut self.run {
            Some((mark, length, _)) if *mark == c => *length = length.saturating_add(1),
            _ => {
                self.end_run();
                if matches!(c, '`' | '~') {
                    self.run = Some((c, 1, self.only_spaces));
                }
            }
        }
        if c == '\n' {
            self.span = false;
            self.only_spaces = true;
        } else if !c.is_whitespace() {
            self.only_spaces = false;
        }
    }

    fn end_run(&mut self) {
        let Some((mark, length, begins)) = self.run.take() else { return };
        match self.fence {
            Some(open) => self.fence = (!(begins && length >= 3 && mark == open)).then_some(open),
            None if begins && length >= 3 => self.fence = Some(mark),
            None if mark == '`' => self.span = !self.span,
            None => {}
        }
    }
}

fn give(given: &mut Vec<ChatEvent>, kind: fn(String) -> ChatEvent, text: String) {
    if !text.is_empty() {
        given.push(kind(text));
    }
}

/// What follows the opening tag of this name.
fn opened<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let tag = format!("<{name}>");
    starts_with(text, &tag).then(|| text.get(tag.len()..)).flatten()
}

/// Whether the text is the beginning of this name's opening tag.
fn may_open(text: &str, name: &str) -> bool {
    starts_with(&format!("<{name}>"), text)
}

/// Tags are written in any case.
fn starts_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

fn find(text: &str, tag: &str) -> Option<usize> {
    text.match_indices('<').map(|(at, _)| at).find(|at| text.get(*at..).is_some_and(|rest| starts_with(rest, tag)))
}

fn beyond(text: &str, length: usize) -> &str {
    text.get(length..).unwrap_or_default()
}

/// The length of the end of the text that may be the beginning of the tag.
fn ending(text: &str, tag: &str) -> usize {
    let rest = text.rfind('<').and_then(|at| text.get(at..)).unwrap_or_default();
    if starts_with(tag, rest) { rest.len() } else { 0 }
}

#[cfg(test)]
mod tests;
