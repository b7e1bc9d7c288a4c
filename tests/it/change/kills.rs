//! Kills at any instant of a change: while the new vectors are made, at the switch, and while the old ones are removed.

use super::*;
use crate::rig::CONCURRENCY;

/// After a kill: it answers, by the old vectors as they were or by all of the new ones.
fn answers(rig: &Rig, old: &[Value], new: &[Value], case: &str) -> bool {
    let (hits, said) = searched(rig, "docs");
    let is_new = hits == new;
    assert!(is_new || hits == old, "{case}: neither the old index's answer nor the new one's: {hits:#?}");
    assert!(is_new || words(&said).contains("answers come from the vectors of"), "{case}: {said}");
    is_new
}

#[test]
fn killed_again_and_again_it_goes_on_where_it_was_and_pays_for_nothing_twice() {
    for kind in [Kind::Embedded, Kind::Qdrant] {
        let rig = indexed(kind);
        let old = searched(&rig, "docs").0;
        // What it costs undisturbed, with a cache that knows nothing of it.
        let new = fresh(&rig);
        let once = rig.paid.load(Ordering::SeqCst) / 2;
        std::fs::remove_dir_all(rig.project.path("cache")).unwrap();
        rewrite(&rig, "docs", OLD, NEW);
        rig.paid.store(0, Ordering::SeqCst);
        let mut kills = 0;
        for n in 0..4 {
            let stop = rig.requests.load(Ordering::SeqCst) + 2 + n;
            let killed = rig.kill_when(&[], || rig.requests.load(Ordering::SeqCst) >= stop);
            kills += usize::from(killed);
            let is_new = answers(&rig, &old, &new, &format!("{kind:?}, kill {n}"));
            assert!(!is_new || !killed, "killed half way");
        }
        assert!(kills > 1, "{kills}");
        let summary = rig.complete();
        assert_eq!(summary["change"]["complete"], true, "{summary}");
        assert!(answers(&rig, &old, &new, "in the end"));
        // A kill costs what was in flight, the batch that was answered and not on disk yet, a question for the width; the searches
        // in between one each.
        let (paid, most) = (rig.paid.load(Ordering::SeqCst), once + kills * ((CONCURRENCY + 1) * ITEMS + 2) + 8);
        assert!((once..=most).contains(&paid), "{kind:?}: {paid} inputs were paid for instead of {once}, with {kills} kills");
    }
}

#[test]
fn killed_at_the_switch_and_while_the_old_vectors_are_removed_embedded() {
    let rig = indexed(Kind::Embedded);
    let store = rig.project.path("store-docs");
    let old = searched(&rig, "docs").0;
    let new = fresh(&rig);
    let is = |file: &str, word: &str| std::fs::read_to_string(store.join(file)).is_ok_and(|meta| meta.contains(word));
    let complete = |file: &str| is(file, "\"complete\": true");
    let has_data = |folder: &str| {
        let entries = std::fs::read_dir(store.join(folder)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("index-")).count() > 0
    };
    let mut ends = std::collections::BTreeSet::new();
    let mut to_new = true;
    for n in 0..14 {
        let (from, to) = if to_new { (OLD, NEW) } else { (NEW, OLD) };
        let (was, will) = if to_new { (&old, &new) } else { (&new, &old) };
        // The slots take turns.
        let (here, there) = if n % 2 == 0 { ("", "second") } else { ("second", "") };
        rewrite(&rig, "docs", from, to);
        let meta = |folder: &str| if folder.is_empty() { "meta.json".to_owned() } else { format!("{folder}/meta.json") };
        rig.kill_when(&[], || match n % 7 {
            0 => has_data(there),
            1 => is(&meta(there), "\"complete\": false"),
            2 | 3 => complete(&meta(there)),
            4 | 5 => !store.join(meta(here)).exists(),
            _ => complete(&meta(there)) && !has_data(here),
        });
        let is_new = answers(&rig, was, will, &format!("kill {n}"));
        ends.insert((is_new, store.join(meta(here)).exists(), has_data(here)));
        let summary = rig.complete();
        assert_eq!(summary["embeddings"]["requests"], 0, "all of it is in the cache: {summary}");
        assert!(answers(&rig, was, will, &format!("after kill {n}")));
        assert!(!store.join(meta(here)).exists() && !has_data(here), "the old vectors are gone");
        to_new = !to_new;
    }
    assert!(ends.iter().any(|(is_new, ..)| !is_new) && ends.iter().any(|(is_new, ..)| *is_new), "{ends:?}");
}

#[test]
fn killed_between_any_two_of_the_last_calls_to_a_server() {
    let rig = indexed(Kind::Qdrant);
    let old = searched(&rig, "docs").0;
    let new = fresh(&rig);
    let faults = &rig.server.as_ref().unwrap().faults;
    let calls = || faults.calls.load(Ordering::SeqCst);
    // What a change comes to in calls, when all is in the cache.
    let counted = |from: &str, to: &str| {
        rewrite(&rig, "docs", from, to);
        let before = calls();
        rig.complete();
        calls() - before
    };
    let most = counted(OLD, NEW).min(counted(NEW, OLD));
    let (mut to_new, mut ends) = (true, [0, 0]);
    for back in [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30] {
        let (from, to) = if to_new { (OLD, NEW) } else { (NEW, OLD) };
        let (was, will) = if to_new { (&old, &new) } else { (&new, &old) };
        rewrite(&rig, "docs", from, to);
        let before = calls();
        faults.slow_ms.store(8, Ordering::SeqCst);
        rig.kill_when(&[], || calls() >= before + most - back);
        faults.slow_ms.store(0, Ordering::SeqCst);
        ends[usize::from(answers(&rig, was, will, &format!("{back} calls before the end")))] += 1;
        rig.complete();
        assert!(answers(&rig, was, will, &format!("after {back}")));
        assert_eq!(models(&rig).len(), 1);
        to_new = !to_new;
    }
    assert!(ends.iter().all(|times| *times > 0), "killed before the switch and after it: {ends:?}");
    if to_new {
        rig.expect_whole("in the end");
    }
}
