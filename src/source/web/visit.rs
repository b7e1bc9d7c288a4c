//! One visit: a request, again while the host only asks for patience, and what its answer means.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;
use url::Url;

use super::client::{Answer, Ask, Client};
use super::frontier::{Look, PageRecord, Place, Visit};
use super::pace::Pace;
use super::request::{ACCEPT, ATTEMPTS, Cause, Failure, is_busy, looks_like_html, request};
use super::signal::ContentSignal;
use super::variant::{Variant, Variants};
use crate::parse::page::{self, PageScan};

/// A visit that is to be made.
pub(super) struct Errand {
    pub(super) place: Place,
    pub(super) visit: Visit,
    /// What is known of the page.
    pub(super) record: Option<PageRecord>,
    pub(super) pace: Arc<Pace>,
    /// Where a variant in Markdown may be.
    pub(super) variants: Variants,
}

/// A visit that was made.
pub(super) struct Visited {
    pub(super) place: Place,
    pub(super) visit: Visit,
    pub(super) record: PageRecord,
    pub(super) found: Found,
}

/// What came with an answer beside its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// When the page was changed, in seconds since the Unix epoch, where that is more than a mere "now".
    pub(super) changed: Option<i64>,
    pub(super) media_type: Option<String>,
    /// `X-Robots-Tag`: no document.
    pub(super) no_index: bool,
    /// `X-Robots-Tag`: no links.
    pub(super) no_follow: bool,
    /// `Content-Signal: ai-input=no`.
    pub(super) no_ai: bool,
}

/// What an answer means.
pub(super) enum Found {
    /// A page of HTML.
    Page { facts: Facts, body: Vec<u8>, scan: Box<PageScan>, variant: Option<Variant> },
    /// A document of another format.
    File { facts: Facts, body: Vec<u8> },
    /// As it was when it was visited last.
    Unchanged,
    /// It is elsewhere.
    Moved(Url),
    /// It is not there: 404.
    Missing,
    /// It is gone for good: 410.
    Gone,
    /// It is too large, or cannot be read as what it says that it is. The page's fault, and no sign of an outage.
    Unusable(String),
    /// It could not be had. The host's fault: of the next page the same must be expected.
    Failed {
        /// A sentence.
        why: String,
        cause: Cause,
    },
}

/// Makes a visit, unless its host is given up before it ends.
pub(super) async fn visit(client: Arc<Client>, agent: Arc<str>, errand: Errand, given_up: CancellationToken) -> Visited {
    let Errand { place, visit, record, pace, variants } = errand;
    let known = record.unwrap_or_default();
    // Without a document that is recorded there is nothing that "unchanged" could mean.
    let conditional = known.version.is_some() || matches!(known.look, Look::Alias(_));
    let ask = Ask {
        accept: ACCEPT,
        etags: known.etag.iter().filter(|_| conditional).cloned().collect(),
        modified_since: known.last_modified.clone().filter(|_| conditional),
        ..Ask::default()
    };
    let asked = async {
        match request(&client, &pace, &visit.url, &ask).await {
            Ok(answer) => read(&client, &agent, &pace, &visit.url, answer, variants).await,
            Err(Failure { why, cause: Some(cause) }) => Found::Failed { why, cause },
            Err(Failure { why, cause: None }) => Found::Unusable(why),
        }
    };
    let found = tokio::select! {
        biased;
        found = asked => found,
        () = given_up.cancelled() => Found::Failed { why: "its host was given up".to_owned(), cause: Cause::Busy },
    };
    Visited { place, visit, record: known, found }
}

async fn read(client: &Client, agent: &str, pace: &Pace, url: &Url, answer: Answer, variants: Variants) -> Found {
    match answer.status {
        200 | 203 => {}
        304 => return Found::Unchanged,
        301 | 302 | 303 | 307 | 308 => {
            return match answer.location {
                Some(to) => Found::Moved(to),
                None => Found::Unusable(format!("it redirects ({}) without saying where to", answer.status)),
            };
        }
        404 => return Found::Missing,
        410 => return Found::Gone,
        401 | 403 | 407 => {
            let why = format!("the site refuses it ({}): a login may be needed (`web: {{ headers: … }}`)", answer.status);
            return Found::Failed { why, cause: Cause::Refused };
        }
        status if is_busy(status) => {
            return Found::Failed { why: format!("the site answers {status}, {ATTEMPTS} times over"), cause: Cause::Busy };
        }
        status => return Found::Unusable(format!("the site answers {status}")),
    }
    let facts = facts(agent, &answer);
    let markdown_at = answer.link.clone();
    let body = answer.body;
    if !looks_like_html(facts.media_type.as_deref(), &body) {
        return Found::File { facts, body };
    }
    let (media_type, at) = (facts.media_type.clone(), url.clone());
    let scanned = tokio::task::spawn_blocking(move || {
        let scan = page::scan(&body, media_type.as_deref(), &at);
        (scan, body)
    });
    match scanned.await {
        Ok((Ok(scan), body)) => {
            let variant = variants.find(client, pace, url, &scan, &markdown_at).await;
            Found::Page { facts, body, scan: Box::new(scan), variant }
        }
        Ok((Err(error), _)) => Found::Unusable(crate::error::reason(&error)),
        Err(_) => Found::Unusable("the page could not be read".to_owned()),
    }
}

/// What the headers say.
fn facts(agent: &str, answer: &Answer) -> Facts {
    let mut facts = Facts {
        etag: answer.etag.clone(),
        last_modified: answer.last_modified.clone(),
        changed: answer.changed(SystemTime::now()),
        media_type: answer.content_type.clone(),
        ..Facts::default()
    };
    for line in &answer.x_robots_tag {
        let (names, directives) = match line.split_once(':') {
            // `unavailable_after: date` is a directive, and no name of a crawler.
            Some((name, rest)) if !name.contains(',') && !name.trim().eq_ignore_ascii_case("unavailable_after") => {
                (name.trim(), rest)
            }
            _ => ("", line.as_str()),
        };
        if !names.is_empty() && !names.eq_ignore_ascii_case(agent) {
            continue;
        }
        for directive in directives.split(',').map(|directive| directive.trim().to_ascii_lowercase()) {
            facts.no_index |= matches!(directive.as_str(), "noindex" | "none");
            facts.no_follow |= matches!(directive.as_str(), "nofollow" | "none");
        }
    }
    facts.no_ai = answer.content_signal.as_deref().is_some_and(|line| ContentSignal::parse(line).ai_input == Some(false));
    facts
}
