//! A part of a pipeline's sources.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::source::SourceId;
use crate::source::files::{Changes, Focus};

/// More paths are not looked at one by one.
const MOST: usize = 4_096;

/// What a run is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Sources of these kinds, in whole. All of a kind go together, since they have their documents in common.
    pub whole: BTreeSet<SourceId>,
    /// What of files has changed, unless they are among the former.
    changed: Focus,
}

impl Part {
    /// All of these sources.
    pub fn all(sources: impl IntoIterator<Item = SourceId>) -> Self {
        Self { whole: sources.into_iter().collect(), changed: Focus::default() }
    }

    /// What has changed of files, too.
    pub fn add(&mut self, changes: Changes) {
        match changes {
            Changes::Within(focus) => self.changed.extend(focus.paths().map(ToOwned::to_owned)),
            Changes::All => drop(self.whole.insert(SourceId::files())),
        }
        if self.changed.len() > MOST {
            self.whole.insert(SourceId::files());
        }
        if self.whole.contains(&SourceId::files()) {
            self.changed = Focus::default();
        }
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.changed.is_empty()
    }

    /// Whether sources of this kind are among them.
    pub fn has(&self, source: &SourceId) -> bool {
        self.whole.contains(source) || (*source == SourceId::files() && !self.changed.is_empty())
    }

    /// What alone of files is looked at.
    pub fn focus(&self) -> Option<Arc<Focus>> {
        (!self.changed.is_empty()).then(|| Arc::new(self.changed.clone()))
    }
}
