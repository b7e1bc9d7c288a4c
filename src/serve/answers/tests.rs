#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::unused_async, reason = "a test may fail loudly")]

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;

/// Counts how many are under way.
struct Under(Arc<AtomicUsize>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// So many words, one a second.
async fn words(count: usize, under: Arc<AtomicUsize>) -> Result<impl Stream<Item = Value> + Send, Fault> {
    under.fetch_add(1, Ordering::SeqCst);
    let under = Under(under);
    Ok(async_stream::stream! {
        let _under = under;
        for n in 0..count {
            tokio::time::sleep(Duration::from_secs(1)).await;
            yield json!({"type": "token", "text": n});
        }
    })
}

fn asked() -> blake3::Hash {
    blake3::hash(b"what is asked")
}

fn texts(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["text"].as_u64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_in_time_gets_all_of_it_and_nothing_is_begun_twice() {
    let (answers, under, id) = (Answers::default(), Arc::new(AtomicUsize::new(0)), Uuid::from_u128(1));
    let mut first = Box::pin(answers.ask(id, asked(), words(10, Arc::clone(&under))).await.unwrap());
    assert_eq!(first.next().await.unwrap()["text"], 0);
    drop(first);
    tokio::time::sleep(Duration::from_millis(2900)).await;
    assert_eq!(under.load(Ordering::SeqCst), 1, "it goes on without a reader");
    let again = answers.ask(id, asked(), async { Err::<futures_util::stream::Empty<Value>, _>(Fault::busy()) }).await.unwrap();
    let beside = answers.follow(id).unwrap();
    let (again, beside) = tokio::join!(again.collect::<Vec<_>>(), beside.collect::<Vec<_>>());
    assert_eq!((texts(&again), texts(&beside)), ((0..10).collect(), (0..10).collect()));
    assert_eq!(under.load(Ordering::SeqCst), 0);
    assert_eq!(texts(&answers.follow(id).unwrap().collect::<Vec<_>>().await).len(), 10, "kept when it has ended");
    tokio::time::sleep(AFTER).await;
    assert!(answers.follow(id).is_err(), "and not for ever");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_back_has_it_dropped() {
    let (answers, under, id) = (Answers::default(), Arc::new(AtomicUsize::new(0)), Uuid::from_u128(1));
    drop(answers.ask(id, asked(), words(100, Arc::clone(&under))).await.unwrap());
    let since = Instant::now();
    while under.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((GRACE..GRACE + Duration::from_millis(50)).contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stopped_ends_for_all_at_once() {
    let (answers, under, id) = (Answers::default(), Arc::new(AtomicUsize::new(0)), Uuid::from_u128(1));
    let mut lines = Box::pin(answers.ask(id, asked(), words(100, Arc::clone(&under))).await.unwrap());
    lines.next().await.unwrap();
    answers.stop(id).unwrap();
    let last = lines.collect::<Vec<_>>().await;
    assert_eq!((last.len(), &last[0]["type"], &last[0]["kind"]), (1, &json!("error"), &json!("stopped")));
    assert_eq!(under.load(Ordering::SeqCst), 0);
    assert!(answers.stop(Uuid::from_u128(2)).is_err());
    // The service ends.
    let other = answers.ask(Uuid::from_u128(3), asked(), words(100, Arc::clone(&under))).await.unwrap();
    drop(answers);
    let last = other.collect::<Vec<_>>().await;
    assert_eq!((last.len(), &last[0]["kind"]), (1, &json!("stopped")));
    assert_eq!(under.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_begin_says_why_and_is_forgotten() {
    let (answers, id) = (Answers::default(), Uuid::from_u128(1));
    let begin = async { Err::<futures_util::stream::Empty<Value>, _>(Fault::bad("no sense")) };
    assert_eq!(answers.ask(id, asked(), begin).await.err().unwrap().message, "no sense");
    assert!(answers.follow(id).is_err());
    let panics = async { if true { panic!("on purpose") } else { Ok(futures_util::stream::empty::<Value>()) } };
    assert!(answers.ask(id, asked(), panics).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn how_many_and_how_much_has_a_bound() {
    let answers = Answers::default();
    let mut held = Vec::new();
    for n in 0..KEPT as u128 {
        held.push(answers.ask(Uuid::from_u128(n), asked(), words(1 + n as usize, Arc::default())).await.unwrap());
    }
    assert!(answers.ask(Uuid::from_u128(9999), asked(), words(1, Arc::default())).await.is_err(), "all are under way");
    let mut lines = pin!(held.remove(0));
    while lines.next().await.is_some() {}
    assert!(
        answers.ask(Uuid::from_u128(9999), asked(), words(1, Arc::default())).await.is_ok(),
        "one that has ended makes room"
    );

    let long = |n: usize| json!({"type": "token", "text": "x".repeat(n)});
    let mut lines = Lines::default();
    for _ in 0..1000 {
        lines.push(long(10_000));
        assert!(lines.bytes <= BYTES);
        assert_eq!(lines.bytes, lines.all.iter().flatten().map(size).sum::<usize>());
    }
    assert!(lines.lost > 0 && lines.all.last().unwrap().is_some());
}

#[test]
fn of_a_piece_that_comes_again_the_last_is_kept() {
    let mut lines = Lines::default();
    let piece = |block: u64, html: &str, open: bool| {
        let mut piece = json!({"type": "html", "block": block, "html": html});
        if open {
            piece["open"] = true.into();
        }
        piece
    };
    for n in 0..100 {
        lines.push(json!({"type": "token", "text": n}));
        lines.push(piece(0, &"word ".repeat(n), true));
    }
    lines.push(piece(0, "whole", false));
    lines.push(piece(1, "next", true));
    let kept: Vec<&Value> = lines.all.iter().flatten().filter(|line| line["type"] == "html").collect();
    assert_eq!(kept, [&piece(0, "whole", false), &piece(1, "next", true)]);
    assert_eq!(lines.all.iter().flatten().filter(|line| line["type"] == "token").count(), 100);
}

#[tokio::test(start_paused = true)]
async fn an_id_is_of_one_question() {
    let (answers, under, id) = (Answers::default(), Arc::new(AtomicUsize::new(0)), Uuid::from_u128(1));
    let first = answers.ask(id, asked(), words(3, Arc::clone(&under))).await.unwrap();
    let other = answers.ask(id, blake3::hash(b"something else"), words(3, Arc::clone(&under))).await;
    assert_eq!(other.err().map(|fault| fault.kind).as_deref(), Some("conflict"));
    assert_eq!(texts(&first.collect::<Vec<_>>().await), [0, 1, 2]);
}

/// Pieces of a hundredth of what is kept, as fast as they can be made.
async fn flood(count: usize) -> Result<impl Stream<Item = Value> + Send, Fault> {
    Ok(async_stream::stream! {
        for _ in 0..count {
            tokio::task::yield_now().await;
            yield json!({"type": "token", "text": "x".repeat(BYTES / 100)});
        }
    })
}

#[tokio::test(start_paused = true)]
async fn who_reads_too_slowly_is_told_what_is_missing() {
    let (answers, id) = (Answers::default(), Uuid::from_u128(1));
    let mut slow = answers.ask(id, asked(), flood(300)).await.unwrap();
    slow.next().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let rest: Vec<Value> = slow.collect().await;
    let last = rest.last().unwrap();
    assert_eq!((&last["type"], &last["kind"]), (&json!("error"), &json!("gone")), "{} lines, {last}", rest.len());
    assert_eq!(answers.ask(id, asked(), flood(1)).await.err().map(|fault| fault.kind).as_deref(), Some("gone"));
    assert_eq!(answers.follow(id).err().map(|fault| fault.kind).as_deref(), Some("gone"));
}
