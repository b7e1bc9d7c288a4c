//! `SQLite` files where nothing can be written: in a home on a read-only file system, or of another user. Beside a database that has a log
//! `SQLite` wants to write also to read it, unless it is told that nobody writes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use url::Url;

/// Whether it may be for want of a right to write that a database did not open.
pub(crate) fn is_read_only(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied))
}

/// Whether a database that did not open for that reason can be read [as it stands](open): where nothing can be written, nobody writes, and
/// without a log the file is all there is.
pub(crate) fn is_whole(path: &Path, error: &Error) -> bool {
    let mut log = OsString::from(path);
    log.push("-wal");
    let is_empty = PathBuf::from(log).metadata().map_or(true, |log| log.is_file() && log.len() == 0);
    is_read_only(error) && is_empty && path.is_file()
}

/// Opens a database that nobody writes to, without as much as a lock.
pub(crate) fn open(path: &Path) -> Result<Connection, Error> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut url = Url::from_file_path(absolute).map_err(|()| Error::InvalidPath(path.to_owned()))?;
    url.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(url.as_str(), flags)
}
