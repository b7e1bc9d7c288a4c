//! Zip containers: office files and EPUB.

use std::io::{self, Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{Format, ParseError};

/// What a container may unpack to, in bytes over all of its entries.
const MAX_UNPACKED: u64 = 512 << 20;
/// Entries of a container.
const MAX_ENTRIES: usize = 50_000;

/// How a container begins.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

pub(super) type Archive = ZipArchive<Cursor<Vec<u8>>>;

/// Opens a container after having unpacked all of it once, into nothing: the sizes that it declares may be lies, and the
/// crates that read it later have no limit of their own, or have others.
pub(super) fn open(format: Format, bytes: Vec<u8>) -> Result<Archive, ParseError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| refused(format, &e))?;
    let bomb = || ParseError::Bomb { format, limit: (MAX_UNPACKED >> 20) as usize };
    if archive.len() > MAX_ENTRIES {
        return Err(bomb());
    }
    let mut left = MAX_UNPACKED;
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(|e| refused(format, &e))?;
        // A damaged picture is no reason to refuse the text: what the parser needs, the parser will miss.
        let mut capped = entry.take(left + 1);
        let _ = io::copy(&mut capped, &mut io::sink());
        let used = left + 1 - capped.limit();
        left = left.checked_sub(used).ok_or_else(bomb)?;
    }
    Ok(archive)
}

/// One entry, as text.
pub(super) fn entry(archive: &mut Archive, format: Format, name: &str) -> Result<Vec<u8>, ParseError> {
    let entry = archive.by_name(name).map_err(|e| ParseError::broken(format, format_args!("{name}: {e}")))?;
    let mut bytes = Vec::new();
    entry.take(MAX_UNPACKED).read_to_end(&mut bytes).map_err(|e| ParseError::broken(format, format_args!("{name}: {e}")))?;
    Ok(bytes)
}

/// Which format a zip file is, by what is in it.
pub(super) fn sniff(bytes: &[u8]) -> Option<Format> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    if let Ok(entry) = archive.by_name("mimetype") {
        let mut kind = String::new();
        // Not UTF-8, or damaged: no known kind.
        let _ = entry.take(100).read_to_string(&mut kind);
        let kind = kind.trim().trim_start_matches("application/");
        let kind = kind.strip_prefix("vnd.oasis.opendocument.").or_else(|| kind.strip_prefix("vnd.sun.xml.")).unwrap_or(kind);
        match kind.trim_end_matches("-template").trim_end_matches(".template") {
            "epub+zip" => return Some(Format::Epub),
            "text" | "writer" | "text-master" | "writer.global" | "text-web" => return Some(Format::Odt),
            "spreadsheet" | "calc" => return Some(Format::Ods),
            "presentation" | "impress" | "graphics" | "draw" => return Some(Format::Odp),
            _ => {}
        }
    }
    let usual =
        [("word/document.xml", Format::Docx), ("ppt/presentation.xml", Format::Pptx), ("xl/workbook.xml", Format::Xlsx)]
            .into_iter()
            .find_map(|(name, format)| archive.index_for_name(name).map(|_| format));
    usual.or_else(|| {
        // The main part may have any name; what it is, is said in one place.
        let mut types = String::new();
        let _ = archive.by_name("[Content_Types].xml").ok()?.take(1 << 20).read_to_string(&mut types);
        [
            ("wordprocessingml", Format::Docx),
            ("ms-word", Format::Docx),
            ("presentationml", Format::Pptx),
            ("spreadsheetml", Format::Xlsx),
        ]
        .into_iter()
        .find_map(|(kind, format)| (types.contains(kind) && types.contains("main+xml")).then_some(format))
    })
}

fn refused(format: Format, error: &ZipError) -> ParseError {
    match error {
        ZipError::InvalidPassword | ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ParseError::Encrypted(format),
        e => ParseError::broken(format, e),
    }
}

/// Containers for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
pub(super) fn built(entries: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
