//! Files and folders.
//!
//! Listing stats and opens nothing: an unchanged file costs one `stat`. What the file system says of a file is its version.

mod base;
mod changes;
mod events;
mod focus;
mod judged;
mod own;
mod uri;
mod walk;

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};

pub use self::base::{base_of, kept_base};
pub use self::events::{Changes, Events};
pub use self::focus::Focus;
pub use self::judged::Judged;
pub(crate) use self::uri::normalise;
use self::uri::path_of_key;
pub use self::uri::uri_of;
use super::{Body, FetchError, Fetched, FilesPlan, FormatHint, Item, Listed, Source, SourceError, SourceId, Version};

/// How often a file that changes under the reader's hands is read again.
const READ_ATTEMPTS: u32 = 3;
/// A file modified so shortly before it was read may change again within the clock's grain: its stamp is no proof.
const RACY: Duration = Duration::from_secs(2);

/// Files and folders as a source.
///
/// Follows `.gitignore` and `.ignore` files, inside a repository or not; where they leave nothing of a folder, it says what they
/// hide. Passes over what is hidden, what ragstream itself wrote, and symbolic links; a root that is itself a link is followed, and a root that is a file is taken even if it is hidden, ignored or of
/// an unknown kind. `include` and `exclude` match paths below their root; a folder that `exclude` matches is not entered.
/// Files come root by root, sorted by name within each folder.
///
/// Lists on one blocking thread that starts with the first poll and ends when the stream is dropped. At most
/// 2,048 entries wait for the consumer.
#[derive(Debug)]
pub struct Files {
    id: SourceId,
    plan: FilesPlan,
    base: PathBuf,
    focus: Option<Arc<Focus>>,
}

impl Files {
    /// The files of a plan; their uris are relative to `base`.
    pub fn new(plan: FilesPlan, base: &Path) -> Self {
        Self { id: SourceId::files(), plan, base: normalise(base), focus: None }
    }

    /// The same, narrowed to what is at or below some paths: only folders that lead there are entered, by the same rules.
    #[must_use]
    pub fn focused(self, focus: Arc<Focus>) -> Self {
        Self { focus: Some(focus), ..self }
    }

    /// Where an item is on disk.
    fn path(&self, item: &Item) -> PathBuf {
        if item.key.is_empty() { self.base.join(&item.uri) } else { path_of_key(&item.key) }
    }
}

#[async_trait]
impl Source for Files {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn roots(&self) -> Vec<String> {
        self.plan.paths.iter().map(|path| uri_of(path, &self.base)).collect()
    }

    fn focus(&self) -> Option<Vec<String>> {
        self.focus.as_ref().map(|focus| focus.paths().map(|path| uri_of(path, &self.base)).collect())
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        walk::walk(self.plan.clone(), self.base.clone(), self.focus.clone()).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        let paths: Vec<PathBuf> = items.iter().map(|item| self.path(item)).collect();
        let max_bytes = self.plan.max_bytes;
        let reading = move || paths.iter().map(|path| fetch_one(path, max_bytes)).collect();
        match tokio::task::spawn_blocking(reading).await {
            Ok(fetched) => fetched,
            Err(broken) => {
                let broken = broken.to_string();
                items.iter().map(|_| Err(SourceError::new(format!("the reading broke off: {broken}")).into())).collect()
            }
        }
    }
}

fn fetch_one(path: &Path, max_bytes: u64) -> Result<Fetched, FetchError> {
    match read(path, max_bytes) {
        Ok(Content { bytes, stamp, version }) => {
            let body = Body::Bytes { bytes, hint: FormatHint::default() };
            Ok(Fetched { modified_ns: Some(stamp.modified_ns), ..Fetched::new(body, version) })
        }
        Err(ReadError::Gone) => Err(FetchError::Gone),
        Err(error) => Err(SourceError::new(error).into()),
    }
}

/// What the file system says of a file without opening it. Two equal stamps mean "not changed".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct FileStamp {
    /// Size in bytes.
    size: u64,
    /// Modification time, in nanoseconds since the Unix epoch.
    modified_ns: i64,
    /// Inode (0 where the platform has none).
    inode: u64,
}

impl FileStamp {
    fn of(meta: &Metadata) -> Self {
        let modified_ns = meta.modified().map_or(0, nanoseconds);
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(meta);
        #[cfg(not(unix))]
        let inode = 0;
        Self { size: meta.len(), modified_ns, inode }
    }

    fn version(self) -> Version {
        version_of(self.size, self.modified_ns, self.inode)
    }
}

/// The version of a file: its size in bytes, its modification time in nanoseconds since the Unix epoch, its inode (0 where there are
/// none).
pub fn version_of(size: u64, modified_ns: i64, inode: u64) -> Version {
    Version::new([size.to_le_bytes(), modified_ns.to_le_bytes(), inode.to_le_bytes()].as_flattened())
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// A file's bytes and the stamp that goes with them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    /// The whole file.
    bytes: Vec<u8>,
    /// What the file system said of these very bytes.
    stamp: FileStamp,
    /// The stamp, unless it proves nothing.
    version: Version,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
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

/// Reads a file in whole, `max_bytes` at most, however much it grows meanwhile. A file that changes during the reading is
/// read again, so that the bytes are those of one state and the stamp is theirs. Blocks.
fn read(path: &Path, max_bytes: u64) -> Result<Content, ReadError> {
    for _ in 0..READ_ATTEMPTS {
        match read_once(path, max_bytes) {
            Ok(Some(content)) => return Ok(content),
            Ok(None) => {}
            Err(ReadError::Io(e)) if e.kind() == io::ErrorKind::NotFound => return Err(ReadError::Gone),
            Err(e) => return Err(e),
        }
    }
    Err(ReadError::Changing)
}

fn read_once(path: &Path, max_bytes: u64) -> Result<Option<Content>, ReadError> {
    let mut file = File::open(path).map_err(ReadError::Io)?;
    let before = FileStamp::of(&file.metadata().map_err(ReadError::Io)?);
    if before.size > max_bytes {
        return Err(ReadError::TooLarge { max_bytes });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0).saturating_add(1));
    (&mut file).take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadError::TooLarge { max_bytes });
    }
    // Before the last look: what is written after that look has a later time than this one, give or take the clock's grain.
    let now = nanoseconds(SystemTime::now());
    let after = FileStamp::of(&file.metadata().map_err(ReadError::Io)?);
    let whole = after == before && bytes.len() as u64 == before.size;
    let racy = now.saturating_sub(before.modified_ns) < RACY.as_nanos() as i64;
    let version = if racy { Version::UNKNOWN } else { before.version() };
    Ok(whole.then_some(Content { bytes, stamp: before, version }))
}
