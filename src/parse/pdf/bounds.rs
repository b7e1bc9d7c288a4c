//! What a file may unpack to.
//!
//! `hayro-syntax` 0.9 bounds how deep objects nest (512), but not what a stream unpacks to, and some streams are unpacked as
//! soon as a document is opened. So the deflated ones, which nearly all are, are unpacked here first, into nothing.

use std::io::Read;

use flate2::read::ZlibDecoder;
use hayro_syntax::Filter;
use hayro_syntax::object::Stream;

use super::super::{Format, ParseError};

/// What the deflated streams of a file may unpack to, in bytes over all, pictures aside.
const ALL: u64 = 1 << 30;
/// What one may unpack to.
const ONE: u64 = 300 << 20;
/// Bytes before a stream in which its dictionary says what it is.
const DICTIONARY: usize = 1024;

/// Refuses files that unpack to very much, before they are opened.
pub(super) fn check(bytes: &[u8]) -> Result<(), ParseError> {
    check_within(bytes, ALL, ONE)
}

fn check_within(bytes: &[u8], all: u64, one: u64) -> Result<(), ParseError> {
    let bomb = || ParseError::Bomb { format: Format::Pdf, limit: (all >> 20) as usize };
    let mut left = all;
    let mut rest = bytes;
    while let Some(at) = find(rest, b"stream") {
        let dictionary = rest.get(at.saturating_sub(DICTIONARY)..at).unwrap_or_default();
        let begins = dictionary.windows(4).rposition(|w| w == b" obj").unwrap_or(0);
        let own = dictionary.get(begins..).unwrap_or_default();
        // Pictures are not unpacked by us unless they are small enough for OCR.
        let is_picture = find(own, b"/Image").is_some() && find(own, b"/Form").is_none();
        // Filters upon filters multiply; no program writes more than two.
        let filters = [b"FlateDecode".as_slice(), b"/Fl ", b"/Fl]", b"LZWDecode", b"RunLengthDecode"];
        let packed: usize = filters.iter().map(|f| count(own, f)).sum();
        if packed > 2 {
            return Err(bomb());
        }
        rest = rest.get(at + b"stream".len()..).unwrap_or_default();
        let data = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
            .or_else(|| rest.strip_prefix(b"\r"))
            .unwrap_or(rest);
        // Those of objects are unpacked on opening, and kept. No program writes such in LZW.
        if find(own, b"/ObjStm").is_some() && find(own, b"/LZW").is_some() {
            let most = (find(data, b"endstream").unwrap_or(data.len()) as u64).saturating_mul(growth(Filter::LzwDecode));
            left = left.checked_sub(most).filter(|_| most <= one).ok_or_else(bomb)?;
            continue;
        }
        // The two bytes of a zlib header; other data, and the "stream" of "endstream", have none.
        let [cmf, flg, ..] = *data else { break };
        if is_picture || cmf & 0x0f != 8 || (u16::from(cmf) * 256 + u16::from(flg)) % 31 != 0 {
            continue;
        }
        let mut unpacked = ZlibDecoder::new(data).take(one.min(left) + 1);
        // Twice packed, the inner data may be a bomb, too.
        let size = if packed == 2 {
            let mut inner = Vec::new();
            let _ = unpacked.read_to_end(&mut inner);
            let twice = ZlibDecoder::new(inner.as_slice()).take(one.min(left) + 1);
            inner.len() as u64 + drain(twice)
        } else {
            drain(unpacked)
        };
        if size > one.min(left) {
            return Err(bomb());
        }
        left -= size;
    }
    Ok(())
}

/// How many bytes one byte may become, by the rules of its filter.
fn growth(filter: Filter) -> u64 {
    match filter {
        Filter::FlateDecode => 1032,
        Filter::LzwDecode => 2731,
        Filter::RunLengthDecode => 64,
        _ => 1,
    }
}

/// Whether a stream may be unpacked: [`check`] has not seen those that are encrypted, nor other filters.
pub(super) fn is_sane(stream: &Stream<'_>) -> bool {
    let filters = stream.filters();
    let packed = stream.raw_data();
    let most = filters.iter().fold(packed.len() as u64, |size, filter| size.saturating_mul(growth(*filter)));
    most <= ONE
        || match filters.as_slice() {
            [Filter::FlateDecode] => drain(ZlibDecoder::new(packed.as_ref()).take(ONE + 1)) <= ONE,
            // What old programs write is seldom a tenth of this, and unpacks to a few times of it.
            [Filter::LzwDecode] => packed.len() < 1 << 20,
            [Filter::Ascii85Decode | Filter::AsciiHexDecode, Filter::FlateDecode | Filter::LzwDecode] => packed.len() < 4 << 20,
            _ => false,
        }
}

/// How many bytes come, up to where the data are damaged.
fn drain(mut from: impl Read) -> u64 {
    let mut buffer = [0u8; 1 << 14];
    let mut size = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        size += read as u64;
    }
    size
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).filter(|w| *w == needle).count()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + haystack.get(from..)?.iter().position(|&b| b == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn stream(of: &[u8], dictionary: &str) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(of).unwrap();
        [format!("1 0 obj << {dictionary} >> stream\n").into_bytes(), packed.finish().unwrap(), b"\nendstream".to_vec()]
            .concat()
    }

    #[test]
    fn bombs_are_found_before_they_go_off() {
        let large = stream(&vec![b' '; 5 << 20], "/Filter /FlateDecode");
        assert!(large.len() < 10_000);
        assert_eq!(check_within(&large, 10 << 20, 6 << 20), Ok(()));
        assert!(matches!(check_within(&large, 10 << 20, 4 << 20), Err(ParseError::Bomb { .. })));
        let many = [large.clone(), large.clone(), large].concat();
        assert!(matches!(check_within(&many, 10 << 20, 6 << 20), Err(ParseError::Bomb { .. })));
        // Data in LZW may become this many times more.
        let objects =
            |size: usize| [b"1 0 obj << /Type /ObjStm /Filter /LZWDecode >> stream\n".to_vec(), vec![b'x'; size]].concat();
        assert_eq!(check_within(&[objects(1000), b"endstream".to_vec()].concat(), 10 << 20, 6 << 20), Ok(()));
        assert!(matches!(check_within(&objects(4000), 10 << 20, 6 << 20), Err(ParseError::Bomb { .. })));
        let picture = stream(&vec![b' '; 5 << 20], "/Subtype /Image /Filter /FlateDecode");
        assert_eq!(check_within(&picture, 1 << 20, 1 << 20), Ok(()));
    }
}
