//! Tables.

use std::time::Duration;

use super::MAX_BYTES;
use crate::pipeline::connections::warn_of_plain_sight;
use crate::pipeline::diagnose::printable;
use crate::pipeline::meaning::{File, Problem};
use crate::pipeline::spec::{ColumnsSpec, SqlSpec};
use crate::source::SourcePlan;
use crate::source::sql::{Connection, From, PAGE, SCHEMES, SqlPlan, Template, Text, UrlProblem, open};

/// How long one statement may take, unless the file says it.
pub(super) const TIMEOUT: Duration = Duration::from_mins(5);

/// Whether a source is the address of a database.
pub(crate) fn is_database(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        let scheme = scheme.to_ascii_lowercase();
        SCHEMES.contains(&scheme.as_str()) && (scheme == "sqlite" || rest.starts_with("//"))
    })
}

/// Whether this is the address of a file of SQLite's.
pub(in crate::pipeline) fn is_sqlite(url: &str) -> bool {
    url.trim().split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("sqlite"))
}

/// What the file says of a table; `None` where nothing of it can be used, which has been reported. `others` are the sources before
/// it.
pub(super) fn resolve(file: &mut File<'_>, index: &str, spec: &SqlSpec, others: &[SourcePlan]) -> Option<SourcePlan> {
    let place = |key| ["sources", index, "sql", key];
    let timeout = spec.timeout.map_or(TIMEOUT, |timeout| timeout.0);
    let connection = connect(file, &place("url"), &spec.url, timeout);
    let from = read_from(file, index, spec);
    let key = columns(file, &place("key"), &spec.key);
    let named = match &spec.key {
        ColumnsSpec::One(_) => true,
        ColumnsSpec::Several(names) => names.iter().any(Option::is_some),
    };
    if !named && !file.tainted(&["sources", index, "sql", "key"]) {
        file.error(&place("key"), Problem::new("`key` names no column").hint("the columns that tell each row from all others"));
    }
    let title = spec.title.as_ref().map(|text| {
        if text.contains(['{', '}']) { template(file, &place("title"), text) } else { Some(Template::column(text.trim())) }
    });
    let text = match &spec.text {
        None => Some(Text::All),
        Some(ColumnsSpec::One(text)) if text.contains(['{', '}']) => {
            let found = template(file, &place("text"), text);
            if found.as_ref().is_some_and(|template| template.columns().next().is_none()) {
                let problem = Problem::new("no column stands in this `text`: all documents would say the same");
                file.error(&place("text"), problem.hint("columns stand in braces: `{body}`"));
            }
            found.map(Text::Template)
        }
        Some(spec) => Some(Text::Columns(columns(file, &place("text"), spec))),
    };
    let uri = spec.uri.as_ref().map(|text| uri(file, &place("uri"), text, &key));
    let metadata = metadata(file, &place("metadata"), spec.metadata.as_deref().unwrap_or_default());
    let mut plan = SqlPlan::new(connection?, from?, key);
    plan.title = title.flatten();
    plan.text = text?;
    plan.metadata = metadata;
    plan.updated = spec.updated.as_ref().map(|name| name.trim().to_owned());
    plan.format = spec.format;
    plan.page = spec.page.unwrap_or(PAGE);
    plan.max_bytes = spec.max_bytes.map_or(MAX_BYTES, |size| size.0);
    if let Some(uri) = uri {
        plan.uri = uri?;
    }
    let alike = |other: &SourcePlan| matches!(other, SourcePlan::Sql(other) if other.uri.skeleton() == plan.uri.skeleton());
    if others.iter().any(alike) {
        let problem = Problem::new(format!("two sources would name their documents alike: `{}…`", printable(plan.prefix())));
        let hint = "say for one of them what its documents are called: `uri: https://shop.example/items/{id}`";
        let whole = ["sources", index, "sql"];
        let at: &[&str] = if spec.uri.is_some() { &place("uri") } else { &whole };
        file.key_error(at, problem.hint(hint));
    }
    Some(SourcePlan::Sql(Box::new(plan)))
}

fn connect(file: &mut File<'_>, place: &[&str], url: &str, timeout: Duration) -> Option<Connection> {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        warn_of_plain_sight(file, place, "a password");
    }
    match open(url, file.base, timeout) {
        Ok(connection) => Some(connection),
        Err(UrlProblem { message, hint }) => {
            // Not shown: a password stands in it, and may not be where it belongs.
            let colon = if message.starts_with('`') { ":" } else { "" };
            file.error(place, Problem { message: format!("`url`{colon} {message}"), hint });
            None
        }
    }
}

fn read_from(file: &mut File<'_>, index: &str, spec: &SqlSpec) -> Option<From> {
    let whole = ["sources", index, "sql"];
    match (&spec.table, &spec.query) {
        (Some(table), None) => Some(From::Table(table.trim().to_owned())),
        (None, Some(query)) => {
            let text = query.trim().trim_end_matches(';');
            if text.trim().is_empty() {
                file.error(&["sources", index, "sql", "query"], Problem::new("this query is empty").hint("it is one SELECT"));
                return None;
            }
            if text.contains(';') {
                let problem = Problem::new("a query is one statement, and holds no `;`");
                let hint = "within a text write chr(59), in MySQL and SQLite char(59)";
                file.error(&["sources", index, "sql", "query"], problem.hint(hint));
                return None;
            }
            Some(From::Query(query.clone()))
        }
        (Some(_), Some(_)) => {
            let problem = Problem::new("both a `table` and a `query`");
            file.key_error(&["sources", index, "sql", "query"], problem.hint("remove one of them"));
            None
        }
        (None, None) => {
            if !file.tainted(&whole) {
                let problem = Problem::new("neither a `table` nor a `query`");
                file.key_error(&whole, problem.hint("`table: items`, or `query: SELECT …`"));
            }
            None
        }
    }
}

/// The columns that are named. None stands in braces.
fn columns(file: &mut File<'_>, place: &[&str], spec: &ColumnsSpec) -> Vec<String> {
    let names: Vec<&String> = match spec {
        ColumnsSpec::One(name) => vec![name],
        ColumnsSpec::Several(names) => names.iter().flatten().collect(),
    };
    let mut columns: Vec<String> = Vec::new();
    for name in names {
        let name = name.trim();
        if name.is_empty() || name.contains(['{', '}']) {
            let shown = printable(name);
            file.error(
                place,
                Problem::new(format!("`{shown}` is no name of a column")).hint("braces belong to a text: `{title}: {body}`"),
            );
        } else if columns.iter().any(|known| known == name) {
            file.error(place, Problem::new(format!("`{}` stands here twice", printable(name))));
        } else {
            columns.push(name.to_owned());
        }
    }
    columns
}

fn template(file: &mut File<'_>, place: &[&str], text: &str) -> Option<Template> {
    let shown = file.shown(place, text);
    Template::parse(text).map_err(|why| file.error(place, Problem::new(format!("`{shown}`: {why}")))).ok()
}

fn uri(file: &mut File<'_>, place: &[&str], text: &str, key: &[String]) -> Option<Template> {
    let template = template(file, place, text.trim())?;
    let shown = file.shown(place, text);
    if !template.head().contains("://") {
        let problem = Problem::new(format!("`{shown}` does not begin with a scheme"));
        file.error(place, problem.hint("such as `https://shop.example/items/{id}`"));
        return None;
    }
    let missing: Vec<&str> =
        key.iter().map(String::as_str).filter(|name| !template.columns().any(|column| column == *name)).collect();
    if !missing.is_empty() {
        let problem = Problem::new(format!("`{shown}` leaves out {} of the key", missing.join(", ")));
        file.error(place, problem.hint("two rows would be one document: all columns of the key belong into it"));
        return None;
    }
    if template.runs_together() {
        let problem = Problem::new(format!("`{shown}`: two columns without a sign between them"));
        file.error(place, problem.hint("two rows could be one document: put a `/` between them"));
        return None;
    }
    Some(template)
}

fn metadata(file: &mut File<'_>, place: &[&str], names: &[Option<String>]) -> Vec<String> {
    let mut columns = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        let (position, name) = (position.to_string(), name.trim());
        if name.is_empty() || name.contains(['"', '\\', '{', '}']) || name.chars().any(char::is_control) {
            let problem = Problem::new(format!("`{}` cannot be filtered by", printable(name)));
            let at = [place, &[position.as_str()]].concat();
            file.error(&at, problem.hint("give the column another name with AS, in a `query`"));
        } else {
            columns.push(name.to_owned());
        }
    }
    columns
}
