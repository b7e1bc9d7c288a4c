//! A text as it is read once: its tokens, sentences, values and names, and where its words stand.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;
use rust_stemmers::{Algorithm, Stemmer};

use super::column;
use super::function::{is_abbreviation, is_function};
use super::joint;
use super::latex;
use super::lex::{Gap, Kind, Token, lex};
use super::name::{self, Name};
use super::notation;
use super::value::{self, Value};

/// A token that says something: all but the marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Its token.
    pub(super) token: usize,
    /// Its word, among those of this text.
    pub(super) word: usize,
    /// Its sentence.
    pub(super) sentence: usize,
}

/// A word of a text.
#[derive(Debug)]
pub(super) struct Word {
    /// The steps that say it.
    pub(super) at: Vec<usize>,
    /// How much it tells of what is talked of, of 1.
    pub(super) weight: f32,
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    pub(super) steps: Vec<Step>,
    /// The first step at or after each token.
    step_at: Vec<usize>,
    /// Steps of each sentence.
    pub(super) sentences: Vec<Range<usize>>,
    pub(super) values: Vec<Value>,
    pub(super) names: Vec<Name>,
    /// Words that have a capital where no sentence begins.
    sure: HashSet<Box<str>, RandomState>,
    ids: HashMap<String, usize, RandomState>,
    pub(super) words: Vec<Word>,
    pub(super) script: Script,
    /// Bytes that were told of it before its text: title, headings.
    pub(super) told: usize,
}

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    English,
    /// Latin letters, not English.
    Latin,
    Han,
    /// Neither.
    Other,
}

impl Reading {
    /// Reads a text; with `rows` each of its lines is for itself.
    pub(super) fn new(text: String, rows: bool) -> Self {
        let tokens = latex::plain(lex(&text));
        let script = Script::of(&tokens);
        // The commas of a table's rows part cells.
        let tokens =
            if rows { tokens } else { notation::joined(&text, tokens, matches!(script, Script::Latin | Script::Other)) };
        let starts = sentence_starts(&text, &tokens, rows);
        let stemmer = Stemmer::create(Algorithm::English);
        let (mut steps, mut step_at, mut sentences) = (Vec::new(), Vec::with_capacity(tokens.len() + 1), Vec::new());
        let mut ids: HashMap<String, usize, RandomState> = HashMap::default();
        let mut words: Vec<Word> = Vec::new();
        let mut begin = 0;
        for (at, token) in tokens.iter().enumerate() {
            step_at.push(steps.len());
            if starts.get(at).copied().unwrap_or_default() && steps.len() > begin {
                sentences.push(begin..steps.len());
                begin = steps.len();
            }
            if token.kind == Kind::Mark {
                continue;
            }
            let stem = stem(&stemmer, token);
            let fresh = words.len();
            let word = *ids.entry(stem).or_insert(fresh);
            if word == fresh {
                words.push(Word { at: Vec::new(), weight: weight(token) });
            }
            if let Some(word) = words.get_mut(word) {
                word.at.push(steps.len());
            }
            steps.push(Step { token: at, word, sentence: sentences.len() });
        }
        step_at.push(steps.len());
        if steps.len() > begin {
            sentences.push(begin..steps.len());
        }
        let mut values = value::values(&tokens);
        joint::join(&tokens, &mut values);
        column::units(&text, &tokens, &mut values);
        let names = name::names(&tokens, &starts, &values);
        let inner = names.iter().filter_map(|name| tokens.get(name.tokens.start + usize::from(name.initial)..name.tokens.end));
        let sure = inner.flatten().filter(|token| token.capital).map(|token| token.key.clone()).collect();
        Self { text, tokens, steps, step_at, sentences, values, names, sure, ids, words, script, told: 0 }
    }

    /// The word of this text that a token of another is.
    pub(super) fn word(&self, stemmer: &Stemmer, token: &Token) -> Option<usize> {
        self.ids.get(&stem(stemmer, token)).copied()
    }

    /// Whether a word is a name, rather than one that begins a sentence.
    pub(super) fn is_sure_name(&self, key: &str) -> bool {
        self.sure.contains(key)
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.ids.contains_key(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(String::as_str)
    }

    /// The steps of a range of tokens.
    pub(super) fn steps_of(&self, tokens: &Range<usize>) -> Range<usize> {
        let at = |token: usize| self.step_at.get(token).copied().unwrap_or(self.steps.len());
        at(tokens.start)..at(tokens.end)
    }

    /// What these tokens are in the text.
    pub(super) fn written(&self, tokens: &Range<usize>) -> &str {
        let begin = self.tokens.get(tokens.start).map_or(0, |token| token.bytes.start);
        let end = tokens.end.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(begin, |token| token.bytes.end);
        self.text.get(begin..end).unwrap_or_default()
    }

    pub(super) fn sentence_of(&self, step: usize) -> Option<&Range<usize>> {
        self.sentences.get(self.steps.get(step)?.sentence)
    }
}

/// The form in which words are compared.
pub(super) fn stem(stemmer: &Stemmer, token: &Token) -> String {
    if token.kind == Kind::Word && token.key.is_ascii() && token.key.len() > 2 {
        return stemmer.stem(&token.key).into_owned();
    }
    token.key.to_string()
}

impl Script {
    fn of(tokens: &[Token]) -> Self {
        let (mut han, mut latin, mut english, mut other) = (0, 0, 0, 0);
        for token in tokens {
            match token.kind {
                Kind::Han => han += 1,
                Kind::Word
                    if token.key.starts_with(|c: char| c.is_ascii_alphabetic() || ('\u{c0}'..'\u{250}').contains(&c)) =>
                {
                    latin += 1;
                    english += usize::from(is_english(&token.key));
                }
                Kind::Word => other += 1,
                Kind::Number | Kind::Mark => {}
            }
        }
        if han * 2 > latin && han > other {
            Self::Han
        } else if other > latin {
            Self::Other
        } else if english * 100 >= latin * 6 && english > 0 {
            Self::English
        } else {
            Self::Latin
        }
    }
}

/// Whether each token begins a sentence.
fn sentence_starts(text: &str, tokens: &[Token], rows: bool) -> Vec<bool> {
    let mut starts = Vec::with_capacity(tokens.len());
    // A sentence has ended, and only brackets and quotes have come since.
    let mut ended = true;
    for (at, token) in tokens.iter().enumerate() {
        let line = token.gap >= Gap::Line && (rows || begins_item(tokens, at));
        let broken = token.gap == Gap::Paragraph || line;
        let closing = token.is_glued() && token.kind == Kind::Mark && !matches!(&*token.key, "“" | "「" | "『" | "《" | "(");
        let start = broken || ended && !closing;
        starts.push(start);
        if start {
            ended = false;
        }
        match &*token.key {
            "。" | "！" | "？" | "!" | "?" => ended = true,
            "." => ended |= ends_sentence(text, tokens, at),
            _ => {}
        }
    }
    starts
}

/// A line that begins here is an item, a row or a heading of its own.
fn begins_item(tokens: &[Token], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    let next = tokens.get(at + 1);
    match token.kind {
        Kind::Mark => {
            matches!(&*token.key, "#" | "|" | "•" | ">")
                || matches!(&*token.key, "-" | "*" | "+") && next.is_some_and(|n| !n.is_glued())
        }
        Kind::Number => next.is_some_and(|next| next.is_glued() && (next.is(".") || next.is(")"))),
        Kind::Word | Kind::Han => false,
    }
}

fn ends_sentence(text: &str, tokens: &[Token], at: usize) -> bool {
    let Some(next) = tokens.get(at + 1) else { return true };
    let quote = next.is_glued() && matches!(next.kind, Kind::Mark);
    if next.is_glued() && !quote {
        return false;
    }
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    let abbreviated = before
        .is_some_and(|before| before.kind == Kind::Word && (before.key.chars().count() == 1 || is_abbreviation(&before.key)));
    let lower = text.get(next.bytes.clone()).and_then(|next| next.chars().next()).is_some_and(char::is_lowercase);
    !abbreviated && !lower
}

fn weight(token: &Token) -> f32 {
    match token.kind {
        Kind::Han if is_han_function(&token.key) => 0.15,
        Kind::Han => 0.5,
        Kind::Word if is_function(&token.key) => 0.2,
        Kind::Word | Kind::Number => 1.0,
        Kind::Mark => 0.0,
    }
}

/// Chinese characters that tell little of what is talked of.
pub(super) fn is_han_function(key: &str) -> bool {
    "的了在是和与与及或也都就而且并被把对为于以从到由向这那其之个有不所等中上下里时后前着过地得一".contains(key)
}

/// Words that are common in English, and in no other language with its letters.
fn is_english(key: &str) -> bool {
    matches!(
        key,
        "the"
            | "and"
            | "to"
            | "with"
            | "for"
            | "that"
            | "from"
            | "has"
            | "have"
            | "are"
            | "were"
            | "been"
            | "by"
            | "this"
            | "which"
            | "their"
            | "his"
            | "it"
            | "its"
            | "as"
            | "an"
            | "at"
            | "who"
            | "of"
            | "did"
            | "does"
            | "not"
            | "be"
    )
}
