//! A collector that nobody here wrote (rotel), and what it says that it got.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::installed::python_with_peers;

/// For so long it has printed nothing when it is at an end.
const QUIET: Duration = Duration::from_millis(300);

/// A collector in a process of its own; killed when it is dropped.
pub struct Collector {
    process: Child,
    url: String,
    said: NamedTempFile,
}

/// A span that came.
#[derive(Debug, Clone, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: String,
    pub status: String,
    pub attributes: BTreeMap<String, String>,
    pub links: usize,
}

impl Span {
    /// An attribute as the collector prints it: `Str(docs)`, `Int(3)`.
    pub fn told(&self, name: &str) -> &str {
        self.attributes.get(name).unwrap_or_else(|| panic!("no {name}: {self:#?}"))
    }
}

impl Collector {
    pub fn start() -> Self {
        let find = "import importlib.util; print(importlib.util.find_spec('rotel').submodule_search_locations[0])";
        let found = Command::new(python_with_peers()).args(["-c", find]).output().unwrap();
        let folder = String::from_utf8(found.stdout).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (http, grpc) = (free(), free());
        let said = NamedTempFile::new().unwrap();
        let process = Command::new(format!("{}/rotel-agent", folder.trim()))
            .args(["start", "--otlp-http-endpoint", &http, "--otlp-grpc-endpoint", &grpc])
            .args(["--debug-log", "traces", "--debug-log", "metrics", "--debug-log-verbosity", "detailed"])
            .args(["--exporter", "blackhole"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(said.reopen().unwrap())
            .stderr(said.reopen().unwrap())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while std::net::TcpStream::connect(&http).is_err() {
            assert!(since.elapsed() < Duration::from_mins(1), "{}", std::fs::read_to_string(said.path()).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, url: format!("http://{http}"), said }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that it has printed.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.said.path()).unwrap()
    }

    /// What it has printed once all of these are in it, and it has come to the end of what it was telling: it prints line by line.
    pub fn with(&self, awaited: &[&str]) -> String {
        let since = Instant::now();
        let mut said = self.said();
        loop {
            std::thread::sleep(QUIET);
            let before = std::mem::replace(&mut said, self.said());
            match awaited.iter().find(|awaited| !said.contains(**awaited)) {
                None if said == before => return said,
                None => {}
                Some(missing) => assert!(since.elapsed() < Duration::from_mins(1), "no {missing} in\n{said}"),
            }
        }
    }

    /// The series of a metric as they were told last, once so many have come: their labels, and the number.
    pub fn series(&self, metric: &str, many: usize) -> Vec<(BTreeMap<String, String>, f64)> {
        let since = Instant::now();
        loop {
            let said = self.said();
            let told = series(&said, metric);
            if told.len() == many {
                return told;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{} of {metric}, not {many}, in\n{said}", told.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The spans of what a collector has printed.
pub fn spans(said: &str) -> Vec<Span> {
    let (mut spans, mut links) = (Vec::<Span>::new(), false);
    let mut within = false;
    for line in said.lines() {
        if line.starts_with("Span #") {
            spans.push(Span::default());
            (within, links) = (true, false);
            continue;
        }
        // What is told of the sender comes before its spans.
        if line.starts_with("Resource") || line.starts_with("Scope") {
            within = false;
        }
        let Some(span) = spans.last_mut().filter(|_| within) else { continue };
        if line.starts_with("SpanLink #") {
            span.links += 1;
            links = true;
        }
        if let Some((name, value)) = line.trim_start().strip_prefix("-> ").and_then(|told| told.split_once(": "))
            && !links
        {
            span.attributes.insert(name.to_owned(), value.to_owned());
            continue;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim().to_owned();
        match name.trim() {
            "Trace ID" => span.trace = value,
            "Parent ID" => span.parent = value,
            "ID" => span.id = value,
            "Name" => span.name = value,
            "Kind" => span.kind = value,
            "Status code" => span.status = value,
            _ => {}
        }
    }
    spans
}

/// The series of a metric as they are told last, as far as they are there.
fn series(said: &str, metric: &str) -> Vec<(BTreeMap<String, String>, f64)> {
    let Some((_, told)) = said.rsplit_once(&format!("Name: {metric}\n")) else { return Vec::new() };
    let points = told.split("Metric #").next().unwrap_or_default().split("NumberDataPoints #").skip(1);
    let point = |point: &str| {
        // Behind the last one there may be what is told of another sender.
        let labels = point.lines().take_while(|line| !line.starts_with("StartTimestamp"));
        let labels = labels.filter_map(|line| line.trim_start().strip_prefix("-> ")?.split_once(": "));
        let value = point.lines().find_map(|line| line.strip_prefix("Value: "))?.parse().ok()?;
        Some((labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), value))
    };
    points.filter_map(point).collect()
}
