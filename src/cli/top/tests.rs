#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use serde_json::json;

use super::*;

fn job(seconds: f64, added: u64, upserted: u64, quota: f64) -> Job {
    let mut time = Times::default();
    (time.running, time.embed.quota, time.embed.wire) = (seconds, quota, seconds - quota);
    serde_json::from_value(json!({
        "id": "1", "pipeline": "文档\u{1b}[2J", "state": "running",
        "progress": {
            "seconds": seconds, "documents": {"seen": 9, "added": added, "changed": 0, "unchanged": 0, "failed": 0},
            "chunks": {"made": 500, "upserted": upserted}, "embeddings": {"embedded": 1, "tokens": 2},
            "limit": {"cause": "quota", "share": 0.93, "stage": "embed"},
        },
        "cost_usd": 0.5, "time": time,
    }))
    .unwrap()
}

#[test]
fn the_last_second_is_what_came_since() {
    let now = Instant::now();
    let earlier = (now, job(10.0, 3, 100, 2.0));
    let seen = lately(&job(12.0, 7, 300, 3.5), Some(&earlier), now + Duration::from_secs(2));
    assert!((seen.documents_a_second - 2.0).abs() < 1e-9 && (seen.chunks_a_second - 100.0).abs() < 1e-9, "{seen:?}");
    assert!((seen.lately.embed.quota - 1.5).abs() < 1e-9 && (seen.lately.embed.sum() - 2.0).abs() < 1e-9, "{seen:?}");
    let first = lately(&job(10.0, 20, 100, 2.0), None, now);
    assert!((first.documents_a_second - 2.0).abs() < 1e-9, "{first:?}");
}
