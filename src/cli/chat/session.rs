//! A conversation's record: a JSON object a line, appended and brought to the disk after each turn.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::answer::{Doubt, Source, doubted};
use crate::cli::show::place;
use crate::cli::style::one_line;

/// Bytes of a record that are read: of a longer one its end.
const MAX_READ: u64 = 32 << 20;
const MAX_NAME: usize = 64;

/// A question and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// When it was asked.
    pub at: String,
    pub question: String,
    /// Searched for instead, where the question did not stand alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    pub answer: String,
    /// The same with the marks of what is doubtful in it, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The sources cited, in the order of their first use.
    #[serde(default)]
    pub citations: Vec<usize>,
    /// What is doubtful of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    /// Numbers in it that no source has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<usize>,
    /// The answer was stopped or broke off.
    #[serde(default)]
    pub stopped: bool,
    /// The model that wrote the answer; `None`: the answer is passages, or there is none.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub sources: Vec<Source>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Turn(Box<Turn>),
    /// All before is forgotten.
    Clear,
}

/// A conversation and its file.
#[derive(Debug)]
pub(super) struct Session {
    pub name: String,
    path: PathBuf,
    /// Since the last `/clear`, oldest first. Only the newest has its sources' texts.
    pub turns: Vec<Turn>,
}

impl Session {
    /// A conversation that is new or goes on, in `folder`.
    pub fn open(folder: &Path, name: &str) -> io::Result<Self> {
        let valid = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(valid) {
            let message = "a session's name has letters, digits, `-`, `_` and `.`, and does not begin with a `.`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let path = folder.join(format!("{name}.jsonl"));
        let turns = match File::open(&path) {
            Ok(file) => read(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { name: name.to_owned(), path, turns })
    }

    /// The conversation that something was last said in.
    pub fn latest(folder: &Path) -> Option<String> {
        let sessions = fs::read_dir(folder).ok()?.filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?.to_owned();
            Some((path.metadata().ok()?.modified().ok()?, name))
        });
        sessions.max().map(|(_, name)| name)
    }

    pub fn add(&mut self, turn: Turn) -> io::Result<()> {
        if let Some(last) = self.turns.last_mut() {
            last.sources.iter_mut().for_each(|source| source.text.clear());
        }
        self.turns.push(turn.clone());
        self.append(&Line::Turn(Box::new(turn)))
    }

    pub fn clear(&mut self) -> io::Result<()> {
        self.turns.clear();
        self.append(&Line::Clear)
    }

    fn append(&self, line: &Line) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&self.path)?;
        let mut bytes = Vec::new();
        if torn(&mut file)? {
            bytes.push(b'\n');
        }
        serde_json::to_writer(&mut bytes, line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        file.write_all(&bytes)?;
        file.sync_data()
    }

    /// The conversation as Markdown, for people.
    pub fn transcript(&self) -> String {
        let mut text = format!("# {}\n", self.name);
        for turn in &self.turns {
            let answer = turn.shown.as_ref().unwrap_or(&turn.answer).trim_end();
            text.push_str(&format!("\n## {}\n\n{answer}\n", turn.question.replace('\n', " ")));
            if turn.stopped {
                text.push_str("\n*(stopped)*\n");
            }
            text.push_str(&doubtful(turn));
            let cited: Vec<&Source> =
                turn.citations.iter().filter_map(|n| turn.sources.iter().find(|source| source.n == *n)).collect();
            if !cited.is_empty() {
                text.push('\n');
            }
            for source in cited {
                text.push_str(&format!("- [{}] {}\n", source.n, place(&source.uri, source.lines, source.link().as_deref())));
            }
        }
        text
    }
}

/// What is doubtful in an answer, as `--why` tells it.
fn doubtful(turn: &Turn) -> String {
    let mut text = String::new();
    if !turn.doubts.is_empty() {
        text.push_str(&format!("\n{}:\n\n", doubted::ABOVE));
    }
    for (mark, what) in turn.doubts.iter().map(doubted::told) {
        text.push_str(&format!("- {mark} {}\n", one_line(&what)));
    }
    if let Some(unknown) = doubted::unknown(&turn.unknown) {
        text.push_str(&format!("\n{unknown}.\n"));
    }
    text
}

/// Whether the file ends in the middle of a line: its writer was killed.
fn torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// The turns of a record since its last clearing. A line that cannot be read is left out.
fn read(mut file: File) -> io::Result<Vec<Turn>> {
    let skipped = file.metadata()?.len().saturating_sub(MAX_READ);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    let mut turns: Vec<Turn> = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Turn(turn)) => {
                if let Some(last) = turns.last_mut() {
                    last.sources.iter_mut().for_each(|source| source.text = String::new());
                }
                turns.push(*turn);
            }
            Ok(Line::Clear) => turns.clear(),
            Err(error) => tracing::debug!(%error, "a line of the session cannot be read"),
        }
    }
    Ok(turns)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
mod tests {
    use super::*;

    fn turn(question: &str) -> Turn {
        Turn { question: question.into(), answer: "An answer [1].".into(), ..Turn::default() }
    }

    #[test]
    fn a_torn_last_line_loses_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::open(folder.path(), "a").unwrap();
        session.add(turn("one")).unwrap();
        session.add(turn("two")).unwrap();
        let path = folder.path().join("a.jsonl");
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut session = Session::open(folder.path(), "a").unwrap();
            let ends = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
            // A line whose end alone is missing is whole.
            assert!(session.turns.len() == ends || session.turns.len() == ends + 1, "{cut}");
            let kept = session.turns.len();
            session.add(turn("three")).unwrap();
            let again = Session::open(folder.path(), "a").unwrap().turns;
            assert_eq!((again.len(), again[kept].question.as_str()), (kept + 1, "three"), "{cut}");
        }
        assert_eq!(Session::latest(folder.path()).unwrap(), "a");
    }

    #[test]
    fn what_was_cleared_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::open(folder.path(), "密钥-1").unwrap();
        session.add(turn("one")).unwrap();
        session.clear().unwrap();
        session.add(turn("two")).unwrap();
        assert_eq!(Session::open(folder.path(), "密钥-1").unwrap().turns, [turn("two")]);
        assert_eq!(session.transcript(), "# 密钥-1\n\n## two\n\nAn answer [1].\n");
        for name in ["", "..", "a/b", ".a", "a b"] {
            assert!(Session::open(folder.path(), name).is_err(), "{name}");
        }
    }
    #[test]
    fn what_is_doubtful_is_saved_as_it_was_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = Session::open(folder.path(), "a").unwrap();
        let doubt = Doubt { kind: crate::answer::DoubtKind::Number, said: "13.5 kg".into(), n: vec![1] };
        let turn = Turn {
            answer: "It weighs 13.5 kg [1] and [9].".into(),
            shown: Some("It weighs 13.5 kg [1?] and [9?].".into()),
            doubts: vec![doubt],
            unknown: vec![9],
            ..turn("How heavy?")
        };
        session.add(turn).unwrap();
        let told = "# a\n\n## How heavy?\n\nIt weighs 13.5 kg [1?] and [9?].\n\nNot in the sources that are cited for it:\n\n\
                    - [1?] number: 13.5 kg\n\n[9?]: no source has this number.\n";
        assert_eq!(session.transcript(), told);
        assert_eq!(Session::open(folder.path(), "a").unwrap().transcript(), told, "after the chat, too");
    }
}
