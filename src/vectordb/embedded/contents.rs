//! What is in the folder of an index, and which of it is ours.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Folder;
use super::fault::Fault;
use super::files::{remove, sync_directory};
use crate::vectordb::{IndexMeta, StoreError};

/// How the files are laid out. Before, up to 2, it was an engine's way.
pub(super) const LAYOUT: u32 = 3;
/// What the folder of an index's files is called.
pub(super) const DATA: &str = "index-";
/// What earlier layouts left in the folder.
const EARLIER: [&str; 5] = ["engine", "engine.new", "parts", "places", "places-journal"];

/// What `meta.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Described {
    pub(super) layout: u32,
    /// The folder of the index's files.
    pub(super) data: String,
    pub(super) index: IndexMeta,
}

impl Folder {
    /// What the index was made with. Needs no lock: the file is whole or not there.
    pub(super) fn described(&self) -> Result<Option<Described>, StoreError> {
        let path = self.meta_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(self.failed("read meta.json", error.to_string())),
        };
        let damaged = |error: serde_json::Error| self.refuse("read meta.json", &Fault::damaged(&path, error.to_string()));
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        let layout = match (value.get("layout"), value.get("version")) {
            (Some(layout), _) => layout.as_u64().and_then(|layout| u32::try_from(layout).ok()).unwrap_or(0),
            (None, Some(_)) => 2,
            (None, None) => 0,
        };
        match layout {
            LAYOUT => {
                let described: Described = serde_json::from_value(value).map_err(damaged)?;
                if is_data(&described.data) {
                    return Ok(Some(described));
                }
                Err(self.refuse("read meta.json", &Fault::damaged(&path, "it names no folder of an index")))
            }
            0 => {
                let message = format!("{} is not ragstream's: name another folder", path.display());
                Err(StoreError::Denied { store: self.describe(), action: "read meta.json", message })
            }
            found => Err(StoreError::Layout { store: self.describe(), found, reads: LAYOUT }),
        }
    }

    pub(super) fn meta_path(&self) -> PathBuf {
        self.path.join("meta.json")
    }

    /// The folders of indexes' files, this one's and what a kill left of others. Whatever else is in the folder is somebody else's.
    pub(super) fn data(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_data) && entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// What an index of an earlier layout consists of, where there is one.
    pub(super) fn earlier(&self) -> Vec<PathBuf> {
        match self.described() {
            Err(StoreError::Layout { found, .. }) if found < LAYOUT => {
                EARLIER.iter().map(|name| self.path.join(name)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Removes the files of all indexes but one.
    pub(super) fn remove_data(&self, keep: Option<&str>) -> io::Result<()> {
        for path in self.data()? {
            if path.file_name().and_then(|name| name.to_str()) != keep {
                remove(&path)?;
            }
        }
        Ok(())
    }

    pub(super) fn describe_as(&self, described: &Described) -> io::Result<()> {
        let temporary = self.path.join("meta.json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(described)?)?;
        file.sync_all()?;
        fs::rename(&temporary, self.meta_path())?;
        sync_directory(&self.path)
    }
}

/// Whether a folder's name is one that we give: `index-` and 16 hexadecimal digits.
fn is_data(name: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_prefix(DATA).is_some_and(|digits| digits.len() == 16 && digits.bytes().all(digit))
}
