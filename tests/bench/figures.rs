//! What ragstream does with an API's time, money and quota, measured from outside: the real program against the stand-in
//! provider, each in a process of its own. Prints one Markdown table; every figure is a ratio or a count within one run.
//!
//! ```text
//! scripts/bench                        the table of the README, about ten minutes
//! scripts/bench --quick                the same in small, for a first look
//! scripts/bench --only quota,ask       some of it: efficiency gain quota files memory kill chunker ask site whatif
//! scripts/bench stand-in --rpm 600     the provider alone, to try things against (--help tells what it can do)
//! ```
//! Without `--bench`, as `cargo test --all-targets` starts it: a smoke run that looks at no time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the table is the result, and a bench fails by panicking"
)]

mod corpus;
mod memory;
mod process;
mod provider;
mod sink;
mod site;
mod whatif;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args as _, FromArgMatches as _};
use ragstream::chunk::Chunker;
use ragstream::chunk::{ChunkBy, ChunkPlan};
use ragstream::document::{Document, Markup, Metadata};
use ragstream::tokenizer::TokenizerName;
use tempfile::TempDir;

use corpus::Writer;
use process::{Ended, Project, Sink, StandIn};
use provider::Random;

type Measure = fn(&mut Bench);

/// No single run takes longer: a gigabyte is some twenty minutes on two cores.
const PATIENCE: Duration = Duration::from_secs(3600);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "stand-in") {
        // Which `cargo bench` adds.
        let flags = arguments.iter().filter(|argument| *argument != "--bench");
        let matches = provider::Flags::augment_args(clap::Command::new("stand-in")).get_matches_from(flags);
        let flags = provider::Flags::from_arg_matches(&matches).unwrap();
        return provider::serve(flags).expect("the provider can listen");
    }
    if arguments.first().is_some_and(|first| first == "sink") {
        return sink::serve().expect("the sink can listen");
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let scale = match (has("--bench"), has("--quick")) {
        (false, _) => Scale::Smoke,
        (true, true) => Scale::Quick,
        (true, false) => Scale::Full,
    };
    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);
    let mut bench = Bench { scale, folder: tempfile::tempdir().unwrap(), rows: Vec::new(), corpora: 0 };
    let all: [(&str, Measure); 10] = [
        ("efficiency", efficiency),
        ("gain", gain),
        ("quota", quota),
        ("files", files),
        ("memory", memory::memory),
        ("kill", kill),
        ("chunker", chunker),
        ("ask", ask),
        ("site", site),
        ("whatif", whatif::whatif),
    ];
    for (name, measure) in all {
        if only.is_none_or(|only| only.split(',').any(|wanted| wanted == name)) {
            eprintln!("measuring: {name}");
            let began = Instant::now();
            measure(&mut bench);
            eprintln!("  took {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    println!("| figure | measured | goal | more |\n|---|---|---|---|");
    for row in &bench.rows {
        println!("{row}");
    }
    println!("\n{}", machine());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Smoke,
    Quick,
    Full,
}

struct Bench {
    scale: Scale,
    folder: TempDir,
    rows: Vec<String>,
    corpora: u64,
}

impl Bench {
    fn pick<T>(&self, smoke: T, quick: T, full: T) -> T {
        match self.scale {
            Scale::Smoke => smoke,
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }

    fn row(&mut self, figure: &str, measured: &str, goal: &str, seen: &str) {
        let row = format!("| {figure} | {measured} | {goal} | {seen} |");
        eprintln!("  {row}");
        self.rows.push(row);
    }

    /// A new folder with documents of about `document` bytes, no two corpora the same.
    fn corpus(&mut self, bytes: u64, document: usize) -> (PathBuf, u64) {
        self.corpora += 1;
        let folder = self.folder.path().join(format!("corpus-{}", self.corpora));
        let files = Writer::new(self.corpora).fill(&folder, bytes, document);
        (folder, files)
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, NonZeroUsize::get);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model =
        read("/proc/cpuinfo").lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.to_owned()));
    let rustc = std::process::Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    format!(
        "{cores} cores of {} (load {}), {} {}, {rustc}, profile {profile}. The stand-in provider shares the cores.",
        model.as_deref().map_or("an unknown CPU", str::trim),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        std::env::consts::OS,
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

/// What must hold of every run that was let to its end: every input embedded once, nothing failed.
fn sound(ended: &Ended, provider: &StandIn) {
    let (summary, stats) = (&ended.summary, provider.stats());
    assert_eq!(summary["documents"]["failed"], 0, "{summary}");
    assert!(stats.count("distinct") > 0 && stats.count("paid") >= stats.count("distinct"), "{stats:?}");
    assert_eq!(summary["embeddings"]["embedded"].as_u64(), Some(stats.count("paid")), "{summary}\n{stats:?}");
}

/// A run with so many requests in flight of so many inputs that take so long each.
#[derive(Clone, Copy)]
struct Load {
    in_flight: u32,
    batch: u32,
    latency_ms: u64,
    rounds: u32,
    dimensions: u32,
    /// Into the embedded store, not into a server that keeps nothing.
    embedded: bool,
}

/// Inputs a second of a run, and that as a share of C·B/L: the time that an ideal client needs for so many requests, over the
/// time from the first request to the last answer.
fn throughput(bench: &mut Bench, load: Load) -> (f64, f64, String) {
    let Load { in_flight, batch, latency_ms, rounds, dimensions, embedded } = load;
    let bytes = u64::from(in_flight * batch * rounds) * 330;
    let (documents, _) = bench.corpus(bytes, 20_000);
    let provider = StandIn::start(&format!("--latency-ms {latency_ms}"));
    let sink = (!embedded).then(Sink::start);
    let limits = format!("concurrency: {in_flight}");
    let project = Project::new(&documents).pipeline(&provider, &limits, 96, batch);
    let ended = project.over(sink.as_ref()).wide(dimensions).ingest(PATIENCE);
    sound(&ended, &provider);
    let stats = provider.stats();
    let (paid, requests, span) = (stats.get("paid"), stats.get("requests"), stats.span());
    assert!(stats.count("max_in_flight") <= u64::from(in_flight), "{stats:?}");
    let ideal = (paid / f64::from(batch * in_flight)).ceil() * latency_ms as f64 / 1e3;
    let seen = format!(
        "{:.0} inputs/s; {:.1} rounds, batches {} full, {:.1} in flight on average, whole run {:.1} s, {:.2} cores busy and {:.2} \
         the provider's, peak {:.0} MB",
        paid / span,
        paid / f64::from(batch * in_flight),
        percent(paid / requests / f64::from(batch)),
        stats.get("busy_ms") / 1e3 / span,
        ended.wall,
        ended.cpu / ended.wall,
        provider.cpu() / ended.wall,
        ended.peak_mb,
    );
    (paid / span, ideal / span, seen)
}

fn efficiency(bench: &mut Bench) {
    let (latency_ms, rounds) = bench.pick((20, 3), (250, 8), (500, 24));
    let most = bench.pick(4, 128, 128);
    let load = Load { in_flight: most, batch: 16, latency_ms, rounds, dimensions: 256, embedded: false };
    let mut cases: Vec<(Load, &str)> = Vec::new();
    for in_flight in bench.pick(vec![], vec![8, 32], vec![8, 32]) {
        cases.push((Load { in_flight, ..load }, ""));
    }
    cases.push((load, ""));
    cases.push((Load { dimensions: 1536, ..load }, ", vectors of 1536"));
    cases.push((Load { embedded: true, ..load }, ", into the embedded store"));
    for (load, what) in cases {
        let (_, share, seen) = throughput(bench, load);
        let figure = format!("share of C·B/L, {} in flight, {latency_ms} ms, batches of 16{what}", load.in_flight);
        bench.row(&figure, &percent(share), "≥ 95 %", &seen);
    }
    for (embedded, what) in [(false, "into a server"), (true, "into the embedded store")] {
        let (rate, _, seen) = throughput(bench, Load { latency_ms: 0, embedded, ..load });
        bench.row(&format!("what the CPU allows, {what}: the API answers at once"), &format!("{rate:.0} inputs/s"), "", &seen);
    }
}

fn gain(bench: &mut Bench) {
    let (latency, rounds) = bench.pick((20, 4), (100, 20), (300, 40));
    let load = Load { in_flight: 1, batch: 16, latency_ms: latency, rounds, dimensions: 256, embedded: true };
    let (one, _, _) = throughput(bench, load);
    let (many, _, _) = throughput(bench, Load { in_flight: 32, rounds: rounds / 4, ..load });
    let figure = format!("32 requests at a time over one at a time, {latency} ms");
    bench.row(&figure, &format!("{:.1} ×", many / one), "32 ×", &format!("{many:.0} and {one:.0} inputs/s"));
}

fn quota(bench: &mut Bench) {
    if bench.scale == Scale::Smoke {
        return;
    }
    // Seconds: how much quota may be saved up, and how long a run is looked at.
    let (burst, until) = bench.pick((5, 2), (5, 60), (60, 300));
    let size = bench.pick(0, 6_000_000, 26_000_000);
    let (documents, _) = bench.corpus(size, 20_000);
    let (requests_alone, tokens_alone) = ("--latency-ms 300 --rpm 600", "--latency-ms 300 --tpm 200000");
    let both = "--latency-ms 300 --rpm 600 --tpm 200000";
    let silent = "--latency-ms 300 --rpm 600 --no-headers";
    let crowded = "--latency-ms 1000 --concurrency 32 --no-headers";
    let cases = [
        ("requests a minute, declared", requests_alone, "rpm: 600", "≥ 97 %, no 429"),
        ("tokens a minute, declared", tokens_alone, "tpm: 200000", "≥ 97 %, no 429"),
        ("requests and tokens, declared", both, "rpm: 600, tpm: 200000", "≥ 97 %, no 429"),
        ("requests and tokens, told in headers alone", both, "", "≥ 93 %, at most 3"),
        ("requests a minute, not told at all", silent, "", "≥ 93 %, at most 3"),
        ("requests in flight, not told at all", crowded, "", "≥ 93 %, at most 3"),
    ];
    // They wait most of the time: all at once.
    let rows = std::thread::scope(|scope| {
        let runs = cases.map(|(name, flags, limits, goal)| {
            let documents = &documents;
            scope.spawn(move || {
                let provider = StandIn::start(&format!("{flags} --burst-s {burst}"));
                let mut project = Project::new(documents).pipeline(&provider, limits, 64, 8);
                let mut ingest = project.start();
                let early = ingest.wait(Duration::from_secs(until));
                let after = provider.stats();
                // The whole run, what it takes to learn included: what was sent, less what had been saved up in the beginning.
                let minutes = (after.get("now_ms") - after.get("first_ms")) / 60e3;
                let used = |what: &str, saved: &str, limit: f64| {
                    let gift = limit / 60.0 * f64::from(burst) - after.get(saved);
                    (after.get(what) - gift) / minutes / limit
                };
                // 32 in flight that take a second each are 1920 a minute, and nothing is saved up.
                let requests = if flags == crowded {
                    after.get("admitted") / minutes / 1920.0
                } else {
                    used("admitted", "saved_requests", 600.0)
                };
                let tokens = used("tokens", "saved_tokens", 200_000.0);
                let share = match flags {
                    _ if flags == tokens_alone => tokens,
                    _ if flags == both => requests.max(tokens),
                    _ => requests,
                };
                let refused = after.count("throttled");
                let measured = early.map_or_else(
                    || format!("{}, {refused} × 429", percent(share)),
                    |ended| format!("ended with {:?}", ended.code),
                );
                let seen = format!(
                    "at most {} in flight, batches {} full",
                    after.count("max_in_flight"),
                    percent(after.get("inputs") / after.get("admitted") / 8.0),
                );
                ingest.kill();
                (format!("share used in the first {until} s: {name}"), measured, goal, seen)
            })
        });
        runs.map(|run| run.join().unwrap())
    });
    for (figure, measured, goal, seen) in rows {
        bench.row(&figure, &measured, goal, &seen);
    }
}

fn files(bench: &mut Bench) {
    let count: u64 = bench.pick(60, 3_000, 50_000);
    let (documents, files) = bench.corpus(count * 600, 550);
    let provider = StandIn::start("");
    let mut project = Project::new(&documents).pipeline(&provider, "concurrency: 16", 256, 128);
    let cold = project.ingest(PATIENCE);
    sound(&cold, &provider);
    let asked = provider.stats().count("requests");
    let again: Vec<Ended> = (0..3).map(|_| project.ingest(PATIENCE)).collect();
    for ended in &again {
        assert_eq!(ended.summary["documents"]["unchanged"].as_u64(), Some(files), "{}", ended.summary);
    }
    assert_eq!(provider.stats().count("requests"), asked, "an unchanged tree was paid for");
    let mut again: Vec<(f64, f64, f64)> =
        again.iter().map(|ended| (ended.summary["seconds"].as_f64().unwrap(), ended.wall, ended.cpu)).collect();
    again.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, wall, cpu) = again[1];
    let rate = |seconds: f64| files as f64 / seconds;
    let seen = format!("{files} files; {:.2} cores busy, peak {:.0} MB", cold.cpu / cold.wall, cold.peak_mb);
    bench.row("cold ingest, the API answers at once", &format!("{:.0} files/s", rate(cold.wall)), "", &seen);
    let seen = format!(
        "{:.0} × the cold run; {:.0} files/s by the wall clock from start to end of the process ({wall:.2} s, {cpu:.2} CPU s)",
        cold.wall / wall,
        rate(wall),
    );
    bench.row("unchanged ingest", &format!("{:.0} files/s", rate(seconds)), "≥ 50,000", &seen);
}

fn kill(bench: &mut Bench) {
    let (kills, latency, rounds) = bench.pick((1_u32, 20, 10), (3, 100, 12), (10, 200, 30));
    let (in_flight, batch) = (8, 16);
    let (documents, _) = bench.corpus(u64::from(in_flight * batch * rounds) * 330, 20_000);
    let limits = format!("concurrency: {in_flight}");
    let flags = format!("--latency-ms {latency}");

    let calm = StandIn::start(&flags);
    let undisturbed = Project::new(&documents).pipeline(&calm, &limits, 96, batch).ingest(PATIENCE);
    sound(&undisturbed, &calm);

    let provider = StandIn::start(&flags);
    let mut project = Project::new(&documents).pipeline(&provider, &limits, 96, batch);
    let (mut random, mut killed) = (Random(3), 0);
    for _ in 0..kills {
        // A run that is killed late leaves little for the next: the instants spread over what is left.
        let done = provider.stats().get("distinct") / calm.stats().get("distinct");
        let mut ingest = project.start();
        let instant = 0.1 + random.unit() * undisturbed.wall * (1.0 - done) * 0.6;
        if ingest.wait(Duration::from_secs_f64(instant)).is_some() {
            break;
        }
        ingest.kill();
        killed += 1;
    }
    project.ingest(PATIENCE);
    let stats = provider.stats();
    assert_eq!(stats.count("distinct"), calm.stats().count("distinct"), "not the same texts as in the undisturbed run");
    let twice = stats.count("paid") - stats.count("distinct");
    let bound = killed * in_flight * batch;
    let seen = format!(
        "of {} inputs; {} were sent again; {bound} were in flight at most",
        stats.count("distinct"),
        stats.count("inputs") - stats.count("distinct")
    );
    let figure = format!("inputs paid for twice after {killed} × kill -9");
    bench.row(&figure, &twice.to_string(), "only what was in flight", &seen);
}

fn chunker(bench: &mut Bench) {
    let (documents, rounds) = bench.pick((2, 1), (20, 3), (100, 10));
    let mut writer = Writer::new(77);
    let documents: Vec<Document> = (0..documents)
        .map(|n| Document {
            pages: Vec::new(),
            anchors: Vec::new(),
            uri: format!("{n}.md"),
            title: None,
            markup: Markup::Markdown,
            text: writer.markdown(20_000).into(),
            modified_ns: 0,
            metadata: Metadata::new(),
        })
        .collect();
    let plan = ChunkPlan {
        by: ChunkBy::Auto,
        max_tokens: NonZeroUsize::new(400).unwrap(),
        overlap: 40,
        tokenizer: TokenizerName::O200kBase,
    };
    let (chunker, raw) = (Chunker::new(&plan), tiktoken_rs::o200k_base_singleton());
    let (mut encoding, mut chunking) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        for document in &documents {
            let began = Instant::now();
            black_box(raw.encode_ordinary(&document.text));
            encoding += began.elapsed();
            let began = Instant::now();
            black_box(chunker.chunk(document, None));
            chunking += began.elapsed();
        }
    }
    let bytes = documents.iter().map(|document| document.text.len()).sum::<usize>() as f64 * f64::from(rounds) / 1e6;
    let (encoding, chunking) = (bytes / encoding.as_secs_f64(), bytes / chunking.as_secs_f64());
    let seen = format!("{chunking:.1} and {encoding:.1} MB/s, Markdown, one thread; `cargo bench --bench chunk` tells more");
    bench.row("chunker over the raw tokenizer", &format!("{:.2} ×", chunking / encoding), "", &seen);
}

/// A site, one page after the other and several at a time, by the same program.
fn site(bench: &mut Bench) {
    let (pages, latency) = bench.pick((12, 5), (100, 50), (400, 50));
    let (provider, site) = (StandIn::start("--latency-ms 1"), site::Site::start(pages, Duration::from_millis(latency)));
    let crawl = |concurrency: usize| {
        let project = Project::new(std::path::Path::new("none")).pipeline(&provider, "concurrency: 16", 400, 64);
        let ended = project.of_site(&site.url, concurrency).ingest(PATIENCE);
        assert_eq!(ended.summary["documents"]["added"], pages, "not all pages were found");
        ended
    };
    let (one, many) = (crawl(1), crawl(8));
    let seen = format!(
        "{:.1} and {:.1} s, {:.2} and {:.2} s of CPU, chunks embedded and stored",
        many.wall, one.wall, many.cpu, one.cpu
    );
    let figure = format!("a site of {pages} pages of {latency} ms, 8 at a time over one at a time");
    bench.row(&figure, &format!("{:.1} ×", one.wall / many.wall), "≥ 6 ×", &seen);
}

fn ask(bench: &mut Bench) {
    let (times, first) = bench.pick((1, 20_u32), (5, 200), (20, 500));
    let (documents, _) = bench.corpus(bench.pick(100_000, 500_000, 5_000_000), 20_000);
    let provider = StandIn::start(&format!("--latency-ms {first} --answer-tokens 100 --token-ms 5"));
    let mut project = Project::new(&documents).pipeline(&provider, "concurrency: 16", 400, 64);
    project.ingest(PATIENCE);
    let (mut starts, mut told, mut lags) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..times {
        let (began, mut started, mut done) = (Instant::now(), None, false);
        project.ask(&format!("how are keys rotated, {n}?"), |line| match line["type"].as_str() {
            Some("token") => {
                let now = provider::micros();
                started.get_or_insert_with(|| began.elapsed().as_secs_f64() * 1e3);
                let sent = line["text"].as_str().and_then(|text| text.split_whitespace().next_back()?.parse::<u64>().ok());
                lags.extend(sent.map(|sent| now.saturating_sub(sent) as f64 / 1e3));
            }
            Some("done") => {
                done = true;
                told.extend(line["ttft_ms"].as_f64());
            }
            _ => {}
        });
        assert!(done, "the answer did not end well");
        starts.extend(started);
    }
    let median = |values: &mut Vec<f64>, share: f64| {
        values.sort_by(f64::total_cmp);
        values.get((values.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
    };
    let first = f64::from(first);
    // The question is embedded first, and the stand-in takes as long for that as for the first token.
    let seen = format!(
        "by ttft_ms, of {first} ms; from the start of the process {:.0} ms beyond the {} ms for question and answer",
        median(&mut starts, 0.5) - 2.0 * first,
        2.0 * first,
    );
    let added = median(&mut told, 0.5) - first;
    bench.row("time to the first token beyond the provider's own", &format!("{added:.1} ms"), "", &seen);
    let seen =
        format!("p99 {:.1} ms, {} tokens, from the provider's socket to a line on stdout", median(&mut lags, 0.99), lags.len());
    bench.row("a token's way through the program, median", &format!("{:.2} ms", median(&mut lags, 0.5)), "", &seen);
}
