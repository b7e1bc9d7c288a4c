//! What was measured, kept for later: a file a run of `eval` in the home folder, of which the last [`KEPT`] stay.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compare::{Difference, compare};
use super::confidence::{Estimate, estimate};
use super::scores::{self, QueryScore, Scores, figures, key, values};
use crate::atomic;

/// Measurements that are kept; the oldest make room.
pub const KEPT: usize = 100;
/// Bytes of one, at most.
const BYTES: u64 = 256 << 10;
/// What a name holds of another's making: characters of it, at most.
const NAME: usize = 200;

/// A run of `eval`: one pipeline measured, or two compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// When it ended, in seconds since the Unix epoch.
    pub at: u64,
    /// The set's name.
    pub set: String,
    /// Its questions.
    pub queries: usize,
    /// What was measured of each pipeline.
    pub runs: Vec<Run>,
    /// Where two were compared: figure by figure, the second less the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<Compared>,
}

/// What was measured of one pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The pipeline's name.
    pub pipeline: String,
    /// The embedding model, as `provider/model`.
    pub model: String,
    /// The figures, in the order in which they are shown.
    pub figures: Vec<Figure>,
    /// The middle question's time in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred questions, the second slowest's.
    pub p99_ms: f64,
}

/// A figure with its confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Such as `ndcg@10`.
    pub name: String,
    /// The mean over the questions.
    pub mean: f64,
    /// The lower end of its interval of 95 % confidence.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A figure under two pipelines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// Such as `ndcg@10`.
    pub name: String,
    /// The mean of the second less that of the first.
    pub difference: f64,
    /// The probability that a difference as large comes by chance.
    pub p: f64,
}

impl Run {
    /// Sums a pipeline's questions up.
    pub fn new(pipeline: &str, model: &str, queries: &[QueryScore]) -> Self {
        let figure = |(name, of): (&str, scores::Figure)| {
            let Estimate { mean, low, high } = estimate(&values(queries, of));
            Figure { name: key(name), mean, low, high }
        };
        let scores = Scores::of(queries);
        Self {
            pipeline: short(pipeline),
            model: short(model),
            figures: figures(queries).map(figure).collect(),
            p50_ms: scores.p50_ms,
            p99_ms: scores.p99_ms,
        }
    }
}

impl Measurement {
    /// Of now.
    pub fn new(set: &str, runs: Vec<Run>, scores: &[&[QueryScore]]) -> Self {
        let comparison = match scores {
            [a, b] => figures(a)
                .map(|(name, figure)| {
                    let Difference { mean, p } = compare(a, b, figure);
                    Compared { name: key(name), difference: mean, p }
                })
                .collect(),
            _ => Vec::new(),
        };
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { at, set: short(set), queries: scores.first().map_or(0, |queries| queries.len()), runs, comparison }
    }

    /// Keeps it, as a whole or not at all, and forgets what is too old.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, home: &Path) -> io::Result<()> {
        let folder = folder(home);
        fs::create_dir_all(&folder)?;
        // So that their names are in the order of time, and two at once are two.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let path = folder.join(format!("{:015}-{:08x}.json", since.as_millis(), rand::random::<u32>()));
        atomic::write(&path, |file| file.write_all(&serde_json::to_vec(self)?))?;
        let mut all = files(&folder)?;
        let old = all.len().saturating_sub(KEPT);
        for file in all.drain(..old) {
            let _ = fs::remove_file(file);
        }
        Ok(())
    }
}

/// What is kept, the newest first. What cannot be read is left out.
///
/// # Errors
/// When the folder cannot be read; one that is not there holds nothing.
pub fn all(home: &Path) -> io::Result<Vec<Measurement>> {
    let files = match files(&folder(home)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    Ok(files.iter().rev().take(KEPT).filter_map(|file| read(file).ok()).collect())
}

fn read(file: &Path) -> io::Result<Measurement> {
    let mut text = Vec::new();
    fs::File::open(file)?.take(BYTES).read_to_end(&mut text)?;
    let told: Measurement = serde_json::from_slice(&text)?;
    // The last second of the year 9999: what is later is no time that anybody can read.
    if told.at > 253_402_300_799 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its time is none"));
    }
    Ok(told)
}

fn folder(home: &Path) -> PathBuf {
    home.join("eval").join("results")
}

/// The files, the oldest first.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    // A pipe would be waited for.
    let paths = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    Ok(files)
}

fn short(name: &str) -> String {
    name.chars().take(NAME).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::eval::set::Query;

    fn scores(found: &[bool]) -> Vec<QueryScore> {
        let query = |n: usize| Query { id: n.to_string(), relevant: HashMap::from([("a".to_owned(), 1)]), ..Query::default() };
        let answer = |found: bool| if found { vec!["a".to_owned()] } else { Vec::new() };
        let each = found.iter().enumerate();
        each.map(|(n, found)| QueryScore::new(&query(n), answer(*found), Duration::from_millis(3), None)).collect()
    }

    #[test]
    fn the_last_are_kept_and_read_back_as_they_were() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(all(home.path()).unwrap(), []);
        let (a, b) = (scores(&[true, false, true, true]), scores(&[true; 4]));
        let runs = vec![Run::new("docs", "local/m", &a), Run::new("索引", "api/m", &b)];
        let mut told = Measurement::new("lantern", runs, &[&a, &b]);
        let ndcg = told.runs.first().unwrap().figures.first().unwrap();
        assert_eq!((ndcg.name.as_str(), ndcg.mean), ("ndcg@10", 0.75));
        assert!(ndcg.low < 0.75 && ndcg.high > 0.75);
        assert_eq!((told.queries, told.comparison.len()), (4, 6));
        assert!((told.comparison.first().unwrap().difference - 0.25).abs() < 1e-12);
        for n in 0..KEPT as u64 + 5 {
            told.at = n;
            told.keep(home.path()).unwrap();
            // Their names are in the order of milliseconds.
            std::thread::sleep(Duration::from_millis(2));
        }
        let kept = all(home.path()).unwrap();
        let times: Vec<u64> = kept.iter().map(|one| one.at).collect();
        assert_eq!(times, (5..KEPT as u64 + 5).rev().collect::<Vec<_>>(), "the newest first");
        assert_eq!(kept.first(), Some(&told));
        fs::write(folder(home.path()).join("999999999999999-x.json"), "{").unwrap();
        assert_eq!(all(home.path()).unwrap().len(), KEPT - 1, "what is damaged hides nothing but itself");
        fs::create_dir(folder(home.path()).join("999999999999998-x.json")).unwrap();
        let never = Measurement { at: 100_000_000_000_000_000, ..told };
        fs::write(folder(home.path()).join("999999999999997-x.json"), serde_json::to_vec(&never).unwrap()).unwrap();
        assert!(all(home.path()).unwrap().iter().all(|one| one.at < 1000), "neither does what is no file, or of no time");
    }
}
