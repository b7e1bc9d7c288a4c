//! What contexts depend on besides the document, and what is known by it.

use super::prompt;
use crate::source::Version;

/// What contexts depend on besides the document: the model, the prompt, and how much of the document is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) struct Setting([u8; 32]);

impl Setting {
    pub fn new(model: &str, window: usize) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("ragstream setting of contexts");
        hash.update(&prompt::VERSION.to_le_bytes()).update(&(window as u64).to_le_bytes()).update(model.as_bytes());
        Self(*hash.finalize().as_bytes())
    }

    /// A hash that stands for this one under the setting.
    pub fn of(self, hash: blake3::Hash) -> blake3::Hash {
        blake3::keyed_hash(&self.0, hash.as_bytes())
    }

    /// A version under the setting; one that proves nothing stays so.
    pub fn version(self, version: Version) -> Version {
        if version == Version::UNKNOWN {
            version
        } else {
            Version::new(blake3::keyed_hash(&self.0, version.as_bytes()).as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_told_apart_by_all_that_it_is() {
        let (setting, other) = (Setting::new("p/m", 3000), Setting::new("p/n", 3000));
        assert_eq!(setting, Setting::new("p/m", 3000));
        assert!(setting != other && setting != Setting::new("p/m", 2000));
        let hash = blake3::hash(b"text");
        assert!(setting.of(hash) != hash && setting.of(hash) != other.of(hash));
        let version = Version::new("1");
        assert!(setting.version(version).proves(&setting.version(version)) && !setting.version(version).proves(&version));
        assert_eq!(setting.version(Version::UNKNOWN), Version::UNKNOWN, "what proves nothing still does not");
    }
}
