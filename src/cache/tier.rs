//! A place where vectors are kept, below the memory.

use std::fmt;

use async_trait::async_trait;

use super::key::{Key, Vector};

/// Vectors by their keys. Whatever is wrong with a tier is a miss and never an error: it says so itself, once.
#[async_trait]
pub(super) trait Tier: fmt::Debug + Send + Sync {
    /// What it has of a key.
    async fn get(&self, key: Key) -> Option<Vector>;
    /// Keeps what one request was answered with; returns when it is there, or cannot be had there in time.
    async fn put(&self, paid: &[(Key, Vector)]);
}
