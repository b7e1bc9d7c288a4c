//! Names: words that begin with capitals, and acronyms.

use std::ops::Range;

use super::lex::{Gap, Kind, Token};
use super::reading::{Reading, Script, is_function};
use super::value::Value;

/// A name, and the tokens that say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) tokens: Range<usize>,
    /// It begins its sentence, as any word may.
    pub(super) initial: bool,
}

/// Names in the order of the text. Days, months and numbers are values, not names.
pub(super) fn names(tokens: &[Token], starts: &[bool], values: &[Value]) -> Vec<Name> {
    let mut names = Vec::new();
    let mut values = values.iter().peekable();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        while values.next_if(|value| value.tokens.end <= at).is_some() {}
        let in_value = values.peek().is_some_and(|value| value.tokens.contains(&at));
        if in_value || !is_capital(token) {
            at += 1;
            continue;
        }
        let limit = values.peek().map_or(tokens.len(), |value| value.tokens.start);
        let end = run(tokens, starts, at, limit);
        let initial = begins(tokens, starts, at);
        // "The Panthers", "In London": the first is there for the sentence.
        let begin = at + usize::from(initial && is_function(&token.key));
        if begin < end && tokens.get(begin).is_some_and(is_capital) {
            names.push(Name { tokens: begin..end, initial: initial && begin == at });
        }
        at = end;
    }
    names
}

fn is_capital(token: &Token) -> bool {
    token.kind == Kind::Word && token.capital && !matches!(&*token.key, "i" | "i'm" | "i've" | "i'll" | "i'd")
}

/// Where a name ends that begins here.
fn run(tokens: &[Token], starts: &[bool], begin: usize, limit: usize) -> usize {
    let mut end = begin + 1;
    let mut at = end;
    while let Some(token) = tokens.get(at).filter(|_| at < limit) {
        if starts.get(at).copied().unwrap_or(true) || token.gap > Gap::Line {
            break;
        }
        let particle =
            matches!(&*token.key, "of" | "de" | "von" | "van" | "der" | "du" | "la" | "le" | "del" | "the" | "bin" | "al");
        let initial =
            token.is(".") && token.is_glued() && tokens.get(at - 1).is_some_and(|before| before.key.chars().count() <= 2);
        let joint = token.is_glued() && (token.is("-") || token.is("&"));
        if is_capital(token) {
            end = at + 1;
        } else if !(initial || joint || particle && at == end) {
            break;
        }
        at += 1;
        if at > end + 3 {
            break;
        }
    }
    end
}

/// Whether a word here begins with a capital in any case.
fn begins(tokens: &[Token], starts: &[bool], at: usize) -> bool {
    for before in (0..=at).rev() {
        if starts.get(before).copied().unwrap_or(true) {
            return true;
        }
        let Some(mark) = before.checked_sub(1).and_then(|before| tokens.get(before)) else { return true };
        if mark.kind != Kind::Mark {
            return false;
        }
        if matches!(&*mark.key, ":" | "：" | "|" | "*" | "\"" | "“" | "「" | "-" | ".") && !(mark.is("-") && mark.is_glued())
        {
            return true;
        }
    }
    true
}

/// Words that documents and answers are made of, whoever writes them.
fn is_of_documents(key: &str) -> bool {
    matches!(
        key,
        "section"
            | "chapter"
            | "table"
            | "figure"
            | "step"
            | "note"
            | "source"
            | "sources"
            | "page"
            | "part"
            | "appendix"
            | "yes"
            | "api"
            | "url"
            | "id"
            | "ui"
            | "ok"
            | "faq"
            | "mr"
            | "mrs"
            | "dr"
    )
}

/// `in Chinese`: of the wording, not of what it says.
fn names_language(claim: &Reading, at: usize) -> bool {
    let key = |at: usize| claim.tokens.get(at).map(|token| &*token.key);
    at.checked_sub(1).and_then(key) == Some("in")
        && matches!(key(at), Some("english" | "chinese" | "german" | "french" | "spanish" | "japanese" | "russian" | "latin"))
}

/// The words of a name that a source does not have: none is good news. `acronym` tells what initials the source's names have.
pub(super) fn missing<'a>(claim: &'a Reading, name: &Name, sources: &[&Reading]) -> Option<&'a Token> {
    let words = claim.tokens.get(name.tokens.clone())?.iter().enumerate();
    let mut words = words.filter(|(_, token)| token.kind == Kind::Word);
    // "United Kingdom" where the source says UK.
    let short = initials(claim, name);
    let is_short =
        |source: &&Reading| short.len() > 1 && source.tokens.iter().any(|token| token.acronym && *token.key == *short);
    if sources.iter().any(is_short) {
        return None;
    }
    words.find_map(|(place, token)| {
        let free = name.initial && place == 0 && !token.acronym;
        let known = free
            || token.key.chars().count() < 2
            || is_function(&token.key)
            || is_of_documents(&token.key)
            || names_language(claim, name.tokens.start + place)
            || token.acronym && claim.names.iter().any(|other| other != name && initials(claim, other) == *token.key)
            || sources.iter().any(|source| has(source, token));
        (!known).then_some(token)
    })
}

fn has(source: &Reading, token: &Token) -> bool {
    let stemmer = rust_stemmers::Stemmer::create(rust_stemmers::Algorithm::English);
    if source.word(&stemmer, token).is_some() || source.has_key(&token.key) {
        return true;
    }
    let key = &*token.key;
    if token.acronym && source.names.iter().any(|name| initials(source, name) == key) {
        return true;
    }
    // America, American; Norman, Normandy: four letters of five or more.
    let related = key.len() >= 5 && source.keys().any(|other| other.len() >= 4 && akin(key, other));
    related || irregular(key).is_some_and(|other| source.has_key(other))
}

/// Words that share all but their ends.
fn akin(a: &str, b: &str) -> bool {
    let shared = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let (short, long) = (a.len().min(b.len()), a.len().max(b.len()));
    shared >= 4 && shared + 2 >= short && long <= short + 4
}

/// Peoples that are called otherwise than their countries.
fn irregular(key: &str) -> Option<&'static str> {
    Some(match key {
        "french" => "franc",
        "france" => "french",
        "dutch" => "netherland",
        "netherlands" => "dutch",
        "british" | "britain" => "uk",
        "spanish" => "spain",
        "spain" => "spanish",
        "greek" => "greec",
        "greece" => "greek",
        "welsh" => "wale",
        "swiss" => "switzerland",
        "danish" => "denmark",
        "polish" => "poland",
        _ => return None,
    })
}

fn initials(source: &Reading, name: &Name) -> String {
    let words = source.tokens.get(name.tokens.clone()).unwrap_or_default().iter();
    words.filter(|token| is_capital(token)).filter_map(|token| token.key.chars().next()).collect()
}

/// Whether names can be looked up in a source at all.
pub(super) fn comparable(claim: &Reading, source: &Reading) -> bool {
    match (claim.script, source.script) {
        // Latin names stand in Chinese as they are.
        (Script::English | Script::Han, Script::English) | (Script::Han, Script::Han | Script::Latin) => true,
        // A short claim has few words by which to tell its language.
        (Script::Latin, Script::English) => claim.steps.len() < 12,
        _ => false,
    }
}
