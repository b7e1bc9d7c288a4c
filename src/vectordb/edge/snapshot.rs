//! What the engine's segments were before it rearranges them, as hard links. The engine (0.7.2) puts a new segment in its place
//! and only then removes those that it was made of: killed between the two, it would hold points twice.
//!
//! Nothing is written to a segment while it is rearranged, so that the links stay as they are.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::files::{remove_directory, sync_directory};

const SEGMENTS: &str = "segments";
const BEFORE: &str = "before";
/// A snapshot that is being made or removed.
const PARTIAL: &str = "before.partial";

/// Takes note of the segments in the engine's directory.
pub(super) fn take(directory: &Path) -> io::Result<()> {
    let partial = directory.join(PARTIAL);
    remove_directory(&partial)?;
    for_every_file(&directory.join(SEGMENTS), &partial, &|file, link| {
        // Not every file system has links.
        fs::hard_link(file, link).or_else(|_| fs::copy(file, link).map(drop))
    })?;
    fs::rename(&partial, directory.join(BEFORE))?;
    sync_directory(directory)
}

/// Forgets the snapshot: the segments are what they shall be. Where they are new, they are brought to the disk first.
pub(super) fn release(directory: &Path, changed: bool) -> io::Result<()> {
    if changed {
        sync_all(&directory.join(SEGMENTS))?;
    }
    let partial = directory.join(PARTIAL);
    fs::rename(directory.join(BEFORE), &partial)?;
    sync_directory(directory)?;
    remove_directory(&partial)
}

/// Brings back what was, where a kill came in between.
pub(super) fn restore(directory: &Path) -> io::Result<()> {
    remove_directory(&directory.join(PARTIAL))?;
    let before = directory.join(BEFORE);
    if !before.try_exists()? {
        return Ok(());
    }
    tracing::debug!(directory = %directory.display(), "the index was being rearranged when it was left");
    remove_directory(&directory.join("temp_segments"))?;
    remove_directory(&directory.join(SEGMENTS))?;
    fs::rename(before, directory.join(SEGMENTS))?;
    sync_directory(directory)
}

/// Makes `to` a directory like `from`, its files made by `make(from, to)`.
fn for_every_file(from: &Path, to: &Path, make: &dyn Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() { for_every_file(&entry.path(), &to, make)? } else { make(&entry.path(), &to)? }
    }
    Ok(())
}

/// Brings a directory's files to the disk.
pub(super) fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(&path)?.sync_all()? }
    }
    sync_directory(directory)
}
