//! Where documents come from: what there is is listed, and each item is fetched.

pub mod files;
mod globs;
mod item;

use std::path::PathBuf;

use globset::GlobSet;

pub(crate) use files::normalise;
pub use files::{Content, ReadError, Seen, SkipReason, is_within, read, read_blocking, uri_of, walk};
pub(crate) use globs::{anywhere, glob, glob_set, is_glob, path_globs, single, split_glob};
pub use item::{SourceId, Version};

/// A source of documents.
#[derive(Debug, Clone)]
pub enum SourcePlan {
    /// Files and folders.
    Files(FilesPlan),
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
}
