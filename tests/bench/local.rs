//! The speed of the local models: texts as JSON lines come in, passages a second of CPU come out, in the form of
//! `scripts/local_models.py`, beside which `scripts/local-models` runs it. `--vectors` prints the vectors instead.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use ragstream::Settings;
use ragstream::providers::local::{Hub, MODELS, load};
use ragstream::providers::{Embedder, InputType};

/// Seconds of CPU that this process has had.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

async fn embed(model: &Arc<dyn Embedder>, texts: &[String]) -> Vec<Vec<f32>> {
    let batches = texts.chunks(model.limits().items).map(|batch| model.embed(batch, InputType::Passage));
    // Two under way, so that no core waits at the end of a batch.
    let batches: Vec<_> = stream::iter(batches).buffered(2).collect().await;
    batches.into_iter().flat_map(|batch| batch.unwrap().vectors).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cache = std::env::var_os("RAGSTREAM_CACHE").map(PathBuf::from).or_else(Settings::users_cache).unwrap();
    let named = arguments.iter().find(|argument| MODELS.contains(&argument.as_str()));
    let texts: Vec<String> = match named {
        Some(_) => std::io::stdin().lock().lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect(),
        // A smoke run, as of all benches.
        None => vec!["A key is rotated.".to_owned(), "密钥轮换".to_owned()],
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in MODELS.iter().filter(|name| named.is_none_or(|named| named == *name)) {
        runtime.block_on(async {
            let (cpu, started) = (cpu_seconds(), Instant::now());
            let model = load(name, &cache, &Hub::from_env()).await.unwrap();
            let (loading_cpu, loading) = (cpu_seconds() - cpu, started.elapsed().as_secs_f64());
            embed(&model, texts.get(..8).unwrap_or(&texts)).await;
            let (cpu, started) = (cpu_seconds(), Instant::now());
            let vectors = embed(&model, &texts).await;
            let (cpu, seconds) = (cpu_seconds() - cpu, started.elapsed().as_secs_f64());
            assert_eq!(vectors.len(), texts.len());
            if arguments.iter().any(|argument| argument == "--vectors") {
                for vector in vectors {
                    println!("{}", serde_json::to_string(&vector).unwrap());
                }
                return;
            }
            let tokens: Option<usize> = texts.iter().map(|text| model.count_tokens(text)).sum();
            println!(
                "{}",
                serde_json::json!({"model": name, "passages": texts.len(), "tokens": tokens, "cpu_seconds": cpu, "seconds": seconds,
                    "loading_cpu_seconds": loading_cpu, "loading_seconds": loading})
            );
        });
    }
}
