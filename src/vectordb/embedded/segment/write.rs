//! Writing a segment, section after section.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{FENCE, HEADER, Header, Section, sum};
use crate::vectordb::embedded::fault::Fault;
use crate::vectordb::embedded::files::remove_file;
use crate::vectordb::embedded::postings;

/// Bytes that are written at once.
const WRITE: usize = 256 << 10;
/// Bytes that are brought to the disk at once. What piles up until the end would keep the disk busy for long, and who commits
/// meanwhile waiting.
const SYNC: u64 = 8 << 20;
/// The end of the name of the file that the terms wait in.
const TERMS: &str = ".terms";

/// A segment that is being written: rows, then vectors in 8 bits, then in half precision, then the terms' postings. Until
/// [`Self::finish`] its file has no header, and is none that could be opened.
#[derive(Debug)]
pub(in crate::vectordb::embedded) struct SegmentWriter {
    path: PathBuf,
    file: BufWriter<File>,
    header: Header,
    at: u64,
    synced: u64,
    hash: blake3::Hasher,
    /// What is known of the terms, to be written after all postings: a large segment has millions.
    terms: Aside,
    fences: Vec<u8>,
    known: usize,
    encoded: Vec<u8>,
}

/// Bytes that wait in a file of their own, which goes when this does. A kill leaves it: it is named like a segment that no state
/// names.
#[derive(Debug)]
struct Aside {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Aside {
    fn create(beside: &Path) -> Result<Self, Fault> {
        let mut path = beside.as_os_str().to_owned();
        path.push(TERMS);
        let path = PathBuf::from(path);
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(Fault::io(&path))?;
        Ok(Self { path, file: BufWriter::with_capacity(WRITE, file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all(bytes).map_err(Fault::io(&self.path))
    }

    /// From now on it is read.
    fn rewind(&mut self) -> Result<(), Fault> {
        self.file.seek(SeekFrom::Start(0)).map(drop).map_err(Fault::io(&self.path))
    }

    /// Reads on; 0: at the end.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match self.file.get_mut().read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(Fault::io(&self.path)),
            }
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // If it stays, it is removed when the index is opened to write to it again.
        let _ = remove_file(&self.path);
    }
}

impl SegmentWriter {
    /// Begins a file, which must not exist, with these rows, which ascend.
    pub(in crate::vectordb::embedded) fn create(path: &Path, dimensions: usize, rows: &[i64]) -> Result<Self, Fault> {
        let io = Fault::io(path);
        let mut file = BufWriter::with_capacity(WRITE, File::create_new(path).map_err(&io)?);
        file.write_all(&[0; HEADER]).map_err(&io)?;
        let first = rows.first().copied().unwrap_or_default();
        let count = u32::try_from(rows.len()).map_err(|_| Fault::Unfit("too many rows for one segment".into()))?;
        let header = Header { dimensions, count, first, ..Header::default() };
        let mut writer = Self {
            path: path.to_owned(),
            file,
            header,
            at: HEADER as u64,
            synced: HEADER as u64,
            hash: blake3::Hasher::new(),
            terms: Aside::create(path)?,
            fences: Vec::new(),
            known: 0,
            encoded: Vec::new(),
        };
        for row in rows {
            let distance = u32::try_from(row - first).map_err(|_| Fault::Unfit("too many rows between two".into()))?;
            writer.write(&distance.to_le_bytes())?;
        }
        writer.header.rows = writer.end(HEADER as u64);
        Ok(writer)
    }

    /// Adds bytes to the section at hand.
    pub(in crate::vectordb::embedded) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        let io = Fault::io(&self.path);
        self.file.write_all(bytes).map_err(&io)?;
        if self.at - self.synced >= SYNC {
            self.synced = self.at;
            self.file.flush().map_err(&io)?;
            self.file.get_ref().sync_data().map_err(&io)?;
        }
        Ok(())
    }

    /// The vectors in 8 bits are written.
    pub(in crate::vectordb::embedded) fn end_bytes(&mut self) {
        self.header.bytes = self.end(self.header.rows.at + self.header.rows.length);
    }

    /// The vectors in half precision are written.
    pub(in crate::vectordb::embedded) fn end_halves(&mut self) {
        self.header.halves = self.end(self.header.bytes.at + self.header.bytes.length);
    }

    /// Adds a term with its rows, which ascend. Terms come in the order of their ids.
    pub(in crate::vectordb::embedded) fn term(
        &mut self,
        id: u32,
        rows: impl Iterator<Item = Result<(u32, u16), Fault>>,
    ) -> Result<(), Fault> {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        let (mut count, mut last) = (0_u32, None);
        for row in rows {
            let (row, weight) = row?;
            postings::push(&mut encoded, last, row, weight);
            (count, last) = (count + 1, Some(row));
        }
        if count > 0 {
            if self.known.is_multiple_of(FENCE) {
                self.fences.extend(id.to_le_bytes());
            }
            self.known += 1;
            let at = self.at - (self.header.halves.at + self.header.halves.length);
            self.terms.write(&id.to_le_bytes())?;
            self.terms.write(&count.to_le_bytes())?;
            self.terms.write(&at.to_le_bytes())?;
            self.write(&encoded)?;
        }
        self.encoded = encoded;
        Ok(())
    }

    /// Writes the rest, and brings the file to the disk. That it is in its folder has to be brought there, too.
    pub(in crate::vectordb::embedded) fn finish(mut self) -> Result<(), Fault> {
        self.header.postings = self.end(self.header.halves.at + self.header.halves.length);
        let begin = self.at;
        self.terms.rewind()?;
        let mut piece = vec![0; WRITE];
        loop {
            let read = self.terms.read(&mut piece)?;
            let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
            self.write(read)?;
        }
        self.header.terms = self.end(begin);
        let begin = self.at;
        let fences = std::mem::take(&mut self.fences);
        self.write(&fences)?;
        self.header.fences = self.end(begin);
        let header = self.header.write().ok_or_else(|| Fault::Unfit("a segment's header is too long".into()))?;
        let io = Fault::io(&self.path);
        self.file.seek(SeekFrom::Start(0)).map_err(&io)?;
        self.file.write_all(&header).map_err(&io)?;
        self.file.flush().map_err(&io)?;
        self.file.get_ref().sync_all().map_err(&io)
    }

    /// The section that began there and ends here.
    fn end(&mut self, begin: u64) -> Section {
        let sum = sum(&std::mem::take(&mut self.hash).finalize());
        Section { at: begin, length: self.at - begin, sum }
    }
}
