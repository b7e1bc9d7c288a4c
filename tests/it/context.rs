//! Where chunks stand, said by a model: found by, never shown as the document's; paid once; refused alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{Kind, Rig, document};
use crate::stand_in::{Reply, Request};
use crate::whole::model::{CHAT, message, reply};

mod changes;
mod failures;
mod kept;

/// Requests of the model that writes contexts that may be in flight.
const WRITERS: usize = 4;
const PRICES: (f64, f64) = (3.0, 12.0);

/// A rig whose pipeline has a model say where chunks stand.
struct World {
    rig: Rig,
    /// Contexts that were asked for.
    asked: Arc<AtomicUsize>,
}

impl World {
    fn new(kind: Kind) -> Self {
        let world = Self { rig: Rig::new(kind), asked: Arc::default() };
        world.answer(|request| reply(request, &said(request), "stop").after(Duration::from_millis(3)));
        world.context("docs", "{ model: writer/small }");
        world
    }

    fn answer(&self, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        let asked = Arc::clone(&self.asked);
        self.rig.api.always(CHAT, move |request| {
            asked.fetch_add(1, Ordering::SeqCst);
            answer(request)
        });
    }

    /// Writes the rig's pipeline, with this under `chunk: { context }`.
    fn context(&self, name: &str, context: &str) {
        self.rig.pipeline(name);
        let file = format!("{name}.yaml");
        let url = self.rig.api.url();
        let written = String::from_utf8(self.rig.project.read(&file)).unwrap();
        let writer = format!(
            "providers:\n  writer:\n    kind: openai\n    base_url: {url}/v1\n    api_key: {}\n    \
             limits: {{ concurrency: {WRITERS} }}\n    retry: {{ attempts: 3, budget: 10s }}\n    \
             prices: {{ small: {{ input: {}, output: {} }} }}\n",
            crate::rig::KEY,
            PRICES.0,
            PRICES.1
        );
        let written = written.replacen("providers:\n", &writer, 1);
        self.rig.project.write(&file, written.replacen("overlap: 0 }", &format!("overlap: 0, context: {context} }}"), 1));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A run after a kill asks for what is not kept, and for nothing else.
    fn goes_on(&self, chunks: usize) {
        let planned = &self.plan()["contexts"];
        let (left, kept) = (planned["requests"].as_u64().unwrap() as usize, planned["cached"].as_u64().unwrap() as usize);
        // Documents that are done need neither.
        assert!(left < chunks && left + kept <= chunks, "{planned}");
        let asked = self.asked();
        let summary = self.rig.complete();
        assert_eq!((self.asked() - asked, &summary["documents"]["failed"]), (left, &json!(0)), "{summary}");
    }

    fn plan(&self) -> Value {
        self.rig.run(&["plan", "--json"]).expect_code(0).last("plan")
    }

    /// What is in the index, with its contexts, must be what a run under the same setting makes from nothing.
    fn expect_whole(&self, case: &str, context: Option<&str>) {
        match context {
            Some(context) => self.context("fresh", context),
            None => self.rig.pipeline("fresh"),
        }
        let before = self.asked();
        self.rig.project.run(&["ingest", "-p", "fresh.yaml", "--rebuild"]).expect_code(0);
        assert_eq!(self.asked(), before, "{case}: all of it was paid for");
        assert_eq!(self.rig.contents(), self.rig.contents_of("fresh"), "{case}");
    }
}

/// What stands between a tag and its end.
fn within<'a>(text: &'a str, tag: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("<{tag}>\n")).unwrap();
    rest.split_once(&format!("\n</{tag}>")).unwrap().0
}

/// A sentence that names the document by a word that it has nowhere, in its language.
fn said(request: &Request) -> String {
    let user = message(request, "user");
    let (document, chunk) = (within(&user, "document"), within(&user, "chunk"));
    let line = document.lines().position(|line| chunk.starts_with(line) && !line.is_empty()).unwrap_or_default();
    if user.contains("请用中文回答") {
        format!("本段出自鸭嘴兽手册第 {line} 行。")
    } else {
        format!("This is of the platypus handbook, at its line {line}.")
    }
}

/// What is found by meaning alone (`dense`) or by words alone (`sparse`).
fn hits(world: &World, question: &str, mode: &str) -> Vec<Value> {
    let pipeline = String::from_utf8(world.rig.project.read("docs.yaml")).unwrap();
    world.rig.project.write("by.yaml", format!("{pipeline}query: {{ retrieve: {{ mode: {mode}, limit: 20 }} }}\n"));
    world.rig.project.run(&["search", question, "-p", "by.yaml", "--json"]).expect_code(0).of_type("hit")
}

#[test]
fn a_passage_is_found_by_what_was_said_of_it_and_shown_without() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(2);
    let chinese = "水泵在天冷时会漏水，需要检查垫圈是否老化。\n\n每两年更换一次垫圈，并且同时更换阀门和密封环。\n\n拆下外壳之前请先关闭主阀，并等待压力下降。\n\n";
    world.rig.project.write("docs/泵.txt", chinese);
    let summary = world.rig.complete();
    assert_eq!(summary["contexts"]["written"].as_u64().unwrap() as usize, world.asked());
    for (question, mode, language) in
        [("platypus", "sparse", "00.txt"), ("鸭嘴兽手册", "sparse", "泵.txt"), ("platypus handbook", "dense", ".txt")]
    {
        let hits = hits(&world, question, mode);
        let hit = hits.first().unwrap_or_else(|| panic!("{question} is found by {mode}"));
        let uri = hit["uri"].as_str().unwrap();
        assert!(uri.contains(language) || mode == "dense" || uri.contains("01.txt"), "{hit}");
        let file = world.rig.project.read(uri);
        let (start, end) = (hit["start"].as_u64().unwrap() as usize, hit["end"].as_u64().unwrap() as usize);
        assert_eq!(hit["text"].as_str().unwrap().as_bytes(), &file[start..end], "the file's own bytes");
    }
    let embedded = world.rig.api.requests().into_iter().filter(|request| request.path == crate::rig::EMBEDDINGS);
    let inputs: Vec<String> = embedded
        .flat_map(|request| request.body["input"].as_array().unwrap().clone())
        .map(|input| input.as_str().unwrap().to_owned())
        .collect();
    assert!(inputs.iter().any(|input| input.starts_with("This is of the platypus handbook, at its line 0.\n\n")), "{inputs:?}");
    assert!(
        inputs.iter().any(|input| input.starts_with("本段出自鸭嘴兽手册第 ") && input.contains("\n\n每两年更换")),
        "{inputs:?}"
    );
}

#[test]
fn a_plan_is_what_a_run_then_pays_and_nothing_is_paid_for_twice() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(5);
    // Nothing stands around the only chunk of a document.
    world.rig.project.write("docs/short.txt", "One line alone.");
    let plan = world.plan();
    let planned = &plan["contexts"];
    assert_eq!((world.asked(), &planned["model"], &planned["cached"]), (0, &json!("writer/small"), &json!(0)));
    let summary = world.rig.complete();
    let paid = &summary["contexts"];
    assert_eq!(planned["requests"].as_u64().unwrap() as usize, world.asked());
    assert_eq!((&paid["requests"], &paid["written"]), (&planned["requests"], &planned["requests"]));
    assert_eq!(plan["embeddings"], summary["embeddings"]["embedded"]);
    assert_eq!(paid["written"].as_u64().unwrap() + 1, plan["chunks"]["new"].as_u64().unwrap());
    let (read, written) = (paid["input_tokens"].as_f64().unwrap(), paid["output_tokens"].as_f64().unwrap());
    let off = planned["input_tokens"].as_f64().unwrap() / read;
    assert!((0.9..1.1).contains(&off), "{off}: {plan} {summary}");
    let cost = paid["cost_usd"].as_f64().unwrap();
    assert!((cost - (read * PRICES.0 + written * PRICES.1) / 1e6).abs() < 1e-9, "{summary}");
    let foretold = planned["cost_usd"].as_f64().unwrap();
    let wanted =
        (planned["input_tokens"].as_f64().unwrap() * PRICES.0 + planned["output_tokens"].as_f64().unwrap() * PRICES.1) / 1e6;
    assert!((foretold - wanted).abs() < 1e-9, "{plan}");
    let shown = world.rig.run(&["plan", "--rebuild"]).expect_code(0).stdout;
    assert!(shown.contains("context    0 requests to writer/small"), "{shown}");
    assert_eq!(
        (&plan["cost_usd"], &plan["total_cost_usd"]),
        (&Value::Null, &Value::Null),
        "the embedding model's price is not known"
    );

    let (asked, embedded) = (world.asked(), world.rig.paid.load(Ordering::SeqCst));
    assert_eq!(world.plan()["contexts"]["requests"], 0);
    let again = world.rig.complete();
    assert_eq!((&again["documents"]["unchanged"], &again["contexts"]["written"]), (&json!(6), &json!(0)));
    // An index that is made anew has all of it from the cache, and its vectors, too.
    let anew = world.rig.ingest(&["--rebuild"]).expect_code(0).last("summary");
    assert_eq!(anew["contexts"]["cache_hits"], paid["written"]);
    assert_eq!((world.asked(), world.rig.paid.load(Ordering::SeqCst)), (asked, embedded), "{anew}");
}

/// What is called the price is that of all.
#[test]
fn the_price_of_a_plan_includes_the_contexts() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(5);
    let file = String::from_utf8(world.rig.project.read("docs.yaml")).unwrap();
    let priced = "    timeout: 1s\n    prices: { text-embedding-3-small: { input: 0.5 } }\n";
    world.rig.project.write("docs.yaml", file.replacen("    timeout: 1s\n", priced, 1));
    let plan = world.plan();
    let [embedding, contexts, total] =
        [&plan["cost_usd"], &plan["contexts"]["cost_usd"], &plan["total_cost_usd"]].map(|cost| cost.as_f64().unwrap());
    assert!(embedding > 0.0 && contexts > embedding && (total - embedding - contexts).abs() < 1e-12, "{plan}");
    let shown = world.rig.run(&["plan"]).expect_code(0).stdout;
    assert!(shown.contains(&format!("\nprice      ${total:.4}, contexts included\n")), "{shown}");
}

#[test]
fn what_was_kept_before_a_kill_is_not_asked_for_again() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(8);
    let chunks = world.plan()["contexts"]["requests"].as_u64().unwrap() as usize;
    let mut killed = 0;
    for part in [4, 2] {
        let until = chunks / part;
        killed += usize::from(world.rig.kill_when(&[], || world.asked() >= until));
    }
    assert!(killed > 0, "it was over each time");
    world.goes_on(chunks);
    assert!(world.rig.api.most_in_flight() <= WRITERS + crate::rig::CONCURRENCY + 1);
    world.expect_whole("killed", Some("{ model: writer/small }"));
}

#[test]
fn a_stopped_run_keeps_what_it_has_paid_for() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(12);
    world.answer(|request| reply(request, &said(request), "stop").after(Duration::from_millis(60)));
    let child = world.rig.start(&[]);
    crate::rig::until("some contexts", || world.asked() >= 6);
    crate::rig::signal(&child, "INT");
    let ended = crate::project::ended(child).expect_code(130);
    let paid = ended.last("summary")["contexts"]["written"].as_u64().unwrap() as usize;
    assert_eq!(paid, world.asked(), "what was on its way was waited for");
    let chunks = world.rig.complete()["contexts"].clone();
    assert_eq!(chunks["cache_hits"].as_u64().unwrap() + chunks["written"].as_u64().unwrap(), 60, "{chunks}");
    assert_eq!(world.asked(), 60, "none was paid for twice");
}

#[test]
fn check_says_what_is_wrong_with_it() {
    let rig = Rig::new(Kind::Embedded);
    let check = |context: &str| {
        rig.project.write("bad.yaml", format!("sources: [docs]\nchunk: {{ context: {context} }}\n"));
        let ended = rig.project.run(&["check", "-p", "bad.yaml"]);
        (ended.code, ended.stderr + &ended.stdout)
    };
    for (context, wanted) in [
        ("{ model: nobody/gpt-5 }", "no provider of this name: `nobody/gpt-5`"),
        ("{ model: voyage/voyage-3 }", "voyage has no models here that answer"),
        ("{ model: gpt-5 }", "`gpt-5` is not `provider/model`"),
        ("{ window: 3000 }", "`model` is missing: what is to say where chunks stand?"),
        ("{ model: ollama/llama3.2, window: 100 }", "must be at least 256"),
        ("{ model: ollama/llama3.2, fallback: [local/potion-base-8M] }", "has no models here that answer"),
        ("{ modle: ollama/llama3.2 }", "did you mean"),
    ] {
        let (code, said) = check(context);
        assert!(code == 1 && said.contains(wanted), "{context}: {code} {said}");
    }
    assert_eq!(check("{ model: ollama/llama3.2, fallback: [openai/gpt-5.4-mini], window: 2000 }").0, 0);
}

/// A document of so many chunks that begins with a line of its own.
fn titled(n: usize, chunks: usize, line: &str) -> String {
    format!("{line}\n\n{}", document(n, chunks))
}
