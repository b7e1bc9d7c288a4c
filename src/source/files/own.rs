//! What ragstream itself wrote, which is no document: a home, an index or a cache may lie among the sources.

use std::ffi::OsStr;
use std::path::Path;

/// Whether a file or a folder is ragstream's own, by what lies in or beside it. Costs a `stat` or two of names that may be.
pub(super) fn is_own(path: &Path, is_dir: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_str().unwrap_or_default();
    let beside = |sibling: &str| path.with_file_name(sibling).exists();
    if is_dir {
        return is_index(path) || is_second(path) || (matches!(name, "models" | "limits") && beside("embeddings.sqlite3"));
    }
    // `x.ledger`, and what SQLite keeps next to it; `x.lock`.
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.split('-').next() {
        Some("ledger") => begins_as_database(path) || extension != "ledger",
        Some("lock") => {
            let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            let is_cache = matches!(stem, "embeddings" | "contexts") && beside(&format!("{stem}.sqlite3"));
            path.with_extension("ledger").exists() || is_cache
        }
        _ => ["embeddings.sqlite3", "contexts.sqlite3"]
            .iter()
            .find_map(|cache| name.strip_prefix(cache))
            .is_some_and(|rest| matches!(rest, "" | "-wal" | "-shm" | "-journal")),
    }
}

/// Whether a folder holds an index in its second slot alone.
fn is_second(folder: &Path) -> bool {
    folder.join("lock").exists() && is_index(&folder.join("second"))
}

/// Whether a folder holds an index: `meta.json`, which names the folder of the index's files, and its lock.
fn is_index(folder: &Path) -> bool {
    // Written with the folder's first keys; read is no more than tells.
    const NAMES: [&str; 2] = ["\"layout\"", "\"data\": \"index-"];
    folder.join("lock").exists()
        && std::fs::read_to_string(folder.join("meta.json")).is_ok_and(|meta| NAMES.iter().all(|name| meta.contains(name)))
}

fn begins_as_database(path: &Path) -> bool {
    use std::io::Read as _;

    let mut start = [0; 16];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"SQLite format 3\0"
}
