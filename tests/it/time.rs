//! Where the time of an ingest goes: told in its summary, while it goes on, and by a service.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::both::{Ledger, over_both_ledgers};
use crate::project::ended;
use crate::rig::{CONCURRENCY, Kind, Rig, WIDTH, signal};
use crate::service::Service;
use crate::stand_in::{Reply, openai_embeddings};

over_both_ledgers! {
    a_run_that_waits_for_places_says_so_and_what_more_would_bring
    retries_are_no_work
}

/// A project of so many documents whose provider takes its time.
fn slow(kind: Kind, documents: usize, latency: Duration) -> Rig {
    let rig = Rig::new(kind);
    rig.answer(move |request| openai_embeddings(request, WIDTH).after(latency));
    // A busy machine, too, answers in time.
    let pipeline = String::from_utf8(rig.project.read("docs.yaml")).unwrap();
    rig.project.write("docs.yaml", pipeline.replace("timeout: 1s", "timeout: 60s"));
    rig.write_documents(documents);
    rig
}

fn seconds(times: &Value, names: &[&str]) -> f64 {
    names.iter().map(|name| times[*name].as_f64().unwrap_or_else(|| panic!("{name}: {times}"))).sum()
}

/// Holds of every run: what its clocks show sums up to its time.
fn is_whole(summary: &Value) {
    let time = &summary["time"];
    let wall = summary["seconds"].as_f64().unwrap();
    let parts = seconds(time, &["opening", "running", "closing"]);
    assert!((parts / wall - 1.0).abs() < 0.01, "{parts} of {wall}: {time}");
    let (running, cores) = (seconds(time, &["running"]), seconds(time, &["cores"]));
    for (step, places) in [("list", 1.0), ("read", cores), ("parse", cores), ("chunk", cores), ("store", 4.0), ("commit", 4.0)]
    {
        let sum = seconds(&time[step], &["working", "starved", "blocked"]);
        assert!((sum / (places * running) - 1.0).abs() < 0.01, "{step}: {sum} of {places} places: {time}");
    }
    let embed = seconds(&time["embed"], &["working", "starved", "blocked", "quota", "places", "wire", "retry"]);
    // Those on the wire, and a few that are put on the disk.
    let places = (CONCURRENCY + CONCURRENCY / 4 + 1) as f64;
    let share = embed / (places * running);
    // Fewer, while the server seems slow or overloaded: on a busy machine it does.
    assert!((1.0 / places..1.01).contains(&share), "embed: {embed} of {places} places: {time}");
}

fn a_run_that_waits_for_places_says_so_and_what_more_would_bring(ledger: Ledger) {
    let latency = Duration::from_millis(500);
    let rig = slow(ledger.kind(0), 40, latency);
    let mut child = rig.start(&[]);
    let mut limits = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        match line["type"].as_str() {
            Some("progress") => limits.push(line["limit"]["cause"].clone()),
            Some("summary") => {
                is_whole(&line);
                let limit = &line["limit"];
                assert_eq!((limit["cause"].as_str(), line["bottleneck"].as_str()), (Some("places"), Some("embed")), "{line}");
                assert!(limit["share"].as_f64().unwrap() > 0.5, "{line}");
                assert!(line["doubled"]["concurrency"].as_f64().unwrap() > 1.25, "{line}");
                assert_eq!(line["doubled"].get("quota"), None, "there is none");
                let wire = line["time"]["embed"]["wire"].as_f64().unwrap();
                let sent = line["embeddings"]["requests"].as_f64().unwrap() * latency.as_secs_f64();
                assert!(wire > sent * 0.95 && wire < sent * 1.5, "{wire} s on the wire, {sent} s of answers: {line}");
            }
            _ => {}
        }
    }
    assert!(limits.contains(&Value::from("places")), "{limits:?}");
    child.wait().unwrap();

    let rig = slow(ledger.kind(0), 40, latency);
    let run = rig.run(&["ingest"]);
    let last = run.stderr.lines().last().unwrap();
    assert!(last.starts_with("  limited by requests in flight ") && last.contains("concurrency"), "{}", run.stderr);
    let nothing_new = rig.run(&["ingest"]);
    assert!(!nothing_new.stderr.contains("limited"), "{}", nothing_new.stderr);
}

fn retries_are_no_work(ledger: Ledger) {
    let rig = slow(ledger.kind(0), 24, Duration::from_millis(5));
    let asked = Mutex::new(HashSet::new());
    rig.answer(move |request| {
        // Each for the first time.
        if asked.lock().unwrap().insert(request.body["input"].to_string()) {
            return Reply::status(500, &json!({"error": {"message": "not now"}}));
        }
        openai_embeddings(request, WIDTH).after(Duration::from_millis(5))
    });
    let summary = rig.complete();
    is_whole(&summary);
    assert_eq!(summary["limit"]["cause"], "retries", "{summary}");
    let embed = &summary["time"]["embed"];
    assert!(embed["retry"].as_f64().unwrap() > embed["wire"].as_f64().unwrap() * 3.0, "{summary}");
}

#[test]
fn a_service_is_looked_at_from_outside() {
    let rig = slow(Kind::Embedded, 240, Duration::from_millis(250));
    let none = rig.project.run(&["top", "--json"]);
    assert!(none.code == 2 && none.stderr.contains("ragstream serve"), "{}", none.stderr);
    let service = Service::start(&rig.project, &["-p", "docs.yaml", "--token", "a-token-of-sixteen"]);
    let ingest = rig.start(&[]);
    for address in [None, Some(service.url().to_owned())] {
        let mut told = vec!["top", "--json"];
        if let Some(url) = &address {
            told.extend([url, "--token", "a-token-of-sixteen"]);
        }
        let mut top = rig.project.start(&told);
        let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
        let mut told = (0..30).map(|_| serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap());
        let line = told.find(|line| line["jobs"][0]["progress"]["limit"]["cause"] == "places").expect("it is limited");
        let job = &line["jobs"][0];
        assert_eq!((line["type"].as_str(), job["pipeline"].as_str()), (Some("top"), Some("docs")), "{line}");
        let next = told.next().unwrap();
        let embed = &next["jobs"][0]["stages"]["embed"];
        assert!(embed["wire"].as_f64().unwrap() > 0.3 && embed["starved"].as_f64().unwrap() < 0.3, "{next}");
        assert!(next["jobs"][0]["chunks_per_second"].as_f64().unwrap() > 1.0, "{next}");
        let provider = &next["providers"][0];
        assert_eq!(provider["concurrency"].as_u64(), Some(CONCURRENCY as u64), "{next}");
        assert!(provider["in_flight"].as_u64().unwrap() <= CONCURRENCY as u64, "{next}");
        signal(&top, "INT");
        assert_eq!(ended(top).code, 0);
    }
    let refused = rig.project.run(&["top", service.url()]);
    assert!(refused.code == 2 && refused.stderr.contains("--token"), "{}", refused.stderr);
    let ended = ended(ingest).expect_code(0);
    is_whole(&ended.last("summary"));
}
