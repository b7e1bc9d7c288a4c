//! Embeddings that were paid for, and texts of models that were, so that none is paid for twice.
//!
//! A `moka` cache in memory with single flight, and below it tiers that are asked one after the other: a file that all projects and
//! processes share (see [`disk`] and [`mod@file`]), and where a run is of several machines a collection that they share (see
//! [`shared`]). What one of them has comes into those above it. Whatever is wrong with a tier is a miss and never an error.

mod disk;
mod file;
mod key;
mod refill;
mod shared;
mod texts;
mod tier;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use self::disk::Disk;
pub use self::file::Held;
use self::key::ENTRY;
pub use self::key::{Key, Text, Vector};
use self::refill::Refill;
use self::shared::Shared;
pub use self::shared::SharedCache;
pub use self::texts::{TextCache, texts};
use self::tier::Tier;
use crate::providers::Embedder;

/// Vectors kept in memory, in bytes, where there is no file to ask.
const MEMORY_BYTES: u64 = 32 << 20;

/// And where there is one: what is asked for again within moments.
const MEMORY_ABOVE_DISK_BYTES: u64 = 4 << 20;

/// What the file may hold, in bytes: some 300,000 vectors of 1536 numbers, or 1.1 million of 384.
const DISK_BYTES: u64 = 2 << 30;

/// Embeddings by key, bounded in bytes.
#[derive(Debug, Clone)]
pub struct EmbeddingCache {
    memory: Cache<Key, Vector>,
    /// Fastest first.
    tiers: Vec<Arc<dyn Tier>>,
    /// Brings what a tier has into those above it.
    refill: Option<Arc<Refill>>,
    /// What is as wide as this may come from a tier. A fingerprint names a model as its provider does, and two servers may
    /// mean two models by one name.
    dimensions: usize,
}

impl EmbeddingCache {
    /// The cache of an embedder's vectors, `dimensions` wide, with the file in `folder` below it where they are worth keeping.
    /// Must be called within a runtime, which does the reading and writing.
    pub fn open(folder: &Path, embedder: &dyn Embedder, dimensions: usize) -> Self {
        if !embedder.worth_caching() {
            return Self { dimensions, ..Self::new(MEMORY_BYTES) };
        }
        let disk: Arc<dyn Tier> = Arc::new(Disk::open(path(folder), DISK_BYTES));
        Self { tiers: vec![disk], dimensions, ..Self::new(MEMORY_ABOVE_DISK_BYTES) }
    }

    /// The same with what several machines share below all others, where the embedder's vectors are worth keeping.
    /// Must be called within a runtime, which does the asking.
    #[must_use]
    pub fn with_shared(mut self, shared: &SharedCache, embedder: &dyn Embedder, dimensions: usize) -> Self {
        if embedder.worth_caching()
            && let Some(shared) = Shared::open(shared, embedder.fingerprint().as_str(), dimensions)
        {
            self.dimensions = dimensions;
            self.refill = (!self.tiers.is_empty()).then(|| Arc::new(Refill::start(self.tiers.clone())));
            self.tiers.push(Arc::new(shared));
        }
        self
    }

    /// A cache in memory alone, of at most `max_bytes` of vectors.
    pub fn new(max_bytes: u64) -> Self {
        let memory = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, vector: &Vector| {
                u32::try_from(ENTRY + size_of::<Key>() + vector.len() * size_of::<f32>()).unwrap_or(u32::MAX)
            })
            // moka's default keeps what is asked for often and turns new keys away; a corpus is a stream of new keys.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { memory, tiers: Vec::new(), refill: None, dimensions: 0 }
    }

    /// The vector of a key; `embed` is run when it is not there, and once only however many ask at the same time.
    /// Errors are shared by those who waited and are not kept. The second value tells whether this call ran `embed`, which
    /// is to [`Self::keep`] what was paid for.
    pub async fn get_or_embed<E>(
        &self,
        key: Key,
        embed: impl Future<Output = Result<Vector, E>>,
    ) -> Result<(Vector, bool), Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        let mut paid = false;
        let look = async {
            if let Some(vector) = self.in_tiers(key).await {
                return Ok(vector);
            }
            paid = true;
            embed.await
        };
        let vector = self.memory.entry(key).or_try_insert_with(look).await?.into_value();
        Ok((vector, paid))
    }

    /// Puts what one request was answered with into the tiers, one after the other; returns when it is there.
    pub async fn keep(&self, paid: Vec<(Key, Vector)>) {
        for tier in &self.tiers {
            tier.put(&paid).await;
        }
    }

    async fn in_tiers(&self, key: Key) -> Option<Vector> {
        for (place, tier) in self.tiers.iter().enumerate() {
            if let Some(vector) = tier.get(key).await.filter(|vector| vector.len() == self.dimensions) {
                if let Some(refill) = self.refill.as_ref().filter(|_| place > 0) {
                    refill.offer(key, &vector);
                }
                return Some(vector);
            }
        }
        None
    }
}

/// What the file in a cache folder holds; `None` where there is none that can be read. Blocks.
pub fn held(folder: &Path) -> Option<Held> {
    file::held(&path(folder))
}

/// Which of these keys the file in a cache folder has. Changes nothing. Blocks.
pub fn has(folder: &Path, keys: &[Key]) -> Vec<bool> {
    file::has(&path(folder), keys)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("embeddings.sqlite3")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::providers::InputType;

    #[tokio::test]
    async fn a_thousand_who_ask_at_once_pay_once() {
        let cache = EmbeddingCache::new(1 << 20);
        let paid = AtomicUsize::new(0);
        let ask = || {
            cache.get_or_embed(Key::new("m", InputType::Passage, "text"), async {
                paid.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, String>(Vector::from([1.0, 2.0]))
            })
        };
        let answers = futures_util::future::join_all((0..1000).map(|_| ask())).await;
        assert_eq!(paid.load(Ordering::Relaxed), 1);
        assert_eq!(answers.iter().filter(|answer| answer.as_ref().unwrap().1).count(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_thousand_who_ask_at_once_pay_once_and_the_next_process_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let paid = AtomicUsize::new(0);
        let keys: Vec<Key> = (0..10).map(|n| Key::new("m", InputType::Passage, &n.to_string())).collect();
        for _process in 0..2 {
            let disk: Arc<dyn Tier> = Arc::new(Disk::open(path(folder.path()), 1 << 20));
            let cache = EmbeddingCache { tiers: vec![disk], dimensions: 2, ..EmbeddingCache::new(1 << 20) };
            let ask = |n: usize| {
                let (cache, paid, key) = (&cache, &paid, keys[n % 10]);
                cache.get_or_embed(key, async move {
                    paid.fetch_add(1, Ordering::Relaxed);
                    let vector = Vector::from([n as f32 % 10.0, 2.0]);
                    cache.keep(vec![(key, Arc::clone(&vector))]).await;
                    Ok::<_, String>(vector)
                })
            };
            let answers = futures_util::future::join_all((0..1000).map(ask)).await;
            for (n, answer) in answers.into_iter().enumerate() {
                assert_eq!(answer.unwrap().0[..], [(n % 10) as f32, 2.0]);
            }
            assert_eq!(paid.load(Ordering::Relaxed), 10);
        }
        let unknown = Key::new("m", InputType::Query, "0");
        assert_eq!(has(folder.path(), &[keys[0], unknown]), [true, false]);
        assert_eq!(has(&folder.path().join("none"), &keys), [false; 10]);
        assert!(!folder.path().join("none").exists(), "looking makes nothing");
    }

    #[tokio::test]
    async fn errors_are_not_kept() {
        let cache = EmbeddingCache::new(1 << 20);
        let key = Key::new("m", InputType::Query, "text");
        cache.get_or_embed(key, async { Err::<Vector, _>("down") }).await.unwrap_err();
        let (vector, fresh) = cache.get_or_embed(key, async { Ok::<_, String>(Vector::from([1.0])) }).await.unwrap();
        assert!(fresh && vector[..] == [1.0]);
    }

    #[test]
    fn keys_tell_apart_what_embeds_differently() {
        let key = Key::new("a", InputType::Query, "bc");
        assert_ne!(key, Key::new("ab", InputType::Query, "c"));
        assert_ne!(key, Key::new("a", InputType::Passage, "bc"));
        assert_eq!(key, Key::new("a", InputType::Query, "bc"));
    }
}
