//! What a source remembers from run to run.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::SourceError;

/// A key; keys are in the order of their bytes.
pub type Key = Vec<u8>;

/// A key with what is to stand there from now on; `None`: nothing.
pub type Change = (Key, Option<Vec<u8>>);

/// Keys and values that a source finds again in its next run, whoever was killed meanwhile: a crawl's frontier, say. Where runs
/// keep their ledger, they keep this.
#[async_trait]
pub trait State: fmt::Debug + Send + Sync {
    /// The values of these keys, in their order; `None` where there is none.
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Vec<u8>>>, SourceError>;

    /// Makes these changes, all or none of them. What it has returned from outlives the process. Of two changes to a key the later
    /// counts.
    async fn write(&self, changes: Vec<Change>) -> Result<(), SourceError>;

    /// Pairs whose key begins with `prefix` and comes after `after`, ascending, at most `limit`.
    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, SourceError>;
}

/// A state that ends with the process.
#[derive(Default)]
pub struct MemoryState(Mutex<BTreeMap<Key, Vec<u8>>>);

impl fmt::Debug for MemoryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryState").finish_non_exhaustive()
    }
}

#[async_trait]
impl State for MemoryState {
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Vec<u8>>>, SourceError> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.iter().map(|key| map.get(key).cloned()).collect())
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), SourceError> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Key, Vec<u8>)>, SourceError> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
            _ => Bound::Included(prefix.to_vec()),
        };
        let found = map.range((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// The first key that none with this prefix reaches; `None`: there is no such key.
pub fn end_of(prefix: &[u8]) -> Option<Key> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}
