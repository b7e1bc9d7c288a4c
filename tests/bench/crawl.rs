//! How many pages a CPU second a crawl lists and reads, without chunks, vectors and an index: what Scrapy with an extractor does.
//!
//! ```text
//! cargo bench --bench crawl -- https://docs.example.org/    asks eight pages at a time, and keeps its state in memory
//! ```
//! Without an address it does nothing.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "the figure is the result, and a bench fails by panicking")]

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use ragstream::source::state::{MemoryState, State};
use ragstream::source::{Listed, Purpose, Source as _, Web, WebPlan};
use tokio::task::JoinSet;

/// Pages that are read at once.
const READERS: usize = 4;

fn main() {
    let Some(url) = std::env::args().skip(1).find(|argument| argument.starts_with("http")) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let (pages, bytes) = runtime.block_on(crawl(&url));
    let cpu = cpu_seconds();
    let (wall, rate) = (began.elapsed().as_secs_f64(), f64::from(pages) / cpu);
    println!("{pages} pages, {bytes} bytes of text, {wall:.1} s, {cpu:.2} s of CPU: {rate:.0} pages a CPU second");
}

async fn crawl(url: &str) -> (u32, usize) {
    let state: Arc<dyn State> = Arc::new(MemoryState::default());
    let mut plan = WebPlan::new(vec![url.parse().unwrap()], 50_000_000);
    plan.concurrency = Some(8);
    let web = Arc::new(Web::new(plan, |_| Arc::clone(&state), Purpose::Index));
    let (mut listing, mut readers) = (web.list(), JoinSet::new());
    let (mut pages, mut bytes) = (0, 0);
    while let Some(step) = listing.next().await {
        let Listed::Item(item) = step else { continue };
        pages += 1;
        let web = Arc::clone(&web);
        readers.spawn(async move {
            let fetched = web.fetch(std::slice::from_ref(&item)).await;
            web.settled(&[item.uri]).await;
            fetched.into_iter().flatten().map(|fetched| fetched.body.len()).sum::<usize>()
        });
        while readers.len() > READERS {
            bytes += readers.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(read) = readers.join_next().await {
        bytes += read.unwrap();
    }
    (pages, bytes)
}

/// Of all threads so far, as the kernel counts them in hundredths; 0 where there is no `/proc`.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
