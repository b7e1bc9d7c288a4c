//! A job from its beginning to its end, however it ends.

use super::*;
use crate::ingest::clocks::{Doing, Place, Step};
use crate::ingest::limit::Cause;

fn job() -> Arc<Job> {
    Job::new("docs", None, CancellationToken::new())
}

/// What it tells, until it ends.
fn told(job: &Arc<Job>) -> impl Future<Output = Vec<Value>> + use<> {
    futures_util::StreamExt::collect(Arc::clone(job).follow())
}

#[tokio::test(start_paused = true)]
async fn what_limits_an_ingest_is_told_in_one_way() {
    let job = job();
    assert_eq!(job.limit(), None, "it waits");
    job.pass(|_| true, Phase::Running);
    let clocks = &job.report.clocks;
    clocks.begin(|step| if step == Step::List { 1 } else { 8 });
    let _listing = Place::take(clocks, Step::List);
    let sent: Vec<Place> = (0..5).map(|_| Place::take(clocks, Step::Embed)).collect();
    for place in &sent {
        place.does(Doing::Wire);
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    // Five times as much goes on in another stage, which waits for the list all the same.
    let limit = job.limit();
    assert_eq!(limit.map(|limit| (limit.cause, limit.stage)), Some((Cause::Listing, Some(Stage::Read))));
    assert_eq!(job.view().progress.limit, limit);
    job.cancel();
    assert_eq!(job.limit(), limit, "what is in flight is still limited by it");
    job.pass(|_| true, Phase::Done);
    assert_eq!(job.limit(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_given_up_though_its_threads_get_no_time() {
    let background = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (running, turn) = (TaskTracker::new(), Turn::default());
    let (first, second) = (job(), job());
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let begun = Arc::new(tokio::sync::Notify::new());
    let starved = {
        let begun = Arc::clone(&begun);
        move |options: Options, report: Arc<Report>, _stop| {
            let (held, begun) = (Arc::clone(&held), Arc::clone(&begun));
            async move {
                report.documents.seen.add(7);
                begun.notify_one();
                // The only thread is busy until it is released, and sees nothing of a stop.
                let _ = lock(&held).recv();
                (options.listener)(&crate::source::SourceId::from("late"), "too late");
                std::future::pending().await
            }
        }
    };
    let run =
        Arc::clone(&first).run(starved, JobOptions::default(), Arc::clone(&turn), background.handle().clone(), running.clone());
    tokio::spawn(run);
    begun.notified().await;
    let done = |_, report: Arc<Report>, _| async move { Ok(IngestSummary::cut_short("docs", &report)) };
    let next = Arc::clone(&second).run(done, JobOptions::default(), turn, background.handle().clone(), running.clone());
    tokio::spawn(next);
    let (since, follow) = (tokio::time::Instant::now(), tokio::spawn(told(&first)));
    tokio::task::yield_now().await;
    first.cancel();
    assert_eq!(first.view().state, Phase::Stopping, "at once");
    first.ended().await;
    let waited = since.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31), "{waited:?}");
    let view = first.view();
    assert_eq!((view.state, view.progress.documents.seen), (Phase::Interrupted, 7));
    let end = view.end.unwrap();
    assert_eq!((end["outcome"].as_str(), end["documents"]["seen"].as_u64()), (Some("interrupted"), Some(7)), "{end}");
    let lines = follow.await.unwrap();
    let states: Vec<&str> = lines.iter().filter_map(|line| line["state"].as_str()).collect();
    assert!(states.len() > 20 && states.first() == Some(&"running"), "{states:?}");
    assert!(states[1..].iter().all(|state| *state == "stopping"), "{states:?}");
    assert_eq!(lines.last(), Some(&end));
    assert_eq!(second.phase(), Phase::Waiting, "something of the first is left");
    release.send(()).unwrap();
    second.ended().await;
    running.close();
    running.wait().await;
    assert_eq!(first.view().lines, 1, "what it says late is told nobody");
    background.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn the_time_in_the_queue_is_not_the_runs() {
    let (running, turn, job) = (TaskTracker::new(), Turn::default(), job());
    let held = Arc::clone(&turn).lock_owned().await;
    let begun = Arc::new(tokio::sync::Notify::new());
    let (told, seconds) = (Arc::clone(&begun), Duration::from_secs);
    let ingest = move |_, report: Arc<Report>, _| {
        let told = Arc::clone(&told);
        async move {
            told.notify_one();
            tokio::time::sleep(seconds(2)).await;
            Ok(IngestSummary { outcome: Outcome::Complete, ..IngestSummary::cut_short("docs", &report) })
        }
    };
    let run = Arc::clone(&job).run(ingest, JobOptions::default(), turn, Handle::current(), running.clone());
    tokio::spawn(run);
    tokio::time::sleep(seconds(40)).await;
    let view = job.view();
    assert_eq!((view.state, view.progress.seconds, view.time.opening), (Phase::Waiting, 0.0, 0.0));
    drop(held);
    begun.notified().await;
    tokio::time::sleep(seconds(1)).await;
    assert!((job.view().time.opening - 1.0).abs() < 0.1, "{:?}", job.view().time);
    job.ended().await;
    let (view, end) = (job.view(), job.view().end.unwrap());
    assert!((end["seconds"].as_f64().unwrap() - 2.0).abs() < 0.1, "{end}");
    assert!((view.time.opening - 2.0).abs() < 0.1, "{:?}", view.time);
}

#[tokio::test]
async fn one_that_waits_ends_at_once_and_one_that_ends_by_itself_is_done() {
    let (running, turn) = (TaskTracker::new(), Turn::default());
    let held = Arc::clone(&turn).lock_owned().await;
    let (waiting, stopped) = (job(), job());
    let never = |_, _, _| std::future::pending();
    let run = Arc::clone(&waiting).run(never, JobOptions::default(), Arc::clone(&turn), Handle::current(), running.clone());
    tokio::spawn(run);
    waiting.cancel();
    waiting.ended().await;
    assert_eq!(waiting.phase(), Phase::Interrupted);
    drop(held);
    // It was stopped when there was nothing left to do.
    let done = |_, report: Arc<Report>, stop: CancellationToken| async move {
        stop.cancelled().await;
        Ok(IngestSummary { outcome: Outcome::Complete, ..IngestSummary::cut_short("docs", &report) })
    };
    let run = Arc::clone(&stopped).run(done, JobOptions::default(), turn, Handle::current(), running.clone());
    tokio::spawn(run);
    while stopped.phase() == Phase::Waiting {
        tokio::task::yield_now().await;
    }
    stopped.cancel();
    assert_eq!(stopped.phase(), Phase::Stopping);
    stopped.ended().await;
    assert_eq!(stopped.phase(), Phase::Done);
    stopped.cancel();
    assert_eq!(stopped.phase(), Phase::Done, "it has ended");
}
