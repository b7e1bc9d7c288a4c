//! Commands over several pipelines: beside a service of these, and of questions about all documents.

use super::*;
use crate::whole::model::{Task, answers, incidents, task};

const REVERSED: [&str; 4] = ["-p", "tickets.yaml", "-p", "docs.yaml"];

async fn counted(service: &Service, of: &str) -> u64 {
    let text = client().get(service.at("/metrics")).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with(&format!("ragstream_{of}_total{{pipeline=\"(together)\"")));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Without how long it took.
fn timeless(text: &str) -> String {
    let mut kept = String::new();
    for line in text.lines() {
        let Ok(mut event) = serde_json::from_str::<Value>(line) else {
            // "… · 0.3 s · …"
            let words = line.split(' ').map(|word| if word.parse::<f64>().is_ok() { "?" } else { word });
            kept.push_str(&words.collect::<Vec<_>>().join(" "));
            kept.push('\n');
            continue;
        };
        untimed(&mut event);
        kept.push_str(&format!("{event}\n"));
    }
    kept
}

fn untimed(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, _| key != "seconds" && key != "ttft_ms");
            object.values_mut().for_each(untimed);
        }
        Value::Array(values) => values.iter_mut().for_each(untimed),
        _ => {}
    }
}

/// What commands print over both, each with its arguments.
fn printed(project: &Project, run: &str) -> Vec<(String, String)> {
    let keys = "How often are keys rotated?";
    let out = format!("{run}.jsonl");
    let commands: [&[&str]; 12] = [
        &["search", keys],
        &["search", "渡轮的水泵", "-k", "2", "--where", "lang=zh"],
        &["search", keys, "--where", "path=nowhere/**"],
        &["search", "--queries", "queries.jsonl"],
        &["ask", keys],
        &["ask", "渡轮的水泵怎么了？", "-k", "1"],
        &["ask", keys, "--model", "api/refuses"],
        &["ask", keys, "--model", "api/m", "--model", "api/later"],
        &["ask", keys, "--model", "nobody/m"],
        &["ask", "--batch", "questions.jsonl", "--workers", "1", "--out", &out],
        &["why", "17.md", "pump of the ferry"],
        &["why", "渡轮.md", "lamps of the lighthouse", "-k", "1"],
    ];
    let mut all = Vec::new();
    for order in [BOTH, REVERSED] {
        // In the other order few are enough.
        let some = if order == BOTH { 0..commands.len() } else { 3..6 };
        for command in &commands[some] {
            for extra in [&[][..], &["--json"]] {
                let arguments = [*command, extra, &order].concat();
                let Ended { code, stdout, stderr } = project.run(&arguments);
                let shown = format!("{code}\n{}---\n{}", timeless(&stdout), timeless(&stderr));
                all.push((arguments.join(" ").replace(run, ""), shown.replace(run, "")));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_these_answers_and_nothing_that_is_printed_tells() {
    let desk = Desk::new().await;
    desk.api.always(CHAT, |request| match request.body["model"].as_str() {
        Some("refuses") => Reply::status(401, &json!({"error": {"message": "no such key", "code": "invalid_api_key"}})),
        _ => answer(),
    });
    let line = |id: &str, text: &str| json!({"id": id, "text": text}).to_string();
    desk.project.write("queries.jsonl", [line("a", "rotated keys"), line("b", "渡轮")].join("\n"));
    desk.project
        .write("questions.jsonl", [line("a", "How often are keys rotated?"), line("b", "渡轮的水泵怎么了？")].join("\n"));
    let asked = || desk.api.requests().iter().filter(|request| request.path.contains(CHAT)).count();
    let without = tokio::task::block_in_place(|| printed(&desk.project, "run-one"));
    let before = asked();
    let service = start(&desk.project, &BOTH);
    let with = tokio::task::block_in_place(|| printed(&desk.project, "run-two"));
    for ((command, without), (_, with)) in without.iter().zip(&with) {
        // Which of two models comes first is chance.
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if command.contains("api/later") {
                lines.sort();
            }
            lines
        };
        assert_eq!(lines(with), lines(without), "{command}");
    }
    assert_eq!(asked(), 2 * before, "and the provider is asked the same");
    let counts = (counted(&service, "searches").await, counted(&service, "answers").await);
    assert!(counts.0 >= 14 && counts.1 >= 12, "the service did it, in either order: {counts:?}");

    // One that it does not serve: the command asks all of them itself.
    desk.pipeline("later", "", "");
    let three = [&["search", "pump of the ferry", "--json"][..], &BOTH, &["-p", "later.yaml"]].concat();
    let found = run(&desk.project, &three).expect_code(0);
    assert!(found.stderr.contains("The pipeline later is left out"), "{found:?}");
    assert_eq!(counted(&service, "searches").await, counts.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_service_ingests_the_commands_are_answered_and_find_at_once_what_is_new() {
    let desk = Desk::new().await;
    let service = start(&desk.project, &BOTH);
    let search = |query: &str| run(&desk.project, &[&["search", query, "--json", "-k", "10"][..], &BOTH].concat());
    assert_eq!(search("pump of the ferry").expect_code(0).of_type("hit")[0]["uri"], "tickets/17.md");
    for n in 0..400 {
        desk.project.write(
            &format!("docs/log/{n}.md"),
            format!("# Log {n}\n\nOn day {n} the keeper of lamp {n} wrote 第 {n} 天的记录。\n"),
        );
    }
    desk.api.always("/embeddings", |request| openai_embeddings(request, 16).after(Duration::from_millis(200)));
    desk.project.write("tickets/20.md", "# Ticket 20\n\nThe rudder of the barge is stuck. 驳船的舵卡住了。\n");
    let (status, told) = post(&service.at("/api/ingest"), &json!({})).await;
    assert_eq!(status, 202, "{told}");
    let under_way = async || {
        let jobs = get(&service.at("/api/ingest")).await.1["jobs"].clone();
        jobs.as_array().unwrap().iter().any(|job| job["state"] == "running" || job["state"] == "waiting")
    };
    let mut meanwhile = 0;
    while under_way().await {
        let found = search("pump of the ferry").expect_code(0);
        assert_eq!(found.of_type("hit")[0]["uri"], "tickets/17.md");
        assert!(!found.stderr.contains("left out"), "{}", found.stderr);
        meanwhile += 1;
        assert!(meanwhile < 600, "it does not end");
    }
    assert!(meanwhile > 0, "none was asked meanwhile");
    assert!(counted(&service, "searches").await >= meanwhile, "the service did it");
    for (query, uri) in [("驳船的舵", "tickets/20.md"), ("the keeper of lamp 399", "docs/log/399.md")] {
        let found = search(query).expect_code(0);
        assert!(found.of_type("hit").iter().any(|hit| hit["uri"] == uri), "{query}: {}", found.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_documents_of_all_are_read_by_the_first_ones_model_or_the_one_that_is_named() {
    let desk = Desk::new().await;
    desk.api.always(CHAT, answers);
    for n in 0..12 {
        let filler = format!("The crew of shift {n} wrote down what it saw in the hall of pump {n}. ").repeat(6);
        desk.project
            .write(&format!("docs/r{n}.md"), format!("# Report {n}\n\nThe incident INC-{n:03} was reported. {filler}\n"));
        let filler = format!("第 {n} 班的值班人员检查了水泵并记录了情况。").repeat(6);
        desk.project.write(&format!("tickets/报告{n}.md"), format!("# 报告 {n}\n\n发生了事故 INC-1{n:02}。{filler}\n"));
    }
    for (name, model) in [("docs", "m"), ("tickets", "n")] {
        run(&desk.project, &["ingest", "-p", &format!("{name}.yaml"), "-q"]).expect_code(0);
        let file = String::from_utf8(desk.project.read(&format!("{name}.yaml"))).unwrap();
        let prices = "retry: { attempts: 1 }, prices: { m: { input: 1.0, output: 4.0 }, n: { input: 2.0, output: 8.0 } }";
        let file = file.replace("retry: { attempts: 1 }", prices);
        let whole = format!("answer: {{ model: api/{model} }}, whole: {{ part_tokens: 1000 }}");
        desk.project.write(&format!("{name}.yaml"), file.replace("answer: { model: api/m }", &whole));
    }
    let all: Vec<String> = (0..12).flat_map(|n| [format!("INC-{n:03}"), format!("INC-1{n:02}")]).collect();
    let expect_all = |text: &str| {
        for incident in &all {
            assert!(incidents(text).contains(&incident.as_str()), "{incident}: {text}");
        }
    };
    let (mut costs, named) = (Vec::new(), [&REVERSED[..], &["--model", "api/m", "--refresh"]].concat());
    for (question, more, model) in [
        ("List all incidents", &BOTH[..], "m"),
        ("请列出所有事故", &REVERSED[..], "n"),
        ("List all incidents", &named[..], "m"),
    ] {
        let before = desk.api.requests().len();
        let told = run(&desk.project, &[&["ask", question, "--all", "--json"], more].concat()).expect_code(0);
        assert_eq!(told.events()[0]["type"], "estimate", "priced first: {}", told.stdout);
        let (estimate, done) = (told.of_type("estimate")[0].clone(), told.last("done"));
        assert_eq!((&estimate["documents"], &estimate["reads"]), (&json!(30), &json!(true)), "{estimate}");
        assert!(estimate["parts"].as_u64().unwrap() > 2, "{estimate}");
        assert_eq!((&done["model"], &done["whole"]["documents"]), (&json!(format!("api/{model}")), &json!(30)), "{done}");
        let asked = desk.api.requests().split_off(before);
        let chats: Vec<_> = asked.iter().filter(|request| request.path.contains(CHAT)).collect();
        assert!(chats.iter().all(|request| request.body["model"] == model), "one model reads and answers");
        assert!(chats.iter().any(|request| task(request) == Task::Read));
        let text: String = told.of_type("token").iter().map(|token| token["text"].as_str().unwrap().to_owned()).collect();
        expect_all(&text);
        assert_eq!(pipelines(&told.of_type("sources")[0]["sources"]), ["docs", "tickets"]);
        let (cost, most) = (done["cost_usd"].as_f64().unwrap(), estimate["at_most_usd"].as_f64().unwrap());
        assert!(0.0 < cost && cost <= most, "{cost} of at most {most}");
        costs.push(cost);
    }
    assert!(costs[1] > costs[0] * 1.5, "each at its own model's price: {costs:?}");

    // What does not go together says so before anything is asked.
    let before = desk.api.requests().len();
    for (arguments, words) in [
        (&["ask", "List all incidents", "--all", "--model", "api/m", "--model", "api/n"][..], "give --model once"),
        (&["ask", "--all", "--batch", "q.jsonl"][..], "'--all' cannot be used with '--batch"),
    ] {
        let refused = run(&desk.project, &[arguments, &BOTH].concat()).expect_code(2);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert_eq!(desk.api.requests().len(), before);

    let service = start(&desk.project, &BOTH);
    for (pipeline, model) in [(None, "m"), (Some("docs+tickets"), "m"), (Some("tickets+docs"), "n")] {
        let body = json!({"question": "List all incidents", "pipeline": pipeline, "all": true, "stream": false});
        let (status, told) = post(&service.at("/api/ask"), &body).await;
        assert_eq!((status, &told["model"]), (200, &json!(format!("api/{model}"))), "{told}");
        expect_all(told["answer"].as_str().unwrap());
    }
    // Unasked, some passages answer, and it is said that they are not all of either.
    let (_, told) = post(&service.at("/api/ask"), &json!({"question": "请列出所有事故", "stream": false})).await;
    assert!(told["note"].as_str().unwrap().contains("30 documents"), "{told}");
}
