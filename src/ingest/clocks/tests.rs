#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _, stream};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cache::EmbeddingCache;
use crate::ingest::Batching;
use crate::ingest::embed::EmbedQueue;
use crate::ingest::limit::{Cause, Limit};
use crate::ingest::report::Report;
use crate::limits::{Limiter, Limits, Waiting, tell};
use crate::providers::{EmbedLimits, Embedded, Embedder, InputType, ProviderError};

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// A stage that takes so long an item, so many at once, built as those of a run are.
fn stage(
    clocks: &Arc<Clocks>,
    step: Step,
    input: impl Stream<Item = u32> + Send + 'static,
    (places, ms): (usize, u64),
) -> Wanted<u32> {
    let of = Arc::clone(clocks);
    let done = input.map(move |item| {
        let place = Place::take(&of, step);
        let task = tokio::spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            place.does(Doing::Held);
            (item, place)
        });
        async move { task.await.unwrap().0 }
    });
    Wanted::new(done.buffer_unordered(places), clocks, step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_second_of_a_stream_has_its_cause(speeds in prop::collection::vec((1_usize..5, 100_u64..4000), 4)) {
        const ITEMS: u32 = 400;
        let [read, parse, chunk, store] = speeds[..] else { unreachable!() };
        let (times, wall) = paused().block_on(async {
            let clocks = Arc::new(Clocks::default());
            sleep(Duration::from_secs(3)).await;
            let began = Instant::now();
            let places = |step| match step {
                Step::Read => read.0,
                Step::Parse => parse.0,
                Step::Chunk => chunk.0,
                Step::Store => store.0,
                _ => 0,
            };
            clocks.begin(places);
            let stream = stage(&clocks, Step::Read, stream::iter(0..ITEMS), read);
            let stream = stage(&clocks, Step::Parse, stream, parse);
            let stream = stage(&clocks, Step::Chunk, stream, chunk);
            let stream = stage(&clocks, Step::Store, stream, store);
            assert_eq!(stream.count().await, ITEMS as usize);
            let wall = began.elapsed().as_secs_f64();
            clocks.close();
            sleep(Duration::from_secs(2)).await;
            clocks.end();
            sleep(Duration::from_secs(9)).await;
            (clocks.times(), wall)
        });
        prop_assert!((times.opening - 3.0).abs() < 0.01 && (times.closing - 2.0).abs() < 0.01, "{times:?}");
        let stages = [(times.read, read), (times.parse, parse), (times.chunk, chunk), (times.store, store)];
        for (at, (seconds, (places, ms))) in stages.iter().enumerate() {
            let all = *places as f64 * wall;
            prop_assert!((seconds.sum() / all - 1.0).abs() < 0.01, "stage {at}: {seconds:?} are not {all}");
            let work = f64::from(ITEMS) * *ms as f64 / 1e3;
            // A timer is up to a millisecond late.
            prop_assert!((seconds.working / work - 1.0).abs() < 0.02, "stage {at}: {seconds:?}, of work {work}");
        }
        let pace = stages.map(|(_, (places, ms))| ms as f64 / places as f64);
        let (slowest, slow) = pace.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        // Where one is clearly the slowest, those before it wait for it, and those after it for their input. (A stage is asked for
        // more when the next has room: while one of those behind it is full, what is free is blocked, however fast it is.)
        if pace.iter().enumerate().all(|(at, pace)| at == slowest || pace * 3.0 < slow) {
            for (at, (seconds, _)) in stages.iter().enumerate() {
                let idle = seconds.sum() - seconds.working;
                let behind = pace.iter().skip(at + 1).sum::<f64>() / slow;
                let (of, share, least) = match at.cmp(&slowest) {
                    std::cmp::Ordering::Less => (seconds.blocked, "blocked", 0.6),
                    std::cmp::Ordering::Greater => (seconds.starved, "starved", 0.8 - behind),
                    std::cmp::Ordering::Equal => continue,
                };
                prop_assert!(of > idle * least, "stage {at} of {pace:?} is to be {share}: {seconds:?}");
            }
            let causes = [Cause::Reading, Cause::Parsing, Cause::Chunking, Cause::Storing];
            let running = Times { opening: 0.0, closing: 0.0, cpu: 0.0, ..times };
            prop_assert_eq!(Limit::of(&running).map(|limit| limit.cause), Some(causes[slowest]));
        }
    }

    #[test]
    fn embedding_is_split_by_what_its_requests_wait_for(
        rpm in prop::option::of(30_u32..3000),
        concurrency in 1_u32..24,
        latency_ms in 20_u64..3000,
        fails_of_ten in prop::sample::select(vec![0_u32, 0, 0, 9]),
        // Milliseconds between texts; 0: all are there from the beginning.
        gap_ms in prop::sample::select(vec![0_u64, 0, 0, 200]),
    ) {
        let limits = Limits { rpm, tpm: None, concurrency: Some(concurrency) };
        let (times, wall) = paused().block_on(embedded(limits, latency_ms, fails_of_ten, gap_ms));
        let embed = &times.embed;
        prop_assert!((times.running - wall).abs() < 0.01, "{times:?}");
        // As many places as there are on the wire, and some for what is on its way to the disk.
        let places = f64::from(concurrency + concurrency / 4 + 1);
        prop_assert!((embed.sum() / (places * wall) - 1.0).abs() < 0.01, "{embed:?} of {places} places, {wall} s");
        let sent = f64::from(TEXTS) * latency_ms as f64 / 1e3;
        let on_the_wire = if fails_of_ten == 0 { sent } else { sent / 10.0 };
        prop_assert!((embed.wire / on_the_wire - 1.0).abs() < 0.02, "{embed:?}, on the wire {on_the_wire}");
        prop_assert_eq!(embed.retry > 0.0, fails_of_ten > 0);
        if fails_of_ten > 0 {
            return Ok(());
        }
        // Texts a second by each cause; the smallest is the limit.
        let by_quota = rpm.map_or(f64::INFINITY, |rpm| f64::from(rpm) / 60.0);
        let by_places = f64::from(concurrency) * 1e3 / latency_ms as f64;
        let by_input = if gap_ms == 0 { f64::INFINITY } else { 1e3 / gap_ms as f64 };
        let paces = [(Cause::Quota, by_quota), (Cause::Places, by_places), (Cause::Latency, by_input)];
        let (cause, pace) = paces.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        // Far from the next, and long enough for a burst and the last answers to be small beside it.
        let clear = paces.iter().all(|(other, other_pace)| *other == cause || other_pace / pace > 1.5);
        let limit = Limit::of(&Times { opening: 0.0, closing: 0.0, cpu: 0.0, ..times }).unwrap();
        if clear && wall > 6.0 * latency_ms as f64 / 1e3 + 10.0 {
            prop_assert_eq!(limit.cause, cause, "{:?} {:?} {:?}", limit, paces, times);
        }
    }
}

const TEXTS: u32 = 300;

/// Embeds texts one a request, and tells where the time went.
async fn embedded(limits: Limits, latency_ms: u64, fails_of_ten: u32, gap_ms: u64) -> (Times, f64) {
    let latency = Duration::from_millis(latency_ms);
    embedded_by(Remote { limiter: Limiter::new(limits), latency, fails_of_ten, tokens: 1 }, gap_ms).await
}

async fn embedded_by(embedder: Remote, gap_ms: u64) -> (Times, f64) {
    let (report, embedder) = (Arc::new(Report::default()), Arc::new(embedder));
    let batching = Batching { items: 1, tokens: 1000, in_flight: 512, texts: 1000, waiting: 100 };
    let clocks = Arc::clone(&report.clocks);
    let began = Instant::now();
    clocks.begin(|_| 0);
    let cache = EmbeddingCache::new(1 << 20);
    let queue = EmbedQueue::start(embedder, 2, cache, batching, report, CancellationToken::new(), tracing::Span::none());
    let texts = (0..TEXTS).map(|n| {
        let queue = &queue;
        async move {
            sleep(Duration::from_millis(gap_ms) * n).await;
            queue.embed(format!("text {n}"), 1).await.unwrap();
        }
    });
    join_all(texts).await;
    let wall = began.elapsed().as_secs_f64();
    clocks.close();
    (clocks.times(), wall)
}

/// Waits as the layer for HTTP does, and tells what for.
#[derive(Debug)]
struct Remote {
    limiter: Limiter,
    latency: Duration,
    fails_of_ten: u32,
    tokens: u64,
}

#[tokio::test(start_paused = true)]
async fn places_that_are_taken_by_what_waits_for_the_quota_are_not_what_limits() {
    // A text is three minutes' worth: as many as have places come to wait before the first is through.
    let limits = Limits { rpm: None, tpm: Some(100), concurrency: Some(4) };
    let limiter = Limiter::new(limits);
    let (times, wall) =
        embedded_by(Remote { limiter, latency: Duration::from_millis(50), fails_of_ten: 0, tokens: 300 }, 0).await;
    assert!(wall > f64::from(TEXTS) * 150.0, "{wall}");
    let limit = Limit::of(&Times { opening: 0.0, closing: 0.0, cpu: 0.0, ..times });
    assert!(limit.is_some_and(|limit| limit.cause == Cause::Quota && limit.share > 0.9), "{limit:?} {times:?}");
}

#[async_trait]
impl Embedder for Remote {
    fn model(&self) -> &'static str {
        "test/remote"
    }

    async fn dimensions(&self) -> Result<usize, ProviderError> {
        Ok(2)
    }

    fn limits(&self) -> EmbedLimits {
        EmbedLimits::new(1, 1000, 1000)
    }

    fn concurrency(&self) -> usize {
        self.limiter.concurrency()
    }

    async fn ready(&self) {
        self.limiter.ready().await;
    }

    async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
        let permit = self.limiter.admit(self.limiter.ticket(), self.tokens).await;
        let number: u32 = inputs[0].trim_start_matches("text ").parse().unwrap();
        let again = number % 10 < self.fails_of_ten;
        tell(Waiting::Wire);
        if again {
            // The first attempt fails at once.
            tell(Waiting::Retry);
        }
        sleep(self.latency).await;
        tell(Waiting::Nothing);
        drop(permit);
        Ok(Embedded::new(vec![vec![1.0, 2.0]; inputs.len()]))
    }
}
