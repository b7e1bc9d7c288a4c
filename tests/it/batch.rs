//! `ask --batch`: order, priorities, failures, and above all that nothing answered is ever asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::project::{Ended, ended};
use crate::rig::{signal, until};
use crate::several::program::{CHAT, Several, broken, chat};
use crate::stand_in::{Reply, Request};

/// The question in a request, which ends the prompt.
fn asked(request: &Request) -> String {
    let user = request.body["messages"][1]["content"].as_str().unwrap();
    user.rsplit_once("Question: ").unwrap().1.to_owned()
}

struct Desk {
    several: Several,
    /// Questions as they came to the stand-in, in order.
    asked: Arc<Mutex<Vec<String>>>,
}

fn question(n: usize) -> String {
    format!("How often are keys rotated, case {n}?")
}

impl Desk {
    fn new(answer: &str, limits: &str) -> Self {
        let desk = Self { several: Several::new(answer, limits), asked: Arc::default() };
        desk.answer(|question| chat(&[&format!("On {question}: "), "ninety days [1]."], Duration::from_millis(2)));
        desk
    }

    /// Answers every question like this, and remembers it.
    fn answer(&self, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        let log = Arc::clone(&self.asked);
        self.several.always(0, move |request| {
            let question = asked(request);
            log.lock().unwrap().push(question.clone());
            reply(&question)
        });
    }

    fn questions(&self, lines: impl IntoIterator<Item = Value>) {
        let lines: Vec<String> = lines.into_iter().map(|line| line.to_string()).collect();
        self.several.project.write("q.jsonl", lines.join("\n"));
    }

    fn ask(&self, more: &[&str]) -> Ended {
        self.several.ask(&[&["--batch", "q.jsonl"], more].concat())
    }

    fn start(&self, more: &[&str]) -> Child {
        self.several.project.start(&[&["ask", "-p", "p.yaml", "--batch", "q.jsonl"], more].concat())
    }

    /// What was asked since this was last called.
    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Ids of the answers in a file, each of them whole but perhaps the last.
    fn ids_in(&self, name: &str) -> Vec<String> {
        let Ok(file) = std::fs::read(self.several.project.path(name)) else { return Vec::new() };
        let lines = file.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        lines.map(|line| id(&serde_json::from_slice::<Value>(line).unwrap())).collect()
    }
}

fn id(line: &Value) -> String {
    line["id"].as_str().unwrap().to_owned()
}

fn plain(n: usize) -> Value {
    json!({"id": format!("q{n}"), "text": question(n)})
}

#[test]
fn one_answer_a_line_in_the_order_of_the_file() {
    let desk = Desk::new("", "{ concurrency: 4 }");
    // The first takes longest.
    desk.answer(|question| {
        let wait = if question.contains("case 0?") { 300 } else { 1 };
        chat(&[&format!("On {question}: "), "ninety days [1], [7]."], Duration::from_millis(2))
            .after(Duration::from_millis(wait))
    });
    desk.questions((0..10).map(plain));
    let ended = desk.ask(&[]).expect_code(0);
    let answers = ended.events();
    assert_eq!(answers.iter().map(id).collect::<Vec<_>>(), (0..10).map(|n| format!("q{n}")).collect::<Vec<_>>());
    let first = &answers[0];
    assert_eq!(first["answer"], format!("On {}: ninety days [1], [7].", question(0)));
    assert_eq!((&first["type"], &first["model"], &first["stop"]), (&json!("answer"), &json!("a/x"), &json!("end")));
    assert_eq!((&first["citations"], &first["unknown_citations"]), (&json!([1]), &json!([7])));
    assert_eq!(first["sources"][0], json!({"n": 1, "uri": "docs/keys.md", "lines": [1, 3]}));
    assert_eq!(first["usage"], json!({"input_tokens": 100, "output_tokens": 10}));
    assert!(ended.stderr.contains("10 questions answered · 1,000 + 100 tokens"), "{}", ended.stderr);
    assert_eq!(desk.several.apis[0].most_in_flight(), 4, "the provider's own concurrency");

    // Asked again, all is known: the record in the home has it, and the lines are the same.
    desk.take_asked();
    let again = desk.ask(&["--json"]).expect_code(0);
    assert!(desk.take_asked().is_empty());
    let summary = again.last("summary");
    assert_eq!((&summary["known"], &summary["usage"]["input_tokens"]), (&json!(10), &json!(0)));
    assert_eq!(again.events()[..10], answers[..]);

    // As they are done: the slow one comes last.
    std::fs::remove_file(desk.several.project.path(".ragstream/docs.answers.jsonl")).unwrap();
    let done = desk.ask(&["--order", "done", "--workers", "10"]).expect_code(0).events();
    assert_eq!(id(done.last().unwrap()), "q0");
    assert_eq!(done.len(), 10);
}

#[test]
fn what_is_urgent_goes_first() {
    let desk = Desk::new("", "{}");
    let line = |n: usize, priority: Value| json!({"id": n, "text": question(n), "priority": priority});
    desk.questions([line(0, json!(-1)), plain(1), line(2, json!(2.5)), line(3, json!(10)), plain(4)]);
    let ended = desk.ask(&["--workers", "1"]).expect_code(0);
    assert_eq!(desk.take_asked(), [3, 2, 1, 4, 0].map(question));
    assert_eq!(ended.events().iter().map(id).collect::<Vec<_>>(), ["0", "q1", "2", "3", "q4"], "printed in the file's order");
}

#[test]
fn equal_questions_are_asked_once_and_others_not_taken_for_them() {
    let desk = Desk::new("", "{}");
    desk.several.always(1, |_| chat(&["b"], Duration::ZERO));
    let same = |id: &str| json!({"id": id, "text": question(1)});
    let other = json!({"id": "d", "text": question(1), "model": "b/y"});
    desk.questions([same("a"), json!({"id": "b", "text": format!("  {} ", question(1))}), same("c"), other.clone()]);
    let answers = desk.ask(&[]).expect_code(0).events();
    assert_eq!(answers.iter().map(|line| line["model"].as_str().unwrap()).collect::<Vec<_>>(), ["a/x", "a/x", "a/x", "b/y"]);
    assert_eq!((desk.take_asked().len(), desk.several.apis[1].requests().len()), (1, 1));

    // Another id for what is known costs nothing, and comes under its own id.
    desk.questions([same("new"), other]);
    let answers = desk.ask(&[]).expect_code(0).events();
    assert_eq!(answers.iter().map(id).collect::<Vec<_>>(), ["new", "d"]);
    // Another model, another number of passages, another index: another answer.
    desk.questions([same("a")]);
    desk.ask(&["--model", "a/other"]).expect_code(0);
    assert_eq!(desk.take_asked().len(), 1);
    desk.ask(&["-k", "1"]).expect_code(0);
    assert_eq!(desk.take_asked().len(), 1);
    desk.several.project.write("docs/new.md", "# New\n\nKeys are now rotated every thirty days.\n");
    desk.several.project.run(&["ingest", "-p", "p.yaml"]).expect_code(0);
    desk.ask(&[]).expect_code(0);
    assert_eq!(desk.take_asked().len(), 1);
}

#[test]
fn bad_lines_are_named_and_the_others_go_on() {
    let desk = Desk::new("", "{}");
    let lines = [
        json!({"id": "a", "text": question(1)}).to_string(),
        "not json".into(),
        String::new(),
        json!({"id": "a", "text": question(2)}).to_string(),
        json!({"id": "b", "text": " "}).to_string(),
        json!({"id": "c", "text": "x", "model": "nobody/x"}).to_string(),
        json!({"id": "d", "text": "x", "priority": "high"}).to_string(),
        json!({"id": "e", "text": question(3), "metadata": {}}).to_string(),
    ];
    desk.several.project.write("q.jsonl", lines.join("\n"));
    let ended = desk.ask(&[]).expect_code(1);
    let failed: Vec<Value> = ended.of_type("failed").iter().map(|line| line["line"].clone()).collect();
    assert_eq!(failed, [2, 4, 5, 6, 7].map(|n| json!(n)), "{}", ended.stdout);
    assert_eq!(ended.of_type("answer").iter().map(id).collect::<Vec<_>>(), ["a", "e"]);
    for told in [
        "q.jsonl:2: expected ident",
        "q.jsonl:4: the id \"a\" is that of line 1",
        "q.jsonl:6: \"model\": ",
        "q.jsonl:7: invalid type",
    ] {
        assert!(ended.stderr.contains(&format!("error: {told}")), "{told}: {}", ended.stderr);
    }
    let none = desk.several.ask(&["--batch", "nowhere.jsonl"]).expect_code(2);
    assert!(none.stderr.contains("cannot open nowhere.jsonl"), "{}", none.stderr);
}

#[test]
fn a_failure_is_one_questions_own_and_is_tried_again_by_the_next_run() {
    let desk = Desk::new("", "{ concurrency: 2 }");
    let breaks = Arc::new(AtomicUsize::new(0));
    let (count, refuse) = (Arc::clone(&breaks), Arc::new(AtomicUsize::new(1)));
    let refusing = Arc::clone(&refuse);
    desk.answer(move |question| match question {
        // Breaks off once, and is asked again.
        q if q.contains("case 1?") && count.fetch_add(1, Ordering::SeqCst) == 0 => broken(&["Half "]),
        q if q.contains("case 2?") && refusing.load(Ordering::SeqCst) == 1 => {
            Reply::status(400, &json!({"error": {"message": "I will not"}}))
        }
        _ => chat(&["Whole [1]."], Duration::ZERO),
    });
    desk.questions((0..4).map(plain));
    let ended = desk.ask(&[]).expect_code(1);
    let failed = &ended.events()[2];
    assert_eq!((&failed["type"], &failed["id"], &failed["stage"]), (&json!("failed"), &json!("q2"), &json!("answer")));
    assert!(failed["error"].as_str().unwrap().contains("I will not"));
    assert!(ended.of_type("answer").iter().all(|line| line["answer"] == "Whole [1]."), "never spliced");
    assert_eq!(breaks.load(Ordering::SeqCst), 2);
    desk.take_asked();
    refuse.store(0, Ordering::SeqCst);
    assert_eq!(desk.ask(&[]).expect_code(0).of_type("answer").len(), 4);
    assert_eq!(desk.take_asked(), [question(2)]);
}

#[test]
fn what_would_fail_all_stops_the_batch_and_says_how_to_go_on() {
    let desk = Desk::new("", "{ concurrency: 1 }");
    desk.answer(|question| {
        if question.contains("case 0?") {
            chat(&["ok [1]"], Duration::ZERO)
        } else {
            Reply::status(401, &json!({"error": {"message": "no"}}))
        }
    });
    desk.questions((0..50).map(plain));
    let ended = desk.ask(&[]).expect_code(2);
    assert_eq!(desk.take_asked().len(), 2, "one answered, one refused for good");
    assert!(ended.stderr.contains("48 questions not asked: run the same command again"), "{}", ended.stderr);
    // An outage: each was tried as often as the pipeline says, and three are enough to know.
    desk.answer(|_| Reply::status(503, &json!({"error": {"message": "down"}})));
    desk.ask(&[]).expect_code(2);
    assert_eq!(desk.take_asked().len(), 3 * 2);
    // A wrong key of a model that only some questions name is theirs alone.
    desk.several.always(1, |_| Reply::status(401, &json!({"error": {"message": "no"}})));
    desk.answer(|_| chat(&["ok [1]"], Duration::ZERO));
    let own = json!({"id": "own", "text": question(99), "model": "b/y"});
    desk.questions(std::iter::once(own).chain((0..9).map(plain)));
    let ended = desk.ask(&[]).expect_code(1);
    assert_eq!((ended.of_type("answer").len(), ended.of_type("failed").len()), (9, 1));
}

#[test]
fn what_failed_alone_has_no_cost_that_is_known() {
    let desk = Desk::new("", "{}");
    let told = |code| {
        let summary = desk.ask(&["--json"]).expect_code(code).last("summary");
        ["cost_usd", "usage", "failed"].map(|name| summary[name].clone())
    };
    let (unknown, nothing) =
        (json!({"input_tokens": null, "output_tokens": null}), json!({"input_tokens": 0, "output_tokens": 0}));
    // It wrote, and was paid for that.
    desk.answer(|_| broken(&["Half "]));
    desk.questions([plain(0)]);
    assert_eq!(told(1), [json!(null), unknown, json!(1)]);
    // Nobody was asked.
    desk.questions([json!({"id": "empty", "text": " "})]);
    assert_eq!(told(1), [json!(0.0), nothing, json!(1)]);
}

#[test]
fn a_fallback_answers_for_the_batch_too() {
    let desk = Desk::new(", fallback: [b/y]", "{}");
    desk.answer(|question| if question.contains("case 1?") { broken(&["Half "]) } else { chat(&["ok [1]"], Duration::ZERO) });
    desk.several.always(1, |_| chat(&["From b [1]."], Duration::ZERO));
    desk.questions((0..3).map(plain));
    let answers = desk.ask(&[]).expect_code(0).events();
    let by: Vec<_> = answers.iter().map(|line| (line["model"].as_str().unwrap(), line["answer"].as_str().unwrap())).collect();
    assert_eq!(by, [("a/x", "ok [1]"), ("b/y", "From b [1]."), ("a/x", "ok [1]")]);
}

#[test]
fn an_interrupt_drains_what_is_under_way() {
    let desk = Desk::new("", "{ concurrency: 3 }");
    desk.answer(|_| chat(&["Slow ", "but sure [1]."], Duration::from_millis(250)));
    desk.questions((0..40).map(plain));
    let child = desk.start(&["--out", "answers.jsonl"]);
    until("some are answered", || desk.ids_in("answers.jsonl").len() >= 3);
    signal(&child, "INT");
    let interrupted = ended(child).expect_code(130);
    assert!(interrupted.stdout.is_empty(), "with --out, answers go there alone: {}", interrupted.stdout);
    assert!(
        interrupted.stderr.contains("not asked: run the same command again to go on; what is answered is in answers.jsonl")
    );
    let (asked, kept) = (desk.take_asked().len(), desk.ids_in("answers.jsonl").len());
    assert!(asked == kept && kept < 40, "what was asked is answered: {asked}, {kept}");
    desk.answer(|_| chat(&["ok [1]"], Duration::ZERO));
    desk.ask(&["--out", "answers.jsonl"]).expect_code(0);
    assert_eq!((desk.take_asked().len(), desk.ids_in("answers.jsonl").len()), (40 - kept, 40));
}

/// A small seeded sequence (splitmix64).
fn dice(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 31)) % bound
}

#[test]
fn killed_at_any_instant_nothing_answered_is_asked_again() {
    const QUESTIONS: usize = 60;
    for (seed, arguments, file) in
        [(1_u64, &["--out", "answers.jsonl"][..], "answers.jsonl"), (2, &["--order", "done"], ".ragstream/docs.answers.jsonl")]
    {
        let (mut seed, mut kills) = (seed, 0);
        let desk = Desk::new("", "{ concurrency: 5 }");
        desk.answer(|question| {
            let wait = question.len() as u64 % 7 * 3;
            chat(&[&format!("{question} "), "[1]"], Duration::from_millis(wait))
        });
        desk.questions((0..QUESTIONS).map(plain));
        let mut answers: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let before: BTreeSet<String> = desk.ids_in(file).into_iter().collect();
            let mut child = desk.start(arguments);
            // After so many requests, or so many lines, and a random moment more: between an answer and its line, too.
            let (requests, lines) = (1 + dice(&mut seed, 14) as usize, before.len() + 1 + dice(&mut seed, 9) as usize);
            let by_lines = dice(&mut seed, 2) == 0;
            let moment = Duration::from_micros(dice(&mut seed, 9_000));
            while child.try_wait().unwrap().is_none() {
                let now =
                    if by_lines { desk.ids_in(file).len() >= lines } else { desk.asked.lock().unwrap().len() >= requests };
                if now {
                    std::thread::sleep(moment);
                    child.kill().unwrap();
                    kills += 1;
                    break;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
            let run = ended(child);
            let asked = desk.take_asked();
            let again: Vec<_> =
                (0..QUESTIONS).filter(|n| before.contains(&format!("q{n}")) && asked.contains(&question(*n))).collect();
            assert!(again.is_empty(), "answered, and asked again: {again:?}");
            assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len(), "asked twice in one run");
            let ids = desk.ids_in(file);
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "one line a question");
            assert!(ids.len() >= before.len(), "nothing is lost");
            if run.code == 0 {
                assert_eq!(ids.len(), QUESTIONS);
                break;
            }
        }
        assert!(kills >= 3, "killed {kills} times");
        let whole = String::from_utf8(desk.several.project.read(file)).unwrap();
        for line in whole.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            answers.insert(id(&line), line["answer"].as_str().unwrap().to_owned());
        }
        for n in 0..QUESTIONS {
            assert_eq!(answers[&format!("q{n}")], format!("{} [1]", question(n)));
        }
        // And the finished batch costs nothing any more.
        desk.ask(arguments).expect_code(0);
        assert!(desk.take_asked().is_empty());
    }
}

#[test]
fn another_file_is_not_written_to() {
    let desk = Desk::new("", "{}");
    desk.questions([plain(1)]);
    let before = desk.several.project.read("q.jsonl");
    let refused = desk.ask(&["--out", "q.jsonl"]).expect_code(2);
    assert!(refused.stderr.contains("line 1 is no answer of a batch"), "{}", refused.stderr);
    assert_eq!(desk.several.project.read("q.jsonl"), before);
    for misuse in [
        &["--out", "a", "--order", "done"][..],
        &["--join", "best"],
        &["--model", "a/x", "--model", "b/y"],
        &["and a question"],
    ] {
        desk.ask(misuse).expect_code(2);
    }
    assert!(desk.take_asked().is_empty());
    assert!(!desk.several.apis[0].requests().iter().any(|request| request.path == CHAT));
}
