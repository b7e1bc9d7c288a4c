//! Documents of which each is lost on its way to the sources of an answer by one cause, which was planted.

use std::path::Path;

use ragstream::VectorStore as _;
use ragstream::ingest::ledger::{Commit, Epoch, Intent, Ledger as _, SqliteLedger};
use ragstream::source::{SourceId, Version};
use ragstream::vectordb::embedded::EmbeddedStore;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::project::Project;
use crate::stand_in::{Reply, Request, StandIn, openai_embeddings};

/// A document, a question, and why the one is not among the sources of the other.
pub struct Case {
    pub file: String,
    pub question: String,
    pub pipeline: &'static str,
    pub more: Vec<String>,
    pub cause: &'static str,
    /// What else is to be said, by JSON pointers.
    pub facts: Vec<(&'static str, Value)>,
}

impl Case {
    pub fn new(file: &str, question: &str, cause: &'static str) -> Self {
        let (file, question) = (file.to_owned(), question.to_owned());
        Self { file, question, pipeline: "sparse.yaml", more: Vec::new(), cause, facts: Vec::new() }
    }

    fn by(self, pipeline: &'static str) -> Self {
        Self { pipeline, ..self }
    }

    fn with(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|argument| (*argument).to_owned()));
        self
    }

    fn says(mut self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.facts.push((pointer, value.into()));
        self
    }

    pub fn arguments(&self) -> Vec<String> {
        let first = ["why", &self.file, &self.question, "-p", self.pipeline, "--json"];
        first.into_iter().map(str::to_owned).chain(self.more.iter().cloned()).collect()
    }
}

/// A project with an index in which causes were planted.
pub struct Garden {
    pub project: Project,
    pub cases: Vec<Case>,
    /// Of words that many documents have.
    pub questions: Vec<String>,
    _api: StandIn,
}

/// Words of a language: those that all documents have, and some for one case alone.
struct Language {
    code: &'static str,
    chinese: bool,
    state: u64,
    rare: u32,
}

impl Language {
    fn random(&mut self, below: usize) -> usize {
        // A linear congruence: the same garden each time.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % below
    }

    fn common(&mut self) -> String {
        let n = self.random(40);
        if self.chinese {
            let at = |n: usize| char::from_u32(0x7530 + n as u32).unwrap();
            format!("{}{}", at(2 * n), at(2 * n + 1))
        } else {
            let syllables = ["ba", "du", "fi", "go", "ke", "lu", "mo", "ne"];
            format!("{}{}{}", syllables[n % 8], syllables[n / 8], syllables[(n + 3) % 8])
        }
    }

    /// A word that no document has so far.
    fn rare(&mut self) -> String {
        self.rare += 1;
        if self.chinese {
            let at = |n: u32| char::from_u32(0x5200 + n).unwrap();
            format!("{}{}", at(2 * self.rare), at(2 * self.rare + 1))
        } else {
            let letters = ["zq", "xv", "wz", "qj", "vk", "jx", "zv", "kq", "xw", "qz"];
            let n = self.rare as usize;
            format!("{}o{}u{}", letters[n % 10], letters[n / 10 % 10], letters[n / 100 % 10])
        }
    }

    fn rares(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.rare()).collect()
    }

    /// So many common words, and these, each so many times, somewhere among them.
    fn text(&mut self, common: usize, words: &[String], times: usize) -> String {
        let mut all: Vec<String> = (0..common).map(|_| self.common()).collect();
        for word in words {
            for _ in 0..times {
                let at = self.random(all.len() + 1);
                all.insert(at, word.clone());
            }
        }
        let (gap, end) = if self.chinese { ("，", "。\n") } else { (" ", ".\n") };
        all.chunks(8).flat_map(|sentence| [sentence.join(gap), end.to_owned()]).collect()
    }

    fn ask(&self, words: &[String]) -> String {
        words.join(if self.chinese { "，" } else { " " })
    }

    fn file(&self, name: &str) -> String {
        if self.chinese { format!("docs/zh/文档 {name}") } else { format!("docs/en/{name}") }
    }
}

/// Refuses what is marked, and embeds the rest.
fn embeddings(request: &Request) -> Reply {
    if request.body.to_string().contains("unembeddable") {
        return Reply::status(400, &json!({"error": {"message": "the input is not acceptable", "code": "invalid_input"}}));
    }
    openai_embeddings(request, 16)
}

/// Puts what is marked last, and keeps the order of the rest.
fn rerank(request: &Request) -> Reply {
    let documents = request.body["documents"].as_array().unwrap().iter().enumerate();
    let score =
        |index: usize, text: &Value| if text.as_str().unwrap().contains("spurned") { 0.0 } else { 1.0 - index as f64 / 100.0 };
    let results: Vec<Value> =
        documents.map(|(index, text)| json!({"index": index, "relevance_score": score(index, text)})).collect();
    Reply::json(&json!({"results": results}))
}

fn write_pipelines(project: &Project, api: &StandIn) {
    let provider = |kind: &str, path: &str| {
        format!("{{ kind: {kind}, base_url: \"{}{path}\", api_key: k, retry: {{ attempts: 1 }} }}", api.url())
    };
    let (openai, jina) = (provider("openai", ""), provider("jina", "/v1"));
    let head = format!("version: 1\nproviders:\n  api: {openai}\n  ranks: {jina}\nembed: {{ model: api/e, dimensions: 16 }}\n");
    let files = "sources: [{ files: { paths: [docs], include: ['*.txt', '*.md', '*.pdf', '*.dat', '*.zip'], exclude: ['draft/**', '**/draft/**'], max_bytes: 20kB } }]\n";
    for (file, retrieve, answer) in [
        ("docs.yaml", "limit: 3", ""),
        ("keep.yaml", "limit: 3, duplicates: keep", ""),
        ("dense.yaml", "limit: 3, mode: dense", ""),
        ("sparse.yaml", "limit: 3, mode: sparse", ""),
        ("where.yaml", "limit: 3, mode: sparse, where: ['path!=docs/**']", ""),
        ("rerank.yaml", "limit: 2, mode: sparse, rerank: { model: ranks/r, candidates: 5 }", ""),
        ("budget.yaml", "limit: 3, mode: sparse", ", answer: { model: api/m, context_tokens: 700 }"),
    ] {
        project.write(file, format!("{head}name: docs\n{files}query: {{ retrieve: {{ {retrieve} }}{answer} }}\n"));
    }
    project.write("other.yaml", format!("{head}name: other\nsources: [other]\n"));
}

impl Garden {
    /// A project with all cases.
    pub async fn planted() -> Self {
        let api = StandIn::start().await;
        api.always("/embeddings", embeddings);
        api.always("/v1/rerank", rerank);
        let project = Project::new();
        write_pipelines(&project, &api);
        let mut cases = Vec::new();
        let mut languages = [("en", false), ("zh", true)].map(|(code, chinese)| Language { code, chinese, state: 7, rare: 0 });
        let mut questions = Vec::new();
        for language in &mut languages {
            before(&project, language, &mut cases);
            questions.extend((0..2).map(|_| {
                let words: Vec<String> = (0..3).map(|_| language.common()).collect();
                language.ask(&words)
            }));
        }
        let ingest = |pipeline: &str| {
            let ended = tokio::task::block_in_place(|| project.run(&["ingest", "-p", pipeline, "--json"]));
            assert!(ended.code < 2, "{ended:?}");
        };
        ingest("docs.yaml");
        for language in &mut languages {
            remove(&project, language, &mut cases);
        }
        ingest("docs.yaml");
        ingest("other.yaml");
        for language in &mut languages {
            after(&project, language, &mut cases);
        }
        let (home, names) = (project.path(".ragstream"), languages.each_ref().map(|language| language.file("")));
        for (name, chinese) in names.into_iter().zip([false, true]) {
            damage(&home, &name, chinese, &mut cases).await;
        }
        Self { project, cases, questions, _api: api }
    }
}

/// What is planted before the first ingest.
fn before(project: &Project, language: &mut Language, cases: &mut Vec<Case>) {
    for n in 0..30 {
        let text = language.text(40 + n, &[], 0);
        project.write(&format!("docs/{}/filler/{n}.txt", language.code), text);
    }
    for n in 0..6 {
        let words = language.rares(3);
        let file = language.file(&format!("found {n}.txt"));
        project.write(&file, language.text(40, &words, 1));
        let lacks = language.rare();
        let asked = language.ask(&[words.clone(), vec![lacks.clone()]].concat());
        cases.push(
            Case::new(&file, &language.ask(&words), "found")
                .says("/cause/source", 1)
                .says("/rank", 1)
                .says("/legs/words/rank", 1),
        );
        cases.push(Case::new(&file, &asked, "found").says("/missing_words", json!([lacks])));
    }
    for n in 0..5 {
        let word = language.rares(1);
        for better in 0..6 {
            project.write(&language.file(&format!("better {n} {better}.txt")), language.text(20 + better, &word, 2));
        }
        let file = language.file(&format!("beyond {n}.txt"));
        project.write(&file, language.text(60, &word, 1));
        let asked = language.ask(&word);
        cases.push(Case::new(&file, &asked, "beyond_limit").says("/rank", 7).says("/legs/words/rank", 7).says("/limit", 3));
        cases.push(Case::new(&file, &asked, "beyond_limit").with(&["-k", "6"]).says("/rank", 7).says("/limit", 6));
        cases.push(Case::new(&file, &asked, "found").with(&["-k", "7"]).says("/rank", 7));
        cases.push(
            Case::new(&file, &asked, "beyond_candidates").by("rerank.yaml").says("/rank", 7).says("/cause/candidates", 5),
        );
        let asked = language.rares(2);
        project.write(&language.file(&format!("answers {n}.txt")), language.text(20, &asked, 1));
        cases.push(Case::new(&file, &language.ask(&asked), "no_shared_words").says("/missing_words", json!(asked)));
    }
    for n in 0..5 {
        let words = language.rares(2);
        let (original, copy) = (language.file(&format!("original {n}.md")), language.file(&format!("copy {n}.md")));
        let text = language.text(50, &words, 1);
        project.write(&original, &text);
        project.write(&copy, format!("{text}{}", language.text(2, &[], 0)));
        cases.push(Case::new(&copy, &language.ask(&words), "duplicate").says("/cause/of/uri", original.as_str()));
        cases.push(Case::new(&copy, &language.ask(&words), "found").by("keep.yaml").with(&["-k", "1000"]));
    }
    for n in 0..4 {
        let word = language.rares(1);
        let file = language.file(&format!("spurned {n}.txt"));
        project.write(&file, format!("{}spurned\n", language.text(20, &word, 3)));
        for other in 0..3 {
            project.write(&language.file(&format!("liked {n} {other}.txt")), language.text(30 + other, &word, 1));
        }
        cases.push(
            Case::new(&file, &language.ask(&word), "reranked").by("rerank.yaml").says("/cause/before", 1).says("/rank", 4),
        );
        cases.push(Case::new(&file, &language.ask(&word), "found").says("/rank", 1));
    }
    for n in 0..3 {
        let word = language.rares(1);
        for other in 0..2 {
            project.write(&language.file(&format!("short {n} {other}.txt")), language.text(12, &word, 2));
        }
        let file = language.file(&format!("long {n}.txt"));
        let length = if language.chinese { 90 } else { 100 };
        project.write(&file, language.text(length, &word, 1));
        cases.push(Case::new(&file, &language.ask(&word), "over_budget").by("budget.yaml").says("/cause/tokens", 700));
        cases.push(Case::new(&file, &language.ask(&word), "found").says("/rank", 3));
    }
    for n in 0..2 {
        let words = language.rares(2);
        let file = language.file(&format!("filtered {n}.txt"));
        project.write(&file, language.text(30, &words, 1));
        let asked = language.ask(&words);
        for term in ["path=docs/**/filler/**", "path!=**/*.txt", "modified>=2031-01-01", "meta.author=Ada", "lang=fr"] {
            let case = Case::new(&file, &asked, "filtered").with(&["--where", term, "--where", "path=docs/**"]);
            cases.push(case.says("/cause/terms", json!([term])));
        }
        cases.push(Case::new(&file, &asked, "filtered").by("where.yaml").says("/cause/terms", json!(["path!=docs/**"])));
    }
    for n in 0..2 {
        let file = language.file(&format!("broken {n}.pdf"));
        project.write(&file, format!("%PDF-1.7\nthis is no PDF at all {n}"));
        cases.push(Case::new(&file, &language.rare(), "failed").says("/cause/stage", "parse").says("/passages", 0));
        let file = language.file(&format!("unembeddable {n}.txt"));
        let words = language.rares(2);
        project.write(&file, format!("{} unembeddable\n", language.text(30, &words, 1)));
        cases.push(Case::new(&file, &language.ask(&words), "failed").says("/cause/stage", "embed"));
    }
    skipped(project, language, cases);
    for n in 0..4 {
        let old = language.text(30, &[], 0);
        project.write(&language.file(&format!("outdated {n}.txt")), old);
        project.write(&language.file(&format!("removed {n}.txt")), language.text(30, &[], 0));
        project.write(&language.file(&format!("lost {n}.txt")), language.text(30, &[], 0));
        project.write(&format!("other/{} {n}.txt", language.file("")), language.text(30, &[], 0));
        project.write(&format!("elsewhere/{} {n}.txt", language.file("")), language.text(30, &[], 0));
    }
}

/// Files that an ingest passes over.
fn skipped(project: &Project, language: &mut Language, cases: &mut Vec<Case>) {
    let text = language.text(30, &[], 0);
    let large = language.text(4000, &[], 0);
    let plain = text.as_bytes();
    let folder = format!("docs/{}/", language.code);
    for (name, content, reason) in [
        (".secret.txt", plain, "hidden"),
        (".folder/a.txt", plain, "hidden"),
        ("draft/a.txt", plain, "excluded"),
        ("a.rst", plain, "excluded"),
        ("large.txt", large.as_bytes(), "too_large"),
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \n\t\n", "empty"),
        ("noise.dat", b"\x00\x01\x02\xff\xfe\x00\x80\x90\x00", "binary"),
        ("packed.zip", b"PK\x03\x04 nothing", "unsupported_format"),
        ("ignored by git.txt", plain, "gitignored"),
        ("ignored.txt", plain, "ignored"),
    ] {
        let file = format!("{folder}{name}");
        project.write(&file, content);
        cases.push(Case::new(&file, &language.rare(), "skipped").says("/cause/reason", reason));
    }
    project.write(&format!("{folder}.gitignore"), "*ignored by git.txt\n");
    project.write(&format!("{folder}.ignore"), "*ignored.txt\n");
    let link = format!("{folder}link.txt");
    std::os::unix::fs::symlink(project.path(&language.file("found 0.txt")), project.path(&link)).unwrap();
    cases.push(Case::new(&link, &language.rare(), "skipped").says("/cause/reason", "symbolic_link"));
}

/// What is planted by taking files away between two ingests.
fn remove(project: &Project, language: &mut Language, cases: &mut Vec<Case>) {
    for n in 0..4 {
        let file = language.file(&format!("removed {n}.txt"));
        project.remove(&file);
        cases.push(Case::new(&file, &language.rare(), "missing"));
    }
}

/// What is planted after the last ingest.
fn after(project: &Project, language: &mut Language, cases: &mut Vec<Case>) {
    for n in 0..4 {
        let words = language.rares(2);
        let file = language.file(&format!("outdated {n}.txt"));
        project.write(&file, language.text(30, &words, 1));
        cases.push(Case::new(&file, &language.ask(&words), "outdated").says("/also/0/id", "no_shared_words"));

        let words = language.rares(2);
        let file = language.file(&format!("new {n}.txt"));
        project.write(&file, language.text(30, &words, 1));
        cases.push(Case::new(&file, &language.ask(&words), "not_ingested").says("/passages", 0));

        let file = format!("other/{} {n}.txt", language.file(""));
        cases.push(Case::new(&file, &language.rare(), "other_pipeline").says("/cause/pipeline", "other"));
        let file = format!("elsewhere/{} {n}.txt", language.file(""));
        cases.push(Case::new(&file, &language.rare(), "outside_sources"));
    }
    // It is found, though the next ingest takes it out.
    let file = language.file("found 5.txt");
    project.remove(&file);
    let found = cases.iter().position(|case| case.file == file && case.facts.len() == 3).unwrap();
    cases[found].facts.push(("/also", json!([{"id": "removed"}])));
}

/// What is planted in the ledger and the index themselves.
async fn damage(home: &Path, folder: &str, chinese: bool, cases: &mut Vec<Case>) {
    let question = if chinese { "密钥" } else { "keys" };
    let ledger = SqliteLedger::open(&home.join("docs.ledger")).await.unwrap();
    let store = EmbeddedStore::new(home.join("docs"));
    for n in 0..3 {
        let file = format!("{folder}lost {n}.txt");
        store.delete_document(&file).await.unwrap();
        cases.push(Case::new(&file, question, "lost"));

        let uri = format!("{folder}begun {n}.txt");
        cases.push(Case::new(&uri, question, "interrupted"));
        let (source, ids) = (SourceId::files(), vec![Uuid::from_u128(n + 1)]);
        let intent = Intent { source, uri, epoch: Epoch(0), ids, untouched: Vec::new() };
        assert!(ledger.intend(vec![intent]).await.unwrap().uris.is_empty());

        let uri = format!("{folder}bare {n}.txt");
        cases.push(Case::new(&uri, question, "no_text"));
        let (source, version) = (SourceId::files(), Version::UNKNOWN);
        let bare = Commit { source, uri, epoch: Epoch(0), version, hash: [1; 32], modified: None, points: Vec::new() };
        assert!(ledger.commit(vec![bare]).await.unwrap().uris.is_empty());
    }
    store.release().await;
}
