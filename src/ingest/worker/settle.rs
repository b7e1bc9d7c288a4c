//! Sources learn which of their documents are done.

use std::collections::BTreeMap;

use crate::ingest::run::Run;
use crate::source::SourceId;

/// Tells the sources which documents are recorded as done.
pub(super) async fn settled<'a>(run: &Run, documents: impl Iterator<Item = (&'a SourceId, &'a str)>) {
    let mut by_source = BTreeMap::<&SourceId, Vec<String>>::new();
    for (source, uri) in documents {
        by_source.entry(source).or_default().push(uri.to_owned());
    }
    for (id, uris) in by_source {
        // Which of several of a kind gave it, they know.
        for source in run.setup.sources.iter().filter(|source| source.id() == id) {
            source.settled(&uris).await;
        }
    }
}
