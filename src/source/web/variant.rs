//! Pages that a site has in Markdown, too: taken only where they hold as much as the page.

use std::collections::HashSet;
use std::sync::Arc;

use url::Url;

use super::client::{Ask, Client};
use super::llms;
use super::pace::Pace;
use super::request::{looks_like_html, request};
use crate::parse::page::PageScan;

/// Words that a variant must have, of a hundred of the page's.
const ENOUGH: usize = 90;

/// A page in Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) text: String,
}

/// Where variants may be.
#[derive(Debug, Clone, Default)]
pub(super) struct Variants {
    /// The host answers `Accept: text/markdown` with Markdown.
    pub(super) negotiated: bool,
    /// What the host's llms.txt names.
    pub(super) listed: Arc<HashSet<Url>>,
}

impl Variants {
    /// The page in Markdown, where there is one that holds as much.
    pub(super) async fn find(
        &self,
        client: &Client,
        pace: &Pace,
        url: &Url,
        scan: &PageScan,
        headers: &[String],
    ) -> Option<Variant> {
        let same_host = |other: &Url| other.origin() == url.origin();
        let mut places: Vec<Url> = scan.alternates.iter().filter(|other| same_host(other)).cloned().collect();
        places.extend(llms::alternate(headers, url).filter(same_host));
        places.extend(llms::variants(url).into_iter().filter(|other| self.listed.contains(other)));
        if self.negotiated {
            places.push(url.clone());
        }
        let place = places.first()?;
        let ask = Ask { accept: "text/markdown", ..Ask::default() };
        let answer = request(client, pace, place, &ask).await.ok().filter(|answer| answer.status == 200)?;
        let text = markdown(answer.content_type.as_deref(), answer.body)?;
        holds_as_much(&text, scan).then_some(Variant { text })
    }
}

/// The Markdown of an answer that is some.
pub(super) fn markdown(media_type: Option<&str>, body: Vec<u8>) -> Option<String> {
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = matches!(essence.as_str(), "text/markdown" | "text/x-markdown" | "text/plain");
    (plain && !looks_like_html(media_type, &body)).then(|| String::from_utf8(body).ok()).flatten()
}

/// Whether a variant is no mere summary of the page.
pub(super) fn holds_as_much(text: &str, scan: &PageScan) -> bool {
    words(text) * 100 >= scan.words * ENOUGH
}

/// Words, about; letters of scripts that part no words count by two, as [`PageScan::words`] has them.
fn words(text: &str) -> usize {
    let unspaced = |c: &char| matches!(*c as u32, 0x2e80..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0x20000..=0x3ffff);
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
        + text.chars().filter(unspaced).count() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_what_says_so_and_is_no_html() {
        assert_eq!(markdown(Some("text/markdown; charset=utf-8"), b"# A".to_vec()).as_deref(), Some("# A"));
        assert_eq!(markdown(Some("text/html"), b"# A".to_vec()), None);
        assert_eq!(markdown(Some("text/plain"), b"<!doctype html><p>".to_vec()), None);
        assert_eq!(markdown(Some("text/markdown"), vec![0xff, 0xfe]), None);
    }
}
