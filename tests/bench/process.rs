//! The programs under measurement: the stand-in provider and the real `ragstream`, each in a process of its own that does not
//! outlive the bench.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A process that is killed when nobody holds it any more.
pub struct Owned(pub Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Fails when it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A stand-in provider.
pub struct StandIn {
    url: String,
    process: Owned,
}

/// What a stand-in was asked for so far.
#[derive(Debug, Clone)]
pub struct Stats(Value);

impl Stats {
    pub fn get(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or_default()
    }

    pub fn count(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_default()
    }

    /// Seconds from the first request to the end of the last answer.
    pub fn span(&self) -> f64 {
        (self.get("last_ms") - self.get("first_ms")) / 1e3
    }
}

impl StandIn {
    pub fn start(arguments: &str) -> Self {
        let arguments: Vec<&str> = ["stand-in", "--with-parent"].into_iter().chain(arguments.split_whitespace()).collect();
        let (url, process) = listening(&arguments);
        Self { url, process }
    }

    /// Its CPU time so far, in seconds.
    pub fn cpu(&self) -> f64 {
        cpu_of(&self.process)
    }

    pub fn stats(&self) -> Stats {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(format!("GET /stats HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Stats(serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap())
    }
}

/// A server that acknowledges what is written to it and keeps nothing.
pub struct Sink {
    url: String,
    _process: Owned,
}

impl Sink {
    pub fn start() -> Self {
        let (url, process) = listening(&["sink"]);
        Self { url, _process: process }
    }
}

/// Starts this very program under another command, which prints its URL.
fn listening(arguments: &[&str]) -> (String, Owned) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let process = Owned(child);
    assert!(url.starts_with("http"), "{arguments:?} did not start");
    (url.trim().to_owned(), process)
}

/// A folder with documents, a pipeline and an index of its own.
pub struct Project {
    folder: TempDir,
    documents: PathBuf,
    runs: u32,
    /// The only core that it may use.
    core: Option<u32>,
}

/// How a run of `ragstream` went.
#[derive(Debug)]
pub struct Ended {
    /// `None`: killed.
    pub code: Option<i32>,
    /// The last line of stdout, or null.
    pub summary: Value,
    /// Wall time, from start to end of the process.
    pub wall: f64,
    /// CPU time of all its threads, in seconds; 0 where there is no `/proc`.
    pub cpu: f64,
    /// The most memory it had, in MB of 1,000,000 bytes; 0 where there is no `/proc`.
    pub peak_mb: f64,
}

impl Project {
    pub fn new(documents: &Path) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), documents: documents.to_owned(), runs: 0, core: None }
    }

    /// Writes the pipeline: what the provider is declared to allow, how large chunks and batches are.
    pub fn pipeline(self, provider: &StandIn, limits: &str, max_tokens: u32, batch: u32) -> Self {
        let text = format!(
            "version: 1\nname: bench\n\
             providers:\n  stand-in: {{ kind: openai, base_url: \"{}/v1\", api_key: none, limits: {{ {limits} }} }}\n\
             sources:\n  - files: {{ paths: [{}] }}\n\
             chunk: {{ max_tokens: {max_tokens}, overlap: 0 }}\n\
             embed: {{ model: stand-in/embed, dimensions: 256, batch: {{ items: {batch} }} }}\n\
             query: {{ answer: {{ model: stand-in/chat }} }}\n",
            provider.url,
            self.documents.display(),
        );
        std::fs::write(self.folder.path().join("bench.yaml"), text).unwrap();
        self
    }

    /// With a server in the place of the embedded store, if there is one.
    pub fn over(self, sink: Option<&Sink>) -> Self {
        match sink {
            Some(sink) => self.rewrite(|text| format!("{text}store: {{ qdrant: {{ url: \"{}\" }} }}\n", sink.url)),
            None => self,
        }
    }

    /// Of a site instead of a folder, asked for so many pages at a time without a pause.
    pub fn of_site(self, url: &str, concurrency: usize) -> Self {
        let files = format!("files: {{ paths: [{}] }}", self.documents.display());
        let site = format!("web: {{ urls: [\"{url}\"], concurrency: {concurrency}, delay: 1ms }}");
        self.rewrite(|text| text.replace(&files, &site))
    }

    /// With the usual model in process in the place of the provider's, which takes time of the cores, too.
    pub fn in_process(self) -> Self {
        let cache = self.path("cache");
        std::fs::create_dir_all(&cache).unwrap();
        let models = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/ragstream/models");
        assert!(models.exists(), "{} is not there: run scripts/models", models.display());
        std::os::unix::fs::symlink(models, cache.join("models")).unwrap();
        let kept = |text: String| text.split_inclusive('\n').filter(|line| !line.starts_with("embed:")).collect();
        self.rewrite(kept)
    }

    /// With vectors of another width.
    pub fn wide(self, dimensions: u32) -> Self {
        self.rewrite(|text| text.replace("dimensions: 256", &format!("dimensions: {dimensions}")))
    }

    /// On this core alone.
    pub fn on_core(self, core: u32) -> Self {
        Self { core: Some(core), ..self }
    }

    fn rewrite(self, change: impl FnOnce(String) -> String) -> Self {
        let path = self.path("bench.yaml");
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_ragstream");
        let mut command = Command::new(if self.core.is_some() { "taskset" } else { program });
        if let Some(core) = self.core {
            command.args(["-c", &core.to_string(), program]);
        }
        command.args(arguments).args(["-p", "bench.yaml", "--home", "home", "--cache", "cache", "--json"]);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        // No key, proxy or variable of the machine decides a figure.
        command.env_clear().envs(["PATH", "TMPDIR"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
    }

    /// Starts `ragstream ingest`.
    pub fn start(&mut self) -> Ingest {
        self.runs += 1;
        let (out, log) = (self.path(&format!("out-{}", self.runs)), self.path(&format!("log-{}", self.runs)));
        let mut command = self.command(&["ingest", "-q"]);
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
        let began = Instant::now();
        let process = Owned(command.spawn().unwrap());
        Ingest { process, began, out, log, peak_mb: 0.0, own_mb: 0.0, cpu: 0.0 }
    }

    /// Runs `ragstream ingest` to its end, which must be a good one.
    pub fn ingest(&mut self, within: Duration) -> Ended {
        let mut ingest = self.start();
        let ended = ingest.wait(within);
        assert!(ended.is_some(), "ingest did not end within {within:?}");
        let ended = ended.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ingest.log());
        ended
    }

    /// Asks a question; calls `line` with every line as it comes.
    pub fn ask(&self, question: &str, mut line: impl FnMut(&Value)) {
        let mut command = self.command(&["ask", question]);
        let mut process = Owned(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        for said in BufReader::new(process.0.stdout.take().unwrap()).lines() {
            line(&serde_json::from_str(&said.unwrap()).unwrap());
        }
    }
}

/// A running `ragstream ingest`.
pub struct Ingest {
    process: Owned,
    began: Instant,
    out: PathBuf,
    log: PathBuf,
    /// As in [`Ended`], so far.
    pub peak_mb: f64,
    /// The most of it that is no mapped file (which the system may take back at any time), as far as looked.
    pub own_mb: f64,
    /// As in [`Ended`], so far.
    pub cpu: f64,
}

impl Ingest {
    /// What it said on stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for its end, at most so long. `None`: it runs on.
    pub fn wait(&mut self, within: Duration) -> Option<Ended> {
        let until = Instant::now() + within;
        loop {
            self.look();
            if let Some(status) = self.process.0.try_wait().unwrap() {
                let wall = self.began.elapsed().as_secs_f64();
                let said = std::fs::read_to_string(&self.out).unwrap_or_default();
                let summary = said.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
                return Some(Ended { code: status.code(), summary, wall, cpu: self.cpu, peak_mb: self.peak_mb });
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Since the process was started.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
    }

    /// Reads what the kernel counts. A process that has ended still has its times there until it is waited for.
    fn look(&mut self) {
        let proc = PathBuf::from(format!("/proc/{}", self.process.0.id()));
        let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
        let megabytes = |name: &str| {
            let kib: f64 = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
                .unwrap_or(0.0);
            kib * 1024.0 / 1e6
        };
        self.peak_mb = self.peak_mb.max(megabytes("VmHWM:"));
        self.own_mb = self.own_mb.max(megabytes("RssAnon:"));
        self.cpu = self.cpu.max(cpu_of(&self.process));
    }
}

/// What the kernel counts as a process's CPU time, in seconds.
fn cpu_of(process: &Owned) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap_or_default();
    // Behind the name, which may hold blanks: state is the first, utime and stime the 12th and 13th, in ticks of 10 ms.
    let times = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
