//! What readers noted, kept so that it is not paid for twice: a file a request, beside the index, of which the last [`MOST`] stay.
//!
//! A request is known by all that goes into it: model, instructions, sources, question. So a question that is asked again pays for the
//! parts that have changed alone, and one that was stopped goes on. Whatever is wrong with a file is as if it was not there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::providers::ChatRequest;

/// Notes that are kept; the oldest make room.
const MOST: usize = 10_000;
/// Bytes of one, at most.
const BYTES: u64 = 1 << 20;

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) text: String,
    /// It was cut at the tokens that it may have.
    pub(super) cut: bool,
}

/// Where it is kept, if anywhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    folder: Option<PathBuf>,
    /// What was kept before does not count.
    refresh: bool,
}

impl Kept {
    pub(super) fn at(folder: Option<PathBuf>, refresh: bool) -> Self {
        Self { folder, refresh }
    }

    /// What this model said to this request. Blocks.
    pub(super) fn get(&self, model: &str, request: &ChatRequest) -> Option<Said> {
        let path = self.path(model, request).filter(|_| !self.refresh)?;
        if fs::metadata(&path).ok()?.len() > BYTES {
            return None;
        }
        let said = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        // What is used stays. It is worth no error.
        let _ = fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(said)
    }

    /// Keeps it, as a whole or not at all. Blocks.
    pub(super) fn put(&self, model: &str, request: &ChatRequest, said: &Said) {
        let Some(path) = self.path(model, request) else { return };
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| atomic::write(&path, |file| file.write_all(&serde_json::to_vec(said)?)));
        if let Err(error) = written {
            tracing::debug!(%error, path = %path.display(), "notes are not kept");
        }
    }

    /// Forgets the oldest, where there are too many. Blocks.
    pub(super) fn tidy(&self) {
        let Some(folder) = &self.folder else { return };
        let mut files = files(folder);
        let many = files.len().saturating_sub(MOST);
        files.sort();
        for (_, old) in files.drain(..many) {
            let _ = fs::remove_file(old);
        }
    }

    fn path(&self, model: &str, request: &ChatRequest) -> Option<PathBuf> {
        let ChatRequest { system, messages, max_tokens, temperature, shared: _ } = request;
        let mut hash = blake3::Hasher::new_derive_key("ragstream notes of documents");
        let numbers = format!("{max_tokens} {temperature:?}");
        for part in [model, &numbers, system].into_iter().chain(messages.iter().map(|message| message.text.as_str())) {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let name = hash.finalize().to_hex();
        Some(self.folder.as_ref()?.join(name.as_str().get(..32)?).with_extension("json"))
    }
}

fn files(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.metadata().and_then(|about| about.modified()).ok()?, entry.path()))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use super::*;
    use crate::providers::Message;

    #[test]
    fn what_was_said_comes_back_for_the_very_same_request_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |refresh| Kept::at(Some(folder.path().join("docs.notes")), refresh);
        let kept = at(false);
        let request = |text: &str| ChatRequest { system: "s".into(), ..ChatRequest::new(vec![Message::user(text)]) };
        let said = Said { text: "- 火灾 [1]".into(), cut: false };
        assert_eq!(kept.get("p/m", &request("q")), None);
        kept.put("p/m", &request("q"), &said);
        assert_eq!(kept.get("p/m", &request("q")), Some(said.clone()));
        let anew = Said { text: "- 洪水 [2]".into(), cut: false };
        assert_eq!(at(true).get("p/m", &request("q")), None, "it is asked anew");
        at(true).put("p/m", &request("q"), &anew);
        assert_eq!(kept.get("p/m", &request("q")), Some(anew), "and kept for the next time");
        kept.put("p/m", &request("q"), &said);
        let others =
            [("p/n", request("q")), ("p/m", request("Q")), ("p/m", ChatRequest { temperature: Some(0.0), ..request("q") })];
        assert!(others.iter().all(|(model, request)| kept.get(model, request).is_none()));
        let file = fs::read_dir(folder.path().join("docs.notes")).unwrap().next().unwrap().unwrap().path();
        fs::write(&file, "{\"text\":").unwrap();
        assert_eq!(kept.get("p/m", &request("q")), None, "damaged");
        kept.put("p/m", &request("q"), &said);
        kept.tidy();
        assert_eq!(kept.get("p/m", &request("q")), Some(said.clone()));
        let nowhere = Kept::default();
        nowhere.put("p/m", &request("q"), &said);
        assert_eq!(nowhere.get("p/m", &request("q")), None);
    }
}
