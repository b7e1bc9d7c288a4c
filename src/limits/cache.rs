//! A provider's learned limits, kept for the next run: a small file a provider, host and key.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::LearnedLimits;
use super::state::BELIEVED;
use crate::atomic;

/// The file of one provider, host and key.
#[derive(Debug)]
pub(crate) struct LimitsCache {
    path: PathBuf,
}

/// A word for a provider of this name, at this address, with this key. None of them is recoverable from it.
pub(crate) fn fingerprint(provider: &str, address: &str, key: &str) -> String {
    let mut hash = blake3::Hasher::new_derive_key("ragstream learned limits");
    for part in [provider, address, key] {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hash.finalize().to_hex().as_str().get(..32).unwrap_or_default().to_owned()
}

impl LimitsCache {
    /// For a provider of this name, at this address, with this key (which is not recoverable from the file's name).
    pub(crate) fn new(folder: &Path, provider: &str, address: &str, key: &str) -> Self {
        let name = fingerprint(provider, address, key);
        Self { path: folder.join(name.get(..16).unwrap_or_default()).with_extension("json") }
    }

    /// The limits that are kept. A file that is old, damaged or not there says nothing.
    pub(crate) fn load(&self) -> LearnedLimits {
        let load = || {
            self.since()?;
            serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()
        };
        load().unwrap_or_default()
    }

    /// The time at which the first of what is kept was learned, unless that is too long ago: the file's time.
    fn since(&self) -> Option<SystemTime> {
        let since = std::fs::metadata(&self.path).ok()?.modified().ok()?;
        (since.elapsed().unwrap_or_default() < BELIEVED).then_some(since)
    }

    /// Keeps it, as a whole or not at all: it is worth no error. A hundred bytes, written a few times a run.
    pub(crate) fn save(&self, learned: &LearnedLimits) {
        let save = || -> std::io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            // Or what is used every day would never be learned anew.
            let since = self.since().unwrap_or_else(SystemTime::now);
            forget_old(folder);
            atomic::write(&self.path, |file| {
                file.write_all(&serde_json::to_vec(learned)?)?;
                file.set_modified(since)
            })
        };
        if let Err(error) = save() {
            tracing::debug!(%error, path = %self.path.display(), "what was learned of the limits is not kept");
        }
    }
}

/// Removes what no one will read any more.
fn forget_old(folder: &Path) {
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for file in files.flatten() {
        let modified = file.metadata().and_then(|meta| meta.modified());
        if modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > BELIEVED)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_kept_anew_every_run_is_learned_anew_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LimitsCache::new(folder.path(), "openai", "https://api.openai.com/v1", "k");
        let learned = |rpm| LearnedLimits { rpm: Some(rpm), ..LearnedLimits::default() };
        cache.save(&learned(600));
        let set = |at| std::fs::File::options().write(true).open(&cache.path).unwrap().set_modified(at).unwrap();
        let began = SystemTime::now() - BELIEVED + Duration::from_mins(1);
        set(began);
        cache.save(&learned(590));
        assert_eq!(cache.load(), learned(590));
        let kept = std::fs::metadata(&cache.path).unwrap().modified().unwrap();
        assert!(kept <= began + Duration::from_secs(1), "what is kept on does not look new");
        set(began - Duration::from_mins(2));
        assert_eq!(cache.load(), LearnedLimits::default());
        cache.save(&learned(6000));
        assert!(
            std::fs::metadata(&cache.path).unwrap().modified().unwrap() > began + Duration::from_hours(23),
            "a new beginning"
        );
    }

    #[test]
    fn what_is_kept_comes_back_until_it_is_old_or_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = |key| LimitsCache::new(&folder.path().join("limits"), "openai", "https://api.openai.com/v1", key);
        assert_eq!(cache("k").load(), LearnedLimits::default());
        let learned = LearnedLimits { rpm: Some(600), tpm: None, concurrency: Some(16), ceiling: None };
        cache("k").save(&learned);
        assert_eq!(cache("k").load(), learned);
        assert_eq!(cache("another key").load(), LearnedLimits::default(), "another customer");
        let path = cache("k").path;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - BELIEVED - Duration::from_secs(1)).unwrap();
        assert_eq!(cache("k").load(), LearnedLimits::default(), "old");
        cache("other").save(&learned);
        assert!(!path.exists(), "and forgotten");
        for damaged in ["", "{", r#"{"rpm": -3}"#, r#"{"rpm": "many"}"#] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(cache("k").load(), LearnedLimits::default());
        }
    }
}
