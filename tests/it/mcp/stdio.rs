//! Messages by hand, over stdin and stdout.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::project;
use crate::project::{Project, ended};
use crate::stand_in::StandIn;

struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Agent {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut child = project.start_with_stdin(&[&["mcp"], arguments].concat());
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut agent = Self { child, stdin, stdout };
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}});
        let welcome = agent.ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}));
        assert_eq!(welcome["result"]["serverInfo"]["name"], "ragstream", "{welcome}");
        agent.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        agent
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn ask(&mut self, message: &Value) -> Value {
        self.say(&message.to_string());
        self.next()
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no message: {line:?}"))
    }

    /// How it ended, and how long that took.
    fn end(mut self, how: impl FnOnce(&mut Child, Option<ChildStdin>)) -> (i32, Duration) {
        let asked = Instant::now();
        let stdin = self.stdin.take();
        how(&mut self.child, stdin);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.stdout, &mut rest).unwrap();
        assert_eq!(rest, "", "nothing but messages");
        (ended(self.child).code, asked.elapsed())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_client_or_when_it_is_told_to_and_survives_nonsense() {
    let api = StandIn::start().await;
    let project = project(&api);
    tokio::task::block_in_place(|| {
        let mut agent = Agent::start(&project, &["-p", "docs.yaml", "-v"]);
        agent.say("this is no message");
        let refused = agent.next();
        assert_eq!(refused["error"]["code"], -32700, "{refused}");
        let search = json!({"name": "search", "arguments": {"query": "rotate keys"}});
        let found = agent.ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": search}));
        assert!(found["result"]["content"][0]["text"].as_str().unwrap().starts_with("docs/rotating-keys.md:"), "{found}");
        let (code, took) = agent.end(|_, stdin| drop(stdin));
        assert!(code == 0 && took < Duration::from_secs(5), "{code} {took:?}");

        let agent = Agent::start(&project, &["-p", "docs.yaml"]);
        let (code, took) = agent.end(|child, stdin| {
            std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
            // It still could say something.
            std::mem::forget(stdin);
        });
        assert!(code == 0 && took < Duration::from_secs(5), "{code} {took:?}");

        let said = project.run_with_input(&["mcp", "-p", "docs.yaml"], "");
        assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{}", said.stderr);
        let said = project.run_with_input(&["mcp", "-p", "nothing.yaml"], "");
        assert!(said.code == 2 && said.stdout.is_empty() && said.stderr.contains("nothing.yaml"), "{}", said.stderr);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_before_there_is_an_index_and_beside_a_service_on_the_same_home() {
    let api = StandIn::start().await;
    let project = project(&api);
    let service = super::start(&project, &[]);
    tokio::task::block_in_place(|| {
        let search = json!({"name": "search", "arguments": {"query": "rotate keys"}});
        let search = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": search});
        let mut beside = Agent::start(&project, &["-p", "docs.yaml"]);
        assert_eq!(beside.ask(&search)["result"]["isError"], false);
        let mut other = Agent::start(&project, &["-p", "docs.yaml", "--home", "elsewhere"]);
        let none = other.ask(&search);
        assert!(none["result"]["isError"] == true && none["result"]["structuredContent"]["kind"] == "index_missing", "{none}");
        project.run(&["ingest", "-p", "docs.yaml", "--home", "elsewhere", "-q"]).expect_code(0);
        let found = other.ask(&search);
        assert_eq!(found["result"]["isError"], false, "{found}");
        for agent in [beside, other] {
            assert_eq!(agent.end(|_, stdin| drop(stdin)).0, 0);
        }
    });
    drop(service);
}
