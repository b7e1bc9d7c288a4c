//! The write-ahead journal. The engine (0.7.2) writes a log of its own and never reads it, so that an update is lost with the
//! process until the engine has been flushed, which takes some twenty fsyncs. Here a write costs one; after a kill the writes
//! since the last flush are applied again.
//!
//! A record is `length: u32, checksum: u64, body`, all little-endian. Applying a record twice, or all of them in order on top of
//! some of their effects, gives the same as applying them once: records state what is to be, not what to change.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write as _};
use std::path::Path;

use uuid::Uuid;

use crate::document::{Passage, Point, SparseVector};

/// Something to be written. One record, one call into the engine.
#[derive(Debug, PartialEq)]
pub(super) enum Write {
    /// Points to be there.
    Upsert(Vec<Point>),
    /// Payloads of those of the points that exist.
    Passages(Vec<(Uuid, Passage)>),
    /// Points not to be there.
    Delete(Vec<Uuid>),
    /// A document of which no point is to be there.
    DeleteDocument(String),
}

/// The journal's file, opened for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Where the next record goes.
    end: u64,
    records: usize,
}

const HEADER: usize = 12;

impl Journal {
    /// Opens or makes the journal and hands what it holds to `apply`, in order.
    pub(super) fn open<E: From<io::Error>>(path: &Path, mut apply: impl FnMut(Write) -> Result<(), E>) -> Result<Self, E> {
        let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?;
        let mut reader = BufReader::new(&file);
        let (mut end, mut records) = (0, 0);
        let length = file.metadata()?.len();
        while let Some((write, size)) = read_record(&mut reader, length - end)? {
            apply(write)?;
            end += size;
            records += 1;
        }
        if end < length {
            // A kill in the middle of a record, which hence was never acknowledged.
            tracing::debug!(end, length, "the journal ends with a torn record");
        }
        Ok(Self { file, end, records })
    }

    /// Appends a record. It survives a kill at once, a power cut after [`Self::sync`].
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        // Each time, so that the rest of an attempt that failed is overwritten.
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(record)?;
        self.end += record.len() as u64;
        self.records += 1;
        Ok(())
    }

    /// Takes back the record that was appended last.
    pub(super) fn retract(&mut self, record: &[u8]) -> io::Result<()> {
        self.end = self.end.saturating_sub(record.len() as u64);
        self.records = self.records.saturating_sub(1);
        self.file.set_len(self.end)
    }

    /// Makes the appended records durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Forgets all records. For when the engine has them all on disk.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (self.end, self.records) = (0, 0);
        Ok(())
    }

    /// Bytes and records held.
    pub(super) fn size(&self) -> (u64, usize) {
        (self.end, self.records)
    }
}

/// The next record and its size in the file; `None` at the end, or at a record that is not whole.
fn read_record(reader: &mut impl Read, left: u64) -> io::Result<Option<(Write, u64)>> {
    let mut header = [0; HEADER];
    if left < HEADER as u64 {
        return Ok(None);
    }
    reader.read_exact(&mut header)?;
    let mut fields = Fields(&header);
    let (Some(length), Some(expected)) = (fields.u32(), fields.take::<8>()) else { return Ok(None) };
    let size = HEADER as u64 + u64::from(length);
    if size > left {
        return Ok(None);
    }
    let mut body = vec![0; length as usize];
    reader.read_exact(&mut body)?;
    Ok(if checksum(&body) == expected { decode(&body).map(|write| (write, size)) } else { None })
}

fn checksum(body: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    blake3::Hasher::new().update(body).finalize_xof().fill(&mut sum);
    sum
}

impl Write {
    /// How many points it writes.
    pub(super) fn points(&self) -> usize {
        match self {
            Self::Upsert(points) => points.len(),
            Self::Passages(passages) => passages.len(),
            Self::Delete(_) | Self::DeleteDocument(_) => 0,
        }
    }

    /// The record, with its header.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut out = vec![0; HEADER];
        match self {
            Self::Upsert(points) => {
                out.push(1);
                for point in points {
                    out.extend(point.id.as_bytes());
                    put_len(&mut out, point.dense.len())?;
                    out.extend(point.dense.iter().flat_map(|x| x.to_le_bytes()));
                    put_len(&mut out, point.sparse.indices.len())?;
                    out.extend(point.sparse.indices.iter().flat_map(|i| i.to_le_bytes()));
                    put_len(&mut out, point.sparse.values.len())?;
                    out.extend(point.sparse.values.iter().flat_map(|x| x.to_le_bytes()));
                    put_passage(&mut out, &point.passage)?;
                }
            }
            Self::Passages(passages) => {
                out.push(2);
                for (id, passage) in passages {
                    out.extend(id.as_bytes());
                    put_passage(&mut out, passage)?;
                }
            }
            Self::Delete(ids) => {
                out.push(3);
                out.extend(ids.iter().flat_map(|id| *id.as_bytes()));
            }
            Self::DeleteDocument(uri) => {
                out.push(4);
                out.extend(uri.as_bytes());
            }
        }
        let body = out.get(HEADER..).unwrap_or_default();
        let length = u32::try_from(body.len()).map_err(|_| io::Error::other("a record of more than 4 GiB"))?;
        let header: Vec<u8> = length.to_le_bytes().into_iter().chain(checksum(body)).collect();
        out.splice(..HEADER, header);
        Ok(out)
    }
}

fn decode(body: &[u8]) -> Option<Write> {
    let mut fields = Fields(body);
    let [kind] = fields.take()?;
    Some(match kind {
        1 => {
            let mut points = Vec::new();
            while !fields.0.is_empty() {
                let id = Uuid::from_bytes(fields.take()?);
                let dense = fields.list(f32::from_le_bytes)?;
                let sparse =
                    SparseVector { indices: fields.list(u32::from_le_bytes)?, values: fields.list(f32::from_le_bytes)? };
                points.push(Point { id, dense, sparse, passage: fields.passage()? });
            }
            Write::Upsert(points)
        }
        2 => {
            let mut passages = Vec::new();
            while !fields.0.is_empty() {
                passages.push((Uuid::from_bytes(fields.take()?), fields.passage()?));
            }
            Write::Passages(passages)
        }
        3 => Write::Delete(fields.0.as_chunks().0.iter().map(|id| Uuid::from_bytes(*id)).collect()),
        4 => Write::DeleteDocument(String::from_utf8(fields.0.to_vec()).ok()?),
        _ => return None,
    })
}

fn put_len(out: &mut Vec<u8>, len: usize) -> io::Result<()> {
    let len = u32::try_from(len).map_err(io::Error::other)?;
    out.extend(len.to_le_bytes());
    Ok(())
}

fn put_passage(out: &mut Vec<u8>, passage: &Passage) -> io::Result<()> {
    let json = serde_json::to_vec(passage)?;
    put_len(out, json.len())?;
    out.extend(json);
    Ok(())
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn list<T>(&mut self, from: fn([u8; 4]) -> T) -> Option<Vec<T>> {
        let bytes = (self.u32()? as usize).checked_mul(4)?;
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken.as_chunks().0.iter().map(|four| from(*four)).collect())
    }

    fn passage(&mut self) -> Option<Passage> {
        let length = self.u32()? as usize;
        let (json, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        serde_json::from_slice(json).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use std::fs;

    use super::*;

    fn writes() -> Vec<Write> {
        let passage = Passage {
            uri: "dir/ü 文.md".into(),
            start: 1,
            end: 9,
            lines: (1, 2),
            index: 3,
            title: None,
            headings: vec!["A".into()],
            text: "text\n".into(),
            modified: -5,
            lang: Some("de".into()),
            source: None,
            metadata: crate::document::Metadata::new(),
        };
        let point = |n: u128, sparse: Vec<u32>| Point {
            id: Uuid::from_u128(n),
            dense: vec![0.1, -2.5, f32::MIN_POSITIVE],
            sparse: SparseVector { values: vec![1.5; sparse.len()], indices: sparse },
            passage: passage.clone(),
        };
        vec![
            Write::Upsert(vec![point(1, vec![7, 9]), point(2, vec![])]),
            Write::Upsert(vec![]),
            Write::Passages(vec![(Uuid::max(), passage.clone()), (Uuid::nil(), passage)]),
            Write::Delete(vec![Uuid::from_u128(1), Uuid::from_u128(2)]),
            Write::DeleteDocument("ü".into()),
        ]
    }

    fn replayed(path: &Path) -> (Journal, Vec<Write>) {
        let mut seen = Vec::new();
        let journal = Journal::open(path, |write| {
            seen.push(write);
            Ok::<_, io::Error>(())
        });
        (journal.unwrap(), seen)
    }

    #[test]
    fn what_was_appended_is_read_again_wherever_the_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, nothing) = replayed(&path);
        assert_eq!(nothing, []);
        let mut ends = vec![0];
        for write in writes() {
            journal.append(&write.encode().unwrap()).unwrap();
            ends.push(journal.size().0 as usize);
        }
        journal.sync().unwrap();
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let (journal, seen) = replayed(&path);
            assert_eq!(seen, writes()[..whole], "cut at {cut}");
            assert_eq!(journal.size(), (ends[whole] as u64, whole));
        }
    }

    #[test]
    fn a_record_after_a_torn_one_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let records: Vec<_> = writes().iter().map(|write| write.encode().unwrap()).collect();
        fs::write(&path, [&records[4][..], &records[0][..records[0].len() - 1]].concat()).unwrap();
        let (mut journal, seen) = replayed(&path);
        assert_eq!(seen, writes()[4..]);
        journal.append(&records[3]).unwrap();
        let (mut journal, seen) = replayed(&path);
        assert_eq!(seen, [Write::DeleteDocument("ü".into()), Write::Delete(vec![Uuid::from_u128(1), Uuid::from_u128(2)])]);
        journal.clear().unwrap();
        assert_eq!(replayed(&path).1, []);
    }

    #[test]
    fn a_flipped_bit_ends_the_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let record = writes()[0].encode().unwrap();
        for at in 0..record.len() {
            let mut damaged = record.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, damaged).unwrap();
            assert_eq!(replayed(&path).1, [], "byte {at}");
        }
    }
}
