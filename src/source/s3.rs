//! Buckets of S3 and of what speaks like it: every object is a document.
//!
//! As with files, a bucket is *listed*, compared, and what changed is *read*: the list tells of each object an `ETag`, which is
//! another one with each content, and an object is then asked for in the state in which it was listed.
//!
//! Requests are signed by `rusty_s3`, and sent by the client that everything here is sent with. Not by the `object_store` crate: its
//! paths cannot say `a//b`, `/a` or `a/`, and one such key in a bucket breaks its list.
//!
//! Invariant: what could not be listed to its end removes nothing.
//! Invariant: a uri holds the bytes of its key, and no key is asked for in another's place.

mod client;
mod failure;
mod listing;
mod plan;
mod walk;

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use self::client::{Client, Whole};
use self::failure::{Failure, Kind};
pub use self::plan::{Login, REGION, S3Plan};
use self::walk::{is_dotted, version, walk};
use super::{Body, FetchError, Fetched, FormatHint, Item, Listed, SkipReason, Source, SourceError, SourceId};
use crate::parse::{Guess, guess};

/// Objects of one group that are asked for at once.
const AT_ONCE: usize = 16;

/// A bucket as a source. The uri of a document is `s3://bucket/key`.
pub struct S3 {
    id: SourceId,
    plan: S3Plan,
    client: Client,
}

impl S3 {
    /// The objects of a plan. Nothing is asked yet.
    pub fn new(plan: S3Plan) -> Self {
        Self { id: SourceId::new("s3"), client: Client::new(&plan), plan }
    }

    async fn one(&self, item: &Item) -> Result<Fetched, FetchError> {
        let key = self.plan.key(&item.uri).filter(|key| !is_dotted(key));
        let Some(key) = key else {
            return Err(SourceError::new(format!("no object of the bucket `{}` has this key", self.plan.bucket())).into());
        };
        // A weak one matches nothing.
        let state = std::str::from_utf8(&item.key).ok().filter(|etag| !etag.is_empty() && !etag.starts_with("W/"));
        let whole = match self.client.object(key, state, item.size).await {
            // As it is now, then: the next list may tell of it, or of another change.
            Err(failure) if failure.kind == Kind::Changed => self.client.object(key, None, None).await,
            other => other,
        };
        match whole {
            Ok(whole) => Ok(fetched(item, state, key, whole)),
            Err(failure) => Err(lost(failure)),
        }
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("plan", &self.plan).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for S3 {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn roots(&self) -> Vec<String> {
        vec![self.plan.root()]
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        walk(&self.plan, &self.client).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        let all: Vec<_> = items.iter().map(|item| self.one(item)).collect();
        stream::iter(all).buffered(AT_ONCE).collect().await
    }
}

/// An object as a document. `state`: the one that was asked for.
fn fetched(item: &Item, state: Option<&str>, key: &str, whole: Whole) -> Fetched {
    let Whole { bytes, size, etag, modified, media_type } = whole;
    let modified = modified.map(nanoseconds);
    let listed = state.is_some() && etag.as_deref() == state;
    let version =
        if listed { item.version } else { version(etag.as_deref(), size, modified.map(|ns| ns.div_euclid(1_000_000_000))) };
    // A name tells more than a type that was guessed from it, or forgotten.
    let media_type = media_type.filter(|_| matches!(guess(key), Guess::Unknown));
    let hint = FormatHint { name: None, media_type };
    Fetched { modified_ns: modified, ..Fetched::new(Body::Bytes { bytes, hint }, version) }
}

fn lost(failure: Failure) -> FetchError {
    match failure.kind {
        Kind::Gone => FetchError::Gone,
        Kind::TooLarge => FetchError::Skipped(SkipReason::TooLarge),
        Kind::Changed | Kind::Transient | Kind::Lasting => FetchError::Failed(SourceError::new(failure)),
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let after = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(after.as_nanos()).unwrap_or(i64::MAX)
}
