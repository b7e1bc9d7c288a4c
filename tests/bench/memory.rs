//! How much memory a run takes, and whether it grows with the corpus.

use super::process::{Project, Sink, StandIn};
use super::{Bench, PATIENCE, Scale, percent, sound};

pub fn memory(bench: &mut Bench) {
    if bench.scale == Scale::Smoke {
        return;
    }
    let sizes = bench.pick([1, 2], [3, 12], [100, 1000]);
    let little = bench.pick(1, 3, 30);
    let wide = sizes.map(|size| size.min(300));
    // 16 requests of 128 inputs: what waits for a machine that is slower than the API takes memory, too.
    for (dimensions, what, sizes, latency, embedded) in [
        (256, "into a server", sizes, 50, false),
        (256, "into a server, the API is the limit (3,000 inputs/s)", sizes, 650, false),
        (1536, "into a server, vectors of 1536", wide, 50, false),
        (1536, "into a server, vectors of 1536, the API is the limit (1,500 inputs/s)", wide, 1_365, false),
        (256, "into the embedded store", sizes, 50, true),
    ] {
        let [small, large] = sizes.map(|size| peak(bench, (size, 60_000), dimensions, latency, embedded, what));
        let seen = format!("from the smaller to the larger corpus; without mapped files {}", percent(large.1 / small.1 - 1.0));
        bench.row(&format!("and its growth, {what}"), &percent(large.0 / small.0 - 1.0), "≤ 5 %", &seen);
    }
    for (document, what) in [(2_000, "into a server, files of 2 kB"), (4_000_000, "into a server, files of 4 MB")] {
        peak(bench, (little, document), 256, 50, false, what);
    }
}

/// The most memory that a run has over so many MB of files of so many bytes, in all and without mapped files, in MB.
fn peak(
    bench: &mut Bench,
    (megabytes, file): (u64, usize),
    dimensions: u32,
    latency: u32,
    embedded: bool,
    what: &str,
) -> (f64, f64) {
    let (documents, _) = bench.corpus(megabytes * 1_000_000, file);
    let provider = StandIn::start(&format!("--latency-ms {latency}"));
    let sink = (!embedded).then(Sink::start);
    let project = Project::new(&documents).pipeline(&provider, "concurrency: 16", 400, 128);
    let mut project = project.over(sink.as_ref()).wide(dimensions);
    let mut ingest = project.start();
    let end = ingest.wait(PATIENCE);
    if let Some(ended) = &end {
        assert_eq!(ended.code, Some(0), "{}", ingest.log());
        sound(ended, &provider);
    }
    let (how, chunks) = (if end.is_some() { "done in" } else { "NOT done after" }, provider.stats().count("distinct"));
    let (peak, own, seconds) = (ingest.peak_mb, ingest.own_mb, ingest.seconds());
    let seen = format!(
        "{how} {seconds:.0} s, {chunks} chunks, {:.2} cores busy; without mapped files {own:.0} MB",
        ingest.cpu / seconds
    );
    bench.row(&format!("peak memory, {megabytes} MB {what}"), &format!("{peak:.0} MB"), "< 200 MB", &seen);
    ingest.kill();
    std::fs::remove_dir_all(documents).unwrap();
    (peak, own)
}
