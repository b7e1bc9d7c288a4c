//! What a person and a program are told when something goes wrong, and what does not depend on anyone's listening.

use std::time::Duration;

use serde_json::json;

use crate::project::{Project, ended};
use crate::stand_in::{Reply, StandIn, openai_embeddings};

fn indexed(project: Project) -> Project {
    project.write("docs/keys.md", "# Keys\n\nKeys are rotated every ninety days.\n");
    project.run(&["ingest", "docs"]).expect_code(0);
    project
}

/// Key and passages do not go to the vendor in place of the server that was meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_that_names_no_address_leads_nowhere_else() {
    let proxy = StandIn::start().await;
    for wrong in ["localhost:7999/v1", "nonsense"] {
        let project = Project::new()
            .with("OPENAI_API_KEY", "k")
            .with("OPENAI_BASE_URL", wrong)
            .with("HTTPS_PROXY", proxy.url())
            .with("HTTP_PROXY", proxy.url());
        let project = indexed(project);
        for more in [&[][..], &["--model", "openai/some"]] {
            let told = project.run(&[&["ask", "How often are keys rotated?"][..], more].concat()).expect_code(2);
            assert!(told.stderr.contains("the variable `OPENAI_BASE_URL` is not a"), "{}", told.stderr);
            assert!(!told.stderr.contains("api.openai.com"), "{}", told.stderr);
        }
        // Who needs no model is not kept from anything.
        project.run(&["search", "keys"]).expect_code(0);
    }
    assert!(proxy.requests().is_empty());
}

/// A reader that has gone (`ingest --json | head -1`) has seen enough: what was begun is finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_reader_has_gone_goes_on() {
    let api = StandIn::start().await;
    api.always("/v1/embeddings", |request| openai_embeddings(request, 8).after(Duration::from_millis(700)));
    let project = Project::new();
    project.write("docs/a.pdf", "no PDF");
    for n in 0..5 {
        project.write(&format!("docs/{n}.md"), format!("Note {n}: keys are rotated every {} days.", 10 + n));
    }
    let provider = format!("providers: {{ them: {{ kind: openai, api_key: k, base_url: '{}/v1' }} }}", api.url());
    project.write("api.yaml", format!("version: 1\nsources: [docs]\nembed: {{ model: them/m }}\n{provider}\n"));
    let mut child = project.start(&["ingest", "-p", "api.yaml", "--json"]);
    drop(child.stdout.take());
    assert_eq!(ended(child).code, 1, "one could not be read, and that is all");
    let status = project.run(&["status", "-p", "api.yaml", "--json"]).expect_code(1).last("status");
    assert_eq!(status["documents"], 5, "{status}");
}

/// A server's words are shown, and what in them would steer a terminal is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_a_server_do_not_steer_a_terminal() {
    let api = StandIn::start().await;
    let words = "no such \u{1b}[31mmodel\u{1b}[0m 没有\u{202e}这个模型";
    api.always("/v1/chat/completions", move |_| Reply::status(400, &json!({"error": {"message": words}})));
    let project = Project::new().with("OPENAI_API_KEY", "k").with("OPENAI_BASE_URL", format!("{}/v1", api.url()));
    let told = indexed(project).run(&["ask", "keys?", "--model", "openai/m"]).expect_code(2).stderr;
    assert!(told.contains("no such") && told.contains("没有这个模型"), "{told}");
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told:?}");
}

/// Whatever a command could not do, a program reads on stdout.
#[test]
fn programs_are_told_why_nothing_was_done() {
    let project = Project::new();
    project.write("wrong.yaml", "version: 1\nsuorces: [docs]\n");
    let told = |arguments: &[&str]| project.run(&[arguments, &["--json"]].concat()).expect_code(2).last("error");
    for no_index in [&["search", "keys"][..], &["ask", "keys?"], &["why", "docs/a.md", "keys?"]] {
        let error = told(no_index);
        assert!(error["kind"].is_string() && error["hint"].as_str().unwrap().contains("ingest"), "{error}");
    }
    for (invalid, says) in [
        (&["search", "keys", "-p", "wrong.yaml"][..], "wrong.yaml:2:1: "),
        (&["ask", "keys?", "-p", "nowhere.yaml"], "nowhere"),
        (&["ask", "keys?", "--model", "foo"], "`foo` is not `provider/model`"),
        (&["plan", "-p", "nowhere.yaml"], "nowhere"),
    ] {
        let error = told(invalid);
        assert_eq!(error["kind"], "invalid", "{error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    }
    for other in [&["ingest", "nothere"][..], &["eval", "nothere"]] {
        assert!(told(other)["message"].as_str().unwrap().contains("nothere"));
    }
}
