//! Where a document stands in a ranking, however far down that is.

use uuid::Uuid;

use super::{Condition, MAX_PAGE, Query, StoreError, VectorStore};

/// Passages that are looked at first.
const FIRST: usize = 1000;

/// Where the best passage of a document stands in a ranking of passages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The passage's point.
    pub id: Uuid,
    /// Its place, from 1; of equal ones the ids decide.
    pub rank: u64,
    /// Its score.
    pub score: f32,
    /// Whether that is its place; else it is further down.
    pub exact: bool,
}

/// Looks for a document's best passage among the best of all.
pub(super) async fn look<S: VectorStore + ?Sized>(
    store: &S,
    query: Query,
    conditions: &[Condition],
    uri: &str,
) -> Result<Option<Standing>, StoreError> {
    let own = [conditions, &[Condition::Documents(vec![uri.to_owned()])]].concat();
    let Some(best) = store.query_where(query.clone(), &own, 1).await?.into_iter().next() else { return Ok(None) };
    let mut better = 0;
    for depth in [FIRST, MAX_PAGE] {
        let hits = store.query_where(query.clone(), conditions, depth).await?;
        better = hits.len() as u64;
        let place = hits.iter().position(|hit| hit.passage.uri == uri);
        if let Some((rank, hit)) = place.and_then(|at| Some((at as u64 + 1, hits.get(at)?))) {
            return Ok(Some(Standing { id: hit.id, rank, score: hit.score, exact: true }));
        }
        if hits.len() < depth {
            // An approximate search may miss what it finds where it is asked for it alone.
            break;
        }
    }
    Ok(Some(Standing { id: best.id, rank: better + 1, score: best.score, exact: false }))
}
