//! A request, and again while the host only asks for patience.

use std::time::Duration;

use url::Url;

use super::client::{Answer, Ask, Client, ClientError};
use super::pace::{Change, Pace};

/// Requests for one page, at most.
pub(super) const ATTEMPTS: u32 = 3;

/// A shorter pause is nothing to wonder about.
const WORTH_SAYING: Duration = Duration::from_secs(5);

/// What browsers send, more or less; a server that has Markdown is asked for that on its own.
pub(super) const ACCEPT: &str = "text/html,application/xhtml+xml,*/*;q=0.5";

/// Why a page could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// No connection came about.
    Unreachable,
    /// The host is busy or broken.
    Busy,
    /// The host wants a login.
    Refused,
}

/// There is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// A sentence.
    pub(super) why: String,
    /// `None`: the page's own fault, which says nothing of the others.
    pub(super) cause: Option<Cause>,
}

/// Asks, and again while the answer is that the host is busy or broken.
pub(super) async fn request(client: &Client, pace: &Pace, url: &Url, ask: &Ask<'_>) -> Result<Answer, Failure> {
    let mut attempt = 1;
    loop {
        let admission = pace.admit().await;
        let began = tokio::time::Instant::now();
        match client.get(url, ask).await {
            Ok(answer) => {
                say(url, admission.settle(Some(answer.status), answer.took, answer.retry_after));
                if attempt == ATTEMPTS || !is_busy(answer.status) || pace.is_hopeless() {
                    return Ok(answer);
                }
            }
            Err(error) => {
                // What is too large, or leads nowhere, is an answer all the same.
                let status = error.is_answer().then_some(200);
                say(url, admission.settle(status, began.elapsed(), None));
                let failed = failure(&error);
                if attempt == ATTEMPTS || !error.is_transient() || pace.is_hopeless() {
                    return Err(failed);
                }
                tokio::time::sleep(Duration::from_millis(250) * attempt).await;
            }
        }
        attempt += 1;
    }
}

/// Says that a host is asked more slowly than a person would expect.
fn say(url: &Url, change: Change) {
    let host = url.host_str().unwrap_or_default();
    if let Some(pause) = change.pause.filter(|pause| *pause >= WORTH_SAYING) {
        tracing::warn!("{host} asks to be left alone for {} s", pause.as_secs());
    }
    if let Some(slower) = change.slower {
        tracing::warn!("{host} is asked more slowly from now on: every {:.1} s", slower.as_secs_f64());
    }
}

pub(super) fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

fn failure(error: &ClientError) -> Failure {
    let mut why = crate::error::reason(error);
    if let Some(hint) = error.hint() {
        why = format!("{why} ({hint})");
    }
    if error.is_host_failure() {
        Failure { why, cause: Some(Cause::Unreachable) }
    } else if error.is_transient() {
        Failure { why, cause: Some(Cause::Busy) }
    } else {
        Failure { why, cause: None }
    }
}

/// Whether bytes are a page, whatever they are called: types are missing and wrong on many sites.
pub(super) fn looks_like_html(media_type: Option<&str>, body: &[u8]) -> bool {
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" => true,
        "" | "text/plain" | "application/octet-stream" | "application/xml" | "text/xml" => {
            let start = body.get(..body.len().min(1024)).unwrap_or_default();
            let start =
                String::from_utf8_lossy(start).trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).to_ascii_lowercase();
            start.starts_with("<!doctype html")
                || start.starts_with("<html")
                || (start.starts_with("<?xml") && start.contains("<html"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_page_shows_in_its_first_bytes_where_the_type_says_nothing() {
        for (media_type, body, html) in [
            (Some("text/html; charset=gbk"), "", true),
            (Some("application/xhtml+xml"), "", true),
            (Some("text/plain"), "\u{feff}\n <!DOCTYPE html><p>", true),
            (Some("text/plain"), "# A title", false),
            (Some("application/pdf"), "<html>", false),
            (None, "<?xml version='1.0'?><html xmlns='x'>", true),
            (None, "<?xml version='1.0'?><rss>", false),
        ] {
            assert_eq!(looks_like_html(media_type, body.as_bytes()), html, "{media_type:?} {body}");
        }
    }
}
