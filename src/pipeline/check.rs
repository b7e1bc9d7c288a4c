//! The tree against the schema: unknown keys, wrong types, values out of range. All of them, each at its place.
//!
//! The schema is made from the very types that the result is read into (see [`super::spec`]), so there is one
//! description of the file, and this is its one reader. What is wrong is reported and left out; the rest goes on to the
//! checks of meaning, so that one mistake does not hide another.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::diagnose::{Findings, printable};
use super::fullwidth;
use super::interpolate;
use super::schema::{branches, types};
use super::secrets;
use super::tree::{Entry, Filled, Node, Scalar, Value};
use super::units::{Pause, Period, Size, Threshold};
use crate::suggest::did_you_mean;

/// What is left of the tree.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// What fits the schema; `None` if nothing does.
    pub(super) json: Option<Json>,
    /// Paths of mappings from which something was left out: what is missing there may only be misspelt.
    pub(super) tainted: BTreeSet<Vec<String>>,
}

/// Checks the tree against `schema`.
pub(super) fn check(root: &Node, schema: &Json, findings: &mut Findings) -> Checked {
    let mut walk = Walk { schema, findings, path: Vec::new(), tainted: BTreeSet::new() };
    let json = walk.node(schema, root, &root.span);
    Checked { json, tainted: walk.tainted }
}

struct Walk<'a, 'f> {
    schema: &'a Json,
    findings: &'f mut Findings,
    path: Vec<String>,
    tainted: BTreeSet<Vec<String>>,
}

impl<'a> Walk<'a, '_> {
    /// What the node is by the schema; `None` if it is left out. `key` is what to point at when nothing is there.
    fn node(&mut self, schema: &'a Json, node: &Node, key: &Range<usize>) -> Option<Json> {
        let branches = branches(self.schema, schema);
        match &node.value {
            Value::Map(entries) => match branches.iter().find(|branch| has_type(branch, "object")) {
                Some(branch) => self.map(branch, entries, key),
                None => self.wrong_kind(&branches, node, "a mapping (`key: value`)"),
            },
            Value::List(items) => match branches.iter().find(|branch| has_type(branch, "array")) {
                Some(branch) => self.list(branch, items, node),
                None => self.wrong_kind(&branches, node, "a list"),
            },
            Value::Scalar(scalar) => self.scalar(&branches, scalar, node, key),
        }
    }

    fn map(&mut self, schema: &'a Json, entries: &[Entry], key: &Range<usize>) -> Option<Json> {
        let known = schema.get("properties").and_then(Json::as_object);
        let other = schema.get("additionalProperties").filter(|other| other.is_object());
        let mut out = Map::new();
        let mut taken: Vec<&Entry> = Vec::new();
        for entry in entries {
            let Some(schema) = known.and_then(|known| known.get(&entry.key)).or(other) else {
                self.unknown_key(entry, known);
                self.taint();
                continue;
            };
            taken.push(entry);
            self.path.push(entry.key.clone());
            let value = self.node(schema, &entry.node, &entry.key_span);
            self.path.pop();
            match value {
                Some(value) if !value.is_null() => {
                    out.insert(entry.key.clone(), value);
                }
                Some(_) => {}
                None => self.taint(),
            }
        }
        let most = schema.get("maxProperties").and_then(Json::as_u64).and_then(|most| usize::try_from(most).ok());
        if let Some((first, extra)) = most.and_then(|most| taken.get(most.saturating_sub(1)).zip(taken.get(most))) {
            let message = format!("only one of these can be given, and `{}` is", printable(&first.key));
            self.findings.error(&extra.key_span, message, "remove one of them".to_owned());
            self.taint();
            return None;
        }
        let least = schema.get("minProperties").and_then(Json::as_u64).unwrap_or_default();
        if (taken.len() as u64) < least {
            if !self.tainted.contains(&self.path) {
                let keys: Vec<String> = known.into_iter().flatten().map(|(key, _)| format!("`{key}`")).collect();
                self.findings.error(key, format!("one of these is missing: {}", keys.join(", ")), None);
            }
            self.taint();
            return None;
        }
        for required in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if !out.contains_key(required) {
                // Present but wrong, or misspelt, has been said already.
                if !self.tainted.contains(&self.path) {
                    let message = format!("`{required}` is missing");
                    self.findings.error(key, message, None);
                }
                self.taint();
                return None;
            }
        }
        Some(Json::Object(out))
    }

    fn unknown_key(&mut self, entry: &Entry, known: Option<&Map<String, Json>>) {
        let keys: Vec<&str> = known.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let shown = printable(&secrets::shown(&entry.key));
        let message = match self.place().as_str() {
            "" => format!("unknown key `{shown}`"),
            place => format!("unknown key `{shown}` in `{place}`"),
        };
        let guess = if entry.key == "<<" {
            Some("YAML's merge keys are not supported; an alias can stand for a whole value;".to_owned())
        } else {
            did_you_mean(&entry.key, keys.iter().copied()).or_else(|| self.elsewhere(&entry.key))
        };
        let allowed = format!("allowed here: {}", keys.join(", "));
        let hint = guess.map_or_else(|| allowed.clone(), |guess| format!("{guess} {allowed}"));
        self.findings.error(&entry.key_span, message, hint);
    }

    /// Where else a key of this very name belongs.
    fn elsewhere(&self, key: &str) -> Option<String> {
        let root = self.schema.get("properties").and_then(Json::as_object)?;
        if root.contains_key(key) {
            return Some(format!("`{key}` belongs at the top level;"));
        }
        let mut sections = root.iter().filter(|(_, section)| {
            let branches = branches(self.schema, section);
            branches.iter().filter_map(|branch| branch.get("properties")).any(|keys| keys.get(key).is_some())
        });
        sections.next().map(|(section, _)| format!("`{key}` belongs in `{section}`;"))
    }

    fn list(&mut self, schema: &'a Json, items: &[Node], node: &Node) -> Option<Json> {
        let fewest = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < fewest {
            let message = format!("{} must hold at least {fewest} item", self.name());
            self.findings.error(&node.span, message, None);
            return None;
        }
        let item_schema = schema.get("items")?;
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.path.push(index.to_string());
            let value = self.node(item_schema, item, &item.span);
            self.path.pop();
            if value.is_none() {
                self.taint();
            }
            // An item that is left out keeps its number, so that the others keep their places.
            out.push(value.unwrap_or(Json::Null));
        }
        Some(Json::Array(out))
    }

    fn scalar(&mut self, branches: &[&'a Json], scalar: &Scalar, node: &Node, key: &Range<usize>) -> Option<Json> {
        if scalar.filled == Filled::Failed {
            return None;
        }
        let accepts = |kind: &str| branches.iter().any(|branch| has_type(branch, kind));
        if is_null(scalar) && !(accepts("string") && scalar.filled == Filled::Yes) {
            // `store:` with nothing below is the section with its defaults.
            if let Some(object) = branches.iter().find(|branch| has_type(branch, "object")) {
                return self.map(object, &[], key);
            }
            if accepts("null") {
                return Some(Json::Null);
            }
        }
        let value = resolve(scalar, &accepts);
        let Some(branch) = branches.iter().find(|branch| fits(branch, &value)) else {
            // A whole number that is none of this machine's.
            if let Some(branch) = branches.iter().find(|branch| is_huge(scalar, &value) && has_type(branch, "integer")) {
                let problem = wrong_value(branch, &value).unwrap_or_else(|| "is too large a number".to_owned());
                self.findings.error(&node.span, format!("{} {problem}", self.name()), None);
                return None;
            }
            return self.wrong_kind(branches, node, kind_of(&value));
        };
        if branches.iter().any(|branch| choices(branch).next().is_some()) {
            return self.choice(branches, value, scalar, node);
        }
        match wrong_value(branch, &value) {
            None => Some(value),
            Some(problem) => {
                let message = format!("{} {problem}{}", self.name(), self.given(scalar, node));
                self.findings.error(&node.span, message, narrower(branches, scalar));
                None
            }
        }
    }

    /// What a variable's value is, behind what is wrong with it.
    fn given(&self, scalar: &Scalar, node: &Node) -> String {
        let excerpt = self.findings.source().excerpt(&node.span);
        let written = excerpt.trim_matches(['"', '\'']);
        if scalar.filled != Filled::Yes || interpolate::may_be_secret(written, &scalar.text) {
            return String::new();
        }
        format!(", and `{written}` is `{}`", printable(&scalar.text))
    }

    fn choice(&mut self, branches: &[&'a Json], value: Json, scalar: &Scalar, node: &Node) -> Option<Json> {
        let all: Vec<&Json> = branches.iter().flat_map(|branch| choices(branch)).filter(|choice| !choice.is_null()).collect();
        if all.contains(&&value) {
            return Some(value);
        }
        let names: Vec<String> = all.iter().map(|choice| plain(choice)).collect();
        let excerpt = self.findings.source().excerpt(&node.span);
        let written = excerpt.trim_matches(['"', '\'']);
        let shown = if scalar.filled == Filled::Yes { interpolate::told(written, &scalar.text) } else { written.to_owned() };
        let message = format!("{} cannot be `{shown}`", self.name());
        let one_of = format!("it is one of: {}", names.join(", "));
        let meant = plain(&value);
        let meant = fullwidth::narrow(&meant).unwrap_or(meant);
        let hint = match did_you_mean(&meant, names.iter().map(String::as_str)) {
            _ if meant != plain(&value) && names.contains(&meant) => format!("it is full-width: write `{meant}`"),
            _ if names.len() == 1 => format!("it can only be {}", names.concat()),
            Some(guess) => format!("{guess} {one_of}"),
            None => one_of,
        };
        self.findings.error(&node.span, message, hint);
        None
    }

    fn wrong_kind(&mut self, branches: &[&'a Json], node: &Node, found: &str) -> Option<Json> {
        let mut wanted: Vec<&str> = Vec::new();
        for branch in branches {
            for kind in wants(branch) {
                if !wanted.contains(&kind) {
                    wanted.push(kind);
                }
            }
        }
        let (excerpt, masked) = (self.findings.source().excerpt(&node.span), self.findings.source().is_masked(&node.span));
        let found = match &node.value {
            Value::Scalar(_) if !excerpt.is_empty() => format!("{found} (`{excerpt}`)"),
            _ => found.to_owned(),
        };
        let hint = match &node.value {
            Value::Scalar(scalar) if !masked && let Some(narrow) = narrower(branches, scalar) => Some(narrow),
            Value::Scalar(scalar) if !masked && let Some(point) = decimal(branches, scalar) => Some(point),
            Value::Scalar(scalar) if !masked && let Some(within) = self.within(branches, scalar) => Some(within),
            Value::Scalar(scalar) if wanted.contains(&"text") && scalar.plain && !is_null(scalar) => {
                Some(format!("put it in quotes: \"{excerpt}\""))
            }
            Value::Scalar(scalar) if wanted.contains(&"a list") && !is_null(scalar) => Some(format!("write [{excerpt}]")),
            Value::Scalar(scalar) if wanted.contains(&"a whole number") && scalar.text.contains('_') => {
                Some("write the digits alone, without `_`".to_owned())
            }
            Value::Scalar(scalar)
                if !scalar.plain
                    && scalar.filled == Filled::AsWritten
                    && wanted.iter().any(|kind| kind.ends_with("number"))
                    && scalar.text.parse::<f64>().is_ok() =>
            {
                Some("write it without quotes".to_owned())
            }
            _ => None,
        };
        let given = match &node.value {
            Value::Scalar(scalar) => self.given(scalar, node),
            _ => String::new(),
        };
        let message = format!("{} must be {}, not {found}{given}", self.name(), wanted.join(" or "));
        self.findings.error(&node.span, message, hint);
        None
    }

    /// How a value is written that belongs to a key of the mapping that is wanted: `{ mode: auto }`.
    fn within(&self, branches: &[&'a Json], scalar: &Scalar) -> Option<String> {
        let keys = branches.iter().filter_map(|branch| branch.get("properties")?.as_object()).flatten();
        let mut fitting = keys.filter_map(|(key, schema)| {
            let inner = self::branches(self.schema, schema);
            let accepts = |kind: &str| inner.iter().any(|branch| has_type(branch, kind));
            let value = resolve(scalar, &accepts);
            // By YAML's older rules, `off` is false: so do editors show it.
            let values = [value.clone(), if value == Json::Bool(false) { "off".into() } else { value }];
            let written = values.into_iter().find(|value| inner.iter().any(|branch| is_meant(branch, value)))?;
            Some(format!("{key}: {}", plain(&written)))
        });
        let only = match (fitting.next(), fitting.next()) {
            _ if is_null(scalar) => None,
            (Some(only), None) => Some(only),
            _ => self.leading(branches, scalar),
        };
        let place = self.path.last().map_or_else(String::new, |key| format!("{key}: "));
        Some(format!("write `{place}{{ {} }}`", only?))
    }

    /// The value behind the one key that a mapping of this kind cannot do without, or behind `model` where it is the name of one.
    fn leading(&self, branches: &[&'a Json], scalar: &Scalar) -> Option<String> {
        let branch = branches.iter().filter(|_| !self.path.is_empty()).find(|branch| branch.get("properties").is_some())?;
        let required = branch.get("required").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let key = match required {
            [key] => key.as_str()?,
            [] if scalar.text.split_once('/').is_some_and(|(provider, _)| !matches!(provider, "" | "." | "..")) => "model",
            _ => return None,
        };
        let inner = self::branches(self.schema, branch.get("properties")?.get(key)?);
        let value = resolve(scalar, &|kind| inner.iter().any(|branch| has_type(branch, kind)));
        let listed = inner.iter().any(|branch| has_type(branch, "array"));
        if scalar.filled != Filled::AsWritten {
            None
        } else if inner.iter().any(|branch| fits(branch, &value) && wrong_value(branch, &value).is_none()) {
            Some(format!("{key}: {}", printable(&plain(&value))))
        } else {
            listed.then(|| format!("{key}: [{}]", printable(&scalar.text)))
        }
    }

    /// How messages call the value: `` `sources[0].files` ``.
    fn name(&self) -> String {
        if self.path.is_empty() { "a pipeline file".to_owned() } else { format!("`{}`", self.place()) }
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step.parse::<usize>() {
                Ok(_) => place.extend(["[", step, "]"]),
                Err(_) if place.is_empty() => place.push_str(step),
                Err(_) => place.extend([".", step]),
            }
        }
        printable(&place)
    }

    fn taint(&mut self) {
        self.tainted.insert(self.path.clone());
    }
}

fn has_type(branch: &Json, kind: &str) -> bool {
    types(branch).any(|known| known == kind)
}

fn choices(branch: &Json) -> impl Iterator<Item = &Json> {
    branch.get("const").into_iter().chain(branch.get("enum").and_then(Json::as_array).into_iter().flatten())
}

fn is_null(scalar: &Scalar) -> bool {
    match scalar.filled {
        Filled::AsWritten => scalar.plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
        // `${RPM:-}`: nothing was filled in.
        Filled::Yes => scalar.text.is_empty(),
        Filled::Failed => false,
    }
}

/// What a scalar is. As written, by YAML 1.2's core schema; with variables in it, by what is wanted, since `"${RPM}"`
/// in quotes can only mean the number, and a key of digits alone is still a key.
fn resolve(scalar: &Scalar, accepts: &dyn Fn(&str) -> bool) -> Json {
    let text = || Json::String(scalar.text.clone());
    let filled = scalar.filled == Filled::Yes;
    let wants_number = accepts("integer") || accepts("number");
    if (filled && !wants_number) || (!filled && !scalar.plain) {
        return text();
    }
    let written = scalar.text.as_str();
    match written {
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    let digits = written.strip_prefix('+').unwrap_or(written);
    let whole = match written.get(..2) {
        Some("0x") => written.get(2..).and_then(|hex| i64::from_str_radix(hex, 16).ok()),
        Some("0o") => written.get(2..).and_then(|octal| i64::from_str_radix(octal, 8).ok()),
        _ => digits.parse::<i64>().ok(),
    };
    if let Some(whole) = whole {
        return Json::from(whole);
    }
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'));
    let float = digits.parse::<f64>().ok().filter(|_| numeric).and_then(serde_json::Number::from_f64);
    float.map_or_else(text, Json::Number)
}

/// Whether a whole number was written that is too large to be kept as one.
fn is_huge(scalar: &Scalar, value: &Json) -> bool {
    let digits = scalar.text.trim_start_matches(['+', '-']);
    value.is_f64() && !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}

/// What to write for a value that would be right if it were not full-width.
fn narrower(branches: &[&Json], scalar: &Scalar) -> Option<String> {
    let narrow = Scalar { text: fullwidth::narrow(&scalar.text)?, plain: true, ..scalar.clone() };
    let value = resolve(&narrow, &|kind| branches.iter().any(|branch| has_type(branch, kind)));
    let fitting = branches.iter().any(|branch| fits(branch, &value) && wrong_value(branch, &value).is_none());
    fitting.then(|| format!("it is full-width, or has a no-break space: write `{}`", narrow.text))
}

/// The hint for a number with a decimal comma: without its quotes it would be two numbers, or text.
fn decimal(branches: &[&Json], scalar: &Scalar) -> Option<String> {
    let point = scalar.text.replacen(',', ".", 1);
    let is_one = scalar.filled == Filled::AsWritten
        && scalar.text.split_once(',').is_some_and(|(whole, part)| !whole.is_empty() && !part.is_empty())
        && point.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value = Json::from(point.parse::<f64>().ok().filter(|_| is_one)?);
    let fitting = branches.iter().any(|branch| fits(branch, &value) && wrong_value(branch, &value).is_none());
    fitting.then(|| format!("it has a decimal comma: write `{point}`"))
}

fn fits(branch: &Json, value: &Json) -> bool {
    match value {
        Json::String(_) => has_type(branch, "string"),
        Json::Bool(_) => has_type(branch, "boolean"),
        Json::Number(n) if n.is_i64() || n.is_u64() => has_type(branch, "integer") || has_type(branch, "number"),
        Json::Number(_) => has_type(branch, "number"),
        _ => false,
    }
}

/// Whether a value is one of a few that a key takes, or of its form: not any text, nor any number.
fn is_meant(branch: &Json, value: &Json) -> bool {
    let formed = branch.get("format").is_some() && fits(branch, value) && wrong_value(branch, value).is_none();
    formed || choices(branch).any(|choice| choice == value)
}

/// What a value of the right kind violates.
fn wrong_value(branch: &Json, value: &Json) -> Option<String> {
    if let Some(number) = value.as_f64() {
        if let Some(least) = branch.get("minimum").filter(|least| least.as_f64().is_some_and(|least| number < least)) {
            return Some(format!("must be at least {}", plain(least)));
        }
        if let Some(most) = branch.get("maximum").filter(|most| most.as_f64().is_some_and(|most| number > most)) {
            return Some(format!("must be at most {}", plain(most)));
        }
    }
    let text = value.as_str()?;
    let length = text.chars().count() as u64;
    if let Some(least) = branch.get("minLength").and_then(Json::as_u64).filter(|least| length < *least) {
        let few = format!("must have at least {least} characters");
        return Some(if length == 0 { "must not be empty".to_owned() } else { few });
    }
    if let Some(most) = branch.get("maxLength").and_then(Json::as_u64).filter(|most| length > *most) {
        return Some(format!("must have at most {most} characters"));
    }
    match branch.get("format").and_then(Json::as_str) {
        Some(Size::FORMAT) => Size::parse(text).err(),
        Some(Threshold::FORMAT) => Threshold::parse(text).err(),
        Some(Period::FORMAT) => Period::parse(text).err(),
        Some(Pause::FORMAT) => Pause::parse(text).err(),
        _ => None,
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "true or false",
        Json::Number(n) if n.is_f64() => "a number",
        Json::Number(_) => "a whole number",
        _ => "text",
    }
}

fn wants(branch: &Json) -> Vec<&'static str> {
    let format = branch.get("format").and_then(Json::as_str);
    match format {
        Some(Size::FORMAT) => return vec!["a size such as 50MB"],
        Some(Threshold::FORMAT) => return vec!["a number from 0 to 1", "`off`"],
        Some(Period::FORMAT | Pause::FORMAT) => return vec!["a time with its unit, such as 60s"],
        _ => {}
    }
    let name = |kind| match kind {
        "object" => Some("a mapping (`key: value`)"),
        "array" => Some("a list"),
        "string" => Some("text"),
        "integer" => Some("a whole number"),
        "number" => Some("a number"),
        "boolean" => Some("true or false"),
        _ => None,
    };
    types(branch).filter_map(name).collect()
}

/// A value without JSON's quotes.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        // `2.0` is 2.
        other => other.to_string().trim_end_matches(".0").to_owned(),
    }
}
