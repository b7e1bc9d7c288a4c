//! Where the vectors live: the embedded store or a Qdrant server, behind one trait.

pub mod bm25;
pub mod embedded;
mod error;
mod plan;
pub mod qdrant;
mod slots;
mod standing;
mod terms;

use std::collections::HashMap;
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::error::StoreError;
pub use self::plan::{Ordering, Spread, StorePlan};
pub use self::slots::{Held, Look, Made, ModelChange, Slot, Slots};
pub use self::standing::Standing;

use crate::document::{Hit, Passage, Point, Scalar, SparseVector, unusable};
use crate::providers::{Fingerprint, Prefixes};

/// The dense vector's name in a store.
const DENSE: &str = "dense";
/// The BM25 vector's name in a store.
const SPARSE: &str = "bm25";
/// The payload key by which documents are removed.
const URI: &str = "uri";
/// The payload key of the folders above a document, so that a condition on one is a look into an index.
const FOLDERS: &str = "folders";
/// The payload key of a document's language.
const LANG: &str = "lang";
/// The payload key of a document's modification time.
const MODIFIED: &str = "modified";
/// What stands for a time that nobody knows, in payloads that were written long ago, too.
pub(crate) const UNDATED: i64 = 0;
/// The payload key of what else is known of a document.
const METADATA: &str = "metadata";
/// The payload keys that conditions look into by an index, besides [`MODIFIED`], which is a number.
const KEYWORDS: [&str; 3] = [URI, FOLDERS, LANG];
/// Documents that [`VectorStore::uris`] names, at most.
pub const MAX_DOCUMENTS: usize = 1_000_000;
/// Points that one query or one page of a scroll returns, at most.
pub const MAX_PAGE: usize = 10_000;

/// The store that a plan names; an embedded one without a path lives in `default_path`. Nothing is opened or asked yet.
pub fn open(plan: &StorePlan, default_path: &Path) -> Result<Arc<dyn VectorStore>, StoreError> {
    Ok(match plan {
        StorePlan::Embedded { path } => Arc::new(embedded::EmbeddedStore::new(path.as_deref().unwrap_or(default_path))),
        StorePlan::Qdrant { url, api_key, collection, timeout, spread } => {
            Arc::new(qdrant::QdrantStore::new(url, api_key.as_ref(), collection, *timeout)?.with_spread(*spread))
        }
    })
}

/// What an index was made with. Kept in the index itself; an index made with something else is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexMeta {
    /// Layout of points and payloads. Now [`IndexMeta::VERSION`].
    pub version: u32,
    /// Changes whenever the index is made anew and at the end of every run that changed it, so that a ledger can tell that
    /// its store was wiped, or is an old copy.
    pub generation: Uuid,
    /// The embedder's [`fingerprint`](crate::providers::Embedder::fingerprint).
    pub model: Fingerprint,
    /// The width of the dense vectors.
    pub dimensions: usize,
    /// How documents were chunked (see `ChunkPlan::fingerprint`).
    pub chunking: String,
    /// The home folder whose run wrote last, where the index lives outside of it: another home's documents are not this one's
    /// to remove. (Two machines with the same path are not told apart.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// How far a change of the model is that made it; `None`: it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ModelChange>,
    /// What was put before each question and each passage, where the pipeline said so: [`Self::model`] has no more than their hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Prefixes>,
}

impl IndexMeta {
    /// The layout this version writes.
    pub const VERSION: u32 = 2;

    /// The home that wrote to it last, if it is another one than this.
    pub(crate) fn other_home(&self, home: Option<&str>) -> Option<String> {
        self.home.clone().filter(|wrote| home.is_some_and(|home| home != wrote))
    }

    /// Whether what it was made with is the same, whichever run has written to it.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        let Self { version, generation: _, model, dimensions, chunking, home: _, change: _, prefixes: _ } = self;
        (*version, model, *dimensions, chunking) == (other.version, &other.model, other.dimensions, &other.chunking)
    }

    /// Refuses an index whose layout or vectors are not what the pipeline's model makes.
    pub fn agree_with_model(&self, store: &dyn VectorStore, model: &Fingerprint) -> Result<(), StoreError> {
        if self.version != Self::VERSION {
            return Err(StoreError::Layout { store: store.describe(), found: self.version, reads: Self::VERSION });
        }
        Self::same(store, "the model", self.model.as_str(), model.as_str())
    }

    /// Refuses an index whose chunks are not what the pipeline's chunking makes.
    pub fn agree_with_chunking(&self, store: &dyn VectorStore, chunking: &str) -> Result<(), StoreError> {
        Self::same(store, "the chunking", &self.chunking, chunking)
    }

    fn same(store: &dyn VectorStore, what: &'static str, found: &str, wanted: &str) -> Result<(), StoreError> {
        if found == wanted {
            return Ok(());
        }
        Err(StoreError::Mismatch { store: store.describe(), what, found: found.into(), wanted: wanted.into() })
    }
}

/// How a query ranks. What ranks by both asks twice and fuses: see `answer::fusion`.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// By cosine similarity alone.
    Dense(Vec<f32>),
    /// By BM25 alone.
    Sparse(SparseVector),
}

/// A point in a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Which.
    pub id: Uuid,
    /// How well it fits; what it is measured in depends on the ranking.
    pub score: f32,
}

impl From<&Hit> for Ranked {
    fn from(hit: &Hit) -> Self {
        Self { id: hit.id, score: hit.score }
    }
}

/// Makes one ranking of two, each best first: by [`Query::Dense`] and by [`Query::Sparse`].
pub type Fuse = Arc<dyn Fn(&[Ranked], &[Ranked]) -> Vec<Ranked> + Send + Sync>;

/// A search by two rankings of which one is made.
#[derive(Clone)]
pub struct TwoRankings {
    /// As of [`Query::Dense`].
    pub dense: Vec<f32>,
    /// As of [`Query::Sparse`].
    pub sparse: SparseVector,
    /// Places of each ranking that are looked at.
    pub depth: usize,
    /// Makes one of them.
    pub fuse: Fuse,
}

impl fmt::Debug for TwoRankings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoRankings").field("sparse", &self.sparse).field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// What a passage must be to be found: a query's conditions all hold.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// Its document is one of these.
    Documents(Vec<String>),
    /// Its document is one of these, or lies below one. `.` is all that is relative, `/` all that is absolute.
    Within(Vec<String>),
    /// Its document is none of these, and lies below none of them.
    NotWithin(Vec<String>),
    /// Its language is this, an ISO 639-1 code.
    Lang(String),
    /// Its language is not this, or not known.
    NotLang(String),
    /// Its document was modified within this time, in seconds since the Unix epoch. One of which that is not known (0) was not, whatever
    /// the bounds.
    Modified {
        /// Not before.
        from: Option<i64>,
        /// Before.
        until: Option<i64>,
    },
    /// Its document's metadata has one of these values under this name, or a list in which one of them is.
    Metadata(String, Vec<Scalar>),
    /// Its document's metadata has none of these values under this name, or nothing at all.
    NotMetadata(String, Vec<Scalar>),
    /// Its document's metadata has a number in this range under this name, or a list in which one is.
    MetadataRange(String, Bound<f64>, Bound<f64>),
}

impl Condition {
    /// The way to a value of the metadata in a payload. Names are quoted, for they may hold anything; none holds a quote.
    fn metadata_path(name: &str) -> String {
        format!("{METADATA}.\"{name}\"")
    }
}

/// A store of points. Every method's success means that the store has acknowledged: what was written survives a kill.
#[async_trait]
pub trait VectorStore: Send + Sync + std::fmt::Debug {
    /// What a person calls it: a path or a URL with the collection.
    fn describe(&self) -> String;
    /// What the index was made with; `None` when there is no index yet.
    async fn meta(&self) -> Result<Option<IndexMeta>, StoreError>;
    /// Makes the index (vectors, IDF, payload indexes). Must not exist: [`StoreError::Failed`] where another run was faster.
    async fn create(&self, meta: &IndexMeta) -> Result<(), StoreError>;
    /// Replaces what is kept of an index that exists: its generation; the rest must be what it was created with.
    async fn set_meta(&self, meta: &IndexMeta) -> Result<(), StoreError>;
    /// Removes the index and all it holds. Not an error when there is none.
    async fn drop_index(&self) -> Result<(), StoreError>;
    /// Writes points; those with the same id are replaced.
    async fn upsert(&self, points: Vec<Point>) -> Result<(), StoreError>;
    /// Replaces the payloads of points that exist and keeps their vectors.
    async fn set_passages(&self, passages: Vec<(Uuid, Passage)>) -> Result<(), StoreError>;
    /// Removes points. Ids that do not exist are ignored.
    async fn delete(&self, ids: Vec<Uuid>) -> Result<(), StoreError>;
    /// Removes every point of a document.
    async fn delete_document(&self, uri: &str) -> Result<(), StoreError>;
    /// The best `limit` passages (at most [`MAX_PAGE`]), best first; equal ones in the order of their ids.
    async fn query(&self, query: Query, limit: usize) -> Result<Vec<Hit>, StoreError> {
        self.query_where(query, &[], limit).await
    }
    /// As [`Self::query`], of the passages that meet all conditions.
    async fn query_where(&self, query: Query, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError>;
    /// The best `limit` passages (at most [`MAX_PAGE`]) of what is made of two rankings, of those that meet all conditions. A store that
    /// can see one state of itself twice, or read the passages of the best alone, does so.
    async fn query_two(&self, two: TwoRankings, conditions: &[Condition], limit: usize) -> Result<Vec<Hit>, StoreError> {
        let TwoRankings { dense, sparse, depth, fuse } = two;
        let dense = self.query_where(Query::Dense(dense), conditions, depth);
        let (dense, sparse) = tokio::try_join!(dense, self.query_where(Query::Sparse(sparse), conditions, depth))?;
        Ok(fuse_hits(&fuse, dense, sparse, limit))
    }
    /// Where the best passage of a document stands among all that meet the conditions; `None` where the ranking has none of its
    /// passages. A store that cannot count looks at [`MAX_PAGE`] passages, and says so where that was not enough.
    async fn standing(&self, query: Query, conditions: &[Condition], uri: &str) -> Result<Option<Standing>, StoreError> {
        let own = [conditions, &[Condition::Documents(vec![uri.to_owned()])]].concat();
        let Some(best) = self.query_where(query.clone(), &own, 1).await?.into_iter().next() else { return Ok(None) };
        let mut better = 0;
        for depth in [MAX_PAGE / 10, MAX_PAGE] {
            let hits = self.query_where(query.clone(), conditions, depth).await?;
            better = hits.len() as u64;
            if let Some((hit, rank)) = hits.iter().zip(1..).find(|(hit, _)| hit.passage.uri == uri) {
                return Ok(Some(Standing { id: hit.id, rank, score: hit.score, exact: true }));
            }
            if hits.len() < depth {
                // An approximate search may miss what it finds where it is asked for it alone.
                break;
            }
        }
        Ok(Some(Standing { id: best.id, rank: better + 1, score: best.score, exact: false }))
    }
    /// In how many points each of these terms (ascending, of a BM25 vector) is; `None`: it does not tell.
    async fn frequencies(&self, terms: &[u32]) -> Result<Option<Frequencies>, StoreError> {
        let _ = terms;
        Ok(None)
    }
    /// The documents with a passage that meets all conditions, in no order; at most [`MAX_DOCUMENTS`].
    async fn uris(&self, conditions: &[Condition]) -> Result<Vec<String>, StoreError>;
    /// Takes the index for writing, until it is [released](Self::release): [`StoreError::Locked`] where another process writes.
    async fn acquire(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Points in the index.
    async fn count(&self) -> Result<u64, StoreError>;
    /// A page of point ids with their passages, in the order of the ids, after `after`. Fewer than `limit` (at most
    /// [`MAX_PAGE`]) means the end.
    async fn scroll(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Passage)>, StoreError>;
    /// As [`Self::scroll`], with the dense vectors.
    async fn scroll_points(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, Vec<f32>, Passage)>, StoreError> {
        let _ = (after, limit);
        let message = "it does not give its vectors out".to_owned();
        Err(StoreError::Failed { store: self.describe(), action: "read vectors", message, source: None })
    }
    /// The passages of one document in the order of its text, at most [`MAX_PAGE`]; none where the index has no such document.
    async fn passages_of(&self, uri: &str) -> Result<Vec<Passage>, StoreError> {
        let _ = uri;
        let message = "it does not show a document's passages".to_owned();
        Err(StoreError::Failed { store: self.describe(), action: "read a document", message, source: None })
    }
    /// The passages of these points (any number), in the order of their ids' list; `None` where there is no such point.
    async fn passages(&self, ids: Vec<Uuid>) -> Result<Vec<Option<Passage>>, StoreError> {
        let _ = ids;
        let message = "it does not show points by their ids".to_owned();
        Err(StoreError::Failed { store: self.describe(), action: "read points", message, source: None })
    }
    /// Tidies up after a run: makes searching and the next opening fast, and gives back the space of deleted points. May take
    /// a while. Durability does not depend on it, and a kill in the middle of it loses nothing.
    async fn flush(&self) -> Result<(), StoreError>;
    /// Lets other processes have the index until it is used again.
    async fn release(&self) {}
    /// What it has done so far that it does one after the other, however many ask; `None`: not known.
    fn one_by_one(&self) -> Option<OneByOne> {
        None
    }
}

/// In how many points terms are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frequencies {
    /// Points that have terms at all.
    pub points: u64,
    /// Of them, those that have each term, in the order of the terms.
    pub of: Vec<u64>,
}

/// Time of work that is done one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OneByOne {
    /// On a core.
    pub cpu: Duration,
    /// Neither on a core nor in wait for one: for a disk; zero where the system does not tell.
    pub waits: Duration,
}

impl OneByOne {
    /// What came after an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), waits: self.waits.saturating_sub(earlier.waits) }
    }
}

/// What a point says of its passage: the passage, and the folders above its document.
fn payload(passage: &Passage) -> Result<serde_json::Map<String, serde_json::Value>, serde_json::Error> {
    let mut payload = match serde_json::to_value(passage)? {
        serde_json::Value::Object(payload) => payload,
        _ => serde_json::Map::new(),
    };
    payload.insert(FOLDERS.to_owned(), folders(&passage.uri).into());
    Ok(payload)
}

/// The folders above a document, outermost first: `.` or, for an absolute uri, `/`; then by their uris.
fn folders(uri: &str) -> Vec<&str> {
    let root = if uri.starts_with('/') { "/" } else { "." };
    let below = uri.match_indices('/').filter_map(|(at, _)| uri.get(..at)).filter(|folder| !folder.is_empty());
    std::iter::once(root).chain(below).collect()
}

/// Every dense vector must be as wide as the index, and say something.
fn check_points(points: &[Point], dimensions: usize) -> Result<(), String> {
    for point in points {
        let uri = &point.passage.uri;
        if point.dense.len() != dimensions {
            return Err(format!("a vector of {uri} has {} dimensions, the index {dimensions}", point.dense.len()));
        }
        if let Some(wrong) = unusable(&point.dense) {
            return Err(format!("a vector of {uri} {wrong}"));
        }
    }
    Ok(())
}

/// Whether the query can find anything; an error when its vector is not as wide as the index.
fn check_query(query: &Query, dimensions: usize) -> Result<bool, String> {
    match query {
        Query::Sparse(sparse) => Ok(!sparse.indices.is_empty()),
        Query::Dense(dense) if dense.len() == dimensions => Ok(true),
        Query::Dense(dense) => Err(format!("the question's vector has {} dimensions, the index {dimensions}", dense.len())),
    }
}

/// One ranking of two, with the passages of its best `limit`.
pub(crate) fn fuse_hits(fuse: &Fuse, dense: Vec<Hit>, sparse: Vec<Hit>, limit: usize) -> Vec<Hit> {
    let ranked = |hits: &[Hit]| hits.iter().map(Ranked::from).collect::<Vec<_>>();
    let fused = fuse(&ranked(&dense), &ranked(&sparse));
    let mut found: HashMap<Uuid, Hit> = dense.into_iter().chain(sparse).map(|hit| (hit.id, hit)).collect();
    let hits = fused.into_iter().take(limit).filter_map(|Ranked { id, score }| Some(Hit { score, ..found.remove(&id)? }));
    hits.collect()
}

/// Best first; of equal scores the ids decide.
pub(crate) fn rank(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    hits
}

/// In the order of the document's text.
fn in_order(mut passages: Vec<Passage>) -> Vec<Passage> {
    passages.sort_by_key(|passage| (passage.start, passage.end));
    passages
}

/// The first id that a scroll after `after` may return; `None` when there can be none.
fn first_after(after: Option<Uuid>) -> Option<Uuid> {
    match after {
        None => Some(Uuid::nil()),
        Some(id) => id.as_u128().checked_add(1).map(Uuid::from_u128),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_plan_opens_its_store() {
        let home = Path::new("home/docs");
        let describe = |plan| open(&plan, home).unwrap().describe();
        assert_eq!(describe(StorePlan::Embedded { path: None }), home.display().to_string());
        assert_eq!(describe(StorePlan::Embedded { path: Some("elsewhere".into()) }), "elsewhere");
        let server = StorePlan::Qdrant {
            url: "http://localhost:6334".parse().unwrap(),
            api_key: None,
            collection: "docs".into(),
            timeout: Duration::from_secs(1),
            spread: Spread::default(),
        };
        assert_eq!(describe(server), "docs at http://localhost:6334");
    }

    #[test]
    fn an_index_of_another_layout_says_what_to_do() {
        let store = open(&StorePlan::Embedded { path: None }, Path::new("home/docs")).unwrap();
        let refused = |version| {
            let meta = IndexMeta {
                version,
                generation: Uuid::nil(),
                model: "m".into(),
                dimensions: 1,
                chunking: String::new(),
                home: None,
                change: None,
                prefixes: None,
            };
            meta.agree_with_model(&*store, &"m".into()).err().and_then(|error| error.hint())
        };
        assert_eq!(refused(IndexMeta::VERSION), None);
        assert!(refused(1).unwrap().contains("ingest --rebuild"));
        assert!(refused(IndexMeta::VERSION + 1).unwrap().contains("update ragstream"));
    }

    #[test]
    fn ids_after_an_id_start_right_after_it() {
        assert_eq!(first_after(None), Some(Uuid::nil()));
        assert_eq!(first_after(Some(Uuid::from_u128(7))), Some(Uuid::from_u128(8)));
        assert_eq!(first_after(Some(Uuid::max())), None);
    }

    #[test]
    fn a_document_lies_below_its_folders() {
        assert_eq!(folders("readme.md"), ["."]);
        assert_eq!(folders("docs/api/keys.md"), [".", "docs", "docs/api"]);
        assert_eq!(folders("/srv/a.md"), ["/", "/srv"]);
        assert_eq!(folders("../b/ü.md"), [".", "..", "../b"]);
    }
}
