//! What anyone sees of all workers.

use std::path::Path;
use std::time::Duration;

use ragstream::cluster::{Cluster, ClusterStatus};

use super::Meeting;
use super::corpus::{Content, Corpus};

async fn status(meeting: &Meeting) -> ClusterStatus {
    Cluster::status(&meeting.url, Path::new("."), &meeting.name).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_works_on_what_and_what_is_left() {
    let mut corpus = Corpus::of(200);
    corpus.slow = Duration::from_millis(400);
    corpus.set(7, Content::Broken);
    let meeting = Meeting::new(corpus);
    assert!(Cluster::status(&meeting.url, Path::new("."), "没有人").await.unwrap().is_none(), "nobody has begun with it");
    let workers = [meeting.worker().await, meeting.worker().await];
    let under_way = loop {
        let now = status(&meeting).await;
        if now.workers.len() == 2 && now.taken > 0 {
            break now;
        }
        assert!(now.phase != "sealed" || now.round == 0, "it was never seen under way: {now:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(matches!(under_way.phase, "walking" | "listed") && under_way.round == 1, "{under_way:?}");
    assert_eq!(under_way.workers.iter().filter(|worker| worker.leads).count(), 1);
    assert!(under_way.waiting + under_way.taken + under_way.documents <= 200);
    assert!(under_way.workers.iter().all(|worker| worker.process == i64::from(std::process::id()) && worker.lease > 0.0));
    for worker in workers {
        worker.task.await.unwrap().unwrap();
    }
    let done = status(&meeting).await;
    assert_eq!((done.phase, done.waiting, done.taken, done.workers.len()), ("sealed", 0, 0, 0));
    assert_eq!((done.documents, done.failed), (199, 1));
    assert_eq!(done.failures[0].uri, super::corpus::uri(7));
    assert!(done.failures[0].error.contains("cannot be read"), "{done:?}");
}
