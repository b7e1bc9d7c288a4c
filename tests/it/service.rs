//! A service as a child process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::project::{Ended, Project};

/// A `ragstream serve` that listens; killed when it is dropped.
pub struct Service {
    child: Option<Child>,
    /// What it still says on stdout: the pipe stays open.
    _stdout: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Service {
    /// Starts one in this project, on a free port.
    pub fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut child = project.start(&[&["serve", "--json", "--listen", "127.0.0.1:0"], arguments].concat());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Ok(listening) = serde_json::from_str::<Value>(&line) else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("no service: {line}{said}");
        };
        assert_eq!(listening["type"], "listening");
        Self { child: Some(child), _stdout: stdout, url: listening["url"].as_str().unwrap().to_owned() }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Asks it to end, and waits until it has; how long that took.
    pub fn stop(mut self) -> (Ended, Duration) {
        let child = self.child.take().unwrap();
        let asked = Instant::now();
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        let ended = crate::project::ended(child);
        (ended, asked.elapsed())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Posts a JSON body; the status and the JSON of the answer.
pub async fn post(url: &str, body: &Value) -> (u16, Value) {
    answer(client().post(url).json(body)).await
}

/// Gets JSON.
pub async fn get(url: &str) -> (u16, Value) {
    answer(client().get(url)).await
}

/// A client that knows no proxy.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The status and the JSON of an answer.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
}
