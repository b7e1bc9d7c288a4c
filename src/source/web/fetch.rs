//! From what was kept of a page to its document.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

use super::super::{Body, FetchError, Fetched, FormatHint, Item, SkipReason, SourceError, Version};
use super::access::Access;
use super::client::Ask;
use super::frontier::Look;
use super::request::{ACCEPT, looks_like_html, request};
use super::shared::Shared;
use super::spool::{self, Spooled};
use super::visit::Facts;
use crate::document::Anchor;
use crate::parse::{Extracted, ParseError, page};

/// The document of a page that was listed.
pub(super) async fn fetch(shared: &Shared, item: &Item) -> Result<Fetched, FetchError> {
    let url = Url::parse(&item.uri).map_err(SourceError::new)?;
    let kept = shared.frontier.body(&item.uri).await?.as_deref().and_then(spool::unpacked);
    let spooled = match kept {
        Some(spooled) => spooled,
        // It was done once, and is wanted again: the index is made anew, say.
        None => ask_again(shared, &url).await?,
    };
    let furniture = shared.furniture(&shared.site_of(&url));
    let version = item.version;
    let document = tokio::task::spawn_blocking(move || document(spooled, &url, version, furniture));
    document.await.map_err(SourceError::new)?
}

async fn ask_again(shared: &Shared, url: &Url) -> Result<Spooled, FetchError> {
    if shared.frontier.page(url).await?.is_some_and(|record| matches!(record.look, Look::Alias(_))) {
        return Err(FetchError::Skipped(SkipReason::Duplicate));
    }
    let (client, pace) = (shared.client().await?, shared.pace(url).await);
    let access = shared.robots(url, &pace, None).await?.access(&shared.agent);
    if let Access::Nothing { why } = &access {
        return Err(SourceError::new(why.clone()).into());
    }
    let mut at = url.clone();
    for _ in 0..5 {
        // A redirect may lead to what the site keeps for itself.
        if !access.may_be_read(&at) {
            return Err(FetchError::Skipped(SkipReason::Robots));
        }
        match request(&client, &pace, &at, &Ask { accept: ACCEPT, ..Ask::default() }).await {
            Ok(answer) if answer.status == 200 => {
                let html = looks_like_html(answer.content_type.as_deref(), &answer.body);
                let changed = answer.changed(SystemTime::now());
                let facts = Facts { media_type: answer.content_type, changed, ..Facts::default() };
                return Ok(Spooled::new(html, &facts, answer.body));
            }
            Ok(answer) if matches!(answer.status, 404 | 410) => return Err(FetchError::Gone),
            Ok(answer) => match answer.location.filter(|to| to.origin() == url.origin()) {
                Some(to) => at = to,
                None => return Err(SourceError::new(format!("the site answers {}", answer.status)).into()),
            },
            Err(failure) => return Err(SourceError::new(failure.why).into()),
        }
    }
    Err(SourceError::new("the page leads from one redirect to the next").into())
}

fn document(spooled: Spooled, url: &Url, version: Version, furniture: Arc<HashSet<u64>>) -> Result<Fetched, FetchError> {
    let Spooled { head, body, markdown } = spooled;
    let mut fetched = if head.html {
        let read = page::read(&body, head.media_type.as_deref(), url, move |block| furniture.contains(&block));
        let page = read.map_err(unread)?;
        let Extracted { title, markup, text } = page.extracted;
        let (text, anchors) = match markdown {
            Some(markdown) => {
                let anchors = anchors_of(&markdown, &text, &page.anchors);
                (markdown, anchors)
            }
            None => (text, page.anchors),
        };
        let mut fetched = Fetched::new(Body::Text { text, markup, title }, version);
        fetched.anchors = anchors;
        fetched
    } else {
        let name = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default().to_owned();
        Fetched::new(Body::Bytes { bytes: body, hint: FormatHint { name: Some(name), media_type: head.media_type } }, version)
    };
    fetched.modified_ns = head.changed.and_then(|seconds| seconds.checked_mul(1_000_000_000));
    Ok(fetched)
}

/// Where the places of a page are in its variant: at the same headings, in the same order.
fn anchors_of(variant: &str, page: &str, anchors: &[Anchor]) -> Vec<Anchor> {
    let heading = |line: &str| line.trim_start_matches('#').trim().trim_end_matches('#').trim_end().to_owned();
    let of_page = |anchor: &Anchor| {
        let line = page.get(anchor.start..)?.lines().next()?;
        line.starts_with('#').then(|| (heading(line), anchor.id.clone()))
    };
    let mut wanted = anchors.iter().filter_map(of_page).peekable();
    let (mut found, mut start, mut fenced) = (Vec::new(), 0, false);
    for line in variant.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if line.starts_with('#') && !fenced {
            let title = heading(line);
            // A heading that the variant does not have is passed over, but only if it has this one.
            if let Some(skipped) = wanted.clone().position(|(heading, _)| heading == title)
                && let Some((_, id)) = wanted.nth(skipped)
            {
                found.push(Anchor { start, id });
            }
        }
        start += line.len();
    }
    found
}

/// A page without text is left out; of any other the text is lost.
fn unread(error: ParseError) -> FetchError {
    match SkipReason::of(&error) {
        Some(reason) => FetchError::Skipped(reason),
        None => SourceError::new(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_has_the_places_of_its_page() {
        let page = "# Keys\n\nText.\n\n## Rotate\n\nMore.\n\n## Revoke\n\nEnd.\n";
        let at = |text: &str, heading: &str, id: &str| Anchor { start: text.find(heading).unwrap_or_default(), id: id.into() };
        let anchors = [at(page, "# Keys", "keys"), at(page, "## Rotate", "rotate"), at(page, "## Revoke", "revoke")];
        let variant = "---\nx: y\n---\n# Keys #\n\n```sh\n# Rotate\n```\n\n## Own\n\n## Revoke\n";
        let expected = [at(variant, "# Keys", "keys"), at(variant, "## Revoke", "revoke")];
        assert_eq!(anchors_of(variant, page, &anchors), expected);
    }
}
