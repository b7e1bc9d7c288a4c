//! The samples' chunks as they were when `golden.txt` was written, so that a change of chunking is seen: it makes every index
//! that there is another one.
//!
//! To renew it on purpose: `GOLDEN=renew cargo test --test it chunk::golden`, and look at what `git diff` says.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

use ragstream::chunk::{ChunkPlan, Chunker};
use ragstream::document::{Chunk, Document, Metadata};
use ragstream::parse::Extracted;
use ragstream::pipeline::default_plan;

use crate::parse::parsed;
use crate::project::samples;

const FILE: &str = "tests/it/chunk/golden.txt";
const DOCUMENTS: [&str; 9] = [
    "guides/getting-started.md",
    "guides/rotating-keys.md",
    "ops/backup-runbook.txt",
    "ops/rotate_stale.py",
    "reference/api.html",
    "reference/python-client.rst",
    "zh/deployment.md",
    "zh/faq.html",
    "zh/oncall.txt",
];

/// The default plan, and one that has to cut every document.
fn plans() -> [ChunkPlan; 2] {
    let default = default_plan(&|_| None).chunk;
    let narrow = ChunkPlan { max_tokens: NonZeroUsize::new(60).unwrap(), overlap: 12, ..default.clone() };
    [default, narrow]
}

/// One line a chunk: its bytes, lines and tokens, the headings above it, and how it begins and ends.
fn line(document: &Document, chunk: &Chunk) -> String {
    let text: Vec<char> = document.text[chunk.span.clone()].split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    let first: String = text[..text.len().min(32)].iter().collect();
    let last: String = text[text.len().saturating_sub(16)..].iter().collect();
    let (span, lines, headings) = (&chunk.span, chunk.lines, chunk.headings.join(" > "));
    format!("  {}..{} L{}-{} {}t [{headings}] {first} … {last}", span.start, span.end, lines.0, lines.1, chunk.tokens)
}

fn drawn() -> String {
    let mut text = String::new();
    for plan in plans() {
        let chunker = Chunker::new(&plan);
        for name in DOCUMENTS {
            let Extracted { title, markup, text: extracted } =
                parsed(name, std::fs::read(samples().join(name)).unwrap()).unwrap();
            let (uri, extracted, metadata) = (name.to_owned(), extracted.into(), Metadata::new());
            let document = Document {
                uri,
                title,
                markup,
                text: extracted,
                pages: Vec::new(),
                anchors: Vec::new(),
                modified_ns: 0,
                metadata,
            };
            writeln!(text, "{name}, {} tokens, {} repeated", plan.max_tokens, plan.overlap).unwrap();
            for chunk in chunker.chunk(&document, None) {
                writeln!(text, "{}", line(&document, &chunk)).unwrap();
            }
        }
    }
    text
}

#[test]
fn samples_are_cut_as_ever() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let now = drawn();
    if std::env::var_os("GOLDEN").is_some_and(|word| word == "renew") {
        std::fs::write(&path, &now).unwrap();
    }
    let ever = std::fs::read_to_string(&path).unwrap();
    let other: Vec<String> = ever
        .lines()
        .filter(|line| !now.lines().any(|new| new == *line))
        .map(|line| format!("- {line}"))
        .chain(now.lines().filter(|line| !ever.lines().any(|old| old == *line)).map(|line| format!("+ {line}")))
        .collect();
    assert!(now == ever, "chunks are cut otherwise; if that is meant, GOLDEN=renew writes {FILE} anew:\n{}", other.join("\n"));
}
