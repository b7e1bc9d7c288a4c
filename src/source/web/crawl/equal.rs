//! Pages with the very same content: one of them is the document, and always the same one, in whatever order they are visited.

use url::Url;

use super::super::super::{Listed, SkipReason};
use super::super::frontier::{Batch, Look, PageRecord};
use super::Crawl;
use super::ended::Ended;

impl Crawl {
    /// A page that has this content, and the address that it calls its own: a document, unless another page with the same content is
    /// to be it. The other one is no document any more if this one is.
    pub(super) async fn contest(
        &mut self,
        batch: &mut Batch,
        url: &Url,
        content: &str,
        canonical: Option<&Url>,
    ) -> Result<Look, Ended> {
        let Some((other, rival)) = self.document_with(content).await?.filter(|(other, _)| other != url) else {
            return Ok(Look::Document);
        };
        // What is in the index and was not visited yet will be, if not by a link.
        let seen = rival.seen == self.site.crawl;
        if !seen && (rival.version.is_none() || !self.admits(&other)) {
            return Ok(Look::Document);
        }
        if is_preferred((&other, rival.canonical.as_ref()), (url, canonical)) {
            return Ok(Look::Alias(other));
        }
        if seen {
            self.shared.frontier.drop_body(batch, other.as_str());
            let record = PageRecord { look: Look::Alias(url.clone()), version: None, ..rival };
            self.shared.frontier.set_page(batch, &other, &record);
            self.withdraw(&other).await?;
            self.skip(&other, SkipReason::Duplicate).await?;
        }
        Ok(Look::Document)
    }

    /// What a page is that is as it was: an answer that says nothing new about one that could not be had before makes it a document.
    pub(super) async fn still(&mut self, batch: &mut Batch, url: &Url, record: &PageRecord) -> Result<Look, Ended> {
        if let Look::Alias(_) = record.look {
            return Ok(record.look.clone());
        }
        let Some(content) = &record.content else { return Ok(Look::Document) };
        let look = self.contest(batch, url, content, record.canonical.as_ref()).await?;
        if look == Look::Document {
            self.shared.frontier.set_content(batch, content, url);
        }
        Ok(look)
    }

    /// The page with this content that is the document, as far as is known.
    pub(super) async fn document_with(&self, content: &str) -> Result<Option<(Url, PageRecord)>, Ended> {
        let Some(url) = self.shared.frontier.with_content(content).await? else { return Ok(None) };
        let record = self.shared.frontier.page(&url).await?;
        let is = |record: &PageRecord| record.look == Look::Document && record.content.as_deref() == Some(content);
        Ok(record.filter(is).map(|record| (url, record)))
    }

    /// Takes back that a page is a document.
    async fn withdraw(&mut self, url: &Url) -> Result<(), Ended> {
        let waiting = self.held.get_mut(&self.shared.site_of(url));
        if let Some(waiting) = waiting {
            let before = waiting.len();
            waiting.retain(|listed| !matches!(listed, Listed::Item(item) if item.uri == url.as_str()));
            if waiting.len() < before {
                return Ok(());
            }
        }
        self.say(Listed::Withdrawn { uri: url.to_string() }).await
    }
}

/// Whether the first of two pages is the document, each with the address that it calls its own: the one that both call so, else the one
/// with the shorter address.
pub(super) fn is_preferred(first: (&Url, Option<&Url>), second: (&Url, Option<&Url>)) -> bool {
    let named = first.1.filter(|named| second.1 == Some(*named) && (*named == first.0 || *named == second.0));
    named.map_or_else(|| length(first.0) < length(second.0), |named| named == first.0)
}

/// Of equal length, the first in the order of letters.
fn length(url: &Url) -> (usize, &str) {
    (url.as_str().len(), url.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("https://a.example").unwrap().join(path).unwrap()
    }

    #[test]
    fn what_both_name_is_preferred_and_else_the_shorter_address() {
        let (long, short, third) = (url("/docs/index.html"), url("/docs/"), url("/x"));
        let is = |first: Option<&Url>, second: Option<&Url>| is_preferred((&long, first), (&short, second));
        assert!(is(Some(&long), Some(&long)));
        assert!(!is(None, None) && !is(Some(&long), None) && !is(Some(&long), Some(&short)), "they disagree");
        assert!(!is(Some(&third), Some(&third)), "it is none of them");
        assert!(!is(Some(&short), Some(&short)));
    }

    proptest! {
        #[test]
        fn of_two_pages_one_is_preferred(paths in prop::array::uniform2("[a-c]{1,4}"), named in prop::array::uniform2(prop::option::of("[a-c]{1,2}"))) {
            prop_assume!(paths[0] != paths[1]);
            let [first, second] = paths.map(|path| url(&path));
            let [of_first, of_second] = named.map(|path| path.map(|path| url(&path)));
            let (first, second) = ((&first, of_first.as_ref()), (&second, of_second.as_ref()));
            prop_assert_ne!(is_preferred(first, second), is_preferred(second, first));
        }
    }
}
