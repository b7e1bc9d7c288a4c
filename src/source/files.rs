//! Finds files and reads them.
//!
//! [`walk`] lists and stats, and opens nothing: an unchanged file costs one `stat`. [`read`] fetches the bytes of one file.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::Stream;
use ignore::{DirEntry, WalkBuilder};
use serde::Serialize;

use super::{FilesPlan, Version};
use crate::document::{Found, Stamp};
use crate::parse::{Guess, ParseError, guess};

/// Entries that travel together: a channel operation an entry would cost more than the `stat`.
const BATCH: usize = 256;
/// Batches that wait for the consumer, at most.
const BATCHES: usize = 8;
/// A batch is sent after this long even if it is not full, so that a slow file system does not hold the pipeline up.
const BATCH_AGE: Duration = Duration::from_millis(20);
/// How often a file that changes under the reader's hands is read again.
const READ_ATTEMPTS: u32 = 3;
/// A file modified so shortly before it was read may change again within the clock's grain: its stamp proves nothing.
const RACY: Duration = Duration::from_secs(2);

/// What the walk came upon.
#[derive(Debug)]
pub enum Seen {
    /// A file to be read.
    Found(Found),
    /// A file, or a whole folder, that is left out on purpose.
    Skipped {
        /// Which one; see [`Found::uri`].
        uri: String,
        /// Why.
        reason: SkipReason,
    },
    /// A root, a folder or a file that could not be listed. Nothing at or below this uri may be taken as gone
    /// (see [`is_within`]).
    Unreadable {
        /// Which one; see [`Found::uri`].
        uri: String,
        /// Why.
        error: io::Error,
    },
}

/// Why a file is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its name, or that of the folder, begins with a dot.
    Hidden,
    /// The pipeline's `exclude` matches it, or its `include` does not.
    Excluded,
    /// It has no bytes.
    Empty,
    /// It is larger than `max_bytes`.
    TooLarge,
    /// Its content is not text and no format that is read.
    Binary,
    /// Its name says that it is a picture, an archive, a program or something else that is not read.
    UnsupportedFormat,
    /// A symbolic link: what it points to is indexed where it lies, if it lies below a root.
    SymbolicLink,
    /// A socket, a pipe or a device.
    Special,
}

impl SkipReason {
    /// As what a file is to be counted that turned out to be no document; `None` if a document was lost.
    pub fn of(error: &ParseError) -> Option<Self> {
        match error {
            ParseError::Empty => Some(Self::Empty),
            ParseError::Binary => Some(Self::Binary),
            ParseError::Unsupported(_) => Some(Self::UnsupportedFormat),
            _ => None,
        }
    }

    /// Its identifier in summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Excluded => "excluded",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Binary => "binary",
            Self::UnsupportedFormat => "unsupported_format",
            Self::SymbolicLink => "symbolic_link",
            Self::Special => "special",
        }
    }
}

/// Lists the files of a source, root by root, sorted by name within each folder.
///
/// Follows `.gitignore` and `.ignore` files, inside a repository or not. Passes over what is hidden and over symbolic
/// links; a root that is itself a link is followed, and a root that is a file is taken even if it is hidden, ignored or of
/// an unknown kind. `include` and `exclude` match paths below their root; a folder that `exclude` matches is not entered.
///
/// Runs on one blocking thread that starts with the first poll and ends when the stream is dropped. At most
/// `BATCHES * BATCH` entries wait for the consumer.
pub fn walk(files: FilesPlan, base: PathBuf) -> impl Stream<Item = Seen> + Send {
    async_stream::stream! {
        let roots: Vec<String> = files.paths.iter().map(|p| uri_of(p, &base)).collect();
        let (tx, mut rx) = tokio::sync::mpsc::channel::<Vec<Seen>>(BATCHES);
        let walking = tokio::task::spawn_blocking(move || {
            let mut out = Outbox { tx, batch: Vec::with_capacity(BATCH), since: Instant::now() };
            // `Err` means that nobody listens any more, which is a way to end and no failure.
            let _ = walk_roots(&files, &base, &mut out).and_then(|()| out.flush());
        });
        while let Some(batch) = rx.recv().await {
            for seen in batch {
                yield seen;
            }
        }
        // An end that came too early must not look like "everything else is gone".
        if let Err(e) = walking.await {
            for uri in roots {
                yield Seen::Unreadable { uri, error: io::Error::other(format!("the listing broke off: {e}")) };
            }
        }
    }
}

/// The consumer has dropped the stream.
struct Dropped;

struct Outbox {
    tx: tokio::sync::mpsc::Sender<Vec<Seen>>,
    batch: Vec<Seen>,
    since: Instant,
}

impl Outbox {
    fn push(&mut self, seen: Seen) -> Result<(), Dropped> {
        self.batch.push(seen);
        if self.batch.len() >= BATCH || self.since.elapsed() >= BATCH_AGE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Dropped> {
        self.since = Instant::now();
        if self.batch.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.tx.blocking_send(full).map_err(|_| Dropped)
    }
}

fn walk_roots(files: &FilesPlan, base: &Path, out: &mut Outbox) -> Result<(), Dropped> {
    // Only roots within one another can name a file twice; without them the set would be memory for nothing.
    let plain: Vec<PathBuf> = files.paths.iter().map(|p| normalise(p)).collect();
    let nested = plain.iter().enumerate().any(|(i, a)| plain.iter().enumerate().any(|(j, b)| i != j && a.starts_with(b)));
    let mut taken = nested.then(HashSet::new);
    for root in &files.paths {
        let uri = uri_of(root, base);
        match std::fs::metadata(root) {
            Err(error) => out.push(Seen::Unreadable { uri, error })?,
            Ok(meta) if meta.is_dir() => walk_folder(files, root, &uri, taken.as_mut(), out)?,
            Ok(meta) => {
                if taken.as_mut().is_none_or(|t| t.insert(uri.clone())) {
                    out.push(judge(uri, root.to_owned(), &meta, files.max_bytes))?;
                }
            }
        }
    }
    Ok(())
}

fn walk_folder(
    files: &FilesPlan,
    root: &Path,
    root_uri: &str,
    mut taken: Option<&mut HashSet<String>>,
    out: &mut Outbox,
) -> Result<(), Dropped> {
    // The walker drops in silence what its filter refuses: the filter tells of it through this channel, which is emptied
    // after every step and so holds what is refused of one folder at most.
    let (refuse, refused) = mpsc::channel::<(PathBuf, SkipReason)>();
    let exclude = files.exclude.clone();
    let filter_root = root.to_owned();
    let filter = move |entry: &DirEntry| {
        let reason = if is_hidden(entry.file_name()) {
            SkipReason::Hidden
        } else if !exclude.is_empty() && entry.path().strip_prefix(&filter_root).is_ok_and(|below| exclude.is_match(below)) {
            SkipReason::Excluded
        } else {
            return true;
        };
        // The receiver lives as long as the walker.
        let _ = refuse.send((entry.path().to_owned(), reason));
        false
    };
    let walker = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(filter)
        .build();
    for entry in walker {
        for (path, reason) in refused.try_iter() {
            out.push(Seen::Skipped { uri: below(root_uri, root, &path), reason })?;
        }
        if out.tx.is_closed() {
            return Err(Dropped);
        }
        let seen = match entry {
            Ok(entry) => look_at(files, root, root_uri, entry),
            Err(error) => lost(root_uri, root, &error),
        };
        let Some(seen) = seen else { continue };
        if let (Seen::Found(found), Some(taken)) = (&seen, taken.as_deref_mut())
            && !taken.insert(found.uri.clone())
        {
            continue;
        }
        out.push(seen)?;
    }
    for (path, reason) in refused.try_iter() {
        out.push(Seen::Skipped { uri: below(root_uri, root, &path), reason })?;
    }
    Ok(())
}

/// One entry of a folder; `None` for the folders themselves and for what has vanished since it was listed.
fn look_at(files: &FilesPlan, root: &Path, root_uri: &str, entry: DirEntry) -> Option<Seen> {
    if let Some(error) = entry.error() {
        tracing::warn!(path = %entry.path().display(), %error, "an ignore file is not understood in full");
    }
    let kind = entry.file_type()?;
    if kind.is_dir() {
        return None;
    }
    let uri = below(root_uri, root, entry.path());
    let skipped = |uri, reason| Some(Seen::Skipped { uri, reason });
    if kind.is_symlink() {
        return skipped(uri, SkipReason::SymbolicLink);
    }
    if !files.include.is_empty() && entry.path().strip_prefix(root).is_ok_and(|below| !files.include.is_match(below)) {
        return skipped(uri, SkipReason::Excluded);
    }
    if matches!(guess(entry.path()), Guess::Unsupported(_)) {
        return skipped(uri, SkipReason::UnsupportedFormat);
    }
    // Not `entry.metadata()`: its error is wrapped, and "gone" has to be told from "forbidden".
    match std::fs::symlink_metadata(entry.path()) {
        Ok(meta) => Some(judge(uri, entry.into_path(), &meta, files.max_bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Seen::Unreadable { uri, error }),
    }
}

fn judge(uri: String, path: PathBuf, meta: &Metadata, max_bytes: u64) -> Seen {
    let reason = if !meta.is_file() {
        SkipReason::Special
    } else if meta.len() == 0 {
        SkipReason::Empty
    } else if meta.len() > max_bytes {
        SkipReason::TooLarge
    } else {
        return Seen::Found(Found { uri, path, stamp: stamp(meta) });
    };
    Seen::Skipped { uri, reason }
}

/// A folder that could not be listed; `None` if it has vanished.
fn lost(root_uri: &str, root: &Path, error: &ignore::Error) -> Option<Seen> {
    let (path, io_error) = dig(error);
    let kind = io_error.map_or(io::ErrorKind::Other, io::Error::kind);
    let path = path.unwrap_or(root);
    if kind == io::ErrorKind::NotFound && path != root {
        return None;
    }
    let why = io_error.map_or_else(|| error.to_string(), ToString::to_string);
    Some(Seen::Unreadable { uri: below(root_uri, root, path), error: io::Error::new(kind, why) })
}

/// The innermost path and I/O error of a walker's error.
fn dig(error: &ignore::Error) -> (Option<&Path>, Option<&io::Error>) {
    match error {
        ignore::Error::WithPath { path, err } => {
            let (inner, io_error) = dig(err);
            (inner.or(Some(path)), io_error)
        }
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => dig(err),
        ignore::Error::Io(e) => (None, Some(e)),
        _ => (None, None),
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

/// The version of a file that the file system says this of. Ledgers keep it: another one means that every file is read again.
pub fn version_of(size: u64, modified_ns: i64, inode: u64) -> Version {
    Version::new([size.to_le_bytes(), modified_ns.to_le_bytes(), inode.to_le_bytes()].as_flattened())
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

fn stamp(meta: &Metadata) -> Stamp {
    let modified_ns = meta.modified().map_or(0, nanoseconds);
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(meta);
    #[cfg(not(unix))]
    let inode = 0;
    Stamp { size: meta.len(), modified_ns, inode }
}

/// A path's uri: relative to `base` when it is below it (`.` for `base` itself), else absolute; `.` and `..` are taken out
/// by their names alone, without a look at the disk.
pub fn uri_of(path: &Path, base: &Path) -> String {
    let (path, base) = (normalise(path), normalise(base));
    match path.strip_prefix(&base) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => join("", rest),
        Err(_) => join("", &path),
    }
}

/// Whether a document lies at or below the folder, file or root of this uri.
pub fn is_within(uri: &str, folder: &str) -> bool {
    match folder {
        "" => true,
        "." => !Path::new(uri).is_absolute() && !uri.contains("://"),
        "/" => uri.starts_with('/'),
        _ => uri.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// Without `.` and, by the letters alone, without `..`: documents are named by these paths.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            // There is nothing above the root.
            Component::ParentDir if out.has_root() => {}
            part => out.push(part),
        }
    }
    out
}

/// The uri of an entry below a root, whose own uri is known.
fn below(root_uri: &str, root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => root_uri.to_owned(),
        Ok(rest) => join(if root_uri == "." { "" } else { root_uri }, rest),
        Err(_) => join("", path),
    }
}

fn join(prefix: &str, rest: &Path) -> String {
    let mut out = String::with_capacity(prefix.len() + rest.as_os_str().len() + 1);
    out.push_str(prefix);
    for part in rest.components() {
        if part == Component::RootDir {
            out.push('/');
            continue;
        }
        if !out.is_empty() && !out.ends_with('/') {
            out.push('/');
        }
        push_name(&mut out, part.as_os_str());
    }
    out
}

/// Appends a file name. Bytes that are not UTF-8 become U+FFFD and their value in hex: two such names stay two.
fn push_name(out: &mut String, name: &OsStr) {
    if let Some(name) = name.to_str() {
        out.push_str(name);
        return;
    }
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "{}{byte:02x}", char::REPLACEMENT_CHARACTER);
        }
    }
}

/// A file's bytes and the stamp that goes with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What the file system said of these very bytes: what to record, instead of [`Found::stamp`].
    pub stamp: Stamp,
    /// The version to record. It proves nothing where the file was modified just before it was read.
    pub version: Version,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was there when it was listed. Not a failure of the run.
    #[error("the file has vanished since it was listed")]
    Gone,
    /// It has grown past the limit since it was listed.
    #[error("the file has grown beyond {max_bytes} bytes since it was listed")]
    TooLarge {
        /// The limit, in bytes.
        max_bytes: u64,
    },
    /// It was written to each time that it was read.
    #[error("the file changed while it was read, {READ_ATTEMPTS} times over")]
    Changing,
    /// The system refused.
    #[error("cannot read the file")]
    Io(#[source] io::Error),
}

impl ReadError {
    /// Whether the file is simply no longer there.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// Reads a file in whole, `max_bytes` at most, however much it grows meanwhile. A file that changes during the reading is
/// read again, so that the bytes are those of one state and the stamp is theirs. Blocks.
pub fn read_blocking(found: &Found, max_bytes: u64) -> Result<Content, ReadError> {
    for _ in 0..READ_ATTEMPTS {
        match read_once(&found.path, max_bytes) {
            Ok(Some(content)) => return Ok(content),
            Ok(None) => {}
            Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::NotFound => return Err(ReadError::Gone),
            Err(e) => return Err(e),
        }
    }
    Err(ReadError::Changing)
}

/// As [`read_blocking`], off the runtime.
pub async fn read(found: &Found, max_bytes: u64) -> Result<Content, ReadError> {
    let found = found.clone();
    let read = tokio::task::spawn_blocking(move || read_blocking(&found, max_bytes));
    read.await.unwrap_or_else(|broken| Err(ReadError::Io(io::Error::other(broken))))
}

fn read_once(path: &Path, max_bytes: u64) -> Result<Option<Content>, ReadError> {
    let mut file = File::open(path).map_err(ReadError::Io)?;
    let before = stamp(&file.metadata().map_err(ReadError::Io)?);
    if before.size > max_bytes {
        return Err(ReadError::TooLarge { max_bytes });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0).saturating_add(1));
    (&mut file).take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadError::TooLarge { max_bytes });
    }
    // Before the last look: what is written after that one has a later time, if this one is late enough.
    let now = nanoseconds(SystemTime::now());
    let after = stamp(&file.metadata().map_err(ReadError::Io)?);
    let whole = after == before && bytes.len() as u64 == before.size;
    let racy = now.saturating_sub(before.modified_ns) < RACY.as_nanos() as i64;
    let version = if racy { Version::UNKNOWN } else { version_of(before.size, before.modified_ns, before.inode) };
    Ok(whole.then_some(Content { bytes, stamp: before, version }))
}
