//! A body as it comes, decompressed and bounded: what is small on the wire may be endless when it is decoded.

use std::borrow::Cow;
use std::io::{self, Read as _, Write};

use flate2::write::MultiGzDecoder;

/// What gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes on the wire beyond the limit of what they decode to: a compressed stream of nothing has no end, either.
const OVERHEAD: usize = 64 << 10;

/// Why a body is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is larger than allowed.
    TooLarge,
    /// It says that it is compressed, and is damaged.
    Damaged,
}

/// Bytes of a body so far, decompressed.
pub(super) struct Bounded {
    state: State,
    limit: usize,
    wire: usize,
}

enum State {
    /// Said to be compressed; whether it is, its first bytes tell: some servers say so of what is not.
    Said(Vec<u8>),
    Plain(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
}

/// Decoded bytes, of which no more are kept than may be.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    over: bool,
}

impl Write for Kept {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let room = self.limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(more.get(..room).unwrap_or(more));
        if more.len() > room {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bounded {
    /// For so many decoded bytes at most. `gzip`: it is said to be compressed.
    pub(super) fn new(gzip: bool, limit: usize) -> Self {
        let state = if gzip { State::Said(Vec::new()) } else { State::Plain(Kept { bytes: Vec::new(), limit, over: false }) };
        Self { state, limit, wire: 0 }
    }

    /// Bytes taken from the wire.
    pub(super) fn wire(&self) -> u64 {
        self.wire as u64
    }

    /// Takes the next bytes from the wire.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        self.wire = self.wire.saturating_add(bytes.len());
        if self.wire > self.limit.saturating_add(OVERHEAD) {
            return Err(Unread::TooLarge);
        }
        match &mut self.state {
            State::Said(first) => {
                first.extend_from_slice(bytes);
                if first.len() < MAGIC.len() {
                    return Ok(());
                }
                let first = std::mem::take(first);
                self.begin(&first)
            }
            State::Plain(kept) => kept.write_all(bytes).map_err(|_| Unread::TooLarge),
            State::Gzip(decoder) => {
                let written = decoder.write_all(bytes);
                written.map_err(|_| if decoder.get_ref().over { Unread::TooLarge } else { Unread::Damaged })
            }
        }
    }

    /// Goes on with the first bytes, which tell what it really is.
    fn begin(&mut self, first: &[u8]) -> Result<(), Unread> {
        let kept = Kept { bytes: Vec::new(), limit: self.limit, over: false };
        let gzip = first.starts_with(&MAGIC);
        self.state = if gzip { State::Gzip(Box::new(MultiGzDecoder::new(kept))) } else { State::Plain(kept) };
        // Counted already.
        self.wire = self.wire.saturating_sub(first.len());
        self.push(first)
    }

    /// All of it, now that it has ended.
    pub(super) fn finish(self) -> Result<Vec<u8>, Unread> {
        match self.state {
            State::Said(first) => Ok(first),
            State::Plain(kept) => Ok(kept.bytes),
            State::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes)),
                Err(_) if decoder.get_ref().over => Err(Unread::TooLarge),
                Err(_) => Err(Unread::Damaged),
            },
        }
    }

    /// What there is of it, wherever it ends.
    pub(super) fn so_far(self) -> Vec<u8> {
        match self.state {
            State::Said(first) => first,
            State::Plain(kept) => kept.bytes,
            State::Gzip(mut decoder) => {
                // What is decoded is handed on piece by piece; an end that is missing is no matter here.
                let _ = decoder.flush();
                std::mem::take(&mut decoder.get_mut().bytes)
            }
        }
    }
}

/// The content of a file that may be compressed, whatever it is named or said to be: so many bytes of it at most, and as far as it
/// is not damaged. Also whether that is all of it. Work for a thread of its own where the file is large.
pub(super) fn unpacked(bytes: &[u8], limit: usize) -> (Cow<'_, [u8]>, bool) {
    if !bytes.starts_with(&MAGIC) {
        let cut = bytes.get(..limit).unwrap_or(bytes);
        return (Cow::Borrowed(cut), cut.len() == bytes.len());
    }
    let mut content = Vec::new();
    // One byte beyond the limit tells that there is more.
    let most = limit.saturating_add(1) as u64;
    let read = flate2::read::MultiGzDecoder::new(bytes).take(most).read_to_end(&mut content);
    let all = read.is_ok() && content.len() <= limit;
    content.truncate(limit);
    (Cow::Owned(content), all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn pushed(gzip: bool, limit: usize, bytes: &[u8], piece: usize) -> Result<Vec<u8>, Unread> {
        let mut body = Bounded::new(gzip, limit);
        for piece in bytes.chunks(piece.max(1)) {
            body.push(piece)?;
        }
        assert_eq!(body.wire(), bytes.len() as u64);
        body.finish()
    }

    #[test]
    fn what_is_decoded_is_bounded_not_what_is_sent() {
        let bomb = gzip(&vec![0; 5_000_000]);
        assert!(bomb.len() < 10_000);
        assert_eq!(pushed(true, 1_000_000, &bomb, 1000), Err(Unread::TooLarge));
        assert_eq!(pushed(true, 5_000_000, &bomb, 1000).unwrap().len(), 5_000_000);
        let nothing_forever = gzip(b"").repeat(10_000);
        assert_eq!(pushed(true, 10, &nothing_forever, 1000), Err(Unread::TooLarge));
    }

    #[test]
    fn a_body_that_only_says_that_it_is_compressed_is_taken_as_it_is() {
        for text in ["", "<", "<p>plain</p>"] {
            assert_eq!(pushed(true, 100, text.as_bytes(), 1).unwrap(), text.as_bytes());
        }
        let file = gzip(b"a file that stays compressed");
        assert_eq!(pushed(false, 1000, &file, 7).unwrap(), file);
    }

    #[test]
    fn a_damaged_one_is_not_taken_for_whole() {
        let whole = gzip(b"some text that is long enough to be cut somewhere in the middle of it");
        for end in 2..whole.len() {
            assert_eq!(pushed(true, 1000, &whole[..end], 9), Err(Unread::Damaged), "cut at {end}");
        }
        let mut flipped = whole.clone();
        let middle = whole.len() / 2;
        flipped[middle] ^= 0xff;
        assert_eq!(pushed(true, 1000, &flipped, 9), Err(Unread::Damaged));
        let mut body = Bounded::new(true, 1000);
        body.push(&whole[..whole.len() - 9]).unwrap();
        assert!(body.so_far().starts_with(b"some text"));
    }

    #[test]
    fn files_are_unpacked_as_far_as_they_go() {
        let file = gzip(b"<urlset>");
        assert_eq!(unpacked(&file, 100), (b"<urlset>".into(), true));
        assert_eq!(unpacked(&file, 8), (b"<urlset>".into(), true));
        assert_eq!(unpacked(&file, 7), (b"<urlset".into(), false));
        assert_eq!(unpacked(b"<urlset>", 100), (b"<urlset>".into(), true));
        assert_eq!(unpacked(b"<urlset>", 3), (b"<ur".into(), false));
        assert!(!unpacked(&file[..file.len() - 4], 100).1);
        assert_eq!(unpacked(b"", 3), (b"".into(), true));
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_make_the_same_body(parts: Vec<Vec<u8>>, piece in 1usize..50) {
            let members: Vec<u8> = parts.iter().flat_map(|part| gzip(part)).collect();
            let all = parts.concat();
            prop_assert_eq!(pushed(true, all.len(), &members, piece).unwrap(), all.clone());
            prop_assert_eq!(unpacked(&members, all.len().max(1)), (all.into(), true));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>, limit in 0usize..100) {
            let framed = [&MAGIC[..], &[8, 0], &bytes].concat();
            if let Ok(body) = pushed(true, limit, &framed, 3) {
                prop_assert!(body.len() <= limit);
            }
            prop_assert!(unpacked(&framed, limit).0.len() <= limit);
        }
    }
}
