//! A labelled set on disk: `corpus/` (or a file `corpus` that names the folder), `queries.jsonl`, `qrels.tsv`.

mod line;
mod marks;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use self::line::{QueryLine, Turn, text_or_number};
pub use self::marks::SpanLine;
use self::marks::{Texts, holds};
use super::claims::LabelledClaim;
use super::spans::Span;
use crate::answer::{Exchange, Question};

/// The first line of `qrels.tsv`, as in BEIR.
const HEADER: &str = "query-id\tcorpus-id\tscore";
/// A file of the set may have as many bytes.
const MAX_BYTES: u64 = 256 << 20;
/// Faults that are named.
const MAX_FAULTS: usize = 20;

/// A question with the documents that answer it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Its id.
    pub id: String,
    /// The question.
    pub text: String,
    /// How well documents answer it, by their path below the corpus; only those that do at all (more than 0), at least one.
    pub relevant: HashMap<String, u32>,
    /// The very parts of documents that answer it, where they are marked.
    pub spans: Vec<Span>,
    /// The conversation that it goes on from, oldest first.
    pub history: Vec<Exchange>,
    /// What may be claimed in an answer to it, rightly or wrongly.
    pub claims: Vec<LabelledClaim>,
}

impl Query {
    /// The question as it is asked.
    pub(super) fn question(&self) -> Question {
        let history = Some(self.history.clone()).filter(|history| !history.is_empty());
        Question { history, ..self.text.as_str().into() }
    }
}

/// Questions over a folder of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSet {
    /// The name of the set's folder.
    pub name: String,
    /// The folder of the documents, absolute.
    pub corpus: PathBuf,
    /// In the order of the file. Those that no document answers are left out: no ranking of them can be right or wrong.
    pub queries: Vec<Query>,
    /// Those of which the file says `"answerable": false`, and to which no document is relevant.
    pub unanswerable: Vec<Query>,
}

/// A set that cannot be used, and every reason (the first [`MAX_FAULTS`]): `file:line: what is wrong`.
#[derive(Debug, thiserror::Error)]
#[error("the labelled set cannot be used\n{}", .0.join("\n"))]
pub struct BadSet(pub Vec<String>);

impl LabelledSet {
    /// The questions that go on from others.
    pub fn follow_ups(&self) -> impl Iterator<Item = &Query> {
        self.queries.iter().chain(&self.unanswerable).filter(|query| !query.history.is_empty())
    }

    /// Reads a set. Blocks.
    ///
    /// # Errors
    /// With every fault, when a file is missing or wrong.
    pub fn load(directory: &Path) -> Result<Self, BadSet> {
        let mut faults = Vec::new();
        let corpus = corpus(directory, &mut faults);
        let (mut queries, without) = queries(&directory.join("queries.jsonl"), corpus.as_deref(), &mut faults);
        let judged = directory.join("qrels.tsv");
        // Marked answers say which documents hold them.
        if judged.exists() || queries.iter().all(|query| query.spans.is_empty()) {
            qrels(&judged, (queries.as_mut_slice(), &without), corpus.as_deref(), &mut faults);
        }
        for query in &mut queries {
            for span in &query.spans {
                query.relevant.entry(span.document.clone()).or_insert(1);
            }
        }
        let (queries, others): (Vec<_>, Vec<_>) = queries.into_iter().partition(|query| !query.relevant.is_empty());
        let unanswerable = others.into_iter().filter(|query| without.contains_key(&query.id)).collect();
        if queries.is_empty() && faults.is_empty() {
            faults.push(format!("{}: no query has an answer", directory.join("qrels.tsv").display()));
        }
        faults.truncate(MAX_FAULTS);
        match corpus {
            Some(corpus) if faults.is_empty() => {
                let name =
                    fs::canonicalize(directory).ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
                Ok(Self { name: name.unwrap_or_else(|| "set".into()), corpus, queries, unanswerable })
            }
            _ => Err(BadSet(faults)),
        }
    }
}

/// The folder of the documents.
fn corpus(directory: &Path, faults: &mut Vec<String>) -> Option<PathBuf> {
    let path = directory.join("corpus");
    let folder = if path.is_file() {
        let named = read(&path, faults)?;
        directory.join(named.trim())
    } else {
        path.clone()
    };
    match fs::canonicalize(&folder) {
        Ok(folder) if folder.is_dir() => Some(folder),
        _ => {
            faults.push(format!("{}: no such folder (or name the documents' folder in a file `corpus`)", folder.display()));
            None
        }
    }
}

fn read(path: &Path, faults: &mut Vec<String>) -> Option<String> {
    let read = match fs::metadata(path) {
        Ok(about) if about.len() > MAX_BYTES => Err(format!("larger than {} MB", MAX_BYTES >> 20)),
        _ => fs::read(path).map_err(|error| error.to_string()),
    };
    let bytes = read.map_err(|message| faults.push(format!("{}: {message}", path.display()))).ok()?;
    let whole = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        1 + valid.filter(|byte| **byte == b'\n').count()
    });
    whole.map_err(|line| faults.push(format!("{}:{line}: not UTF-8", path.display()))).ok()
}

/// The lines that are not blank, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// The queries, and the ids of those that no document answers, each with its line.
fn queries(path: &Path, corpus: Option<&Path>, faults: &mut Vec<String>) -> (Vec<Query>, HashMap<String, usize>) {
    let (mut queries, mut without) = (Vec::new(), HashMap::new());
    let mut texts = Texts { corpus, read: HashMap::new() };
    let mut places: HashMap<String, usize> = HashMap::new();
    let text = read(path, faults).unwrap_or_default();
    for (number, line) in lines(&text) {
        let query = match QueryLine::parse(line) {
            Ok(query) => query,
            Err(message) => {
                faults.push(format!("{}:{number}: {message}", path.display()));
                continue;
            }
        };
        if let Some(first) = places.insert(query.id.clone(), number) {
            faults.push(format!("{}:{number}: the id `{}` is that of line {first}, too", path.display(), query.id));
        }
        if query.answerable == Some(false) {
            without.insert(query.id.clone(), number);
            if !query.spans.is_empty() {
                faults.push(format!("{}:{number}: `answerable` is false, and `spans` mark an answer", path.display()));
            }
        }
        let mut spans = Vec::new();
        for line in query.spans {
            match texts.span(line) {
                Ok(span) => spans.extend(span),
                Err(message) => faults.push(format!("{}:{number}: {message}", path.display())),
            }
        }
        if query.claims.iter().any(|claim| claim.text.trim().is_empty()) {
            faults.push(format!("{}:{number}: a claim says nothing", path.display()));
        }
        let (history, claims) = (query.history.into_iter().map(Exchange::from).collect(), query.claims);
        queries.push(Query { id: query.id, text: query.text, relevant: HashMap::new(), spans, history, claims });
    }
    (queries, without)
}

fn qrels(
    path: &Path,
    (queries, without): (&mut [Query], &HashMap<String, usize>),
    corpus: Option<&Path>,
    faults: &mut Vec<String>,
) {
    let Some(text) = read(path, faults) else { return };
    let places: HashMap<String, usize> = queries.iter().enumerate().map(|(place, query)| (query.id.clone(), place)).collect();
    let mut seen = HashMap::new();
    for (number, line) in lines(&text) {
        if number == 1 {
            if line.trim_end() != HEADER {
                let wanted = HEADER.replace('\t', " TAB ");
                faults.push(format!("{}:1: the first line must be `{wanted}`", path.display()));
            }
            continue;
        }
        if let Err(message) = judgment(line, number, (&mut *queries, without), &places, corpus, &mut seen) {
            faults.push(format!("{}:{number}: {message}", path.display()));
        }
    }
}

/// Notes what a line says of a query and a document.
fn judgment(
    line: &str,
    number: usize,
    (queries, without): (&mut [Query], &HashMap<String, usize>),
    places: &HashMap<String, usize>,
    corpus: Option<&Path>,
    seen: &mut HashMap<(String, String), usize>,
) -> Result<(), String> {
    let [query, document, score] = <[&str; 3]>::try_from(line.trim_end().split('\t').collect::<Vec<_>>())
        .map_err(|columns| format!("{} columns, wanted 3, separated by tabs", columns.len()))?;
    let score: i64 = score.trim().parse().map_err(|_| format!("the score `{score}` is not a whole number"))?;
    let place = places.get(query).ok_or_else(|| format!("`{query}` is no query of queries.jsonl"))?;
    if corpus.is_some_and(|corpus| !holds(corpus, document)) {
        return Err(format!("`{document}` is no file of the corpus"));
    }
    if let Some(first) = seen.insert((query.to_owned(), document.to_owned()), number) {
        return Err(format!("`{query}` and `{document}` are judged on line {first} already"));
    }
    if let (Some(query), Ok(grade @ 1..)) = (queries.get_mut(*place), u32::try_from(score)) {
        if let Some(line) = without.get(&query.id) {
            return Err(format!(
                "`{document}` answers `{}`, which `answerable` on line {line} of queries.jsonl denies",
                query.id
            ));
        }
        query.relevant.insert(document.to_owned(), grade);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<LabelledSet, Vec<String>>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let loaded = LabelledSet::load(folder.path());
        let prefix = format!("{}/", folder.path().display());
        let loaded = loaded.map_err(|BadSet(faults)| faults.iter().map(|fault| fault.replace(&prefix, "")).collect());
        (folder, loaded)
    }

    const QUERIES: (&str, &str) =
        ("queries.jsonl", "\u{feff}{\"_id\": 1, \"text\": \"one\"}\n\n{\"id\": \"b\", \"text\": \"two\", \"x\": 0}\n");

    #[test]
    fn a_conversation_is_questions_with_or_without_answers() {
        let qrels = ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta.txt\t1\n");
        let line = r#"{"id": 1, "text": "多久一次？", "history": ["备份在哪里？", {"question": "Who?", "answer": "She."}]}"#;
        let (_folder, loaded) = set(&[("queries.jsonl", line), qrels, ("corpus/a.txt", "a")]);
        let exchange = |question: &str, answer: &str| Exchange { question: question.into(), answer: answer.into() };
        let loaded = loaded.unwrap();
        assert_eq!(loaded.queries.first().unwrap().history, [exchange("备份在哪里？", ""), exchange("Who?", "She.")]);
        assert_eq!(loaded.follow_ups().count(), 1);
        let line = r#"{"id": 1, "text": "how often?", "history": [7]}"#;
        let (_folder, loaded) = set(&[("queries.jsonl", line), qrels, ("corpus/a.txt", "a")]);
        let faults = loaded.unwrap_err();
        assert!(faults.iter().any(|fault| fault.starts_with("queries.jsonl:1: `history` must hold questions")), "{faults:?}");
    }

    #[test]
    fn claims_say_whether_the_documents_support_them() {
        let qrels = ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta.txt\t1\n");
        let line = r#"{"id": 1, "text": "多久一次？", "claims": [{"text": "每天一次。", "supported": true}]}"#;
        let (_folder, loaded) = set(&[("queries.jsonl", line), qrels, ("corpus/a.txt", "a")]);
        let claimed: Vec<LabelledClaim> = loaded.unwrap().queries.into_iter().flat_map(|query| query.claims).collect();
        assert_eq!(claimed, [LabelledClaim { text: "每天一次。".into(), supported: true }]);
        for (claims, wanted) in [
            (r#"{"text": "Daily."}"#, "missing field `supported`"),
            (r#"{"text": " ", "supported": true}"#, "a claim says nothing"),
            (r#"{"text": "Daily.", "supported": true, "supportd": 1}"#, "unknown field `supportd`"),
        ] {
            let line = format!("{{\"id\": 1, \"text\": \"how often?\", \"claims\": [{claims}]}}");
            let (_folder, loaded) = set(&[("queries.jsonl", &line), qrels, ("corpus/a.txt", "a")]);
            let faults = loaded.unwrap_err();
            assert!(faults.iter().any(|fault| fault.starts_with(&format!("queries.jsonl:1: {wanted}"))), "{faults:?}");
        }
    }

    #[test]
    fn a_set_is_read_as_it_stands() {
        let qrels = ("qrels.tsv", "query-id\tcorpus-id\tscore\r\n1\ta.txt\t2\r\n1\tsub/b.txt\t0\nb\ta.txt\t-1\n");
        let (folder, loaded) = set(&[QUERIES, qrels, ("corpus/a.txt", "a"), ("corpus/sub/b.txt", "b")]);
        let loaded = loaded.unwrap();
        assert_eq!(loaded.corpus, fs::canonicalize(folder.path().join("corpus")).unwrap());
        let relevant = HashMap::from([("a.txt".to_owned(), 2)]);
        let first = Query { id: "1".into(), text: "one".into(), relevant, ..Query::default() };
        assert_eq!(loaded.queries, [first], "`b` has no answer");
    }

    #[test]
    fn a_question_without_an_answer_says_so() {
        let queries = (
            "queries.jsonl",
            "{\"id\": 1, \"text\": \"one\"}\n{\"id\": 2, \"text\": \"two\", \"answerable\": false}\n{\"id\": 3, \"text\": \"three\"}\n",
        );
        let (_folder, loaded) =
            set(&[queries, ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta.txt\t1\n"), ("corpus/a.txt", "a")]);
        let loaded = loaded.unwrap();
        let ids = |queries: &[Query]| queries.iter().map(|query| query.id.clone()).collect::<Vec<_>>();
        assert_eq!((ids(&loaded.queries), ids(&loaded.unanswerable)), (vec!["1".to_owned()], vec!["2".to_owned()]));
    }

    #[test]
    fn a_question_that_is_said_to_have_no_answer_has_none() {
        let queries = (
            "queries.jsonl",
            "{\"id\": 1, \"text\": \"one\"}\n\n{\"id\": \"无\", \"text\": \"two\", \"answerable\": false}\n\
             {\"id\": 3, \"text\": \"t\", \"answerable\": false, \"spans\": [{\"document\": \"a.txt\", \"text\": \"a\"}]}\n",
        );
        let qrels = ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta.txt\t1\n无\ta.txt\t0\n无\tb.txt\t2\n");
        let (_folder, loaded) = set(&[queries, qrels, ("corpus/a.txt", "a"), ("corpus/b.txt", "b")]);
        let wanted = [
            "queries.jsonl:4: `answerable` is false, and `spans` mark an answer",
            "qrels.tsv:4: `b.txt` answers `无`, which `answerable` on line 3 of queries.jsonl denies",
        ];
        assert_eq!(loaded.unwrap_err(), wanted);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("corpus")).unwrap();
        fs::write(
            folder.path().join("queries.jsonl"),
            b"{\"id\": 1, \"text\": \"one\"}\n\n{\"id\": 2, \"text\": \"\xb1\xb8\"}\n",
        )
        .unwrap();
        let BadSet(faults) = LabelledSet::load(folder.path()).unwrap_err();
        assert!(faults.iter().any(|fault| fault.ends_with("queries.jsonl:3: not UTF-8")), "{faults:?}");
    }

    #[test]
    fn marked_answers_are_found_and_say_which_documents_hold_them() {
        let queries = (
            "queries.jsonl",
            "{\"id\": 1, \"text\": \"one\", \"spans\": [{\"document\": \"a.md\", \"start\": 2, \"end\": 5, \"text\": \"baa\"}]}\n\
             {\"id\": 2, \"text\": \"two\", \"spans\": [{\"document\": \"备份.md\", \"text\": \"备份数据库。\"}, {\"document\": \"a.md\", \"text\": \"b\"}]}\n",
        );
        let files = [queries, ("corpus/a.md", "aabaa"), ("corpus/备份.md", "每天凌晨备份数据库。\n")];
        let (_folder, loaded) = set(&files);
        let loaded = loaded.unwrap();
        let span = |document: &str, bytes| Span { document: document.to_owned(), bytes };
        let [one, two] = <[Query; 2]>::try_from(loaded.queries).unwrap();
        assert_eq!((one.spans, one.relevant), (vec![span("a.md", 2..5)], HashMap::from([("a.md".to_owned(), 1)])));
        assert_eq!(two.spans, [span("备份.md", 12..30), span("a.md", 2..3)]);
        assert_eq!(two.relevant.len(), 2, "no qrels.tsv is needed");
    }

    #[test]
    fn a_span_that_is_nowhere_is_a_fault() {
        let span = |span: &str| format!("{{\"id\": \"{}\", \"text\": \"t\", \"spans\": [{span}]}}\n", span.len());
        let queries = [
            span("{\"document\": \"a.md\", \"text\": \"aa\"}"),
            span("{\"document\": \"a.md\", \"text\": \"nowhere\"}"),
            span("{\"document\": \"a.md\", \"start\": 3, \"end\": 3}"),
            span("{\"document\": \"a.md\"}"),
            span("{\"document\": \"gone.md\", \"text\": \"a\"}"),
            span("{\"document\": \"./a.md\", \"text\": \"b\"}"),
            span("{\"document\": \"a.md\", \"start\": 2, \"end\": 60}"),
            span("{\"document\": \"备份.md\", \"start\": 4, \"end\": 10}"),
            span("{\"document\": \"备份.md\", \"start\": 3, \"end\": 6, \"text\": \"备份\"}"),
        ];
        let files =
            [("queries.jsonl", &*queries.concat()), ("corpus/a.md", "aabaa"), ("corpus/备份.md", "每天凌晨备份数据库。")];
        let (_folder, loaded) = set(&files);
        let wanted = [
            "queries.jsonl:1: `a.md` says \"aa\" 2 times: give `start` and `end`",
            "queries.jsonl:2: `a.md` does not say \"nowhere\"",
            "queries.jsonl:3: a span of `a.md` begins at 3 and ends at 3",
            "queries.jsonl:4: a span of `a.md` needs `start` and `end`, or `text`",
            "queries.jsonl:5: `gone.md` is no file of the corpus",
            "queries.jsonl:6: `./a.md` is no file of the corpus",
            "queries.jsonl:7: a span of `a.md` ends at 60, and its text has 5 bytes",
            "queries.jsonl:8: a span of `备份.md` from 4 to 10 begins or ends within a character: bytes of the text are counted, not \
             characters",
            "queries.jsonl:9: a span of `备份.md` from 3 to 6 is \"天\", not \"备份\": bytes of the text are counted, not characters",
            "qrels.tsv: No such file or directory (os error 2)",
        ];
        assert_eq!(loaded.unwrap_err(), wanted);
    }

    #[test]
    fn the_corpus_may_be_elsewhere() {
        let qrels = ("qrels.tsv", "query-id\tcorpus-id\tscore\n1\ta.txt\t1\n");
        let (folder, loaded) = set(&[QUERIES, qrels, ("corpus", "elsewhere\n"), ("elsewhere/a.txt", "a")]);
        assert_eq!(loaded.unwrap().corpus, fs::canonicalize(folder.path().join("elsewhere")).unwrap());
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let queries =
            ("queries.jsonl", "{\"id\": \"a\"}\n{\"id\": \"b\", \"text\": \"t\"}\n{\"id\": \"b\", \"text\": \"u\"}\n");
        let qrels = ("qrels.tsv", "b\ta.txt\t1\nb a.txt 1\nb\ta.txt\tx\nz\ta.txt\t1\nb\tc.txt\t1\nb\ta.txt\t1\nb\ta.txt\t2\n");
        let (_, loaded) = set(&[queries, qrels, ("corpus/a.txt", "a")]);
        let faults = loaded.unwrap_err();
        let wanted = [
            "queries.jsonl:1: missing field `text`",
            "queries.jsonl:3: the id `b` is that of line 2, too",
            "qrels.tsv:1: the first line must be",
            "qrels.tsv:2: 1 columns",
            "qrels.tsv:3: the score `x`",
            "qrels.tsv:4: `z` is no query",
            "qrels.tsv:5: `c.txt` is no file",
            "qrels.tsv:7: `b` and `a.txt` are judged on line 6",
        ];
        assert_eq!(faults.len(), wanted.len(), "{faults:#?}");
        for (fault, wanted) in faults.iter().zip(wanted) {
            assert!(fault.starts_with(wanted), "{fault} / {wanted}");
        }
        let (_, nothing) = set(&[]);
        assert_eq!(nothing.unwrap_err().len(), 3, "corpus, queries and qrels are missing");
        let (_, unanswered) = set(&[QUERIES, ("qrels.tsv", "query-id\tcorpus-id\tscore\n"), ("corpus/a.txt", "a")]);
        assert!(unanswered.unwrap_err().first().unwrap().ends_with("no query has an answer"));
    }
}
