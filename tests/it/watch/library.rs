//! A watch in a program of one's own: sources that tell of nothing, and days of it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use ragstream::document::Markup;
use ragstream::ingest::report::{IngestSummary, Outcome};
use ragstream::providers::{Embedded, InputType, ProviderError};
use ragstream::runtime::{WatchEvent, WatchOptions};
use ragstream::source::{Body, FetchError, Fetched, Item, Listed, SourceId, Version};
use ragstream::{Embedder, Plan, Runtime, Settings, Source};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
struct Letters;

#[async_trait]
impl Embedder for Letters {
    fn model(&self) -> &'static str {
        "own/letters"
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(26)
    }

    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        let count = |text: &String, letter| 0.01 + text.to_lowercase().matches(letter).count() as f32;
        Ok(Embedded::new(inputs.iter().map(|text| ('a'..='z').map(|letter| count(text, letter)).collect()).collect()))
    }
}

/// A source that tells of nothing: so many tickets, and how often it was listed.
#[derive(Debug)]
struct Tickets {
    id: SourceId,
    count: AtomicUsize,
    listed: AtomicUsize,
}

#[async_trait]
impl Source for Tickets {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn list(&self) -> BoxStream<'_, Listed> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        let items = (0..self.count.load(Ordering::SeqCst)).map(|n| Item::new(format!("tickets://{n}"), Version::new([1])));
        stream::iter(items.map(Listed::Item).chain([Listed::Complete])).boxed()
    }

    async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
        let body = |item: &Item| Body::Text { text: format!("Ticket {}", item.uri), markup: Markup::Text, title: None };
        items.iter().map(|item| Ok(Fetched::new(body(item), item.version))).collect()
    }
}

/// A watch that goes on, and its runs.
struct Watching {
    runs: UnboundedReceiver<(Option<String>, IngestSummary, bool)>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<Result<Outcome, ragstream::Error>>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Watching {
    fn start(runtime: Runtime, change: impl FnOnce(&mut WatchOptions)) -> Self {
        let (say, runs) = unbounded_channel();
        let stop = CancellationToken::new();
        let failed = Arc::new(Mutex::new(Vec::new()));
        let mut options = WatchOptions::default();
        options.quiet = Duration::from_millis(5);
        change(&mut options);
        let told = Arc::clone(&failed);
        options.observer = Arc::new(move |event| match event {
            WatchEvent::Ran { summary, document, whole } => drop(say.send((document, *summary, !whole.is_empty()))),
            WatchEvent::Failed { error, .. } => told.lock().unwrap().push(error.to_string()),
            _ => {}
        });
        let stopped = stop.clone();
        let ended = tokio::spawn(async move { runtime.watch(options, Arc::default(), stopped).await });
        Self { runs, stop, ended, failed }
    }

    /// The next run that changed something.
    async fn next(&mut self) -> (Option<String>, IngestSummary) {
        let next = async {
            loop {
                let (document, summary, _) = self.runs.recv().await.expect("it goes on");
                let documents = &summary.documents;
                if documents.added + documents.changed + documents.removed > 0 {
                    return (document, summary);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("a run")
    }

    async fn end(self) {
        self.stop.cancel();
        assert_eq!(self.ended.await.unwrap().unwrap(), Outcome::Complete);
        assert_eq!(*self.failed.lock().unwrap(), [""; 0]);
    }
}

fn settings(home: &Path, cache: &Path, cwd: &Path) -> Settings {
    Settings { home: home.to_owned(), cache: cache.to_owned(), cwd: cwd.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_tells_of_nothing_is_compared_now_and_then_and_files_beside_it_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("a.md"), "A file.").unwrap();
    let source = Tickets { id: "tickets".into(), count: 3.into(), listed: 0.into() };
    let tickets = Arc::new(source);
    let plan = Plan::from_env().with_sources([&docs]).unwrap();
    let source: Arc<dyn Source> = Arc::<Tickets>::clone(&tickets);
    let runtime = Runtime::new(plan, settings(&folder.path().join("home"), &folder.path().join("cache"), folder.path()));
    let runtime = runtime.with_embedder(Arc::new(Letters)).with_source(source);
    let mut watch = Watching::start(runtime, |options| options.every = Some(Duration::from_secs(1)));
    assert_eq!(watch.next().await.1.documents.added, 4);
    // A run over a file alone finds none of the tickets gone.
    let listed = tickets.listed.load(Ordering::SeqCst);
    std::fs::write(docs.join("a.md"), "A file that has changed.").unwrap();
    let (document, summary) = watch.next().await;
    assert_eq!((document.as_deref(), summary.documents.seen), (Some("docs/a.md"), 1));
    assert!(tickets.listed.load(Ordering::SeqCst) <= listed + 1);
    tickets.count.store(5, Ordering::SeqCst);
    assert_eq!(watch.next().await.1.documents.added, 2);
    tickets.count.store(4, Ordering::SeqCst);
    assert_eq!(watch.next().await.1.documents.removed, 1);
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_writes_itself_among_the_files_does_not_wake_it() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().to_owned();
    std::fs::write(docs.join("a.md"), "A file.").unwrap();
    let plan = Plan::from_env().with_sources([&docs]).unwrap();
    let runtime = Runtime::new(plan, settings(&docs.join("home"), &docs.join("cache"), &docs)).with_embedder(Arc::new(Letters));
    let mut watch = Watching::start(runtime, |_| {});
    watch.next().await;
    for n in 0..3 {
        std::fs::write(docs.join("a.md"), format!("A file that has changed: {n}.")).unwrap();
        let (document, _) = watch.next().await;
        assert_eq!(document.as_deref(), Some("a.md"));
    }
    // Folders that were new may be looked at once more.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    while watch.runs.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(watch.runs.try_recv().is_err(), "a run although nothing has changed");
    watch.end().await;
}

/// Of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Saves files again and again; the memory after each tenth, and the times.
async fn days(runs: usize) {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    for n in 0..200 {
        std::fs::write(docs.join(format!("{n}.md")), format!("# Pump {n}\n\nText.")).unwrap();
    }
    let plan = Plan::from_env().with_sources([&docs]).unwrap();
    let runtime = Runtime::new(plan, settings(&folder.path().join("home"), &folder.path().join("cache"), folder.path()));
    let mut watch =
        Watching::start(runtime.with_embedder(Arc::new(Letters)), |options| options.every = Some(Duration::from_secs(5)));
    watch.next().await;
    let (mut memory, mut files, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..runs {
        let began = Instant::now();
        let path = docs.join(format!("{}.md", n % 200));
        match n % 10 {
            7 if path.exists() => std::fs::remove_file(&path).unwrap(),
            // A file that is new each time: what is kept by name would grow.
            8 => std::fs::write(docs.join(format!("new-{n}.md")), format!("Text {n}.")).unwrap(),
            9 => std::fs::remove_file(docs.join(format!("new-{}.md", n - 1))).unwrap(),
            _ => std::fs::write(&path, format!("# Pump {n}\n\nText that is new: {n}.")).unwrap(),
        }
        watch.next().await;
        times.push(began.elapsed());
        if (n + 1) % (runs / 10) == 0 {
            memory.push(resident());
            files.push(open_files());
        }
    }
    times.sort_unstable();
    super::tell(&format!(
        "{runs} runs: {:?} half, {:?} of 95 in 100; KiB: {memory:?}; files: {files:?}",
        times[runs / 2],
        times[runs * 95 / 100]
    ));
    let after = memory[1..].iter().max().unwrap();
    assert!(*after < memory[0] + (16 << 10), "memory grows: {memory:?}");
    assert!(files.iter().max().unwrap() <= &(files[0] + 20), "{files:?}");
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_from_run_to_run() {
    days(150).await;
}

/// A day in which a file is saved every half minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; scripts/test runs it"]
async fn memory_does_not_grow_in_a_day() {
    days(2880).await;
}
