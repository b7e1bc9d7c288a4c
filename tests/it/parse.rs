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

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use globset::{Glob, GlobSet};
use proptest::prelude::*;
use ragstream::document::Markup;
use ragstream::parse::{Extracted, Format, Hint, ParseError, parse};
use ragstream::source::{
    Body, FetchError, Fetched, Files, FilesPlan, Item, Listed, SkipReason, Source, Version, is_within, uri_of,
};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

// ---------------------------------------------------------------------------------------------------------- the walk

fn set(globs: &[&str]) -> GlobSet {
    let mut builder = GlobSet::builder();
    for glob in globs {
        builder.add(Glob::new(glob).unwrap());
    }
    builder.build().unwrap()
}

fn plan(paths: Vec<PathBuf>) -> FilesPlan {
    FilesPlan { paths, include: GlobSet::empty(), exclude: GlobSet::empty(), max_bytes: 1000, shared: false }
}

fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Walked {
    found: Vec<String>,
    skipped: BTreeMap<String, SkipReason>,
    unreadable: Vec<String>,
}

async fn walked(files: FilesPlan, base: &Path) -> Walked {
    let mut out = Walked::default();
    let source = Files::new(files, base);
    let mut listing = source.list();
    while let Some(listed) = listing.next().await {
        match listed {
            Listed::Item(item) => out.found.push(item.uri),
            Listed::Skipped { uri, reason } => drop(out.skipped.insert(uri, reason)),
            Listed::Unreadable { prefix, .. } => out.unreadable.push(prefix),
            Listed::Complete => {
                assert!(listing.next().await.is_none(), "the last step");
                return out;
            }
            listed => panic!("nothing is opened: {listed:?}"),
        }
    }
    panic!("the listing was cut short");
}

#[tokio::test]
async fn the_walk_finds_and_skips_with_reasons() {
    let dir = tree(&[
        (".gitignore", b"*.log\n!keep.log\n"),
        (".ignore", b"/private/\n"),
        (".hidden/a.md", b"x"),
        (".ragstream/ledger.db", b"x"),
        ("b.md", b"x"),
        ("a/z.md", b"x"),
        ("a/b.txt", b"x"),
        ("noise.log", b"x"),
        ("keep.log", b"x"),
        ("private/secret.md", b"x"),
        ("empty.md", b""),
        ("large.md", &[b'x'; 1001]),
        ("limit.md", &[b'x'; 1000]),
        ("photo.PNG", b"x"),
    ]);
    let got = walked(plan(vec![dir.path().to_owned()]), dir.path()).await;
    assert_eq!(got.found, ["a/b.txt", "a/z.md", "b.md", "keep.log", "limit.md"], "sorted, .gitignore outside a repository too");
    let skipped = [
        (".gitignore", SkipReason::Hidden),
        (".hidden", SkipReason::Hidden),
        (".ignore", SkipReason::Hidden),
        (".ragstream", SkipReason::Hidden),
        ("empty.md", SkipReason::Empty),
        ("large.md", SkipReason::TooLarge),
        ("photo.PNG", SkipReason::UnsupportedFormat),
    ];
    assert_eq!(got.skipped, skipped.into_iter().map(|(uri, why)| (uri.to_owned(), why)).collect());
    assert_eq!(got.unreadable, [""; 0]);
}

#[tokio::test]
async fn include_and_exclude_match_below_the_root() {
    let dir = tree(&[("docs/a.md", b"x"), ("docs/draft/b.md", b"x"), ("docs/c.txt", b"x"), ("docs/old/d.md", b"x")]);
    let mut files = plan(vec![dir.path().join("docs")]);
    files.include = set(&["**/*.md"]);
    files.exclude = set(&["draft/**", "old"]);
    let got = walked(files, dir.path()).await;
    assert_eq!(got.found, ["docs/a.md"]);
    assert_eq!(got.skipped.keys().collect::<Vec<_>>(), ["docs/c.txt", "docs/draft/b.md", "docs/old"]);
    assert!(got.skipped.values().all(|&why| why == SkipReason::Excluded));
}

#[tokio::test]
async fn what_ragstream_wrote_is_passed_over() {
    let meta = br#"{
  "layout": 3,
  "data": "index-0123456789abcdef",
  "index": {}
}"#;
    let dir = tree(&[
        ("a.md", b"x"),
        ("Cargo.lock", b"x"),
        ("accounts.ledger", b"2026-01-01 Shop\n"),
        ("notes/meta.json", b"{}"),
        ("models/a.md", b"x"),
        ("home/default.ledger", b"SQLite format 3\0 and more"),
        ("home/default.ledger-wal", b"x"),
        ("home/default.lock", b"17"),
        ("home/default/meta.json", meta),
        ("home/default/lock", b"17"),
        ("home/default/index-0123456789abcdef/segment-1", b"x"),
        ("cache/embeddings.sqlite3", b"SQLite format 3\0"),
        ("cache/embeddings.lock", b"17"),
        ("cache/embeddings.sqlite3-wal", b"x"),
        ("cache/limits/openai.json", b"{}"),
        ("cache/models/potion/tokenizer.json", b"{}"),
        ("limits/a.md", b"x"),
    ]);
    let got = walked(plan(vec![dir.path().into()]), dir.path()).await;
    assert_eq!(got.found, ["Cargo.lock", "a.md", "accounts.ledger", "limits/a.md", "models/a.md", "notes/meta.json"]);
    let own: Vec<_> = got.skipped.iter().filter(|(_, why)| **why == SkipReason::Own).map(|(uri, _)| uri.as_str()).collect();
    let wanted = [
        "cache/embeddings.lock",
        "cache/embeddings.sqlite3",
        "cache/embeddings.sqlite3-wal",
        "cache/limits",
        "cache/models",
        "home/default",
        "home/default.ledger",
        "home/default.ledger-wal",
        "home/default.lock",
    ];
    assert_eq!(own, wanted);
}

/// As ripgrep says it, too: who sees nothing indexed has to know why.
#[tokio::test]
async fn where_all_is_ignored_it_is_said_by_what() {
    let dir = tree(&[
        (".gitignore", b"*.md\n"),
        ("docs/.ignore", b"drafts/\n"),
        ("docs/a.md", b"x"),
        ("docs/drafts/b.txt", b"x"),
        ("docs/drafts/c.md", b"x"),
        ("docs/photo.png", b"x"),
    ]);
    let got = walked(plan(vec![dir.path().join("docs")]), dir.path()).await;
    assert_eq!(got.found, [""; 0]);
    let said: Vec<_> = got.skipped.iter().map(|(uri, why)| (uri.as_str(), *why)).collect();
    let wanted = [
        ("docs/.ignore", SkipReason::Hidden),
        ("docs/a.md", SkipReason::Gitignored),
        ("docs/drafts/b.txt", SkipReason::Ignored),
        ("docs/drafts/c.md", SkipReason::Ignored),
        ("docs/photo.png", SkipReason::UnsupportedFormat),
    ];
    assert_eq!(said, wanted);
    // Where something is found, the lists do what they are there for, in silence.
    fs::write(dir.path().join("docs/e.txt"), "x").unwrap();
    let got = walked(plan(vec![dir.path().join("docs")]), dir.path()).await;
    assert!(got.skipped.values().all(|why| !matches!(why, SkipReason::Ignored | SkipReason::Gitignored)));
}

#[tokio::test]
async fn named_files_are_taken_whatever_they_are() {
    let dir = tree(&[(".gitignore", b"*\n"), (".secret.md", b"x"), ("photo.png", b"x"), ("d/e.md", b"x")]);
    let root = dir.path();
    let paths = vec![root.join(".secret.md"), root.join("photo.png"), root.join("d/../d/e.md"), root.join("d/e.md")];
    let mut files = plan(paths);
    files.exclude = set(&["*.md"]);
    let got = walked(files, root).await;
    assert_eq!(got.found, [".secret.md", "photo.png", "d/e.md"], "and each once");
}

#[tokio::test]
async fn roots_within_one_another_give_each_file_once() {
    let dir = tree(&[("a/b/c.md", b"x"), ("a/d.md", b"x")]);
    let got = walked(plan(vec![dir.path().join("a"), dir.path().join("a/b"), dir.path().join("a/d.md")]), dir.path()).await;
    assert_eq!(got.found, ["a/b/c.md", "a/d.md"]);
}

#[tokio::test]
async fn a_missing_root_is_unreadable_and_the_others_go_on() {
    let dir = tree(&[("a/b.md", b"x")]);
    let got = walked(plan(vec![dir.path().join("gone"), dir.path().join("a"), dir.path().join("a/b.md/c")]), dir.path()).await;
    assert_eq!(got.found, ["a/b.md"]);
    assert_eq!(got.unreadable, ["gone", "a/b.md/c"]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_special_files_are_passed_over() {
    use std::os::unix::fs::symlink;
    let dir = tree(&[("a/b.md", b"x")]);
    symlink(dir.path(), dir.path().join("a/loop")).unwrap();
    symlink(dir.path().join("a/b.md"), dir.path().join("a/link.md")).unwrap();
    symlink("nowhere", dir.path().join("a/dangling.md")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("a/sock")).unwrap();
    symlink(dir.path().join("a"), dir.path().join("root")).unwrap();
    let got = walked(plan(vec![dir.path().join("root")]), dir.path()).await;
    assert_eq!(got.found, ["root/b.md"], "a root that is a link is followed");
    assert_eq!(got.skipped["root/loop"], SkipReason::SymbolicLink);
    assert_eq!(got.skipped["root/link.md"], SkipReason::SymbolicLink);
    assert_eq!(got.skipped["root/dangling.md"], SkipReason::SymbolicLink);
    assert_eq!(got.skipped["root/sock"], SkipReason::Special);
    assert_eq!(got.unreadable, [""; 0]);
}

/// Permissions do not stop root, so the folder that cannot be listed is one whose path is too long for the system.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_unreadable() {
    let dir = tree(&[("a.md", b"x")]);
    let name = "n".repeat(250);
    // Renamed into place, level by level from below, since the whole path cannot be given at once.
    let mut inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("lost.md"), b"x").unwrap();
    for level in 0..18 {
        let outer = dir.path().join(format!("outer{level}"));
        fs::create_dir(&outer).unwrap();
        fs::rename(&inner, outer.join(&name)).unwrap();
        inner = outer;
    }
    let got = walked(plan(vec![dir.path().to_owned()]), dir.path()).await;
    assert_eq!(got.found, ["a.md"]);
    assert_eq!(got.unreadable.len(), 1, "{:?}", got.unreadable);
    assert!(is_within(&got.unreadable[0], "outer17"), "{}", got.unreadable[0]);
}

#[cfg(unix)]
#[tokio::test]
async fn names_that_are_not_utf8_stay_apart() {
    use std::os::unix::ffi::OsStrExt;
    let dir = TempDir::new().unwrap();
    for name in [&b"a\xff.md"[..], b"a\xfe.md"] {
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let source = Files::new(plan(vec![dir.path().to_owned()]), dir.path());
    let items: Vec<Item> = source.list().filter_map(|listed| std::future::ready(item(listed))).collect().await;
    assert_eq!(items.iter().map(|item| &item.uri).collect::<Vec<_>>(), ["a\u{fffd}fe.md", "a\u{fffd}ff.md"]);
    // Their uris do not lead back to them, and yet they are found again.
    let bytes: Vec<_> = source.fetch(&items).await.into_iter().map(|fetched| bytes(fetched.unwrap())).collect();
    assert_eq!(bytes, [b"a\xfe.md", b"a\xff.md"]);
}

#[tokio::test]
async fn a_dropped_walk_ends() {
    let dir = TempDir::new().unwrap();
    for i in 0..5000 {
        fs::write(dir.path().join(format!("{i}.md")), b"x").unwrap();
    }
    let source = Files::new(plan(vec![dir.path().to_owned()]), dir.path());
    let mut listing = source.list();
    assert!(listing.next().await.is_some());
    drop(listing);
    // 5,000 entries are more than may wait, so the walk stands still by now; and the runtime waits for its blocking threads
    // when it shuts down. A walk that did not notice would hang the test here.
}

#[test]
fn uris() {
    for (path, base, uri) in [
        ("/w/docs/a.md", "/w", "docs/a.md"),
        ("/w/./x/../docs//a.md", "/w/", "docs/a.md"),
        ("/w", "/w", "."),
        ("/other/a.md", "/w", "/other/a.md"),
        ("/wx/a.md", "/w", "/wx/a.md"),
        ("/../a.md", "/w", "/a.md"),
        ("/", "/w", "/"),
    ] {
        assert_eq!(uri_of(Path::new(path), Path::new(base)), uri, "{path} from {base}");
    }
    assert!(is_within("docs/a.md", "docs") && is_within("docs", "docs") && is_within("a", ".") && is_within("/x/a", "/"));
    assert!(!is_within("docs2/a.md", "docs") && !is_within("/x/a", ".") && !is_within("a", "/"));
}

fn item(listed: Listed) -> Option<Item> {
    if let Listed::Item(item) = listed { Some(item) } else { None }
}

fn bytes(fetched: Fetched) -> Vec<u8> {
    if let Body::Bytes { bytes, .. } = fetched.body { bytes } else { panic!("{fetched:?}") }
}

async fn read(path: impl AsRef<Path>, max_bytes: u64) -> Result<Fetched, FetchError> {
    let files = Files::new(FilesPlan { max_bytes, ..plan(Vec::new()) }, Path::new("/"));
    files.fetch(&[Item::new(path.as_ref().to_str().unwrap(), Version::UNKNOWN)]).await.pop().unwrap()
}

/// Why it failed: the error and its causes.
fn refused(read: Result<Fetched, FetchError>) -> String {
    if let Err(FetchError::Failed(error)) = read { ragstream::error::reason(&error) } else { panic!("{read:?}") }
}

#[tokio::test]
async fn reading_is_bounded_and_returns_the_stamp_of_the_bytes() {
    let dir = tree(&[("a.md", b"four")]);
    let path = dir.path().join("a.md");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    let fetched = read(&path, 4).await.unwrap();
    let listing = Files::new(plan(vec![path.clone()]), dir.path());
    let listed: Vec<Item> = listing.list().filter_map(|listed| std::future::ready(item(listed))).collect().await;
    assert!(listed[0].version.proves(&fetched.version) && listed[0].size == Some(4));
    let since = long_ago.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(fetched.modified_ns, Some(since.as_nanos() as i64));
    assert_eq!(bytes(fetched), b"four");
    assert!(refused(read(&path, 3).await).contains("beyond 3 bytes"));
    fs::write(&path, b"five").unwrap();
    assert_eq!(read(&path, 4).await.unwrap().version, Version::UNKNOWN, "it may change once more within the clock's grain");
    // Says that it has no bytes and never ends: the bound holds where the size lies.
    #[cfg(target_os = "linux")]
    {
        assert!(refused(read("/dev/zero", 1 << 20).await).contains("grown beyond"));
        // Has never as many bytes as it says.
        assert!(refused(read("/proc/version", 1 << 20).await).contains("changed while it was read"));
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(read(&path, 4).await, Err(FetchError::Gone)));
    assert!(refused(read(dir.path(), 1 << 20).await).contains("cannot read the file"));
}

#[tokio::test]
async fn each_source_has_a_limit_of_its_own() {
    let dir = tree(&[("a/grown.md", b"x"), ("b/grown.md", b"x")]);
    let sources: Vec<_> = [("a", 10), ("b", 1000)]
        .map(|(folder, max_bytes)| Files::new(FilesPlan { max_bytes, ..plan(vec![dir.path().join(folder)]) }, dir.path()))
        .into();
    for (source, kept) in sources.iter().zip([false, true]) {
        let items: Vec<Item> = source.list().filter_map(|listed| std::future::ready(item(listed))).collect().await;
        fs::write(dir.path().join(&items[0].uri), [b'x'; 100]).unwrap();
        let fetched = source.fetch(&items).await.pop().unwrap();
        assert_eq!(fetched.is_ok(), kept, "{fetched:?}");
    }
}

// ------------------------------------------------------------------------------------------------------- the formats

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

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const MAIN: &str = "application/vnd.openxmlformats-officedocument";

fn office(main: &str, kind: &str, others: &[(&str, &str)], parts: &[(&str, &str)]) -> Vec<u8> {
    let more: String =
        others.iter().map(|(name, kind)| format!("<Override PartName='/{name}' ContentType='{MAIN}.{kind}+xml'/>")).collect();
    let types = format!(
        "<Types xmlns='{TYPES}'><Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>\
         <Default Extension='xml' ContentType='application/xml'/><Override PartName='/{main}' ContentType='{MAIN}.{kind}.main+xml'/>{more}</Types>"
    );
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/officeDocument' Target='{main}'/></Relationships>"
    );
    let mut files = vec![("[Content_Types].xml", types.as_str()), ("_rels/.rels", rels.as_str())];
    files.extend_from_slice(parts);
    archive(&files)
}

fn docx() -> Vec<u8> {
    let document = "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:body>\
        <w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr><w:r><w:t>Goals</w:t></w:r></w:p>\
        <w:p><w:r><w:t>We aim at low_cost &amp; more.</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Name</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Qty</w:t></w:r></w:p></w:tc></w:tr>\
        <w:tr><w:tc><w:p><w:r><w:t>Bolt</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>3</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
        </w:body></w:document>";
    let styles = "<w:styles xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>\
        <w:style w:type='paragraph' w:styleId='Heading1'><w:name w:val='heading 1'/><w:pPr><w:outlineLvl w:val='0'/></w:pPr></w:style></w:styles>";
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/styles' Target='styles.xml'/></Relationships>"
    );
    office(
        "word/document.xml",
        "wordprocessingml.document",
        &[("word/styles.xml", "wordprocessingml.styles")],
        &[("word/document.xml", document), ("word/styles.xml", styles), ("word/_rels/document.xml.rels", &rels)],
    )
}

fn pptx() -> Vec<u8> {
    let ns = format!(
        "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main' xmlns:r='{OFFICE}' xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main'"
    );
    let deck = format!("<p:presentation {ns}><p:sldIdLst><p:sldId id='256' r:id='r1'/></p:sldIdLst></p:presentation>");
    let shape = |id: u32, kind: &str, text: &str| {
        format!(
            "<p:sp><p:nvSpPr><p:cNvPr id='{id}' name='s{id}'/><p:cNvSpPr/><p:nvPr><p:ph type='{kind}'/></p:nvPr></p:nvSpPr><p:spPr/>\
             <p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        )
    };
    let slide = format!(
        "<p:sld {ns}><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id='1' name=''/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>{}{}</p:spTree></p:cSld></p:sld>",
        shape(2, "title", "Second quarter"),
        shape(3, "body", "Sales grew by a tenth")
    );
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/slide' Target='slides/slide1.xml'/></Relationships>"
    );
    office(
        "ppt/presentation.xml",
        "presentationml.presentation",
        &[("ppt/slides/slide1.xml", "presentationml.slide")],
        &[("ppt/presentation.xml", &deck), ("ppt/_rels/presentation.xml.rels", &rels), ("ppt/slides/slide1.xml", &slide)],
    )
}

fn xlsx(rows: usize) -> Vec<u8> {
    let ns = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'";
    let book =
        format!("<workbook {ns} xmlns:r='{OFFICE}'><sheets><sheet name='Stock' sheetId='1' r:id='r1'/></sheets></workbook>");
    let mut sheet = format!(
        "<worksheet {ns}><sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>Name</t></is></c><c r='C1' t='inlineStr'><is><t>Qty</t></is></c></row>"
    );
    for i in 2..=rows + 1 {
        sheet +=
            &format!("<row r='{i}'><c r='A{i}' t='inlineStr'><is><t>part|{i}</t></is></c><c r='C{i}'><v>{i}.5</v></c></row>");
    }
    sheet += "<row r='1048576'><c r='XFD1048576' t='inlineStr'><is><t>corner</t></is></c></row></sheetData></worksheet>";
    let rels = format!(
        "<Relationships xmlns='{RELATIONS}'><Relationship Id='r1' Type='{OFFICE}/worksheet' Target='worksheets/sheet1.xml'/></Relationships>"
    );
    office(
        "xl/workbook.xml",
        "spreadsheetml.sheet",
        &[("xl/worksheets/sheet1.xml", "spreadsheetml.worksheet")],
        &[("xl/workbook.xml", &book), ("xl/_rels/workbook.xml.rels", &rels), ("xl/worksheets/sheet1.xml", &sheet)],
    )
}

fn epub() -> Vec<u8> {
    archive(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>"),
        (
            "OEBPS/book.opf",
            "<package xmlns:dc='x'><metadata><dc:title>Cats &amp; &#68;ogs</dc:title></metadata><manifest>\
             <item id='nav' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/>\
             <item id='two' href='text/two.xhtml' media-type='application/xhtml+xml'/>\
             <item id='one' href='text/one%20a.xhtml' media-type='application/xhtml+xml'/>\
             <item id='pic' href='p.png' media-type='image/png'/></manifest>\
             <spine><itemref idref='nav'/><itemref idref='one'/><itemref idref='two'/><itemref idref='pic'/></spine></package>",
        ),
        ("OEBPS/nav.xhtml", "<html><body><ol><li>Contents</li></ol></body></html>"),
        (
            "OEBPS/text/one a.xhtml",
            "<?xml version='1.0'?><html><head><title/></head><body><h1>One</h1><p>First <a id='x'/>part.</p></body></html>",
        ),
        ("OEBPS/text/two.xhtml", "<html><body><h1>Two</h1><p>Second part.</p></body></html>"),
    ])
}

fn pdf(content: &str) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        "<< /Title (The quarterly report) >>".to_owned(),
    ];
    let mut out = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out += &format!("{} 0 obj\n{object}\nendobj\n", i + 1);
    }
    let xref = out.len();
    out += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for offset in offsets {
        out += &format!("{offset:010} 00000 n \n");
    }
    out += &format!("trailer\n<< /Size {} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{xref}\n%%EOF\n", objects.len() + 1);
    out.into_bytes()
}

const PAGE: &str = "BT /F1 24 Tf 72 720 Td (Revenue grew) Tj 0 -40 Td /F1 12 Tf (Costs fell by half.) Tj ET";

const MAIL: &str = "From: Ann Lee <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Caf=C3=A9_plans?=\r\n\
    Date: Tue, 3 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/html\r\n\r\n<p>Meet at <b>nine</b>.</p>\r\n\
    --b\r\nContent-Type: application/pdf; name=\"menu.pdf\"\r\nContent-Disposition: attachment; filename=\"menu.pdf\"\r\n\r\nx\r\n--b--\r\n";

const NOTEBOOK: &str = r##"{"metadata": {"language_info": {"name": "julia"}}, "nbformat": 4, "cells": [
    {"cell_type": "markdown", "source": ["# Study\n", "of things"]},
    {"cell_type": "code", "source": "f(x) = `x`", "outputs": [
        {"output_type": "stream", "text": ["1\n", "2\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "three", "image/png": "AAAA"}},
        {"output_type": "error", "ename": "E", "evalue": "bad", "traceback": []}]},
    {"cell_type": "raw", "source": ""}]}"##;

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
    assert!(doc.text.ends_with("corner |\n"), "a cell in column 16,384 of the last row is read");
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
        for extension in ["md", "txt", "rst", "rs", "csv", "json", "jsonl"] {
            let doc = parsed(&format!("a.{extension}"), text.as_bytes()).unwrap();
            prop_assert_eq!(doc.text.as_bytes(), text.as_bytes());
        }
    }
}
