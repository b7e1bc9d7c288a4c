//! What names a source and tells the states of its items apart.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a kind of source. Recorded with each document: only the source that gave a document can find it gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(Arc<str>);

impl SourceId {
    /// A short word that stays the same from run to run: "`files`", "`tickets`".
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Files and folders, all of them together.
    pub fn files() -> Self {
        Self::new("files")
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SourceId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// A state of an item, told without fetching it: a file's time and size, an ETag, a row's `updated_at`, a hash. At most 64 bytes,
/// which mean something to the source alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    length: u8,
    bytes: [u8; Self::MAX],
}

impl Version {
    /// Bytes that are kept as they are; of more, their blake3.
    pub const MAX: usize = 64;

    /// Proves nothing: an item of this version is fetched in each run, and its content compared.
    pub const UNKNOWN: Self = Self { length: 0, bytes: [0; Self::MAX] };

    /// Any bytes that differ whenever the item's content does.
    pub fn new(state: impl AsRef<[u8]>) -> Self {
        let state = state.as_ref();
        let hash;
        let kept = if state.len() <= Self::MAX {
            state
        } else {
            hash = blake3::hash(state);
            hash.as_bytes()
        };
        let mut bytes = [0; Self::MAX];
        for (to, from) in bytes.iter_mut().zip(kept) {
            *to = *from;
        }
        Self { length: kept.len() as u8, bytes }
    }

    /// What [`Self::new`] was given, or its hash. Empty: [`Self::UNKNOWN`].
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether an item that has this version now is what it was when it had that one.
    pub fn proves(&self, recorded: &Self) -> bool {
        self.length > 0 && self == recorded
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.as_bytes().escape_ascii())
    }
}
