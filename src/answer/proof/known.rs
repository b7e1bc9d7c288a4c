//! Whether sources know a name.

use super::function::is_function;
use super::lex::{Kind, Token};
use super::measure::Measure;
use super::name::{Name, is_capital};
use super::reading::{Reading, Script};
use super::unit;
use super::value::What;

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
            || unit::named(&token.key).is_some_and(|measure| sources.iter().any(|source| measures(source, measure)))
            || names_language(claim, name.tokens.start + place)
            || token.acronym && claim.names.iter().any(|other| other != name && initials(claim, other) == *token.key)
            || sources.iter().any(|source| has(source, token));
        (!known).then_some(token)
    })
}

/// Whether a source has a number of what is measured.
fn measures(source: &Reading, measure: Measure) -> bool {
    source.values.iter().any(|value| match &value.what {
        What::Number(number) => number.unit.is_some_and(|unit| unit.measure.is_like(measure)),
        _ => false,
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
        (Script::Latin, Script::English) => claim.steps.len() < 12 && !is_foreign(claim),
        _ => false,
    }
}

/// Whether a short text has words of another language with Latin letters.
fn is_foreign(claim: &Reading) -> bool {
    let foreign = |at: usize, token: &Token| {
        let plain = !token.capital
            && matches!(
                &*token.key,
                "und"
                    | "ist"
                    | "auf"
                    | "mit"
                    | "fur"
                    | "wurde"
                    | "wurden"
                    | "waren"
                    | "zum"
                    | "zur"
                    | "eine"
                    | "einen"
                    | "einer"
                    | "nicht"
                    | "um"
                    | "uber"
                    | "les"
                    | "est"
                    | "une"
                    | "dans"
                    | "avec"
                    | "pour"
                    | "sont"
                    | "aux"
                    | "passe"
                    | "los"
                    | "las"
                    | "por"
                    | "una"
                    | "fue"
                    | "esta"
                    | "gli"
                    | "della"
                    | "nel"
                    | "che"
                    | "sono"
                    | "het"
                    | "een"
                    | "voor"
            );
        plain || at == 0 && matches!(&*token.key, "der" | "die" | "das" | "es" | "le" | "les" | "el" | "il" | "ein" | "eine")
    };
    claim.tokens.iter().enumerate().any(|(at, token)| foreign(at, token))
}
