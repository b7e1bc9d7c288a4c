//! Filters of the documents that a question is asked of: `path=docs/api/**`, `lang=zh`, `modified>2026-01-01`, `meta.author=Ada`, `meta.price<10`.
//!
//! What an index of the store can tell is asked of the store. A glob says more than that: its fixed folder narrows the search, and
//! what is found is compared with the glob itself. Where that leaves too little, the store names its documents, the glob picks
//! among them, and the search is made over those it picked: the best that match are found, however few they are.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use globset::GlobSet;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::document::{Hit, Scalar};
use crate::language::Language;
use crate::source::{anywhere, is_glob, path_globs, split_glob};
use crate::suggest::did_you_mean;
use crate::vectordb::{Condition, MAX_PAGE, Query, StoreError, TwoRankings, VectorStore, rank};

/// Documents that one query names, at most.
const DOCUMENTS: usize = 1000;
/// Candidates asked for, for each passage that is wanted, where a glob may let few of them pass.
const SPARE: usize = 4;
/// Examples of terms, for errors.
const FORMS: &str = "such as `path=docs/api/**`, `lang=zh` or `modified>=2026-01-01`";

/// A condition on the documents that are searched: all of its terms hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

/// A term that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{term}` {problem}")]
pub struct FilterError {
    /// The term.
    pub term: String,
    /// The fault in it.
    pub problem: String,
    /// A remedy.
    pub hint: String,
}

/// One of a filter's terms, as in `path=docs/**`.
#[derive(Clone)]
pub struct Term {
    text: String,
    condition: Option<Condition>,
    glob: Option<PathGlob>,
}

/// A glob over documents' uris.
#[derive(Clone)]
struct PathGlob {
    set: GlobSet,
    /// Whether it must match, or must not.
    wanted: bool,
    /// Whether the term's condition says all that the glob does.
    exact: bool,
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl From<Vec<Term>> for Filter {
    fn from(terms: Vec<Term>) -> Self {
        Self { terms }
    }
}

impl Filter {
    /// Whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Its terms.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// How many terms it has.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Adds terms; those that are there already still have to hold.
    pub fn extend(&mut self, terms: impl IntoIterator<Item = Term>) {
        self.terms.extend(terms);
    }

    /// Adds the terms of another filter: what passes both passes.
    pub fn extend_with(&mut self, other: &Self) {
        self.terms.extend(other.terms.iter().cloned());
    }

    fn conditions(&self) -> Vec<Condition> {
        self.terms.iter().filter_map(|term| term.condition.clone()).collect()
    }

    /// Whether the globs let this document pass.
    fn admits(&self, uri: &str) -> bool {
        self.globs().all(|glob| glob.set.is_match(uri) == glob.wanted)
    }

    fn globs(&self) -> impl Iterator<Item = &PathGlob> {
        self.terms.iter().filter_map(|term| term.glob.as_ref())
    }

    /// The best `limit` passages of the documents that pass, best first: never fewer than there are.
    pub async fn search(&self, store: &dyn VectorStore, query: Query, limit: usize) -> Result<Vec<Hit>, StoreError> {
        let conditions = self.conditions();
        if contradict(&conditions) {
            return Ok(Vec::new());
        }
        let asked = if self.globs().all(|glob| glob.exact) { limit } else { limit.saturating_mul(SPARE) };
        let asked = asked.min(MAX_PAGE);
        let mut hits = store.query_where(query.clone(), &conditions, asked).await?;
        let complete = hits.len() < asked;
        hits.retain(|hit| self.admits(&hit.passage.uri));
        if !complete && hits.len() < limit.min(MAX_PAGE) {
            hits = self.search_by_document(store, query, conditions, limit).await?;
        }
        hits.truncate(limit);
        Ok(hits)
    }

    /// The best `limit` passages of what is made of two rankings, of the documents that pass; `None` where they have to be looked
    /// for ranking by ranking.
    pub async fn search_two(
        &self,
        store: &dyn VectorStore,
        two: TwoRankings,
        limit: usize,
    ) -> Option<Result<Vec<Hit>, StoreError>> {
        let conditions = self.conditions();
        if contradict(&conditions) || !self.globs().all(|glob| glob.exact) {
            return None;
        }
        Some(store.query_two(two, &conditions, limit).await)
    }

    /// The terms that a document of the index does not meet.
    ///
    /// # Errors
    /// What the store says.
    pub async fn unmet(&self, store: &dyn VectorStore, uri: &str) -> Result<Vec<&Term>, StoreError> {
        let mut unmet = Vec::new();
        for term in &self.terms {
            let matched = term.glob.as_ref().is_none_or(|glob| glob.set.is_match(uri) == glob.wanted);
            let met = match &term.condition {
                Some(condition) if matched => {
                    let asked = [condition.clone(), Condition::Documents(vec![uri.to_owned()])];
                    !store.uris(&asked).await?.is_empty()
                }
                _ => matched,
            };
            if !met {
                unmet.push(term);
            }
        }
        Ok(unmet)
    }

    /// The documents that pass, in no order.
    ///
    /// # Errors
    /// What the store says.
    pub async fn documents(&self, store: &dyn VectorStore) -> Result<Vec<String>, StoreError> {
        let conditions = self.conditions();
        if contradict(&conditions) {
            return Ok(Vec::new());
        }
        let mut uris = store.uris(&conditions).await?;
        uris.retain(|uri| self.admits(uri));
        Ok(uris)
    }

    /// Conditions that say all that the filter does. Where a glob says more than a store can tell, they name the documents.
    pub(super) async fn exact_conditions(&self, store: &dyn VectorStore) -> Result<Vec<Condition>, StoreError> {
        let mut conditions = self.conditions();
        if !self.globs().all(|glob| glob.exact) {
            let mut uris = store.uris(&conditions).await?;
            uris.retain(|uri| self.admits(uri));
            conditions.push(Condition::Documents(uris));
        }
        Ok(conditions)
    }

    /// As [`Self::search`], where few documents pass.
    async fn search_by_document(
        &self,
        store: &dyn VectorStore,
        query: Query,
        conditions: Vec<Condition>,
        limit: usize,
    ) -> Result<Vec<Hit>, StoreError> {
        let mut uris = store.uris(&conditions).await?;
        uris.retain(|uri| self.admits(uri));
        tracing::debug!(documents = uris.len(), "searching by document");
        let mut hits = Vec::new();
        for documents in uris.chunks(DOCUMENTS) {
            let mut conditions = conditions.clone();
            conditions.push(Condition::Documents(documents.to_vec()));
            hits.extend(store.query_where(query.clone(), &conditions, limit).await?);
            hits = rank(hits);
            hits.truncate(limit);
        }
        Ok(hits)
    }
}

/// Whether two of the conditions are each other's opposite. Qdrant's engine (seen in qdrant-edge 0.7.2) takes a
/// condition that must and must not hold for one that holds.
fn contradict(conditions: &[Condition]) -> bool {
    let opposite = |one: &Condition, other: &Condition| match (one, other) {
        (Condition::Lang(wanted), Condition::NotLang(denied)) => wanted == denied,
        (Condition::Metadata(name, wanted), Condition::NotMetadata(other, denied)) => {
            name == other && wanted.iter().all(|value| denied.contains(value))
        }
        _ => false,
    };
    conditions.iter().any(|one| conditions.iter().any(|other| opposite(one, other)))
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
}

/// The longer ones first.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::IsNot),
    ("<=", Operator::LessOrIs),
    (">=", Operator::MoreOrIs),
    ("==", Operator::Is),
    ("=", Operator::Is),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// What a Chinese or Japanese keyboard types for them.
const WIDE: [(char, &str); 7] = [('＝', "="), ('！', "!="), ('＜', "<"), ('＞', ">"), ('≠', "!="), ('≤', "<="), ('≥', ">=")];

impl FromStr for Term {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let wrong = |problem: &str, hint: String| FilterError { term: text.to_owned(), problem: problem.to_owned(), hint };
        let Some((field, operator, value)) = split(text) else {
            let wide = text.chars().find_map(|c| WIDE.iter().find(|(wide, _)| *wide == c));
            if let Some((wide, sign)) = wide {
                return Err(wrong(
                    "says not what is compared with what",
                    format!("its `{wide}` is full-width: write `{sign}`"),
                ));
            }
            let hint = match did_you_mean(text.trim(), FIELDS) {
                // An unquoted `modified>2026-01-01` is a redirection: the shell has taken the rest away.
                Some(_) => format!("{FORMS}; quote it, for a shell has its own use for `>` and `<`"),
                None => FORMS.to_owned(),
            };
            return Err(wrong("says not what is compared with what", hint));
        };
        if value.is_empty() {
            return Err(wrong("has no value", FORMS.to_owned()));
        }
        let term = |condition, glob| Self { text: text.to_owned(), condition, glob };
        match (field, operator) {
            ("path", Operator::Is | Operator::IsNot) => {
                let glob = path(value, operator == Operator::Is);
                let (condition, glob) = glob.map_err(|problem| wrong(&problem, FORMS.to_owned()))?;
                Ok(term(condition, Some(glob)))
            }
            ("lang", Operator::Is | Operator::IsNot) => {
                let code = language(value).map_err(|hint| wrong("names no language that is told apart", hint))?;
                let condition = if operator == Operator::Is { Condition::Lang(code) } else { Condition::NotLang(code) };
                Ok(term(Some(condition), None))
            }
            ("path" | "lang", _) => Err(wrong("has no order", format!("compare `{field}` with `=` or `!=`"))),
            ("modified", _) => {
                let Some(time) = instant(value) else {
                    let hint = "`2026-01-31` (its beginning, in UTC) or `2026-01-31T18:30:00+01:00`";
                    return Err(wrong("names no time", hint.to_owned()));
                };
                match within(operator, time) {
                    Some(condition) => Ok(term(Some(condition), None)),
                    None => Err(wrong("compares with one instant", same_day(value, time))),
                }
            }
            (field, _) if let Some(name) = field.strip_prefix(META) => metadata(name, operator, value)
                .map(|condition| term(Some(condition), None))
                .map_err(|(problem, hint)| wrong(problem, hint)),
            _ => {
                let one_of =
                    format!("the fields are {}, and {META}NAME for what sources say of their documents", FIELDS.join(", "));
                let hint = did_you_mean(field, FIELDS).map_or(one_of.clone(), |guess| format!("{guess} {one_of}"));
                Err(wrong("compares an unknown field", hint))
            }
        }
    }
}

const FIELDS: [&str; 3] = ["path", "lang", "modified"];
/// Stands before a name of a document's metadata.
const META: &str = "meta.";

/// A condition on a value that a source gave with its documents; the error is what is wrong, and a hint.
fn metadata(name: &str, operator: Operator, value: &str) -> Result<Condition, (&'static str, String)> {
    if name.is_empty() || name.contains(['"', '\\']) || name.chars().any(char::is_control) {
        return Err(("names no metadata", format!("such as `{META}author=Ada`")));
    }
    let name = name.to_owned();
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    let bound = number.ok_or_else(|| ("has no order", format!("compare texts with `=` or `!=`, as in `{META}author=Ada`")));
    Ok(match operator {
        Operator::Is => Condition::Metadata(name, readings(value, number)),
        Operator::IsNot => Condition::NotMetadata(name, readings(value, number)),
        Operator::Less => Condition::MetadataRange(name, Bound::Unbounded, Bound::Excluded(bound?)),
        Operator::LessOrIs => Condition::MetadataRange(name, Bound::Unbounded, Bound::Included(bound?)),
        Operator::More => Condition::MetadataRange(name, Bound::Excluded(bound?), Bound::Unbounded),
        Operator::MoreOrIs => Condition::MetadataRange(name, Bound::Included(bound?), Bound::Unbounded),
    })
}

/// All that a value may mean: "3" is a text and a number, "true" a text and a truth.
fn readings(value: &str, number: Option<f64>) -> Vec<Scalar> {
    let text = Scalar::Text(value.to_owned());
    let other = value.parse().ok().map(Scalar::Bool).or_else(|| number.map(Scalar::Float));
    std::iter::once(text).chain(other).collect()
}

/// `path=docs/**` → `path`, `=`, `docs/**`.
fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let at = text.find(['=', '!', '<', '>'])?;
    let (field, rest) = text.split_at_checked(at)?;
    let (value, operator) = OPERATORS.iter().find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)))?;
    Some((field.trim(), operator, value.trim()))
}

/// The ISO 639-1 code of a language that documents may have been found to be in; the error says what to write instead.
fn language(text: &str) -> Result<String, String> {
    let code = text.to_ascii_lowercase();
    if Language::known().any(|(language, _)| language.code() == code) {
        return Ok(code);
    }
    let names = Language::known().chain([(Language::CHINESE, "Chinese")]);
    let named = names.filter(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(language, _)| language.code()).next();
    let regional = code.split(['-', '_']).next().filter(|code| Language::known().any(|(language, _)| language.code() == *code));
    if let Some(guess) = named.or(regional) {
        return Err(format!("did you mean `{guess}`? Languages are named by ISO 639-1"));
    }
    let mut codes: Vec<_> = Language::known().map(|(language, _)| language.code()).collect();
    codes.sort_unstable();
    Err(format!("one of ISO 639-1: {}", codes.join(", ")))
}

/// A path as `include` reads it, save that one without wildcards is also a folder, with all that is below, and that one with a
/// `/` in front may be absolute.
fn path(text: &str, wanted: bool) -> Result<(Option<Condition>, PathGlob), String> {
    let (text, folder) = match text.trim_start_matches("./") {
        "" | "." => ("**", false),
        "/" => ("/**", false),
        text => (text.trim_end_matches('/'), text.ends_with('/')),
    };
    let mut places = vec![anywhere(text)];
    if text.starts_with('/') {
        places.push(text.to_owned());
    }
    let literal = !is_glob(text);
    let below = places.iter().map(|place| format!("{place}/**"));
    let patterns: Vec<String> = match (folder, literal) {
        (true, _) => below.collect(),
        (false, true) => below.chain(places.iter().cloned()).collect(),
        (false, false) => places.clone(),
    };
    let set = path_globs(&patterns)?;
    // What is fixed of each place; a place without anything fixed cannot be looked up.
    let fixed: Option<Vec<&str>> = places.iter().map(|place| fixed(place)).collect();
    let exact = !folder && places.iter().all(|place| !is_glob(place) || is_all_below(place));
    let condition = fixed.filter(|_| wanted || exact).map(|places| {
        let places = places.into_iter().map(str::to_owned).collect();
        if wanted { Condition::Within(places) } else { Condition::NotWithin(places) }
    });
    let exact = exact && condition.is_some();
    Ok((condition, PathGlob { set, wanted, exact }))
}

/// The path or folder that a pattern begins with.
fn fixed(pattern: &str) -> Option<&str> {
    let place = if is_glob(pattern) { split_glob(pattern).0 } else { pattern };
    (!place.is_empty()).then_some(place)
}

/// Whether a pattern is `docs/**` and the like, which says no more than its fixed folder: not `docs/**/*.md`.
fn is_all_below(pattern: &str) -> bool {
    split_glob(pattern).1 == "**"
}

/// RFC 3339, or a date or time without an offset, which is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let civil = |time: DateTime| time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-01-01".len()
    {
        return civil(date.to_datetime(jiff::civil::Time::midnight()));
    }
    text.parse::<Timestamp>().ok().or_else(|| civil(text.parse::<DateTime>().ok()?))
}

/// Times are kept in whole seconds, cut off.
fn within(operator: Operator, time: Timestamp) -> Option<Condition> {
    let nanoseconds = time.as_nanosecond();
    let floor = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    let ceiling = if nanoseconds.rem_euclid(1_000_000_000) == 0 { floor } else { floor + 1 };
    let (from, until) = match operator {
        Operator::More => (Some(floor + 1), None),
        Operator::MoreOrIs => (Some(ceiling), None),
        Operator::Less => (None, Some(ceiling)),
        Operator::LessOrIs => (None, Some(floor + 1)),
        Operator::Is | Operator::IsNot => return None,
    };
    Some(Condition::Modified { from, until })
}

/// How to say "on that day".
fn same_day(value: &str, time: Timestamp) -> String {
    let day = time.to_zoned(TimeZone::UTC).date();
    match day.tomorrow() {
        Ok(next) => format!("two terms say a day: `modified>={day}` and `modified<{next}`"),
        Err(_) => format!("such as `modified>={value}`"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests;
