//! A source of what a program has in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::{Body, FetchError, Fetched, FormatHint, Item, Listed, Source, SourceId, Version};
use crate::document::Metadata;

/// A source of documents that are there as text. Each run has to be given all of them: what is left out counts as gone.
#[derive(Debug)]
pub struct Documents {
    id: SourceId,
    by_uri: HashMap<String, Fetched>,
    order: Vec<Item>,
}

/// A source of these texts: pairs of a uri and a text, which may be Markdown. Their hashes are their versions.
///
/// ```
/// let notes = ragstream::source::documents("notes", [("notes://1", "Keys are rotated on Mondays."), ("notes://2", "# Backups")]);
/// ```
pub fn documents<U: Into<String>, T: Into<String>>(
    id: impl Into<SourceId>,
    texts: impl IntoIterator<Item = (U, T)>,
) -> Documents {
    texts.into_iter().fold(Documents::new(id), |documents, (uri, text)| documents.with(uri, text, Metadata::new()))
}

impl Documents {
    /// An empty source.
    pub fn new(id: impl Into<SourceId>) -> Self {
        Self { id: id.into(), by_uri: HashMap::new(), order: Vec::new() }
    }

    /// With one document more. Of two with the same uri the first counts.
    #[must_use]
    pub fn with(mut self, uri: impl Into<String>, text: impl Into<String>, metadata: Metadata) -> Self {
        let hint = FormatHint::default().with_name("text.md");
        let body = Body::Bytes { bytes: text.into().into_bytes(), hint };
        let mut fetched = Fetched { metadata, ..Fetched::new(body, Version::UNKNOWN) };
        fetched.version = Version::new(fetched.hash());
        let mut item = Item::new(uri, fetched.version);
        item.size = Some(fetched.body.len() as u64);
        if let std::collections::hash_map::Entry::Vacant(place) = self.by_uri.entry(item.uri.clone()) {
            place.insert(fetched);
            self.order.push(item);
        }
        self
    }
}

#[async_trait]
impl Source for Documents {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        let items = self.order.iter().cloned().map(Listed::Item);
        stream::iter(items.chain([Listed::Complete])).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        items.iter().map(|item| self.by_uri.get(&item.uri).cloned().ok_or(FetchError::Gone)).collect()
    }
}
