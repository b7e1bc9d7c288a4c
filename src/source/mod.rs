//! Where documents come from: what there is is listed, and each item is fetched.
//!
//! A [`Source`] lists all that it has, each item with an opaque [`Version`]; only items whose version is not the recorded one are
//! fetched. There are [`files`], whole sites ([`web`]), tables ([`sql`]) and buckets (`s3`); [`documents()`] makes one of what a program has in memory. A new
//! kind is one file, one variant of [`SourcePlan`] and one line in [`open`].
//!
//! Invariant: what is gone is decided by source. A document is removed when the source that gave it could list the place where it
//! was, to the end, and did not name it any more; no source can remove what another gave.

mod body;
mod documents;
pub mod files;
mod globs;
mod item;
pub(crate) mod readable;
#[cfg(feature = "s3")]
pub mod s3;
pub mod sql;
pub mod state;
pub mod web;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use globset::GlobSet;

#[cfg(feature = "s3")]
pub use self::s3::{S3, S3Plan};
pub use self::sql::{Sql, SqlPlan};
use self::state::State;
pub use self::web::{Web, WebPlan};
pub use documents::{Documents, documents};
pub(crate) use files::normalise;
pub use files::{Files, uri_of};
pub(crate) use globs::{anywhere, glob, glob_set, is_glob, path_globs, single, split_glob};
pub use item::{Body, FetchError, Fetched, FormatHint, Item, Listed, SkipReason, SourceError, SourceId, Version};

/// A source of documents.
#[async_trait]
pub trait Source: std::fmt::Debug + Send + Sync {
    /// What kind of source it is. Sources of one run may share it, as all that read files do; then they have their documents in
    /// common.
    fn id(&self) -> &SourceId;

    /// The prefixes of all that it may list (see [`is_within`]). Where a run is asked for its sources alone
    /// (`ingest ./docs`), only documents below these can be found gone.
    fn roots(&self) -> Vec<String> {
        vec![String::new()]
    }

    /// The prefixes of the part that it lists, where it was narrowed to one, as a watch does it with what has just changed: nothing
    /// else can be found gone. `None`: it lists all that it has.
    fn focus(&self) -> Option<Vec<String>> {
        None
    }

    /// Lists all that there is, in any order; an item that is named twice counts once. Polled from one task, and dropped when the
    /// run is stopped.
    ///
    /// What cannot be listed is [`Listed::Unreadable`], and the listing goes on. Its last step is [`Listed::Complete`]; after an
    /// end without it, or a panic, the source counts as unreadable altogether.
    fn list(&self) -> BoxStream<'_, Listed>;

    /// Fetches some items that it listed: small ones come together, a large one alone. Called for several groups at once. One answer
    /// an item, in the order of the items. A call that is dropped is cancelled.
    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>>;

    /// How many items of unknown size it likes to be asked for at once, as far as it knows by now, so that they hold a megabyte or so
    /// together: whoever asks a server pays for each way there and back. `None`: a few, as files are read.
    fn at_once(&self) -> Option<usize> {
        None
    }

    /// Told of documents that are recorded as done: what was kept for them alone may go. May not be told of all, after a kill.
    async fn settled(&self, _uris: &[String]) {}
}

/// A source of documents, as a pipeline says it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SourcePlan {
    /// Files and folders.
    Files(FilesPlan),
    /// Whole sites.
    Web(WebPlan),
    /// Rows of a database.
    Sql(Box<SqlPlan>),
    /// Objects of a bucket.
    #[cfg(feature = "s3")]
    S3(Box<S3Plan>),
}

impl SourcePlan {
    /// Whether a document that is no file may be one of its own, as far as the uri tells.
    pub fn may_have(&self, uri: &str) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Web(plan) => plan.may_have(uri),
            Self::Sql(plan) => uri.starts_with(plan.prefix()),
            #[cfg(feature = "s3")]
            Self::S3(plan) => is_within(uri, &plan.root()),
        }
    }

    /// Why a document of this uri that is no file is never taken, whatever is in it.
    pub fn refusal(&self, uri: &str) -> Option<SkipReason> {
        match self {
            Self::Web(plan) => plan.refusal(uri),
            #[cfg(feature = "s3")]
            Self::S3(plan) => plan.refusal(uri),
            Self::Files(_) | Self::Sql(_) => None,
        }
    }
}

/// Files and folders.
#[derive(Debug, Clone)]
pub struct FilesPlan {
    /// Files and folders, absolute. A glob in the file has been split into its fixed folder and an `include`.
    pub paths: Vec<PathBuf>,
    /// When not empty: only files whose path below its root matches.
    pub include: GlobSet,
    /// Never files whose path below its root matches.
    pub exclude: GlobSet,
    /// Larger files are skipped.
    pub max_bytes: u64,
    /// Whether every machine reaches them under the same paths.
    pub shared: bool,
}

/// What a source is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To index what it has.
    Index,
    /// To tell what there would be to index. A source that cannot be listed without fetching it tells what it knows.
    Preview,
    /// To look at a few of its documents: what costs a request each is sought no longer than that takes. What it remembers is thrown away.
    Sample,
}

/// Opens a source. `base` is the folder that files' uris are relative to; `state` gives what sources of an id remember.
pub fn open(plan: &SourcePlan, base: &Path, state: impl Fn(&SourceId) -> Arc<dyn State>, purpose: Purpose) -> Arc<dyn Source> {
    match plan {
        SourcePlan::Files(plan) => Arc::new(Files::new(plan.clone(), base)),
        SourcePlan::Sql(plan) => Arc::new(Sql::new((**plan).clone())),
        #[cfg(feature = "s3")]
        SourcePlan::S3(plan) => Arc::new(S3::new((**plan).clone())),
        SourcePlan::Web(plan) => Arc::new(Web::new(plan.clone(), state, purpose)),
    }
}

/// Whether a document lies at or below a prefix: `docs` covers itself and `docs/a.md`, `https://a.example/docs/` all that begins
/// with it, `https://a.example/docs` itself with any query, `.` every relative path, `/` every absolute one, and the empty prefix
/// everything.
pub fn is_within(uri: &str, prefix: &str) -> bool {
    match prefix {
        "" => true,
        "." => !Path::new(uri).is_absolute() && !uri.contains("://"),
        _ => uri.strip_prefix(prefix).is_some_and(|rest| {
            rest.is_empty()
                || rest.starts_with('/')
                || prefix.ends_with('/')
                || (rest.starts_with('?') && prefix.contains("://"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_between_two_parts() {
        let within = [
            ("docs/a.md", "docs"),
            ("docs", "docs"),
            ("a", "."),
            ("/x/a", "/"),
            ("https://a.example/docs/", "https://a.example/docs/"),
            ("https://a.example/docs/b", "https://a.example/docs/"),
            ("https://a.example/docs/b", "https://a.example/docs"),
            ("https://a.example/docs?page=2", "https://a.example/docs"),
            ("tickets://17", "tickets://"),
            ("anything", ""),
        ];
        let outside = [
            ("docs2/a.md", "docs"),
            ("docs?a.md", "docs"),
            ("/x/a", "."),
            ("a", "/"),
            ("https://a.example/docs", "."),
            ("https://a.example/docs-old", "https://a.example/docs"),
            ("https://a.example.org/", "https://a.example"),
        ];
        assert_eq!(within.iter().filter(|(uri, prefix)| !is_within(uri, prefix)).count(), 0);
        assert_eq!(outside.iter().filter(|(uri, prefix)| is_within(uri, prefix)).count(), 0);
    }
}
