//! What was fetched of a page, kept until its document is done: a crawl that is killed does not ask for it again.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::variant::Variant;
use super::visit::Facts;

/// What is read back, at most: what was let in was smaller.
const MOST: u64 = 1 << 30;

/// A page's content, as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spooled {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    /// The same in Markdown, to be preferred.
    pub(super) markdown: Option<String>,
}

impl Spooled {
    /// What was fetched a moment ago.
    pub(super) fn new(html: bool, facts: &Facts, body: Vec<u8>) -> Self {
        Self { head: Head::of(html, facts, &body), body, markdown: None }
    }
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Whether it is a page of HTML.
    pub(super) html: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    /// When it was changed, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) changed: Option<i64>,
    /// Bytes of the body; Markdown follows.
    body: u64,
}

impl Head {
    fn of(html: bool, facts: &Facts, body: &[u8]) -> Self {
        Self { html, media_type: facts.media_type.clone(), changed: facts.changed, body: body.len() as u64 }
    }
}

/// A page of HTML.
pub(super) fn page(facts: &Facts, body: &[u8], variant: Option<&Variant>) -> Vec<u8> {
    packed(true, facts, body, variant.map(|variant| variant.text.as_str()))
}

/// A document of another format.
pub(super) fn file(facts: &Facts, body: &[u8]) -> Vec<u8> {
    packed(false, facts, body, None)
}

#[expect(clippy::expect_used, reason = "writing into memory does not fail")]
fn packed(html: bool, facts: &Facts, body: &[u8], markdown: Option<&str>) -> Vec<u8> {
    let mut out = serde_json::to_vec(&Head::of(html, facts, body)).expect("texts and numbers are JSON");
    out.push(b'\n');
    let mut encoder = DeflateEncoder::new(out, Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.write_all(markdown.unwrap_or_default().as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// What was kept; `None` where it cannot be read.
pub(super) fn unpacked(bytes: &[u8]) -> Option<Spooled> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = bytes.split_at_checked(end)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let mut body = Vec::new();
    DeflateDecoder::new(rest.get(1..)?).take(MOST).read_to_end(&mut body).ok()?;
    let markdown = body.split_off(usize::try_from(head.body).ok().filter(|length| *length <= body.len())?);
    let markdown = if markdown.is_empty() { None } else { Some(String::from_utf8(markdown).ok()?) };
    Some(Spooled { head, body, markdown })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let facts = Facts { media_type: Some("text/html; charset=gbk".into()), changed: Some(7), ..Facts::default() };
        let variant = Variant { text: "# 标题\n\n正文".into() };
        let back = unpacked(&page(&facts, b"<p>\n\xd5\xfd", Some(&variant))).unwrap();
        assert_eq!((back.body.as_slice(), back.markdown.as_deref()), (&b"<p>\n\xd5\xfd"[..], Some("# 标题\n\n正文")));
        assert!(back.head.html && back.head.media_type == facts.media_type && back.head.changed == Some(7));
        let back = unpacked(&file(&Facts::default(), b"%PDF")).unwrap();
        assert_eq!((back.body.as_slice(), back.markdown, back.head.html), (&b"%PDF"[..], None, false));
    }

    #[test]
    fn what_is_damaged_was_not_kept() {
        let whole = page(&Facts::default(), &[b'x'; 4000], None);
        for length in 0..whole.len() {
            assert!(whole.get(..length).and_then(unpacked).is_none(), "{length} of {} bytes", whole.len());
        }
    }
}
