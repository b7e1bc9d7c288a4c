//! A listing of some paths alone has of them what a whole listing has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use ragstream::source::files::{Changes, Events, Focus};
use ragstream::source::{Files, FilesPlan, Listed, Source as _, is_within};

const NAMES: [&str; 14] = [
    "a.md",
    "b/a.md",
    "b/c/a.md",
    "b/c/x.log",
    "b/.gitignore",
    "b/.hidden/a.md",
    "c/a.md",
    "c/.ignore",
    "d/e/f/a.md",
    "d/a.png",
    "d/empty.md",
    "bc/a.md",
    ".gitignore",
    "b/文.md",
];

/// Files, paths that are looked at, what the ignore files say, roots, `include`, `exclude`.
type Case = (Names, Names, &'static str, Names, Names, Names);
type Names = Vec<&'static str>;

fn set(globs: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(GlobBuilder::new(glob).literal_separator(true).build().unwrap());
    }
    set.build().unwrap()
}

async fn listed(files: &Files) -> Vec<String> {
    let listed = files.list().map(|listed| match listed {
        Listed::Item(item) => Some((item.uri.clone(), format!("{item:?}"))),
        Listed::Skipped { uri, reason } => Some((uri, format!("{reason:?}"))),
        Listed::Unreadable { prefix, .. } => Some((prefix, "unreadable".to_owned())),
        _ => None,
    });
    listed.filter_map(std::future::ready).map(|(uri, what)| format!("{uri} {what}")).collect().await
}

#[test]
fn a_narrowed_listing_is_that_part_of_the_whole() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let strategy = (
        subsequence(NAMES.to_vec(), 0..=NAMES.len()),
        proptest::collection::vec(
            select(vec!["", "a.md", "b", "b/c", "b/c/a.md", "c/a.md", "d/e", "bc", "b/.hidden", "gone", "d/a.png"]),
            0..4,
        ),
        select(vec!["*.log\n", "c/\n", "/b/\n", "!a.md\n*.md\n", ""]),
        select(vec![vec![""], vec!["b"], vec!["", "b"], vec!["b/c", "a.md"], vec!["gone", "d"]]),
        select(vec![vec![], vec!["**/*.md"]]),
        select(vec![vec![], vec!["d/**"], vec!["**/c/**"]]),
    );
    let mut runner = TestRunner::new(Config { cases: 200, ..Config::default() });
    let case = |(names, paths, ignore, roots, include, exclude): Case| {
        let base = folder.path().join("base");
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir_all(&base).unwrap();
        for name in names {
            let path = base.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(
                &path,
                if name.ends_with("ignore") {
                    ignore
                } else if name.contains("empty") {
                    ""
                } else {
                    "text"
                },
            )
            .unwrap();
        }
        let plan = FilesPlan {
            paths: roots.iter().map(|root| base.join(root)).collect(),
            include: set(&include),
            exclude: set(&exclude),
            max_bytes: 1000,
            shared: false,
        };
        let focus: Focus = paths.iter().map(|path| base.join(path)).collect();
        runtime.block_on(async {
            let narrowed = Files::new(plan.clone(), &base).focused(Arc::new(focus));
            let within = narrowed.focus().unwrap();
            // That a folder is left out is told where the folder itself is within.
            let mut whole = listed(&Files::new(plan, &base)).await;
            whole.retain(|listed| {
                let (uri, what) = listed.split_once(' ').unwrap();
                let unreadable = what == "unreadable" && within.iter().any(|prefix| is_within(prefix, uri) || prefix == uri);
                !what.contains("gnored") && (within.iter().any(|prefix| is_within(uri, prefix)) || unreadable)
            });
            let found = listed(&narrowed).await;
            // A folder that is left out may lead to what is within: then that it is left out is told.
            let leads = |listed: &String| within.iter().any(|prefix| is_within(prefix, listed.split_once(' ').unwrap().0));
            let found: Vec<String> = found.into_iter().filter(|one| whole.contains(one) || !leads(one)).collect();
            prop_assert_eq!(found, whole);
            Ok(())
        })
    };
    runner.run(&strategy, case).unwrap();
}

/// The next changes, with paths relative to this.
async fn next(events: &Events, base: &Path) -> Option<Vec<String>> {
    tokio::time::timeout(std::time::Duration::from_secs(10), events.settled()).await.unwrap();
    match events.take().await {
        Changes::All => None,
        Changes::Within(focus) => {
            Some(focus.paths().map(|path| path.strip_prefix(base).unwrap().display().to_string()).collect())
        }
    }
}

#[tokio::test]
async fn only_what_may_be_a_document_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let write = |name: &str, text: &str| {
        let path = base.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for name in ["docs/a.md", "docs/target/x.md", "docs/.git/x.md", "one/file.md", "one/other.md"] {
        write(name, "text");
    }
    write("docs/.gitignore", "target/\n*.log\n");
    let paths: Vec<PathBuf> = ["docs", "one/file.md"].iter().map(|name| base.join(name)).collect();
    let plan = FilesPlan { paths, include: set(&[]), exclude: set(&[]), max_bytes: 1000, shared: false };
    let events = Events::start(vec![plan], std::time::Duration::from_millis(50)).await;
    assert_eq!((events.folders(), events.without()), (2, None), "docs, and the folder of the file");
    for name in ["docs/target/x.md", "docs/.git/x.md", "one/other.md", "docs/picture.png", "docs/ignored.log"] {
        write(name, "changed");
    }
    write("docs/a.md", "changed");
    assert_eq!(next(&events, &base).await, Some(vec!["docs/a.md".to_owned()]));
    write("one/file.md", "changed");
    assert_eq!(next(&events, &base).await, Some(vec!["one/file.md".to_owned()]));
    write("docs/new/deep/a.md", "text");
    assert_eq!(next(&events, &base).await, Some(vec!["docs/new".to_owned()]));
    assert_eq!(events.folders(), 4);
    write("docs/new/deep/a.md", "changed");
    assert_eq!(next(&events, &base).await, Some(vec!["docs/new/deep/a.md".to_owned()]));
    std::fs::remove_dir_all(base.join("docs/new")).unwrap();
    assert!(next(&events, &base).await.unwrap().contains(&"docs/new".to_owned()));
    assert_eq!(events.folders(), 2);
    write("docs/.gitignore", "");
    assert_eq!(next(&events, &base).await, None, "an ignore file concerns everything");
    assert_eq!(events.folders(), 3);
    std::fs::remove_dir_all(base.join("docs")).unwrap();
    assert_eq!(next(&events, &base).await, None, "so does a root");
    write("docs/a.md", "text");
    assert_eq!(next(&events, &base).await, None, "which is noticed when it is back");
    while events.folders() < 2 {
        next(&events, &base).await;
    }
    write("docs/a.md", "changed");
    let changes = next(&events, &base).await;
    assert!(changes.is_none_or(|paths| paths == ["docs/a.md"]));
}
