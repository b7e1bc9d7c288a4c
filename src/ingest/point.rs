//! What the store is to hold of a passage.

use uuid::Uuid;

use crate::chunk::embedded_text;
use crate::document::{Passage, Point};
use crate::language::Language;
use crate::vectordb::bm25::Bm25;

/// A passage's point. BM25 tokenises and stems: work for a core.
pub(super) fn point(bm25: &Bm25, id: Uuid, dense: Vec<f32>, passage: Passage) -> Point {
    let language = passage.lang.as_deref().and_then(Language::from_code);
    let text = embedded_text(passage.title.as_deref(), &passage.headings, passage.columns.as_deref(), &passage.text);
    Point { id, dense, sparse: bm25.passage_in(language, &text), passage }
}
