//! Texts that a model has written and that were paid for: in memory for as long as they are asked for again within moments, and in a
//! file that all projects and processes share.
//!
//! Invariant: a text that was paid for is in the file before anyone gets it, so that a kill costs no more than what was on its way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::file::{self, CacheFile};
use super::key::{ENTRY, Key, Text};

/// Texts kept in memory, in bytes.
const MEMORY_BYTES: u64 = 4 << 20;
/// What the file may hold, in bytes: more than a million texts of two sentences.
const DISK_BYTES: u64 = 1 << 30;

/// Texts of models by key.
#[derive(Debug, Clone)]
pub struct TextCache {
    memory: Cache<Key, Text>,
    file: Option<Arc<Mutex<CacheFile<Text>>>>,
}

impl TextCache {
    /// The file in `folder`, or nothing but memory. It is opened when it is first needed.
    pub fn open(folder: Option<&Path>) -> Self {
        let memory = Cache::builder()
            .max_capacity(MEMORY_BYTES)
            .weigher(|_, text: &Text| u32::try_from(ENTRY + size_of::<Key>() + text.len()).unwrap_or(u32::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let file = folder.map(|folder| Arc::new(Mutex::new(CacheFile::new(path(folder), DISK_BYTES))));
        Self { memory, file }
    }

    /// The text of a key; `write` is run when it is not there, and once only however many ask at the same time. Errors are shared by
    /// those who waited and are not kept. What comes with the text is dropped once the file has it. The second value tells whether this
    /// call ran `write`.
    pub async fn get_or_write<H, E>(
        &self,
        key: Key,
        write: impl Future<Output = Result<(Text, H), E>>,
    ) -> Result<(Text, bool), Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        let mut paid = false;
        let look = async {
            if let Some(text) =
                self.with(move |file| file.get(&[key]).pop().flatten().inspect(|_| file.touch())).await.flatten()
            {
                return Ok(text);
            }
            paid = true;
            let (text, held) = write.await?;
            let put = [(key, Arc::clone(&text))];
            self.with(move |file| {
                file.put(&put);
                file.trim(&put);
            })
            .await;
            drop(held);
            Ok(text)
        };
        let text = self.memory.entry(key).or_try_insert_with(look).await?.into_value();
        Ok((text, paid))
    }

    /// Whatever is wrong with the file is a miss, of which it has told.
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut CacheFile<Text>) -> T + Send + 'static) -> Option<T> {
        let file = Arc::clone(self.file.as_ref()?);
        let worked = tokio::task::spawn_blocking(move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner)));
        worked.await.ok()
    }
}

/// What the file in a cache folder has of these keys. Changes nothing. Blocks.
pub fn texts(folder: &Path, keys: &[Key]) -> Vec<Option<Text>> {
    file::read(&path(folder), keys)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("contexts.sqlite3")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(chunk: &str) -> Key {
        Key::of_text("context", "p/m", &["s", chunk])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_who_ask_at_once_pay_once_and_the_next_process_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let paid = AtomicUsize::new(0);
        for _process in 0..2 {
            let cache = TextCache::open(Some(folder.path()));
            let ask = |n: usize| {
                let paid = &paid;
                cache.get_or_write(key(&(n % 5).to_string()), async move {
                    paid.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok::<_, String>((Text::from(format!("第 {} 节：密钥。", n % 5)), ()))
                })
            };
            for (n, answer) in futures_util::future::join_all((0..200).map(ask)).await.into_iter().enumerate() {
                assert_eq!(&*answer.unwrap().0, format!("第 {} 节：密钥。", n % 5));
            }
            assert_eq!(paid.load(Ordering::Relaxed), 5);
        }
        let known = texts(folder.path(), &[key("0"), key("9")]);
        assert_eq!(known, [Some(Text::from("第 0 节：密钥。")), None]);
        assert_eq!(texts(&folder.path().join("none"), &[key("0")]), [None]);
        assert!(!folder.path().join("none").exists(), "looking makes nothing");
    }

    #[tokio::test]
    async fn what_comes_with_a_text_is_held_until_the_file_has_it() {
        /// Looks, when it is dropped, whether the text is kept.
        struct Held<'a>(&'a Path, &'a AtomicUsize);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                let kept = texts(self.0, &[key("a")]) == [Some(Text::from("x"))];
                self.1.fetch_add(if kept { 1 } else { 100 }, Ordering::Relaxed);
            }
        }
        let (folder, dropped) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
        let cache = TextCache::open(Some(folder.path()));
        let write = async { Ok::<_, String>((Text::from("x"), Held(folder.path(), &dropped))) };
        assert!(cache.get_or_write(key("a"), write).await.unwrap().1);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn errors_are_not_kept_and_a_folder_is_not_needed() {
        let cache = TextCache::open(None);
        cache.get_or_write(key("a"), async { Err::<(Text, ()), _>("down") }).await.unwrap_err();
        let (text, paid) = cache.get_or_write(key("a"), async { Ok::<_, String>((Text::from("x"), ())) }).await.unwrap();
        assert_eq!((&*text, paid), ("x", true));
        assert!(!cache.get_or_write(key("a"), async { Err::<(Text, ()), _>("down") }).await.unwrap().1);
    }

    #[test]
    fn keys_tell_apart_what_is_told_apart() {
        let key = Key::of_text("context", "m", &["ab", "c"]);
        assert_ne!(key, Key::of_text("context", "m", &["a", "bc"]));
        assert_ne!(key, Key::of_text("context", "n", &["ab", "c"]));
        assert_ne!(key, Key::of_text("other", "m", &["ab", "c"]));
        assert_eq!(key, Key::of_text("context", "m", &["ab", "c"]));
    }
}
