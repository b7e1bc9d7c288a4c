//! The progress of a download.

/// The progress of a download.
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
