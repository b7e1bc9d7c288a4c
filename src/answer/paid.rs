//! What was paid for a question besides its answer, and of whom that is not known.

use super::decide::{Decided, Deciding};
use super::void::{Judging, Void};

/// What was paid besides the answer.
#[derive(Debug, Default)]
pub(super) struct Paid {
    pub(super) decided: Vec<Decided>,
    pub(super) void: Vec<Judging>,
    pub(super) asking: Vec<Judging>,
}

impl Paid {
    /// What decisions took, those of the reranker and those on the answer so far, what was in vain, and what it took to put the question.
    pub(super) fn so_far(reranking: Option<&Decided>, deciding: Option<&Deciding>, void: &Void) -> Self {
        let decided = reranking.cloned().into_iter().chain(deciding.into_iter().flat_map(Deciding::parts)).collect();
        let all = Void::default();
        all.add(void.taken());
        all.add(deciding.into_iter().flat_map(Deciding::void));
        Self { decided, void: all.taken(), asking: void.asking() }
    }
}
