//! Why one index cannot become a copy of another.

use crate::error::{Failure, Origin};

/// The destination cannot become a copy of the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// It is the source.
    #[error("{store} is the index itself: there is nothing to copy")]
    Itself {
        /// The store's description.
        store: String,
    },
    /// It was made with something else.
    #[error("the index {store} was made with {what} {found}, and the one that is to be copied with {wanted}")]
    Other {
        /// The destination's description.
        store: String,
        /// "the model", "the chunking", …
        what: &'static str,
        /// What the destination has.
        found: String,
        /// What the source has.
        wanted: String,
    },
    /// Its documents are another home's, which the copy would remove.
    #[error("the index {store} was last written by another home, {home}, whose documents a copy would remove")]
    Home {
        /// The destination's description.
        store: String,
        /// The other home's folder.
        home: String,
    },
}

impl Failure for CopyError {
    fn origin(&self) -> Origin {
        Origin::Store
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Itself { .. } => "same_index",
            Self::Other { .. } => "index_mismatch",
            Self::Home { .. } => "index_of_another_home",
        }
    }

    fn hint(&self) -> Option<String> {
        let another = "name another collection (`--collection`) or folder (`--path`)";
        Some(match self {
            Self::Itself { .. } => another.into(),
            Self::Other { .. } => format!("{another}; or give `--replace`, which drops the index that is there"),
            Self::Home { .. } => format!("{another}; or give `--replace`, which removes what is not in this index"),
        })
    }

    fn stops_all(&self) -> bool {
        true
    }
}
