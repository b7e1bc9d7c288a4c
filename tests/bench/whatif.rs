//! "What if", checked: runs of random settings, what each predicts for one thing doubled, and the run with that doubled.

use std::path::{Path, PathBuf};

use crate::process::{Ended, Project, StandIn};
use crate::provider::Random;
use crate::{Bench, PATIENCE, percent, sound};

/// What is doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twice {
    Concurrency,
    Quota,
    Cores,
}

/// What a run is like.
#[derive(Debug, Clone, Copy)]
struct Setting {
    twice: Twice,
    latency_ms: u64,
    spread_ms: u64,
    places: u32,
    rpm: Option<u32>,
    tpm: Option<u32>,
    chunk_tokens: u32,
    items: u32,
    document: usize,
    bytes: u64,
}

/// Seconds that a run is to take, about.
const SECONDS: f64 = 8.0;

impl Setting {
    /// One of those there are; the same for a number at all times.
    fn new(n: usize, random: &mut Random) -> Self {
        let mut within = |least: f64, most: f64| least + (most - least) * random.unit();
        let twice = [Twice::Concurrency, Twice::Quota, Twice::Concurrency, Twice::Quota, Twice::Cores][n % 5];
        let bound_by_cores = twice == Twice::Cores;
        let latency_ms = if bound_by_cores { within(0.0, 20.0) } else { within(60.0, 600.0) } as u64;
        let spread_ms = (within(0.0, 0.8) * latency_ms as f64) as u64;
        let places = if bound_by_cores { 32 } else { within(2.0, 20.0) as u32 };
        let (chunk_tokens, items) = (within(48.0, 200.0) as u32, within(4.0, 16.0) as u32);
        let by_places = f64::from(places) * 1e3 / latency_ms.max(1) as f64;
        let kind = within(0.0, 1.0);
        // Requests a second that the quota allows: somewhere about what the places allow, or far from it.
        let quota = by_places * if twice == Twice::Quota { within(0.25, 1.2) } else { within(0.6, 3.0) };
        let has_quota = !bound_by_cores && (twice == Twice::Quota || kind < 0.5);
        let tokens = f64::from(chunk_tokens * items);
        let by_tokens = has_quota && kind < 0.25;
        let rpm = (has_quota && !by_tokens).then_some((quota * 60.0).max(30.0) as u32);
        let tpm = by_tokens.then_some((quota * 60.0 * tokens) as u32);
        let pace = if has_quota { quota.min(by_places) } else { by_places };
        let bytes = if bound_by_cores { 25_000_000 } else { (pace * SECONDS * tokens * 3.4) as u64 };
        let document = within(2_000.0, 30_000.0) as usize;
        Self { twice, latency_ms, spread_ms, places, rpm, tpm, chunk_tokens, items, document, bytes: bytes.max(20_000) }
    }

    /// With one thing doubled.
    fn doubled(self) -> Self {
        match self.twice {
            Twice::Concurrency => Self { places: self.places * 2, ..self },
            Twice::Quota => Self { rpm: self.rpm.map(|rpm| rpm * 2), tpm: self.tpm.map(|tpm| tpm * 2), ..self },
            Twice::Cores => self,
        }
    }

    fn run(self, documents: &Path, pinned: bool) -> Ended {
        let Self { latency_ms, spread_ms, places, rpm, tpm, chunk_tokens, items, .. } = self;
        let mut flags = format!("--latency-ms {latency_ms} --latency-spread-ms {spread_ms} --burst-s 5");
        let mut limits = format!("concurrency: {places}");
        for (name, limit) in [("rpm", rpm), ("tpm", tpm)] {
            if let Some(limit) = limit {
                // The program's count of tokens may be a little below the server's.
                flags.push_str(&format!(" --{name} {}", limit + limit / 20));
                limits.push_str(&format!(", {name}: {limit}"));
            }
        }
        let provider = StandIn::start(&flags);
        let mut project = Project::new(documents).pipeline(&provider, &limits, chunk_tokens, items);
        if self.twice == Twice::Cores {
            // Nobody else is to have of the second core.
            let project = project.in_process();
            return if pinned { project.on_core(0) } else { project }.ingest(PATIENCE);
        }
        let ended = project.ingest(PATIENCE);
        sound(&ended, &provider);
        ended
    }

    /// Predicted and measured seconds, and what else is to be told.
    fn check(self, documents: &Path) -> (f64, f64, String) {
        let ended = self.run(documents, self.twice == Twice::Cores);
        let seconds = ended.summary["seconds"].as_f64().unwrap();
        let name = format!("{:?}", self.twice).to_lowercase();
        let faster = ended.summary["doubled"][&name].as_f64().unwrap_or_else(|| panic!("{self:?}: {}", ended.summary));
        let again = self.doubled().run(documents, false);
        let limit = &ended.summary["limit"];
        let seen = format!(
            "{seconds:.2} s before, limited by {} {}; {self:?}",
            limit["cause"].as_str().unwrap_or_default(),
            percent(limit["share"].as_f64().unwrap_or_default()),
        );
        (seconds / faster, again.summary["seconds"].as_f64().unwrap(), seen)
    }
}

pub fn whatif(bench: &mut Bench) {
    let mut random = Random(18);
    let count = bench.pick(1, 10, 20);
    let settings: Vec<(Setting, PathBuf)> = (0..count)
        .map(|n| {
            let setting = Setting::new(n, &mut random);
            let bytes = bench.pick(20_000, setting.bytes, setting.bytes);
            (setting, bench.corpus(bytes, setting.document).0)
        })
        .collect();
    let (alone, waiting): (Vec<_>, Vec<_>) = settings.iter().partition(|(setting, _)| setting.twice == Twice::Cores);
    let mut results = Vec::new();
    // Those that wait for the provider most of the time disturb each other little.
    for some in waiting.chunks(2) {
        results.extend(std::thread::scope(|scope| {
            let runs: Vec<_> = some.iter().map(|(setting, folder)| scope.spawn(|| setting.check(folder))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        }));
    }
    results.extend(alone.iter().map(|(setting, folder)| setting.check(folder)));
    let right = results.iter().filter(|(predicted, measured, _)| (predicted / measured - 1.0).abs() <= 0.1).count();
    for ((predicted, measured, seen), n) in results.iter().zip(1..) {
        let error =
            format!("{predicted:.2} s predicted, {measured:.2} s measured: {:+.1} %", (predicted / measured - 1.0) * 100.0);
        bench.row(&format!("what if, setting {n}"), &error, "± 10 %", seen);
    }
    bench.row("what if: settings predicted within ± 10 %", &format!("{right} of {}", results.len()), "all", "");
}
