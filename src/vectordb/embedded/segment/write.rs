//! Writing a segment, section after section.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{FENCE, HEADER, Header, Section, sum};
use crate::vectordb::embedded::fault::Fault;
use crate::vectordb::embedded::postings;

/// Bytes that are written at once.
const WRITE: usize = 256 << 10;

/// A segment that is being written: rows, then vectors in 8 bits, then in half precision, then the terms' postings. Until
/// [`Self::finish`] its file has no header, and is none that could be opened.
#[derive(Debug)]
pub(in crate::vectordb::embedded) struct SegmentWriter {
    path: PathBuf,
    file: BufWriter<File>,
    header: Header,
    at: u64,
    hash: blake3::Hasher,
    /// What is known of the terms, to be written after all postings.
    terms: Vec<u8>,
    fences: Vec<u8>,
    known: usize,
    encoded: Vec<u8>,
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
            hash: blake3::Hasher::new(),
            terms: Vec::new(),
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
        self.file.write_all(bytes).map_err(Fault::io(&self.path))
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
            self.terms.extend(id.to_le_bytes());
            self.terms.extend(count.to_le_bytes());
            self.terms.extend(at.to_le_bytes());
            self.write(&encoded)?;
        }
        self.encoded = encoded;
        Ok(())
    }

    /// Writes the rest, and brings the file to the disk. That it is in its folder has to be brought there, too.
    pub(in crate::vectordb::embedded) fn finish(mut self) -> Result<(), Fault> {
        self.header.postings = self.end(self.header.halves.at + self.header.halves.length);
        for part in [std::mem::take(&mut self.terms), std::mem::take(&mut self.fences)] {
            let begin = self.at;
            self.write(&part)?;
            let section = self.end(begin);
            if self.header.terms == Section::default() { self.header.terms = section } else { self.header.fences = section }
        }
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
