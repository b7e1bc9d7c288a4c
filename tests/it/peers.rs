//! Against programs that nobody here wrote: llmock plays the providers, with their quotas and faults, and judges the client; moto plays S3;
//! a llama.cpp server with a small model really answers. `scripts/peers` puts both where these tests look for them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::installed::python_with_peers;
use crate::project::Project;

mod decisions;
mod faults;
mod injection;
mod llama;
mod quotas;

/// How long a machine that is busy with everything else may take to start a server.
const START_UP: Duration = Duration::from_mins(2);

/// What no output may show.
const KEY: &str = "sk-peers-s3cr3t-0123456789";

/// A server in a process of its own. It ends when this is dropped; and as its stdin is ours, also when the test is killed.
pub struct Peer {
    process: Child,
    pub url: String,
    /// Its stderr.
    log: NamedTempFile,
}

impl Peer {
    /// An llmock with these quotas a minute.
    fn llmock(rpm: Option<u32>, tpm: Option<u32>) -> Self {
        let quota = |name, value: Option<u32>| value.map(|value| (name, value.to_string()));
        Self::start("llmock", [quota("LLMOCK_RPM", rpm), quota("LLMOCK_TPM", tpm)].into_iter().flatten())
    }

    /// A llama.cpp server whose model stops when it wants to, or only at `max_tokens`.
    fn llama(stops: bool) -> Self {
        Self::start(if stops { "llama" } else { "llama-endless" }, [])
    }

    /// A moto, which plays S3, for one login: what is signed with another one, or not rightly by botocore's sum, is refused.
    pub fn moto(key: &str, secret: &str) -> Self {
        Self::start("moto", [("S3_KEY", key.to_owned()), ("S3_SECRET", secret.to_owned())])
    }

    fn start(name: &str, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut process = Command::new(python_with_peers())
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peers/serve.py"), name])
            .env_clear()
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let stdout = process.stdout.take().unwrap();
        let mut peer = Self { process, url: String::new(), log };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).ok();
            sender.send(line).ok();
        });
        let line = receiver.recv_timeout(START_UP).unwrap_or_default();
        assert!(line.starts_with("http://"), "{name} did not start: {line}\n{}", peer.log());
        line.trim().clone_into(&mut peer.url);
        peer
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// What it answers to a request of ours, outside of any client's.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
            let method = method.parse().unwrap();
            let request = client.request(method, format!("{}{path}", self.url)).bearer_auth(KEY).json(body);
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap()
        })
    }

    /// Forgets what was, and does this to the requests to come.
    fn script(&self, behaviours: &[Value]) {
        self.call("POST", "/_llmock/reset", &json!({}));
        self.call("POST", "/_llmock/scenario", &json!({ "behaviors": behaviours }));
    }

    /// The requests that it served since, oldest first.
    fn requests(&self) -> Vec<Value> {
        let mut served = self.call("GET", "/_llmock/requests", &Value::Null);
        served["requests"].as_array_mut().map(std::mem::take).unwrap()
    }

    /// `llmock report --strict`: neither an error nor a warning about the client.
    fn finds_no_fault(&self) {
        let verdict = self.call("GET", "/_llmock/verdict", &Value::Null);
        assert_eq!(verdict["findings"], json!([]), "{verdict:#}");
        assert_eq!(verdict["passed"], true);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A project that knows the key.
fn project() -> Project {
    Project::new().with("PEER_KEY", KEY)
}

fn without_secrets(ended: crate::project::Ended) -> crate::project::Ended {
    assert!(!ended.stdout.contains(KEY) && !ended.stderr.contains(KEY), "{ended:?}");
    ended
}
