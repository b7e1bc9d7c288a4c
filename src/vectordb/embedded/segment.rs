//! A segment: a file of points that is written once and never changed. What is replaced or deleted is noted elsewhere and left out
//! when segments are merged.
//!
//! ```text
//! header     1 KiB: a mark, a checksum of the header, and where the sections are, with a checksum each
//! rows       4 bytes a row: its distance to the segment's first
//! bytes      a row's vector in 8 bits: a scale, then a byte a dimension
//! halves     a row's vector in half precision
//! postings   the terms' postings, one after the other (see `postings`)
//! terms      16 bytes a term, ascending: its id, in how many rows it is, where its postings begin
//! fences     every 256th term's id
//! ```
//! All numbers are little-endian.

mod write;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

pub(super) use self::write::SegmentWriter;
use super::fault::Fault;
use super::files::read_at;
use super::vectors::SCALE;
use crate::priority;

/// What a segment's file begins with.
const MARK: &[u8; 8] = b"ragseg\0\x01";
/// Bytes before the first section.
const HEADER: usize = 1024;
/// Bytes of a checksum.
const SUM: usize = 16;
/// Bytes that the header's own words may take.
const WORDS: usize = HEADER - MARK.len() - SUM - 2;
/// Bytes of a term in its section.
const TERM: usize = 16;
/// Terms from one fence to the next.
const FENCE: usize = 256;
/// Bytes that are read at once where a section is read from one end to the other.
const READ: usize = 64 << 10;

/// Where a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Section {
    at: u64,
    length: u64,
    sum: [u8; SUM],
}

/// What a segment's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    dimensions: usize,
    /// Rows here.
    count: u32,
    /// The first row's number.
    first: i64,
    rows: Section,
    bytes: Section,
    halves: Section,
    postings: Section,
    terms: Section,
    fences: Section,
}

/// The sections that are read from one end to the other when segments are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Rows,
    Bytes,
    Halves,
    Postings,
    Terms,
}

/// A term of a segment: in how many of its rows it is, and where its postings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) id: u32,
    pub(super) count: u32,
    at: u64,
    end: u64,
}

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    header: Header,
    fences: OnceLock<Vec<u32>>,
    /// That they are what was written was seen.
    checked_rows: OnceLock<()>,
    /// All vectors in 8 bits, where they are kept in memory.
    kept: OnceLock<Vec<u8>>,
}

impl Segment {
    /// Opens a segment. That its file is as long as it says is looked at, what is in it is not.
    pub(super) fn open(path: &Path, dimensions: usize) -> Result<Self, Fault> {
        let io = Fault::io(path);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Fault::Gone(path.to_owned())),
            file => file.map_err(&io)?,
        };
        let mut bytes = [0; HEADER];
        read_at(&file, &mut bytes, 0).map_err(&io)?;
        let header = Header::read(&bytes).ok_or_else(|| Fault::damaged(path, "its header is not what was written"))?;
        let length = file.metadata().map_err(&io)?.len();
        if header.dimensions != dimensions || !header.fits(length) {
            return Err(Fault::damaged(path, format!("it is {length} bytes long, and its header tells of others")));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            header,
            fences: OnceLock::new(),
            checked_rows: OnceLock::new(),
            kept: OnceLock::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows it has.
    pub(super) fn count(&self) -> u32 {
        self.header.count
    }

    /// The numbers of its rows, ascending.
    pub(super) fn rows(&self) -> Result<Vec<i64>, Fault> {
        let bytes = self.whole(self.header.rows)?;
        self.checked_rows.get_or_init(|| ());
        Ok(bytes.as_chunks::<4>().0.iter().map(|row| self.header.first + i64::from(u32::from_le_bytes(*row))).collect())
    }

    /// The number of one of its rows. At the first, all of them are compared with their checksum.
    pub(super) fn row(&self, local: u32) -> Result<i64, Fault> {
        if self.checked_rows.get().is_none() {
            self.rows()?;
        }
        let mut bytes = [0; 4];
        self.read(&mut bytes, self.header.rows, u64::from(local) * 4)?;
        Ok(self.header.first + i64::from(u32::from_le_bytes(bytes)))
    }

    /// Bytes of a row's vector in 8 bits.
    pub(super) fn stride(&self) -> usize {
        self.header.dimensions + SCALE
    }

    /// Vectors in 8 bits of `rows` rows from `local` on: those that are kept, else read into `buffer`.
    pub(super) fn bytes<'a>(&'a self, local: u32, rows: u32, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], Fault> {
        let (from, length) = (local as usize * self.stride(), rows as usize * self.stride());
        if let Some(kept) = self.kept.get().and_then(|kept| kept.get(from..from + length)) {
            return Ok(kept);
        }
        buffer.resize(length, 0);
        self.read(buffer, self.header.bytes, from as u64)?;
        Ok(buffer)
    }

    /// Keeps the vectors in 8 bits in memory.
    pub(super) fn keep_bytes(&self) -> Result<(), Fault> {
        let bytes = self.whole(self.header.bytes)?;
        self.kept.get_or_init(|| bytes);
        Ok(())
    }

    /// The size of the vectors in 8 bits, and whether they are kept.
    pub(super) fn size_of_bytes(&self) -> (u64, bool) {
        (self.header.bytes.length, self.kept.get().is_some())
    }

    /// A row's vector in half precision.
    pub(super) fn half(&self, local: u32) -> Result<Vec<u8>, Fault> {
        let mut half = vec![0; self.header.dimensions * 2];
        self.read(&mut half, self.header.halves, u64::from(local) * self.header.dimensions as u64 * 2)?;
        Ok(half)
    }

    /// Bytes of a row's vector in half precision.
    pub(super) fn width_of_halves(&self) -> usize {
        self.header.dimensions * 2
    }

    /// A term, if any row has it.
    pub(super) fn term(&self, id: u32) -> Result<Option<Term>, Fault> {
        let Some(fence) = self.fences()?.partition_point(|first| *first <= id).checked_sub(1) else { return Ok(None) };
        let first = fence * FENCE;
        let terms = self.header.terms.length as usize / TERM;
        // One more than there are between two fences: it says where the last one's postings end.
        let mut bytes = vec![0; (FENCE + 1).min(terms.saturating_sub(first)) * TERM];
        self.read(&mut bytes, self.header.terms, (first * TERM) as u64)?;
        let found = bytes.as_chunks::<TERM>().0.iter().map(entry).zip(1..).find(|((found, ..), _)| *found == id);
        let Some(((id, count, at), next)) = found else { return Ok(None) };
        let end = match bytes.as_chunks::<TERM>().0.get(next) {
            Some(next) => entry(next).2,
            None => self.header.postings.length,
        };
        self.checked(Term { id, count, at, end }).map(Some)
    }

    /// A term's postings.
    pub(super) fn postings(&self, term: Term) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; (term.end - term.at) as usize];
        self.read(&mut bytes, self.header.postings, term.at)?;
        Ok(bytes)
    }

    fn checked(&self, term: Term) -> Result<Term, Fault> {
        // A row of a term takes three bytes at least.
        let fits = term.at <= term.end
            && term.end <= self.header.postings.length
            && term.count <= self.header.count
            && u64::from(term.count) * 3 <= term.end - term.at;
        if fits { Ok(term) } else { Err(Fault::damaged(&self.path, "a term's place is outside of it")) }
    }

    fn fences(&self) -> Result<&[u32], Fault> {
        if let Some(fences) = self.fences.get() {
            return Ok(fences);
        }
        let bytes = self.whole(self.header.fences)?;
        let fences = bytes.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
        Ok(self.fences.get_or_init(|| fences))
    }

    /// A section that is small enough to be read, and compared with its checksum, in one go.
    fn whole(&self, section: Section) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; section.length as usize];
        self.read(&mut bytes, section, 0)?;
        if sum(&blake3::hash(&bytes)) == section.sum { Ok(bytes) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Fault {
        Fault::damaged(&self.path, "it is not what was written to it (its checksum differs)")
    }

    fn read(&self, buffer: &mut [u8], section: Section, offset: u64) -> Result<(), Fault> {
        if offset.saturating_add(buffer.len() as u64) > section.length {
            return Err(Fault::damaged(&self.path, "a row or a term is outside of it"));
        }
        read_at(&self.file, buffer, section.at + offset).map_err(Fault::io(&self.path))
    }

    /// Reads a section from one end to the other. At its end the checksum is compared.
    pub(super) fn stream(&self, part: Part) -> SectionReader<'_> {
        let section = match part {
            Part::Rows => self.header.rows,
            Part::Bytes => self.header.bytes,
            Part::Halves => self.header.halves,
            Part::Postings => self.header.postings,
            Part::Terms => self.header.terms,
        };
        SectionReader { segment: self, section, hash: blake3::Hasher::new(), offset: 0, buffer: Vec::new(), taken: 0 }
    }

    /// Its terms, ascending.
    pub(super) fn terms(&self) -> impl Iterator<Item = Result<Term, Fault>> {
        let mut reader = self.stream(Part::Terms);
        let mut following: Option<Option<(u32, u32, u64)>> = None;
        let mut read = move || -> Result<Option<(u32, u32, u64)>, Fault> {
            Ok(reader.take(TERM)?.and_then(|bytes| bytes.first_chunk::<TERM>()).map(entry))
        };
        std::iter::from_fn(move || {
            let mut next = || -> Result<Option<Term>, Fault> {
                let this = match following.take() {
                    Some(this) => this,
                    None => read()?,
                };
                let Some((id, count, at)) = this else { return Ok(None) };
                let after = read()?;
                let end = after.map_or(self.header.postings.length, |(.., at)| at);
                following = Some(after);
                if after.is_some_and(|(after, ..)| after <= id) {
                    return Err(Fault::damaged(&self.path, "its terms do not ascend"));
                }
                self.checked(Term { id, count, at, end }).map(Some)
            };
            next().transpose()
        })
    }
}

impl Drop for Segment {
    /// Who closes a file last that was removed waits until the system has taken its room back: a tenth of a second for some
    /// hundred megabytes. That is not to be a search, which is who holds a segment longest that was merged away.
    fn drop(&mut self) {
        if is_removed(&self.file)
            && let Ok(file) = self.file.try_clone()
        {
            let held = (file, self.kept.take());
            // Without a thread it is closed here.
            let _ = priority::aside(move || drop(held));
        }
    }
}

/// Whether no folder has the file any more.
#[cfg(unix)]
fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) == 0)
}

/// Where a file that is open cannot be removed, none is.
#[cfg(not(unix))]
fn is_removed(_: &File) -> bool {
    false
}

impl Term {
    /// Bytes of its postings.
    pub(super) fn length(self) -> usize {
        (self.end - self.at) as usize
    }
}

/// A term's id, count and place.
fn entry(bytes: &[u8; TERM]) -> (u32, u32, u64) {
    let number =
        |at: usize| bytes.get(at..at + 4).and_then(<[u8]>::first_chunk).map_or(0, |number| u32::from_le_bytes(*number));
    (number(0), number(4), u64::from(number(8)) | (u64::from(number(12)) << 32))
}

impl Header {
    fn write(&self) -> Option<[u8; HEADER]> {
        let words = serde_json::to_vec(self).ok().filter(|words| words.len() <= WORDS)?;
        let mut body = u16::try_from(words.len()).ok()?.to_le_bytes().to_vec();
        body.extend(words);
        body.resize(WORDS + 2, 0);
        let sum = sum(&blake3::hash(&body));
        let mut bytes = [0; HEADER];
        let all = MARK.iter().chain(&sum).chain(&body);
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        Some(bytes)
    }

    fn read(bytes: &[u8; HEADER]) -> Option<Self> {
        let (mark, rest) = bytes.split_first_chunk::<8>()?;
        let (kept, body) = rest.split_first_chunk::<SUM>()?;
        let (length, words) = body.split_first_chunk::<2>()?;
        let whole = mark == MARK && *kept == sum(&blake3::hash(body));
        let words = words.get(..usize::from(u16::from_le_bytes(*length)))?;
        whole.then(|| serde_json::from_slice(words).ok())?
    }

    /// Whether the sections are as long as they must be, and within a file of this length.
    fn fits(&self, length: u64) -> bool {
        let (rows, wide) = (u64::from(self.count), self.dimensions as u64);
        let within = |section: &Section| section.at.checked_add(section.length).is_some_and(|end| end <= length);
        let sections = [&self.rows, &self.bytes, &self.halves, &self.postings, &self.terms, &self.fences];
        sections.into_iter().all(within)
            && self.rows.length == rows * 4
            && self.bytes.length == rows * (wide + SCALE as u64)
            && self.halves.length == rows * wide * 2
            && self.terms.length.is_multiple_of(TERM as u64)
            && self.fences.length == (self.terms.length / TERM as u64).div_ceil(FENCE as u64) * 4
    }
}

fn sum(hash: &blake3::Hash) -> [u8; SUM] {
    let mut sum = [0; SUM];
    sum.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
    sum
}

/// Reads a section from one end to the other, a piece at a time.
pub(super) struct SectionReader<'a> {
    segment: &'a Segment,
    section: Section,
    hash: blake3::Hasher,
    /// How much of the section was read from the file.
    offset: u64,
    buffer: Vec<u8>,
    /// How much of the buffer was taken.
    taken: usize,
}

impl SectionReader<'_> {
    /// The next so many bytes; `None` at the end, where the whole section was what was once written.
    pub(super) fn take(&mut self, amount: usize) -> Result<Option<&[u8]>, Fault> {
        if self.buffer.len() - self.taken < amount {
            self.fill(amount)?;
        }
        let (from, to) = (self.taken, self.taken + amount);
        if self.buffer.len() < to {
            let cut = Fault::damaged(&self.segment.path, "a section of it ends in the middle");
            return if self.buffer.len() == from { Ok(None) } else { Err(cut) };
        }
        self.taken = to;
        Ok(self.buffer.get(from..to))
    }

    fn fill(&mut self, amount: usize) -> Result<(), Fault> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let left = self.section.length - self.offset;
        if left == 0 {
            return Ok(());
        }
        let held = self.buffer.len();
        let wanted = (READ.max(amount) as u64).min(left) as usize;
        self.buffer.resize(held + wanted, 0);
        let new = self.buffer.split_at_mut(held).1;
        self.segment.read(new, self.section, self.offset)?;
        self.hash.update(new);
        self.offset += wanted as u64;
        if self.offset == self.section.length && sum(&self.hash.finalize()) != self.section.sum {
            return Err(self.segment.changed());
        }
        Ok(())
    }
}

/// Locks that only guard values which are whole at any time.
pub(super) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::super::vectors::{to_bytes, to_half};
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_segment_that_was_removed_is_read_on_and_closed_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment-0");
        let mut writer = SegmentWriter::create(&path, 2, &[7]).unwrap();
        writer.write(&to_bytes(&[0.6, 0.8])).unwrap();
        writer.end_bytes();
        writer.write(&to_half(&[0.6, 0.8])).unwrap();
        writer.end_halves();
        writer.finish().unwrap();
        let segment = Segment::open(&path, 2).unwrap();
        segment.keep_bytes().unwrap();
        assert!(!is_removed(&segment.file));
        std::fs::remove_file(&path).unwrap();
        assert!(is_removed(&segment.file));
        assert_eq!((segment.rows().unwrap(), segment.half(0).unwrap()), (vec![7], to_half(&[0.6, 0.8])));
        let open = || {
            let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            files.filter(|file| std::fs::read_link(file.path()).is_ok_and(|of| of.starts_with(folder.path()))).count()
        };
        let since = std::time::Instant::now();
        assert_eq!(open(), 1);
        drop(segment);
        while open() > 0 {
            assert!(since.elapsed() < std::time::Duration::from_secs(20), "it is still open");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
