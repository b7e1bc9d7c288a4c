//! What a walk finds and leaves out, and what is read of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use globset::{Glob, GlobSet};
use ragstream::source::{
    Body, FetchError, Fetched, Files, FilesPlan, Item, Listed, SkipReason, Source, Version, is_within, uri_of,
};
use tempfile::TempDir;

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

#[tokio::test]
async fn what_marks_an_open_document_is_hidden() {
    let dir = tree(&[
        ("letter.docx", b"x"),
        ("~$letter.docx", b"\x0aAnna"),
        ("below/~$rates.xlsx", b"\x0aAnna"),
        ("below/.~lock.rates.ods#", b",anna,host,"),
        ("below/~draft$.md", b"x"),
    ]);
    let got = walked(plan(vec![dir.path().into()]), dir.path()).await;
    assert_eq!(got.found, ["below/~draft$.md", "letter.docx"]);
    assert_eq!(got.skipped.len(), 3);
    assert!(got.skipped.values().all(|&why| why == SkipReason::Hidden));
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
