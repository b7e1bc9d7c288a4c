//! The fault matrix: what the provider and the store do wrong, and how a run ends that meets it. A passing trouble is waited
//! for, one bad document fails alone, what cannot get better ends the run at once; and the run after it loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::both::{Ledger, over_both_ledgers};
use crate::project::ended;
use crate::resume::Kept;
use crate::rig::{CONCURRENCY, Kind, Rig, WIDTH, document, signal, until, without_secrets};
use crate::stand_in::{Reply, Request, openai_embeddings};

over_both_ledgers! {
    a_provider_s_passing_trouble_is_waited_for
    a_node_of_the_cluster_that_is_away_is_waited_for
    a_provider_that_stays_away_ends_the_run_and_nothing_is_lost
    a_final_refusal_ends_the_run_at_once
    one_poisonous_input_fails_its_document_alone
    a_proxy_is_not_asked_for_this_machine
    two_first_runs_at_once_make_one_index
    an_answer_that_makes_no_sense_is_asked_for_again
    a_provider_whose_answers_make_no_sense_any_more_ends_the_run
    a_text_that_breaks_the_model_fails_its_document_alone_however_the_model_breaks
    a_text_that_the_model_makes_nothing_of_fails_its_document_alone
    a_store_s_passing_trouble_is_waited_for
    a_store_that_breaks_ends_the_run_and_nothing_is_lost
    a_store_that_is_gone_can_be_waited_for_or_given_up
}

fn good(request: &Request) -> Reply {
    openai_embeddings(request, WIDTH).after(Duration::from_millis(5))
}

fn refused(status: u16, code: &str) -> Reply {
    Reply::status(status, &json!({"error": {"message": format!("refused: {code}"), "code": code, "type": code}}))
}

/// A project whose provider answers every request well, save those with these numbers (from 0).
fn answering(
    kind: Kind,
    wrong: impl Fn(usize) -> bool + Send + Sync + 'static,
    reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Rig {
    let rig = Rig::new(kind);
    rig.write_documents(10);
    let count = AtomicUsize::new(0);
    rig.answer(move |request| if wrong(count.fetch_add(1, Ordering::SeqCst)) { reply(request) } else { good(request) });
    rig
}

/// A healthy run after a bad one finishes the index, and no failure is listed any more.
fn expect_recovery(rig: &Rig, case: &str) {
    rig.answer(good);
    rig.complete();
    rig.expect_whole(case);
    assert_eq!(rig.failures(), [], "{case}");
}

fn a_provider_s_passing_trouble_is_waited_for(ledger: Ledger) {
    type Fault = (&'static str, fn(&Request) -> Reply);
    let faults: [Fault; 7] = [
        ("error", |_| refused(500, "server_error")),
        ("overloaded", |_| refused(503, "server_is_overloaded").header("retry-after-ms", 50)),
        ("refusal", |_| refused(429, "rate_limit_exceeded").header("retry-after", 1)),
        ("drop", |request| good(request).cut(0)),
        ("truncated", |request| good(request).cut(150)),
        ("stalled", |request| good(request).stall(150)),
        ("hang", |_| Reply::hang()),
    ];
    for (n, (name, fault)) in faults.into_iter().enumerate() {
        let rig = answering(ledger.kind(n), |n| n == 0 || n == 4, fault);
        let summary = rig.complete();
        assert!(
            summary["embeddings"]["retries"].as_u64().unwrap() + summary["embeddings"]["throttled"].as_u64().unwrap() >= 2,
            "{name}: {summary}"
        );
        rig.expect_whole(name);
    }
}

fn a_node_of_the_cluster_that_is_away_is_waited_for(ledger: Ledger) {
    let rig = with_store_fault(ledger, |faults| faults.leader_away.store(true, Ordering::SeqCst));
    let faults = Arc::clone(&rig.server.as_ref().unwrap().faults);
    let child = rig.start(&[]);
    until("the outage", || faults.leader_away.load(Ordering::SeqCst));
    let calls = faults.calls.load(Ordering::SeqCst);
    until("calls to the store", || faults.calls.load(Ordering::SeqCst) > calls + 4);
    faults.leader_away.store(false, Ordering::SeqCst);
    without_secrets(ended(child)).expect_code(0);
    rig.expect_whole("leader away");
}

fn a_provider_that_stays_away_ends_the_run_and_nothing_is_lost(ledger: Ledger) {
    for (n, from) in [0, 4].into_iter().enumerate() {
        let rig = answering(ledger.kind(n), move |n| n >= from, |_| refused(503, "server_error"));
        let gone = rig.ingest(&[]).expect_code(2);
        assert!(gone.stderr.contains("error:") && gone.stderr.contains("3 attempts"), "{}", gone.stderr);
        expect_recovery(&rig, "away");
    }
}

fn a_final_refusal_ends_the_run_at_once(ledger: Ledger) {
    let refusals =
        [(3, 401, "invalid_api_key", "key"), (3, 429, "insufficient_quota", "credit"), (0, 404, "model_not_found", "model")];
    for (n, (from, status, code, hint)) in refusals.into_iter().enumerate() {
        let rig = answering(ledger.kind(n), move |n| n >= from, move |_| refused(status, code));
        let ended = rig.ingest(&[]).expect_code(2);
        let said = ended.stderr.to_lowercase();
        assert!(said.contains("error:") && said.contains("hint:") && said.contains(hint), "{code}: {}", ended.stderr);
        let requests = rig.requests.load(Ordering::SeqCst);
        // Those in flight, and those that left while the first refusal was on its way through the stages.
        assert!(requests <= from + 2 * CONCURRENCY, "{code}: {requests} requests");
        expect_recovery(&rig, code);
    }
}

fn one_poisonous_input_fails_its_document_alone(ledger: Ledger) {
    for &kind in ledger.kinds() {
        let rig = Rig::new(kind);
        rig.write_documents(6);
        rig.complete();
        rig.write_documents(10);
        let keep = Kept::of(&rig, "docs/05.txt");
        let poisonous = document(40, 3) + "This paragraph is the one that holds POISON and nothing else of any use.\n";
        rig.project.write("docs/05.txt", &poisonous);
        rig.project.write("docs/30.txt", &poisonous);
        rig.answer(|request| {
            let poisoned =
                request.body["input"].as_array().unwrap().iter().any(|input| input.as_str().unwrap().contains("POISON"));
            if poisoned { refused(400, "invalid_prompt") } else { good(request) }
        });
        for _ in 0..2 {
            let ended = rig.ingest(&[]).expect_code(1);
            let mut failed: Vec<_> =
                ended.of_type("failed").iter().map(|event| event["uri"].as_str().unwrap().to_owned()).collect();
            failed.sort_unstable();
            assert_eq!(failed, ["docs/05.txt", "docs/30.txt"], "{ended:?}");
            let listed = ["docs/05.txt", "docs/30.txt"].map(|uri| (uri.to_owned(), "embed".to_owned()));
            assert_eq!(rig.failures(), listed);
        }
        let summary = rig.ingest(&[]).last("summary");
        assert_eq!((&summary["documents"]["unchanged"], &summary["documents"]["failed"]), (&9.into(), &2.into()), "{summary}");
        for n in (0..5).chain(6..10) {
            assert!(rig.contents().uris().contains(&format!("docs/{n:02}.txt").as_str()));
        }
        rig.project.remove("docs/30.txt");
        // As it was before, to the nanosecond.
        keep.restore();
        expect_recovery(&rig, "poison");
    }
}

/// A proxy that nobody answers at must not be asked for what is on this machine: neither the provider nor the store.
fn a_proxy_is_not_asked_for_this_machine(ledger: Ledger) {
    let mut rig = Rig::new(ledger.on_a_server());
    rig.write_documents(3);
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        rig.project = rig.project.with(variable, "http://127.0.0.1:9".to_owned());
    }
    rig.complete();
    rig.expect_whole("behind a proxy");
}

fn two_first_runs_at_once_make_one_index(ledger: Ledger) {
    let rig = Rig::new(ledger.on_a_server());
    rig.write_documents(6);
    let faults = &rig.server.as_ref().unwrap().faults;
    // Long enough that both find no collection.
    faults.slow_ms.store(100, Ordering::SeqCst);
    let runs = ["one", "two"].map(|home| rig.start(&["--home", home]));
    let codes = runs.map(|run| without_secrets(ended(run)).expect_code(0).code);
    faults.slow_ms.store(0, Ordering::SeqCst);
    assert_eq!(codes, [0, 0]);
    rig.expect_whole("two at once");
}

/// In a cluster a collection that is being made exists, and nobody can tell of it: for longer than a server that is not there is
/// waited for.
#[test]
fn an_index_that_another_run_is_making_is_waited_for() {
    let rig = Rig::new(Kind::Qdrant);
    rig.write_documents(6);
    let faults = &rig.server.as_ref().unwrap().faults;
    faults.slow_ms.store(100, Ordering::SeqCst);
    faults.making_ms.store(8_000, Ordering::SeqCst);
    let runs = ["one", "two"].map(|home| rig.start(&["--home", home]));
    let codes = runs.map(|run| without_secrets(ended(run)).expect_code(0).code);
    faults.slow_ms.store(0, Ordering::SeqCst);
    assert_eq!(codes, [0, 0]);
    rig.expect_whole("one made by two");
}

/// The good answer to a part of what was asked.
fn part(request: &Request, inputs: usize, width: usize) -> Reply {
    let mut request = request.clone();
    request.body["input"].as_array_mut().unwrap().truncate(inputs);
    openai_embeddings(&request, width)
}

type Fault = (&'static str, fn(&Request) -> Reply, &'static str);

/// Answers that make no sense, and what is said of them.
const SENSELESS: [Fault; 3] = [
    ("short batch", |request| part(request, inputs(request).len() - 1, WIDTH), "vectors came for"),
    ("wrong dimension", |request| part(request, usize::MAX, WIDTH + 1), "17 wide, not 16"),
    ("no json", |_| Reply::raw(200, "application/json", "{\"data\": ["), "cannot read the answer"),
];

fn inputs(request: &Request) -> &[serde_json::Value] {
    request.body["input"].as_array().unwrap()
}

fn poisoned(input: &serde_json::Value) -> bool {
    input.as_str().unwrap().contains("POISON")
}

fn an_answer_that_makes_no_sense_is_asked_for_again(ledger: Ledger) {
    for (n, (name, fault, _)) in SENSELESS.into_iter().enumerate() {
        let paid = |summary: &serde_json::Value| summary["embeddings"]["tokens"].as_u64().unwrap();
        let once = paid(&answering(ledger.kind(n), |_| false, good).complete());
        let rig = answering(ledger.kind(n), |n| n == 2, fault);
        let summary = rig.complete();
        assert_eq!(summary["embeddings"]["retries"], 1, "{name}: {summary}");
        assert!(paid(&summary) > once, "what was paid for in vain is on the bill: {summary}");
        rig.expect_whole(name);
    }
}

fn a_provider_whose_answers_make_no_sense_any_more_ends_the_run(ledger: Ledger) {
    for (n, (name, fault, words)) in SENSELESS.into_iter().enumerate() {
        let rig = answering(ledger.kind(n), |n| n >= 4, fault);
        let ended = rig.ingest(&[]).expect_code(2);
        assert!(ended.stderr.contains(words) && ended.stderr.contains("3 attempts"), "{name}: {}", ended.stderr);
        let requests = rig.requests.load(Ordering::SeqCst);
        // And a word, asked for twice, for each batch that could have been its texts' fault.
        assert!(requests <= 4 + (3 * 3 + 2) * CONCURRENCY, "{name}: {requests} requests were paid for");
        expect_recovery(&rig, name);
    }
}

fn a_text_that_breaks_the_model_fails_its_document_alone_however_the_model_breaks(ledger: Ledger) {
    let breaks: [Fault; 4] = [
        ("server error", |_| refused(500, "the model made a NaN"), "made a NaN"),
        ("bad gateway", |_| Reply::raw(502, "text/html", "<html>Bad Gateway</html>"), "HTTP 502"),
        ("dies", |request| good(request).cut(0), "connection ended"),
        ("bare NaN", |_| Reply::raw(200, "application/json", "{\"data\": [{\"embedding\": [NaN]}]}"), "cannot read the answer"),
    ];
    for (n, (name, fault, words)) in SENSELESS.into_iter().chain(breaks).enumerate() {
        let rig = Rig::new(ledger.kind(n));
        rig.write_documents(10);
        for odd in ["docs/03b.txt", "docs/30.txt"] {
            rig.project
                .write(odd, format!("This paragraph of {odd} is the one that holds POISON and nothing else of any use.\n"));
        }
        rig.answer(move |request| if inputs(request).iter().any(poisoned) { fault(request) } else { good(request) });
        let ended = rig.ingest(&[]).expect_code(1);
        let failed = ended.of_type("failed");
        assert!(failed.iter().all(|event| event["error"].as_str().unwrap().contains(words)), "{name}: {ended:?}");
        let listed = ["docs/03b.txt", "docs/30.txt"].map(|uri| (uri.to_owned(), "embed".to_owned()));
        assert_eq!(rig.failures(), listed, "{name}: {ended:?}");
        for n in 0..10 {
            assert!(rig.contents().uris().contains(&format!("docs/{n:02}.txt").as_str()), "{name}: {n}");
        }
        expect_recovery(&rig, name);
    }
}

fn a_text_that_the_model_makes_nothing_of_fails_its_document_alone(ledger: Ledger) {
    let nothing = |request: &Request| {
        let vector =
            |input: &serde_json::Value| if poisoned(input) { json!(vec![0.0; WIDTH]) } else { json!(vec![0.25; WIDTH]) };
        let items: Vec<_> = inputs(request).iter().map(|input| json!({"embedding": vector(input)})).collect();
        Reply::json(&json!({"data": items}))
    };
    for &kind in ledger.kinds() {
        let rig = Rig::new(kind);
        rig.write_documents(10);
        rig.project.write("docs/30.txt", document(40, 3) + "This paragraph is the one that holds POISON and nothing else.\n");
        rig.answer(nothing);
        let ended = rig.ingest(&[]).expect_code(1);
        assert_eq!(rig.failures(), [("docs/30.txt".to_owned(), "embed".to_owned())], "{ended:?}");
        assert!(ended.of_type("failed")[0]["error"].as_str().unwrap().contains("all zero"), "{ended:?}");
        assert_eq!(ended.last("summary")["embeddings"]["retries"], 0, "{ended:?}");
    }
}

/// Runs over a server that begins to misbehave in the midst of the run.
fn with_store_fault(ledger: Ledger, fault: impl Fn(&crate::qdrant_server::Faults) + Send + Sync + 'static) -> Rig {
    let rig = Rig::new(ledger.on_a_server());
    rig.write_documents(10);
    let faults = Arc::clone(&rig.server.as_ref().unwrap().faults);
    let count = AtomicUsize::new(0);
    rig.answer(move |request| {
        if count.fetch_add(1, Ordering::SeqCst) == 5 {
            fault(&faults);
        }
        good(request)
    });
    rig
}

fn a_store_s_passing_trouble_is_waited_for(ledger: Ledger) {
    type Fault = (&'static str, fn(&crate::qdrant_server::Faults));
    let faults: [Fault; 3] = [
        ("unavailable", |faults| faults.unavailable.store(6, Ordering::SeqCst)),
        ("slow", |faults| faults.slow_ms.store(100, Ordering::SeqCst)),
        ("cut", |faults| faults.cut.store(3, Ordering::SeqCst)),
    ];
    for (name, fault) in faults {
        let rig = with_store_fault(ledger, fault);
        rig.complete();
        rig.server.as_ref().unwrap().faults.slow_ms.store(0, Ordering::SeqCst);
        rig.expect_whole(name);
    }
}

fn a_store_that_breaks_ends_the_run_and_nothing_is_lost(ledger: Ledger) {
    let rig = with_store_fault(ledger, |faults| faults.broken.store(1000, Ordering::SeqCst));
    let ended = rig.ingest(&[]).expect_code(2);
    assert!(ended.stderr.contains("error:") && ended.stderr.contains("out of disk"), "{}", ended.stderr);
    rig.server.as_ref().unwrap().faults.broken.store(0, Ordering::SeqCst);
    expect_recovery(&rig, "broken");
}

fn a_store_that_is_gone_can_be_waited_for_or_given_up(ledger: Ledger) {
    let rig = with_store_fault(ledger, |faults| faults.unavailable.store(usize::MAX, Ordering::SeqCst));
    let faults = Arc::clone(&rig.server.as_ref().unwrap().faults);
    let child = rig.start(&[]);
    until("the outage", || faults.unavailable.load(Ordering::SeqCst) > 1000);
    let calls = faults.calls.load(Ordering::SeqCst);
    until("calls to the store", || faults.calls.load(Ordering::SeqCst) > calls + 4);
    signal(&child, "INT");
    without_secrets(ended(child)).expect_code(130);

    // Not there when a run begins: waited for a moment, in which one can stop it.
    let calls = faults.calls.load(Ordering::SeqCst);
    let child = rig.start(&[]);
    until("calls to the store", || faults.calls.load(Ordering::SeqCst) > calls);
    signal(&child, "INT");
    let summary = without_secrets(ended(child)).expect_code(130).last("summary");
    assert_eq!((&summary["outcome"], &summary["documents"]["seen"]), (&json!("interrupted"), &json!(0)), "{summary}");

    let refused = rig.ingest(&[]).expect_code(2);
    assert!(refused.stderr.contains("the store does not answer"), "{}", refused.stderr);
    assert!(refused.stderr.contains("cannot reach the store") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    // A server that is just starting.
    faults.unavailable.store(3, Ordering::SeqCst);
    expect_recovery(&rig, "gone");
}

/// Files may not grow beyond a size, as on a full disk: writes fail in the index, in the ledger or in both.
#[test]
fn a_full_disk_ends_the_run_and_nothing_is_lost() {
    let mut codes = Vec::new();
    for blocks in [16, 100, 1000, 8500] {
        let rig = Rig::new(Kind::Embedded);
        rig.write_documents(2);
        rig.complete();
        rig.write_documents(10);
        rig.project.write("docs/50.txt", document(50, 120));
        let prelude = format!("trap '' XFSZ; ulimit -f {blocks}");
        let full = without_secrets(ended(rig.project.start_in_shell(&prelude, &["ingest", "-p", "docs.yaml", "--json"])));
        assert_eq!(full.code == 2, full.stderr.contains("error:"), "{blocks}: {full:?}");
        codes.push(full.code);
        expect_recovery(&rig, &format!("{blocks} blocks: {}", full.stderr));
    }
    assert!(codes.iter().all(|code| [0, 2].contains(code)), "{codes:?}");
    assert!(codes.contains(&0) && codes.contains(&2), "some disks are large enough, some are not: {codes:?}");
}
