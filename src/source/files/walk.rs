//! The walk through folders, on a thread of its own.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use futures_util::Stream;
use ignore::{DirEntry, WalkBuilder};

use super::FileStamp;
use super::focus::Focus;
use super::own::is_own;
use super::uri::{below, is_exact, is_plain, key_of, normalise, uri_of};
use crate::parse::{Guess, guess};
use crate::source::{FilesPlan, Item, Listed, SkipReason, SourceError};

/// Entries that travel together: a channel operation an entry would cost more than the `stat`.
const BATCH: usize = 256;
/// Batches that wait for the consumer, at most.
const BATCHES: usize = 8;
/// A batch is sent after this long even if it is not full, so that a slow file system does not hold the pipeline up.
const BATCH_AGE: Duration = Duration::from_millis(20);

/// Ignored files that are told of.
const MOST_IGNORED: usize = 10_000;

/// Lists the files; see [`super::Files`].
pub(super) fn walk(files: FilesPlan, base: PathBuf, focus: Option<Arc<Focus>>) -> impl Stream<Item = Listed> + Send {
    async_stream::stream! {
        let roots: Vec<String> = files.paths.iter().map(|p| uri_of(p, &base)).collect();
        let (tx, mut rx) = tokio::sync::mpsc::channel::<Vec<Listed>>(BATCHES);
        let walking = tokio::task::spawn_blocking(move || {
            let mut out = Outbox { tx, batch: Vec::with_capacity(BATCH), since: Instant::now() };
            // `Err` means that nobody listens any more, which is a way to end and no failure.
            let _ = walk_roots(&files, &base, focus.as_ref(), &mut out).and_then(|()| out.flush());
        });
        while let Some(batch) = rx.recv().await {
            for listed in batch {
                yield listed;
            }
        }
        // An end that came too early must not look like "everything else is gone".
        if let Err(e) = walking.await {
            for prefix in roots {
                yield Listed::Unreadable { prefix, error: SourceError::new(format!("the listing broke off: {e}")) };
            }
        }
        yield Listed::Complete;
    }
}

/// The consumer has dropped the stream.
struct Dropped;

struct Outbox {
    tx: tokio::sync::mpsc::Sender<Vec<Listed>>,
    batch: Vec<Listed>,
    since: Instant,
}

impl Outbox {
    fn push(&mut self, listed: Listed) -> Result<(), Dropped> {
        self.batch.push(listed);
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

/// The folders that are entered for these files, at or below one of `within` where that is said, and `most` of them and one more.
/// Blocks.
pub(super) fn folders(files: &FilesPlan, within: Option<&Arc<Focus>>, most: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files.paths.iter().filter(|path| within.is_none_or(|focus| focus.touches(path))) {
        let root = Root { files, path, uri: String::new(), plain: false, focus: within };
        let (refuse, _) = mpsc::channel();
        let walker = root.walker().filter_entry(root.filter(refuse)).build().filter_map(Result::ok);
        // A root may be a link.
        let folders = walker.filter(|entry| entry.depth() == 0 || entry.file_type().is_some_and(|kind| kind.is_dir()));
        let folders = folders.map(DirEntry::into_path).filter(|folder| within.is_none_or(|focus| focus.covers(folder)));
        found.extend(folders.filter(|folder| folder.is_dir()).take((most + 1).saturating_sub(found.len())));
    }
    found
}

/// Those of some files that are come across, which those are not that an ignore file hides. Blocks.
pub(super) fn reached(files: &FilesPlan, focus: &Arc<Focus>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files.paths.iter().filter(|path| focus.touches(path)) {
        let root = Root { files, path, uri: String::new(), plain: false, focus: Some(focus) };
        let (refuse, _) = mpsc::channel();
        let walker = root.walker().filter_entry(root.filter(refuse)).build().filter_map(Result::ok);
        found.extend(walker.map(DirEntry::into_path).filter(|path| focus.covers(path)));
    }
    found
}

/// Which kind of list hides a file that is not come across. Blocks.
pub(super) fn hidden_by(files: &FilesPlan, focus: &Arc<Focus>) -> SkipReason {
    let is_reached = |path: &PathBuf| {
        let root = Root { files, path, uri: String::new(), plain: false, focus: Some(focus) };
        let (refuse, _) = mpsc::channel();
        let mut walker = root.walker();
        walker.git_ignore(false).git_exclude(false).git_global(false).filter_entry(root.filter(refuse));
        walker.build().filter_map(Result::ok).any(|entry| focus.covers(entry.path()))
    };
    let by_git = files.paths.iter().filter(|path| focus.touches(path)).any(is_reached);
    if by_git { SkipReason::Gitignored } else { SkipReason::Ignored }
}

fn walk_roots(files: &FilesPlan, base: &Path, focus: Option<&Arc<Focus>>, out: &mut Outbox) -> Result<(), Dropped> {
    // Only roots within one another can name a file twice; without them the set would be memory for nothing.
    let paths: Vec<PathBuf> = files.paths.iter().map(|p| normalise(p)).collect();
    let nested = paths.iter().enumerate().any(|(i, a)| paths.iter().enumerate().any(|(j, b)| i != j && a.starts_with(b)));
    let mut taken = nested.then(HashSet::new);
    for path in files.paths.iter().filter(|path| focus.is_none_or(|focus| focus.touches(path))) {
        let root = Root { files, path, uri: uri_of(path, base), plain: is_plain(path), focus };
        match std::fs::metadata(path) {
            Err(error) => out.push(Listed::Unreadable { prefix: root.uri, error: error.into() })?,
            Ok(meta) if meta.is_dir() => root.walk(taken.as_mut(), out)?,
            Ok(meta) => {
                if taken.as_mut().is_none_or(|t| t.insert(root.uri.clone())) {
                    out.push(root.judge(root.uri.clone(), path, &meta))?;
                }
            }
        }
    }
    Ok(())
}

/// A file or folder that the plan names.
struct Root<'a> {
    files: &'a FilesPlan,
    path: &'a Path,
    uri: String,
    /// See [`is_plain`].
    plain: bool,
    /// What alone is of interest.
    focus: Option<&'a Arc<Focus>>,
}

impl Root<'_> {
    fn walk(&self, mut taken: Option<&mut HashSet<String>>, out: &mut Outbox) -> Result<(), Dropped> {
        // The walker drops in silence what its filter refuses: the filter tells of it through this channel, which is emptied
        // after every step and so holds what is refused of one folder at most.
        let (refuse, refused) = mpsc::channel::<(PathBuf, SkipReason)>();
        let walker = self.walker().sort_by_file_name(OsStr::cmp).filter_entry(self.filter(refuse)).build();
        let mut found = false;
        for entry in walker {
            for (path, reason) in refused.try_iter() {
                out.push(Listed::Skipped { uri: self.below(&path), reason })?;
            }
            if out.tx.is_closed() {
                return Err(Dropped);
            }
            let listed = match entry {
                Ok(entry) => self.look_at(&entry),
                Err(error) => self.lost(&error),
            };
            let Some(listed) = listed else { continue };
            found |= !matches!(listed, Listed::Skipped { .. });
            if let (Listed::Item(item), Some(taken)) = (&listed, taken.as_deref_mut())
                && !taken.insert(item.uri.clone())
            {
                continue;
            }
            out.push(listed)?;
        }
        for (path, reason) in refused.try_iter() {
            out.push(Listed::Skipped { uri: self.below(&path), reason })?;
        }
        if found || self.focus.is_some() { Ok(()) } else { self.ignored(out) }
    }

    /// Which entries are entered or looked at; what is refused of those in focus is told to `refuse`.
    fn filter(&self, refuse: mpsc::Sender<(PathBuf, SkipReason)>) -> impl Fn(&DirEntry) -> bool + Send + Sync + 'static {
        let (exclude, focus, root) = (self.files.exclude.clone(), self.focus.cloned(), self.path.to_owned());
        move |entry: &DirEntry| {
            let is_folder = || entry.file_type().is_some_and(|kind| kind.is_dir());
            let (path, name) = (entry.path(), entry.file_name());
            if focus.as_ref().is_some_and(|focus| !(focus.covers(path) || focus.touches(path) && is_folder())) {
                return false;
            }
            let reason = if is_hidden(name) {
                SkipReason::Hidden
            } else if !exclude.is_empty() && path.strip_prefix(&root).is_ok_and(|below| exclude.is_match(below)) {
                SkipReason::Excluded
            } else if is_own(path, is_folder()) {
                SkipReason::Own
            } else {
                return true;
            };
            // Whoever does not ask has dropped the other end.
            let _ = refuse.send((path.to_owned(), reason));
            false
        }
    }

    /// Goes through the folder as its ignore files say.
    fn walker(&self) -> WalkBuilder {
        let mut walker = WalkBuilder::new(self.path);
        walker.hidden(false).require_git(false).follow_links(false);
        walker
    }

    /// Tells which files the ignore files hide, where they leave nothing: whoever wonders why has to know. Of very many, the first.
    fn ignored(&self, out: &mut Outbox) -> Result<(), Dropped> {
        let files = |walker: &mut WalkBuilder| {
            let files = walker.filter_entry(|entry| !is_hidden(entry.file_name())).build().filter_map(Result::ok);
            files
                .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
                .map(DirEntry::into_path)
                .take(MOST_IGNORED)
        };
        // Without any list, and with all but git's.
        let all: Vec<PathBuf> = files(self.walker().standard_filters(false)).collect();
        let kept: HashSet<PathBuf> = files(self.walker().git_ignore(false).git_exclude(false).git_global(false)).collect();
        let by_all: HashSet<PathBuf> = files(&mut self.walker()).collect();
        for path in all.into_iter().filter(|path| !by_all.contains(path)) {
            let reason = if kept.contains(&path) { SkipReason::Gitignored } else { SkipReason::Ignored };
            out.push(Listed::Skipped { uri: self.below(&path), reason })?;
        }
        Ok(())
    }

    fn below(&self, path: &Path) -> String {
        below(&self.uri, self.path, path)
    }

    /// One entry of a folder; `None` for the folders themselves and for what has vanished since it was listed.
    fn look_at(&self, entry: &DirEntry) -> Option<Listed> {
        if let Some(error) = entry.error() {
            tracing::warn!(path = %entry.path().display(), %error, "an ignore file is not understood in full");
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            return None;
        }
        let uri = self.below(entry.path());
        let skipped = |uri, reason| Some(Listed::Skipped { uri, reason });
        if kind.is_symlink() {
            return skipped(uri, SkipReason::SymbolicLink);
        }
        if !entry.path().strip_prefix(self.path).is_ok_and(|below| includes(self.files, below)) {
            return skipped(uri, SkipReason::Excluded);
        }
        if is_unsupported(entry.file_name()) {
            return skipped(uri, SkipReason::UnsupportedFormat);
        }
        // Not `entry.metadata()`: its error is wrapped, and "gone" has to be told from "forbidden".
        match std::fs::symlink_metadata(entry.path()) {
            Ok(meta) => Some(self.judge(uri, entry.path(), &meta)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Listed::Unreadable { prefix: uri, error: error.into() }),
        }
    }

    fn judge(&self, uri: String, path: &Path, meta: &Metadata) -> Listed {
        let reason = if !meta.is_file() {
            SkipReason::Special
        } else if meta.len() == 0 {
            SkipReason::Empty
        } else if meta.len() > self.files.max_bytes {
            SkipReason::TooLarge
        } else {
            let key = if self.plain && is_exact(&uri) { Vec::new() } else { key_of(path) };
            return Listed::Item(Item { uri, version: FileStamp::of(meta).version(), size: Some(meta.len()), key });
        };
        Listed::Skipped { uri, reason }
    }

    /// A folder that could not be listed; `None` if it has vanished.
    fn lost(&self, error: &ignore::Error) -> Option<Listed> {
        let (path, io_error) = dig(error);
        let kind = io_error.map_or(io::ErrorKind::Other, io::Error::kind);
        let path = path.unwrap_or(self.path);
        if kind == io::ErrorKind::NotFound && path != self.path {
            return None;
        }
        let why = io_error.map_or_else(|| error.to_string(), ToString::to_string);
        Some(Listed::Unreadable { prefix: self.below(path), error: io::Error::new(kind, why).into() })
    }
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

/// Whether no file of this name, below a root, is ever taken.
pub(super) fn is_refused(files: &FilesPlan, below: &Path) -> bool {
    !includes(files, below) || files.exclude.is_match(below) || below.file_name().is_some_and(is_unsupported)
}

fn includes(files: &FilesPlan, below: &Path) -> bool {
    files.include.is_empty() || files.include.is_match(below)
}

fn is_unsupported(name: &OsStr) -> bool {
    matches!(guess(&name.to_string_lossy()), Guess::Unsupported(_))
}

pub(super) fn is_hidden(name: &OsStr) -> bool {
    SkipReason::is_hidden(name.as_encoded_bytes())
}
