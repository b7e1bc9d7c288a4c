//! What the store is to hold of a passage.

use uuid::Uuid;

use crate::chunk::embedded_passage;
use crate::document::{Passage, Point, SparseVector};
use crate::language::Language;
use crate::vectordb::bm25::Bm25;

/// A passage's point. BM25 tokenises and stems: work for a core.
pub(super) fn point(bm25: &Bm25, id: Uuid, dense: Vec<f32>, passage: Passage) -> Point {
    Point { id, dense, sparse: sparse_vector(bm25, &passage), passage }
}

/// A passage's BM25 vector, as the store holds it. Work for a core.
pub(crate) fn sparse_vector(bm25: &Bm25, passage: &Passage) -> SparseVector {
    let language = passage.lang.as_deref().and_then(Language::from_code);
    bm25.passage_in(language, &embedded_passage(passage))
}
