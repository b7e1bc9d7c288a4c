//! Reading and parsing: what is found, what is left out, what the formats give, and that nothing breaks the run.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "tests may"
)]

mod made;
mod walk;

use std::io::{Cursor, Write};

use proptest::prelude::*;
use ragstream::document::Markup;
use ragstream::parse::{Extracted, Format, Hint, ParseError, parse};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use self::made::{MAIL, NOTEBOOK, PAGE, archive, docx, epub, pdf, pptx, xlsx};

/// A file of this name with these bytes, parsed.
pub fn parsed(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Extracted, ParseError> {
    parse(Hint::name(name), bytes.into())
}

fn text(name: &str, bytes: impl Into<Vec<u8>>) -> String {
    parsed(name, bytes).unwrap().text
}

#[test]
fn text_formats_keep_their_bytes() {
    let source = "\u{feff}# Ünïcode \u{1f600}\r\n\r\n\tx\u{a0}\r lone\n\n\n";
    for (name, markup) in [
        ("a.md", Markup::Markdown),
        ("a.txt", Markup::Text),
        ("a.rst", Markup::Rst),
        ("a.rs", Markup::Code),
        ("a.yaml", Markup::Code),
        ("a.json", Markup::Code),
        ("a.csv", Markup::Records),
        ("a.tsv", Markup::Records),
        ("a.jsonl", Markup::Records),
        ("Makefile", Markup::Code),
        ("README", Markup::Text),
        ("a.unheard-of", Markup::Text),
    ] {
        let doc = parsed(name, source).unwrap();
        assert_eq!(doc.text.as_bytes(), source.as_bytes(), "{name}");
        assert_eq!(doc.markup, markup, "{name}");
    }
    assert_eq!(parsed("a.md", source).unwrap().title.as_deref(), Some("Ünïcode \u{1f600}"));
}

#[test]
fn other_encodings_are_decoded() {
    let utf16 = |text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
        [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect()].concat()
    };
    assert_eq!(text("a.txt", utf16("Grüße 日本", b"\xff\xfe", u16::to_le_bytes)), "Grüße 日本");
    assert_eq!(text("a", utf16("Grüße 日本", b"\xfe\xff", u16::to_be_bytes)), "Grüße 日本");
    for (encoding, sample) in [
        (encoding_rs::SHIFT_JIS, "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        (encoding_rs::EUC_JP, "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"),
        (encoding_rs::GBK, "道可道,非常道。名可名,非常名。无名天地之始,有名万物之母。"),
        (encoding_rs::WINDOWS_1252, "Der Fluß fließt träge an der Mühle vorüber, wo früher Bäume standen."),
        (encoding_rs::WINDOWS_1251, "Все счастливые семьи похожи друг на друга, каждая несчастлива по-своему."),
    ] {
        let bytes = encoding.encode(sample).0.into_owned();
        assert_ne!(bytes, sample.as_bytes());
        assert_eq!(text("a.txt", bytes), sample, "{}", encoding.name());
    }
}

#[test]
fn what_is_no_document_is_skipped_and_what_is_broken_fails() {
    for (name, bytes, skip) in [
        ("a.md", &b""[..], true),
        ("a.md", b" \n\t\r\n", true),
        ("a.md", b"\xef\xbb\xbf\n", true),
        ("a.txt", b"\x7fELF\x02\x01\x01\0\0\0", true),
        ("a.png", b"\x89PNG\r\n", true),
        ("a.html", b"<html><body><script>x()</script></body></html>", true),
        ("a.ipynb", b"{\"cells\": []}", true),
        ("a.pdf", b"no PDF at all", false),
        ("a.docx", b"no zip\0at all", false),
        ("a.xlsx", b"no zip\0at all", false),
        ("a.epub", b"no zip at all", false),
        ("a.ipynb", b"{\"cells\": [", false),
        ("a.ipynb", b"[]", false),
    ] {
        let error = parsed(name, bytes).unwrap_err();
        assert_eq!(error.is_skip(), skip, "{name}: {error}");
    }
}

#[test]
fn office_documents() {
    let doc = parsed("a.docx", docx()).unwrap();
    assert_eq!(doc.title.as_deref(), Some("Goals"));
    for part in ["# Goals", "& more.", "| Name | Qty |", "| Bolt | 3 |"] {
        assert!(doc.text.contains(part), "{part:?} in {:?}", doc.text);
    }
    let slides = parsed("a.pptx", pptx()).unwrap();
    assert_eq!(slides.title.as_deref(), Some("Second quarter"), "{:?}", slides.text);
    assert!(slides.text.contains("Sales grew by a tenth"), "{:?}", slides.text);
    // The name may lie, the content does not.
    assert_eq!(text("a.bin.unknown", docx()), text("a.docx", docx()));
    assert_eq!(text("a.pptx", docx()), text("a.docx", docx()));
}

#[test]
fn workbooks_are_one_table_a_sheet() {
    let doc = parsed("a.xlsx", xlsx(200)).unwrap();
    assert_eq!(doc.title.as_deref(), Some("Stock"));
    assert!(doc.text.starts_with("## Stock\n\n| Name | Qty |\n| --- | --- |\n| part\\|2 | 2.5 |\n"), "{}", &doc.text[..200]);
    assert!(doc.text.contains("part\\|201"), "the last row is there");
    assert_eq!(doc.text.matches("| Name | Qty |").count(), 1, "the chunks carry the names of the columns");
    assert!(
        doc.text.trim_end().ends_with(" |\n\ncorner"),
        "a cell in column 16,384 of the last row is read, and no row of the table above"
    );
    assert!(doc.text.len() < 20_000, "and costs nothing");
}

#[test]
fn office_names_over_something_else() {
    assert_eq!(text("a.doc", "{\\rtf1\\ansi The quokka\\par}"), "The quokka\n");
    assert_eq!(text("a.xls", "Name\tQty\nBolt\t3\n"), "Name\tQty\nBolt\t3\n");
    assert_eq!(text("a.docx", "only words"), "only words");
}

#[test]
fn books_in_the_order_of_the_spine() {
    let doc = parsed("a.epub", epub()).unwrap();
    assert_eq!(doc.title.as_deref(), Some("Cats & Dogs"));
    assert_eq!(&*doc.text, "# One\n\nFirst part.\n\n# Two\n\nSecond part.");
}

#[test]
fn locked_books_are_told_from_those_with_locked_fonts() {
    let with = |what: &str| {
        let lock = format!("<encryption><CipherReference URI='OEBPS/{what}'/></encryption>");
        let mut zip = ZipWriter::new_append(Cursor::new(epub())).unwrap();
        zip.start_file("META-INF/encryption.xml", SimpleFileOptions::default()).unwrap();
        zip.write_all(lock.as_bytes()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    assert_eq!(parsed("a.epub", with("text/two.xhtml")).unwrap_err(), ParseError::Encrypted(Format::Epub));
    assert!(parsed("a.epub", with("fonts/a.otf")).is_ok());
}

#[test]
fn open_document_spreadsheets() {
    let cell = |text: &str| format!("<table:table-cell office:value-type='string'><text:p>{text}</text:p></table:table-cell>");
    let content = format!(
        "<office:document-content xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' \
         xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0' xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0'>\
         <office:body><office:spreadsheet><table:table table:name='Stock'><table:table-row>{}{}</table:table-row>\
         <table:table-row>{}{}</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>",
        cell("Name"),
        cell("Qty"),
        cell("Bolt"),
        cell("3")
    );
    let book = archive(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>"),
        ("content.xml", &content),
    ]);
    assert_eq!(text("a.ods", book), "## Stock\n\n| Name | Qty |\n| --- | --- |\n| Bolt | 3 |\n");
}

#[test]
fn pdfs() {
    let doc = parsed("a.pdf", pdf(PAGE)).unwrap();
    assert_eq!(doc.title.as_deref(), Some("The quarterly report"));
    assert!(doc.text.contains("Revenue grew") && doc.text.contains("Costs fell by half."), "{:?}", doc.text);
    assert_eq!(parsed("a.pdf", pdf("0 0 m 10 10 l S")).unwrap_err(), ParseError::NoText(Format::Pdf));
    let locked = String::from_utf8(pdf(PAGE)).unwrap().replace(
        "/Info 6 0 R",
        "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <0000000000000000000000000000000000000000000000000000000000000000> \
         /U <1111111111111111111111111111111111111111111111111111111111111111> >> /ID [<00> <00>]",
    );
    assert_eq!(parsed("a.pdf", locked).unwrap_err(), ParseError::Encrypted(Format::Pdf));
}

#[test]
fn mails() {
    let doc = parsed("a.eml", MAIL).unwrap();
    assert_eq!(doc.title.as_deref(), Some("Café plans"));
    assert_eq!(
        &*doc.text,
        "Subject: Café plans\nFrom: Ann Lee <ann@example.org>\nTo: bob@example.org\nDate: 2026-11-03T10:00:00+01:00\n\
         Attachments: menu.pdf\n\nMeet at **nine**."
    );
}

#[test]
fn notebooks() {
    let doc = parsed("a.ipynb", NOTEBOOK).unwrap();
    assert_eq!(doc.title.as_deref(), Some("Study"));
    assert_eq!(&*doc.text, "# Study\nof things\n\n```julia\nf(x) = `x`\n```\n\n```text\n1\n2\nthree\nE: bad\n```");
    let long = NOTEBOOK.replace("three", &"é".repeat(5000));
    assert!(text("a.ipynb", long).len() < 3000, "output is bounded");
}

#[test]
fn pages() {
    let html = encoding_rs::WINDOWS_1251
        .encode("<html><head><meta charset='windows-1251'><title>Отчёт</title></head><body><nav>меню</nav><article><h1>Итоги</h1><p>Рост</p></article></body></html>")
        .0
        .into_owned();
    let doc = parsed("a.html", html).unwrap();
    assert_eq!(doc.title.as_deref(), Some("Отчёт"));
    assert_eq!(&*doc.text, "# Итоги\n\nРост");
}

#[test]
fn bombs_are_defused() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", SimpleFileOptions::default().large_file(true)).unwrap();
    let megabyte = vec![b' '; 1 << 20];
    for _ in 0..600 {
        zip.write_all(&megabyte).unwrap();
    }
    let bomb = zip.finish().unwrap().into_inner();
    assert!(bomb.len() < 2 << 20);
    assert!(matches!(parsed("a.docx", bomb), Err(ParseError::Bomb { format: Format::Docx, .. })));
}

/// Nesting that would overflow an ordinary stack, which nothing could catch.
#[test]
fn depth_breaks_nothing() {
    let deep = 200_000;
    let xml = format!("<w:document xmlns:w='w'><w:body>{}</w:body></w:document>", "<w:tbl><w:tr><w:tc>".repeat(deep));
    for (name, bytes) in [
        ("a.html", "<div>".repeat(deep).into_bytes()),
        ("a.html", "<table><tr><td>".repeat(5000).into_bytes()),
        ("a.html", "<b><p>".repeat(5000).into_bytes()),
        ("a.ipynb", [br#"{"cells": "#.to_vec(), b"[".repeat(deep)].concat()),
        ("a.pdf", [b"%PDF-1.4\n1 0 obj ".to_vec(), b"[".repeat(deep)].concat()),
        ("a.pdf", pdf(&"[ << /A ".repeat(9_000))),
        ("a.docx", archive(&[("[Content_Types].xml", ""), ("word/document.xml", &xml)])),
        ("a.epub", archive(&[("META-INF/container.xml", &"<a>".repeat(deep)), ("mimetype", "application/epub+zip")])),
        ("a.eml", format!("Subject: x\r\n{}", "Content-Type: message/rfc822\r\n\r\n".repeat(deep / 10)).into_bytes()),
    ] {
        // That it returns is the point: whether with a text or with an error is the parser's affair.
        let _ = parsed(name, bytes);
    }
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a.docx", docx()),
        ("a.pptx", pptx()),
        ("a.xlsx", xlsx(5)),
        ("a.epub", epub()),
        ("a.pdf", pdf(PAGE)),
        ("a.eml", MAIL.into()),
        ("a.ipynb", NOTEBOOK.into()),
        ("a.html", "<!doctype html><html><head><title>T</title></head><body><p>é &amp; ü</p></body></html>".into()),
        ("a.md", "---\ntitle: x\n---\n# Ü".into()),
    ]
}

#[test]
fn truncated_files_never_panic() {
    for (name, whole) in samples() {
        assert!(parsed(name, whole.clone()).is_ok(), "{name}");
        for cut in (0..whole.len()).step_by((whole.len() / 40).max(1)) {
            if let Err(ParseError::Broken { message, .. }) = parsed(name, &whole[..cut]) {
                assert!(!message.contains("panicked"), "{name} cut at {cut}: {message}");
            }
        }
    }
}

const EXTENSIONS: &[&str] = &[
    "md", "txt", "rst", "html", "pdf", "docx", "doc", "pptx", "ppt", "xlsx", "xls", "ods", "odt", "odp", "rtf", "msg", "csv",
    "json", "jsonl", "ipynb", "epub", "eml", "mbox", "mht", "rs", "", "zzz",
];

const STARTS: &[&[u8]] = &[
    b"",
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"{\\rtf1",
    b"<html>",
    b"{\"cells\":[",
    b"\xff\xfe",
    b"Subject: ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_under_any_name(
        extension in prop::sample::select(EXTENSIONS),
        start in prop::sample::select(STARTS),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let bytes = [start, &bytes].concat();
        if let Ok(doc) = parsed(&format!("a.{extension}"), bytes) {
            prop_assert!(!doc.text.trim().is_empty());
        }
    }

    /// A flipped byte here and there: nearer to real damage than noise is.
    #[test]
    fn damaged_documents(which in 0..9usize, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (name, mut bytes) = samples().swap_remove(which);
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        if let Ok(doc) = parsed(name, bytes) {
            prop_assert!(!doc.text.trim().is_empty());
        }
    }

    #[test]
    fn utf8_text_comes_back_byte_for_byte(text in "[^\0]{1,300}") {
        prop_assume!(!text.chars().all(|c| c.is_whitespace() || c == '\u{feff}'));
        // Magic numbers decide over names, on purpose.
        prop_assume!(!text.starts_with("%PDF-") && !text.starts_with("PK\u{3}\u{4}"));
        // Escapes of letters are what alone changes, in JSON.
        let json = ["json", "jsonl"].into_iter().filter(|_| !text.contains("\\u"));
        for extension in ["md", "txt", "rst", "rs", "csv"].into_iter().chain(json) {
            let doc = parsed(&format!("a.{extension}"), text.as_bytes()).unwrap();
            prop_assert_eq!(doc.text.as_bytes(), text.as_bytes());
        }
    }
}
