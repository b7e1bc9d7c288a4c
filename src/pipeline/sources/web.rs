//! Sites.

use globset::GlobSet;
use url::Url;

use super::{MAX_BYTES, excluded, included};
use crate::pipeline::connections::{warn_of_key, warn_of_plain_sight};
use crate::pipeline::diagnose::printable;
use crate::pipeline::meaning::{File, Problem};
use crate::pipeline::spec::WebSpec;
use crate::providers::Secret;
use crate::source::{SourcePlan, WebPlan};

/// Headers that are the crawler's own to set: with another value its promises could not be kept.
const OWN_HEADERS: [&str; 8] =
    ["accept", "accept-encoding", "connection", "content-length", "host", "if-modified-since", "if-none-match", "user-agent"];

/// Whether a source is the address of a site.
pub(in crate::pipeline) fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// The address of a site.
pub(super) fn address(text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text.trim()).map_err(|error| Problem::new(format!("`{}` is not a URL: {error}", printable(text))))?;
    if !matches!(url.scheme(), "http" | "https") {
        let problem = Problem::new(format!("`{}` is not a web address", printable(text)));
        return Err(problem.hint("it begins with http:// or https://"));
    }
    Ok(url)
}

/// [`address`], of a value in the file. `None` has been reported.
pub(super) fn address_at(file: &mut File<'_>, place: &[&str], text: &str) -> Option<Url> {
    match address(text) {
        Ok(url) => {
            if url.password().is_some() {
                warn_of_plain_sight(file, place, "a password");
            }
            Some(url)
        }
        // It may hold a secret: then that is not shown.
        Err(problem) if !file.is_plain(place) => {
            let shown = file.shown(place, text);
            file.error(place, Problem { message: format!("`{shown}` is not the address of a site"), ..problem });
            None
        }
        Err(problem) => {
            file.error(place, problem);
            None
        }
    }
}

/// What the file says of sites; `None` where nothing of it can be used, which has been reported.
pub(super) fn resolve(file: &mut File<'_>, index: &str, spec: &WebSpec) -> Option<SourcePlan> {
    let place = |key| ["sources", index, "web", key];
    let mut urls: Vec<Url> = Vec::new();
    for (position, text) in spec.urls.iter().enumerate() {
        let Some(text) = text else { continue };
        let position = position.to_string();
        urls.extend(address_at(file, &["sources", index, "web", "urls", &position], text));
    }
    let mut plan = WebPlan::new(urls, spec.max_bytes.map_or(MAX_BYTES, |size| size.0));
    plan.include = spec.include.as_deref().map_or_else(GlobSet::empty, |texts| included(file, &place("include"), Some(texts)));
    plan.exclude = excluded(file, &place("exclude"), spec.exclude.as_deref());
    plan.max_pages = spec.max_pages.unwrap_or(plan.max_pages);
    plan.max_depth = spec.max_depth.unwrap_or(plan.max_depth);
    plan.delay = spec.delay.map(|delay| delay.0);
    plan.concurrency = spec.concurrency;
    plan.sitemap = spec.sitemap.unwrap_or(plan.sitemap);
    plan.trust_lastmod = spec.trust_lastmod.unwrap_or(plan.trust_lastmod);
    if let Some(agent) = &spec.user_agent {
        if agent.trim().is_empty() || agent.chars().any(|c| c.is_control() || !c.is_ascii()) {
            let hint = "a name and an address for questions, such as `ragstream/1.0 (+https://example.org/bot)`";
            file.error(&place("user_agent"), Problem::new("this cannot be sent as a User-Agent").hint(hint));
        } else {
            agent.trim().clone_into(&mut plan.user_agent);
        }
    }
    for (name, value) in spec.headers.iter().flatten() {
        let at = ["sources", index, "web", "headers", name.as_str()];
        let Some(value) = value else { continue };
        if let Some(problem) = unusable(name, value) {
            file.key_error(&at, problem);
            continue;
        }
        match plan.urls.iter().find(|url| url.scheme() == "http") {
            Some(url) if is_secret(name) => warn_of_key(file, &at, url),
            _ if is_secret(name) => warn_of_plain_sight(file, &at, "a secret"),
            _ => {}
        }
        plan.headers.push((name.clone(), Secret::new(value.trim())));
    }
    (!plan.urls.is_empty()).then_some(SourcePlan::Web(plan))
}

/// Why a header cannot be sent. Its value may be a secret, and is not shown.
fn unusable(name: &str, value: &str) -> Option<Problem> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Some(Problem::new(format!("`{}` is no name of a header", printable(name))));
    }
    if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let problem = Problem::new(format!("`{name}` is set by ragstream itself"));
        return Some(if name.eq_ignore_ascii_case("user-agent") {
            problem.hint("there is `user_agent` for it")
        } else {
            problem
        });
    }
    let sent = |c: char| c == '\t' || (!c.is_control() && c.is_ascii());
    (!value.chars().all(sent)).then(|| Problem::new(format!("the value of `{name}` holds letters that no header can have")))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "key", "secret"].iter().any(|part| name.contains(part))
}
