//! What was written and cannot be run.

use crate::pipeline::{Diagnostic, Diagnostics};

/// A pipeline file, or a part of one said on the command line, that cannot be run. Shown with its lines.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline is not valid")]
pub(in crate::cli) struct Invalid(pub Diagnostics);

impl From<Diagnostic> for Invalid {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(diagnostic.into())
    }
}
