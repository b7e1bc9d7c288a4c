//! Folders that go, renames that last, and reading at a place.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Removes a folder with all that it holds. Not an error when there is none.
fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes a file. Not an error when there is none.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        result => result,
    }
}

/// Removes a file, or a folder with all that it holds. Not an error when there is none.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { remove_directory(path) } else { remove_file(path) }
}

/// Makes what was created or renamed in the directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Fills `buffer` from `offset` on. Any number of threads may read one file so.
#[cfg(unix)]
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills `buffer` from `offset` on. Any number of threads may read one file so.
#[cfg(windows)]
pub(super) fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = buffer.split_at_mut(read.min(buffer.len())).1;
                offset += read as u64;
            }
        }
    }
    Ok(())
}
