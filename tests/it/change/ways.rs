//! The ways of a change: to its end, back again, with documents that change, with a provider that is away, and where it is refused.

use super::*;
use crate::service::Service;

/// Searches all the time from other processes, until the child has ended.
fn searched_meanwhile(rig: &Rig, mut child: std::process::Child) -> (Ended, Vec<(Vec<Value>, String)>) {
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        seen.push(searched(rig, "docs"));
    }
    (ended(child), seen)
}

fn the_old_vectors_answer_until_the_new_are_complete(kind: Kind) {
    let rig = indexed(kind);
    let paid = rig.paid.swap(0, Ordering::SeqCst);
    let before = searched(&rig, "docs");
    assert!(!before.1.contains("answers come from"), "{}", before.1);
    let old = models(&rig);
    rewrite(&rig, "docs", OLD, NEW);
    rewrite(&rig, "docs", "    retry:", "    prices: { text-embedding-3-large: { input: 0.13 } }\n    retry:");

    // Nothing has begun: it answers, says what to do, and a plan says what that costs.
    let (hits, said) = searched(&rig, "docs");
    assert_eq!(hits, before.0);
    assert!(words(&said).contains("`ingest` makes those of openai/text-embedding-3-large/24"), "{said}");
    let plan = rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    assert_eq!((&plan["change"]["kind"], &plan["change"]["percent"]), (&"change".into(), &0.into()), "{plan}");
    assert_eq!(plan["embeddings"], paid, "all of it, with the new model: {plan}");
    assert!(plan["tokens"].as_u64().unwrap() > 100 && plan["requests"].as_u64().unwrap() > 3, "{plan}");
    assert!(plan["cost_usd"].as_f64().unwrap() > 0.0, "{plan}");
    let told = rig.run(&["plan"]).expect_code(0).stdout;
    assert!(told.contains("the old vectors answer"), "{told}");

    // Documents change while it is under way.
    rig.answer(|request| embedded(request).after(Duration::from_millis(400)));
    let child = rig.start(&[]);
    until("the change", || rig.requests.load(Ordering::SeqCst) > 5);
    rig.project.write("docs/00.txt", document(0, 9));
    rig.project.remove("docs/01.txt");
    let (ended, seen) = searched_meanwhile(&rig, child);
    let summary = ended.expect_code(0).last("summary");
    assert_eq!(summary["change"]["complete"], true, "{summary}");
    assert!(seen.len() > 2, "{} searches", seen.len());
    let switched = seen.iter().position(|(hits, _)| *hits != before.0).unwrap_or(seen.len());
    for (n, (hits, said)) in seen.iter().enumerate() {
        assert_eq!(*hits == before.0, n < switched, "search {n}, when {switched} was the first of another: {hits:#?}");
        let tells = words(said).contains("text-embedding-3-large/24 at");
        assert!(n >= switched || tells || n == 0 || n + 1 == switched, "search {n}: {said}");
    }
    assert!(switched > 1, "the old vectors answered");
    let percents: Vec<&str> =
        seen.iter().filter_map(|(_, said)| said.split(" %").next()?.rsplit("complete: ").next()).collect();
    assert!(percents.iter().any(|percent| percent.trim().parse::<u64>().is_ok()), "{percents:?}");

    // What changed meanwhile may have been seen or not; the next run sees it, and then it is what is made of nothing.
    rig.answer(embedded);
    let again = rig.complete();
    assert!(again.get("change").is_none(), "{again}");
    let (after, said) = searched(&rig, "docs");
    assert!(!said.contains("answers come from"), "{said}");
    assert_eq!(after, fresh(&rig));
    let now = models(&rig);
    assert!(now.len() == 1 && now[0].contains(NEW_MODEL) && now != old, "{now:?}");
    if kind == Kind::Embedded {
        let left: Vec<_> = std::fs::read_dir(rig.project.path("store-docs")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("index-")), "the old vectors are gone: {left:?}");
        assert!(!rig.ledger().exists(), "and what was recorded of them");
    }

    // And the way back, from the second slot to the first.
    rewrite(&rig, "docs", NEW, OLD);
    let summary = rig.complete();
    assert_eq!(summary["change"]["complete"], true, "{summary}");
    rig.expect_whole("there and back");
    assert_eq!(models(&rig), old);
    assert_eq!(rig.complete()["documents"]["unchanged"], 12);
}

#[test]
fn the_old_vectors_answer_until_the_new_are_complete_embedded() {
    the_old_vectors_answer_until_the_new_are_complete(Kind::Embedded);
}

#[test]
fn the_old_vectors_answer_until_the_new_are_complete_qdrant() {
    the_old_vectors_answer_until_the_new_are_complete(Kind::Qdrant);
}

#[test]
fn a_change_that_is_taken_back_costs_nothing_more_and_leaves_the_index_as_it_was() {
    for kind in [Kind::Embedded, Kind::Qdrant] {
        let rig = indexed(kind);
        let before = searched(&rig, "docs").0;
        rewrite(&rig, "docs", OLD, NEW);
        let stop = rig.requests.load(Ordering::SeqCst) + 4;
        assert!(rig.kill_when(&[], || rig.requests.load(Ordering::SeqCst) >= stop), "it had ended");
        let status = rig.run(&["status"]).stdout;
        assert!(status.contains("next ") && status.contains(NEW_MODEL) && status.contains(" %"), "{status}");
        rewrite(&rig, "docs", NEW, OLD);
        let plan = rig.run(&["plan"]).expect_code(0).stdout;
        assert!(plan.contains("is taken back"), "{plan}");
        let requests = rig.requests.load(Ordering::SeqCst);
        let ended = rig.ingest(&[]).expect_code(0);
        assert!(words(&ended.stderr).contains("is taken back"), "{}", ended.stderr);
        assert_eq!(ended.last("summary")["documents"]["unchanged"], 13);
        assert_eq!(rig.requests.load(Ordering::SeqCst), requests, "nothing is paid for");
        assert_eq!(searched(&rig, "docs").0, before);
        assert_eq!(models(&rig).len(), 1);
        rig.expect_whole("taken back");
    }
}

#[test]
fn a_provider_that_is_away_half_way_and_a_document_that_fails_keep_the_old_vectors_answering() {
    let rig = indexed(Kind::Embedded);
    let before = searched(&rig, "docs").0;
    let all = rig.paid.swap(0, Ordering::SeqCst);
    rewrite(&rig, "docs", OLD, NEW);
    let begin = rig.requests.load(Ordering::SeqCst);
    let requests = std::sync::Arc::clone(&rig.requests);
    rig.answer(move |request| {
        let is_away = requests.load(Ordering::SeqCst) > begin + 4;
        if is_away { Reply::status(503, &serde_json::json!({"error": {"message": "away"}})) } else { embedded(request) }
    });
    let stopped = rig.ingest(&[]);
    assert_ne!(stopped.code, 0, "{stopped:?}");
    assert_eq!(searched(&rig, "docs").0, before);
    assert_eq!(models(&rig).len(), 2);
    // Of what was answered nothing is paid for again, and the plan tells of the rest alone.
    rig.answer(embedded);
    rig.paid.store(0, Ordering::SeqCst);
    let plan = rig.run(&["plan", "--json"]).expect_code(0).last("plan");
    assert!(plan["embeddings"].as_u64().unwrap() < all as u64, "{plan}");

    // One document is refused for ever: the old index has it, and so it answers on, until that is given up.
    rig.project.write("docs/03.txt", format!("{}\n\npoison\n", document(3, 4)));
    rig.answer(|request| {
        let refuses = request.body["input"].as_array().unwrap().iter().any(|input| input.as_str().unwrap().contains("poison"));
        if refuses { Reply::status(400, &serde_json::json!({"error": {"message": "no"}})) } else { embedded(request) }
    });
    let kept = rig.ingest(&[]).expect_code(1).last("summary");
    let change = &kept["change"];
    assert_eq!((&change["complete"], &change["waiting"], &change["failed"]), (&false.into(), &0.into(), &1.into()), "{change}");
    assert!(rig.paid.load(Ordering::SeqCst) <= all + ITEMS * 8, "{} of {all}", rig.paid.load(Ordering::SeqCst));
    assert_eq!(searched(&rig, "docs").0, before);
    let told = rig.run(&["ingest"]).expect_code(1).stderr;
    assert!(words(&told).contains("1 document failed; `ingest --prune` does without"), "{told}");
    // Which one it waits for, `status` says.
    let told = status(&rig);
    assert_eq!((&told["failed"], &told["next"]["failed"], &told["documents"]), (&1.into(), &1.into(), &13.into()), "{told}");
    assert_eq!(rig.failures(), [("docs/03.txt".to_owned(), "embed".to_owned())]);
    let told = rig.run(&["status"]).expect_code(1).stdout;
    assert!(told.contains("%, 1 document failed; until all") && told.contains("  docs/03.txt: "), "{told}");
    rig.ingest(&["--prune"]).expect_code(1);
    assert_eq!(models(&rig).len(), 1);
    assert!(!searched(&rig, "docs").1.contains("answers come from"));
}

#[test]
fn a_part_of_the_sources_completes_no_change_and_what_is_gone_none_either() {
    let rig = indexed(Kind::Embedded);
    let before = searched(&rig, "docs").0;
    rewrite(&rig, "docs", OLD, NEW);
    let part = rig.ingest(&["docs/00.txt"]).expect_code(0).last("summary");
    assert_eq!((&part["change"]["complete"], &part["change"]["waiting"]), (&false.into(), &12.into()), "{part}");
    assert_eq!(searched(&rig, "docs").0, before);
    // More than half of the documents are gone: the source itself looks broken.
    std::fs::create_dir(rig.project.path("aside")).unwrap();
    for n in 2..12 {
        std::fs::rename(rig.project.path(&format!("docs/{n:02}.txt")), rig.project.path(&format!("aside/{n:02}.txt"))).unwrap();
    }
    let kept = rig.ingest(&[]).expect_code(1).last("summary");
    assert_eq!((&kept["change"]["complete"], &kept["kept_although_gone"]), (&false.into(), &10.into()), "{kept}");
    assert_eq!(searched(&rig, "docs").0, before);
    for n in 2..12 {
        std::fs::rename(rig.project.path(&format!("aside/{n:02}.txt")), rig.project.path(&format!("docs/{n:02}.txt"))).unwrap();
    }
    // A few are simply not in the new one.
    rig.project.remove("docs/04.txt");
    let complete = rig.complete();
    assert_eq!((&complete["change"]["complete"], &complete["documents"]["removed"]), (&true.into(), &1.into()), "{complete}");
    assert_eq!(searched(&rig, "docs").0, fresh(&rig));
}

#[test]
fn a_folder_that_is_gone_keeps_a_change_open_and_it_is_said_how_to_end_it() {
    let rig = indexed(Kind::Embedded);
    let (one, both) = ("paths: [docs]", "paths: [docs, more]");
    rig.project.write("more/灯.txt", "灯塔的灯在黄昏时点亮。\n");
    rewrite(&rig, "docs", one, both);
    rig.complete();
    rewrite(&rig, "docs", OLD, NEW);
    std::fs::rename(rig.project.path("more"), rig.project.path("aside")).unwrap();
    let before = searched(&rig, "docs").0;
    let open = rig.ingest(&[]).expect_code(1).last("summary");
    assert_eq!((&open["change"]["complete"], &open["change"]["unlisted"]), (&false.into(), &1.into()), "{open}");
    assert_eq!(searched(&rig, "docs").0, before);
    let told = without_secrets(rig.project.run(&["ingest", "-p", "docs.yaml"])).stderr;
    assert!(words(&told).contains("take its folder out of `sources`"), "{told}");
    // Taken out, it keeps nothing waiting.
    rewrite(&rig, "docs", both, one);
    let complete = rig.ingest(&[]).expect_code(0).last("summary");
    assert_eq!((&complete["change"]["complete"], complete["change"].get("unlisted")), (&true.into(), None), "{complete}");
    assert_eq!(models(&rig).len(), 1);
}

#[test]
fn where_the_old_model_cannot_be_had_it_is_said_what_to_declare() {
    let rig = indexed(Kind::Embedded);
    let known = rig.api.url().replace("http://127.0.0.1", "localhost");
    let whole = String::from_utf8(rig.project.read("docs.yaml")).unwrap();
    // The provider is gone from the file, and the new model is another kind's.
    let other = whole.replace(OLD, "model: other/jina-embeddings-v3, dimensions: 24");
    rig.project.write("docs.yaml", other.replace("openai:\n", "other:\n    kind: jina\n"));
    let search = |arguments: &[&str]| rig.project.run(&[&["search", QUESTION, "-p", "docs.yaml"], arguments].concat());
    let refused = search(&[]).expect_code(2).stderr;
    for told in
        ["at no provider of this pipeline", "declare it again under `providers`", &format!("{known}/v1"), "mode: sparse"]
    {
        assert!(words(&refused).contains(told), "{told}: {refused}");
    }
    // By another name it is the same server, and so the same model.
    rig.project.write(
        "docs.yaml",
        whole.replace(OLD, NEW).replace("openai:\n", "elsewhere:\n    kind: openai\n").replace("openai/", "elsewhere/"),
    );
    let found = search(&["--json"]).expect_code(0);
    assert!(
        words(&found.stderr).contains("answers come from the vectors of openai/text-embedding-3-small/16"),
        "{}",
        found.stderr
    );
}

#[test]
fn a_service_answers_through_a_change_and_its_watch_carries_it_through() {
    let rig = indexed(Kind::Embedded);
    let service = Service::start(&rig.project, &["-p", "docs.yaml"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = || {
        let question = serde_json::json!({"query": QUESTION, "limit": 12});
        let (code, answer) = runtime.block_on(crate::service::post(&service.at("/api/search"), &question));
        assert_eq!(code, 200, "{answer}");
        answer
    };
    let uris = |answer: &Value| answer["hits"].as_array().unwrap().iter().map(|hit| hit["uri"].clone()).collect::<Vec<_>>();
    let before = ask();
    assert!(!uris(&before).is_empty(), "{before}");
    rewrite(&rig, "docs", OLD, NEW);
    until("the file to be taken over", || ask()["note"].as_str().is_some_and(|note| note.contains("`ingest` makes those")));
    rig.answer(|request| embedded(request).after(Duration::from_millis(150)));
    let mut watch = rig.project.start(&["ingest", "--watch", "-p", "docs.yaml", "--json"]);
    until("the change", || ask()["note"].as_str().is_some_and(|note| note.contains("are complete: ")));
    let began = Instant::now();
    loop {
        let answer = ask();
        if answer["note"].is_null() {
            break;
        }
        assert_eq!(uris(&answer), uris(&before));
        assert!(began.elapsed() < Duration::from_mins(3), "{answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The watch goes on with the index as it is now.
    rig.project.write("docs/新.md", "# 备用密钥\n\n备用密钥存放在保险箱里，只有两个人知道密码。\n");
    until("the new document", || {
        let found = rig.project.run(&["search", "备用密钥存放在哪里", "-k", "20", "--json", "-p", "docs.yaml"]);
        found.stdout.contains("新.md")
    });
    assert!(watch.try_wait().unwrap().is_none(), "it watches on");
    signal(&watch, "INT");
    let told = ended(watch);
    assert!(told.stdout.contains("\"complete\":true"), "{told:?}");
    // Changed this very moment, and ingested before the service has looked at its file again.
    rig.answer(embedded);
    for (from, to, now) in [(NEW, OLD, "text-embedding-3-small/16"), (OLD, NEW, NEW_MODEL)] {
        rewrite(&rig, "docs", from, to);
        let summary = rig.project.run(&["ingest", "-p", "docs.yaml", "--json"]).expect_code(0).last("summary");
        assert!(summary["change"]["to"].as_str().is_some_and(|to| to.contains(now)), "{summary}");
    }
    service.stop();
}
