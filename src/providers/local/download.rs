//! How the files of a model come.

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The model's name.
    pub model: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// Bytes received.
    pub received: u64,
    /// Bytes in all.
    pub total: u64,
}
