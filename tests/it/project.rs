//! A folder with documents and an index of its own, and the real program run in it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::installed::cache_with_models;

/// A project in a folder of its own.
pub struct Project {
    folder: TempDir,
    /// Of its own, so that no test pays for another's embeddings; the models in it are the machine's.
    cache: TempDir,
    variables: BTreeMap<String, String>,
    /// Which network namespace the program is to run in, where that is another.
    pub network: Option<String>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The JSON lines of stdout; anything else there is a fault.
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not a JSON line: {line}\n{}", self.stderr)))
            .collect()
    }

    /// The events of a type.
    pub fn of_type(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["type"] == kind).collect()
    }

    /// The last line, which must be of this type.
    pub fn last(&self, kind: &str) -> Value {
        let last = self.events().pop().unwrap_or_else(|| panic!("nothing on stdout; stderr: {}", self.stderr));
        assert_eq!(last["type"], kind, "{last}\n{}", self.stderr);
        last
    }

    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(cache_with_models().join("models"), cache.path().join("models")).unwrap();
        Self { folder, cache, variables: BTreeMap::new(), network: None }
    }

    /// Sets a variable for the program.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, dated well into the past so that its stamp can be trusted; later writes are dated later.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let again = path.exists();
        std::fs::write(&path, content).unwrap();
        let age = if again { 1_000 } else { 100_000 };
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// Moves all of it, index included, to another folder.
    pub fn move_away(&mut self) {
        let to = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::rename(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
        self.folder = to;
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_ragstream");
        let mut command = match &self.network {
            Some(network) => {
                let mut within = Command::new("ip");
                within.args(["netns", "exec", network, program]);
                within
            }
            None => Command::new(program),
        };
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // What is set on the developer's machine must not decide a test: no keys, no proxies, no Ollama that happens to run.
        command.env_clear();
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("RAGSTREAM_CACHE", self.cache.path()).env("OLLAMA_HOST", "127.0.0.1:1");
        command.envs(&self.variables);
        command
    }

    /// Runs `ragstream` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.start(arguments))
    }

    /// Starts `ragstream` and lets it go on.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The same, saying what it says into these files.
    pub fn start_into(&self, arguments: &[&str], stdout: std::fs::File, stderr: std::fs::File) -> Child {
        self.command(arguments).stdout(stdout).stderr(stderr).spawn().unwrap()
    }

    /// The same with a stdin that is written to.
    pub fn start_with_stdin(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// How another program is to start `ragstream` with these arguments.
    pub fn as_started(&self, arguments: &[&str]) -> Value {
        let program = self.command(arguments);
        let text = |value: &std::ffi::OsStr| value.to_str().unwrap().to_owned();
        let variables = program.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
        serde_json::json!({
            "command": text(program.get_program()),
            "args": program.get_args().map(text).collect::<Vec<_>>(),
            "cwd": self.folder.path(),
            "env": variables.collect::<BTreeMap<_, _>>(),
        })
    }

    /// Runs `ragstream` to its end with its results going to this file.
    pub fn run_into(&self, arguments: &[&str], file: std::fs::File) -> Ended {
        ended(self.command(arguments).stdout(file).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Runs `ragstream` with this on its stdin.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It need not read all of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        ended(child)
    }

    /// Starts `ragstream` on a terminal of its own (of 80 columns); what is typed goes to its stdin, what is shown comes from its
    /// stdout.
    pub fn start_on_terminal(&self, arguments: &[&str]) -> Child {
        let program = self.command(arguments);
        let words = [program.get_program()].into_iter().chain(program.get_args());
        let words: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut script = Command::new("script");
        script.args(["-qefc", &format!("stty cols 80 rows 24; exec {}", words.join(" ")), "/dev/null"]);
        script.current_dir(self.folder.path()).env_clear();
        script.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm-256color");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts `ragstream` from a shell that runs this first (limits, signals).
    pub fn start_in_shell(&self, prelude: &str, arguments: &[&str]) -> Child {
        let program = self.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{prelude}; exec \"$0\" \"$@\"")]).arg(program.get_program()).args(program.get_args());
        shell.current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Every point of the embedded index, as `search` shows them, by uri and place. Needs fewer than 1000 points.
    pub fn everything(&self, arguments: &[&str]) -> Vec<Value> {
        let all = [&["search", "a", "-k", "1000", "--json", "--copies"], arguments].concat();
        let mut hits = self.run(&all).expect_code(0).of_type("hit");
        for hit in &mut hits {
            let hit = hit.as_object_mut().unwrap();
            hit.remove("score");
            hit.remove("rank");
            // Scores of two stores differ in the last digit.
            hit.remove("legs");
        }
        hits.sort_by_key(|hit| (hit["uri"].to_string(), hit["start"].as_u64()));
        hits
    }
}

/// Waits for a program that was started.
pub fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The repository's own sample documents.
pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lantern")
}
