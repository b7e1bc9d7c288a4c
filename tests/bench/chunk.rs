//! The chunker against the raw encoder, on the same text, in turns within one run: what tokenising alone costs, and what
//! cutting adds to it. Prints a table of MB (1,000,000 bytes) a CPU second and the ratio.
//!
//! `cargo bench --bench chunk`; with `--test`, or without the `--bench` that cargo passes then (`cargo test --benches`), on
//! tiny inputs.

#![allow(clippy::print_stdout, reason = "the table is the result")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]
#![allow(clippy::format_push_string, reason = "clearer than fast, outside of what is measured")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ragstream::chunk::Chunker;
use ragstream::chunk::{ChunkBy, ChunkPlan};
use ragstream::document::{Document, Markup, Metadata};
use ragstream::tokenizer::TokenizerName;

/// The raw encoder panics or crawls on these: it is not asked.
const ADVERSARIAL: [(&str, &str, Markup); 14] = [
    ("spaces", " ", Markup::Markdown),
    ("one letter", "a", Markup::Markdown),
    ("hashes", "#", Markup::Markdown),
    ("backticks", "`", Markup::Markdown),
    ("newlines", "\n", Markup::Markdown),
    ("no blanks", "x9/Zq+", Markup::Text),
    ("one CJK line", "天地玄黄宇宙洪荒", Markup::Text),
    ("headings", "# a\n", Markup::Markdown),
    ("nested headings", "# a\n## b\n### c\n#### d\n", Markup::Markdown),
    ("deep lists", "          - a\n", Markup::Markdown),
    ("open fences", "```\nx\n~~~\n", Markup::Markdown),
    ("pipes", "|-|\n", Markup::Markdown),
    ("combining marks", "e\u{301}\u{302}\u{303}", Markup::Text),
    ("flags", "🇩🇪", Markup::Text),
];

fn main() {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    let tiny = given("--test") || !given("--bench");
    let sizes: &[usize] = if tiny { &[2_000] } else { &[100_000, 1_000_000, 10_000_000] };
    let least = if tiny { Duration::ZERO } else { Duration::from_secs(2) };
    let plan = ChunkPlan {
        by: ChunkBy::Auto,
        max_tokens: NonZeroUsize::new(400).unwrap(),
        overlap: 40,
        tokenizer: TokenizerName::O200kBase,
    };
    let chunker = Chunker::new(&plan);
    let raw = tiktoken_rs::o200k_base_singleton();

    println!("{:<18}{:>10}{:>12}{:>12}{:>8}{:>9}", "text", "bytes", "raw MB/s", "chunk MB/s", "ratio", "chunks");
    for (name, markup, text) in [
        ("markdown", Markup::Markdown, markdown()),
        ("prose", Markup::Text, prose()),
        ("code", Markup::Code, code()),
        ("chinese", Markup::Text, chinese()),
    ] {
        for size in sizes {
            let document = document(markup, repeated(&text, *size));
            let (mut encoding, mut chunking, mut rounds, mut chunks) = (Duration::ZERO, Duration::ZERO, 0_u32, 0);
            while encoding.is_zero() || chunking.is_zero() || encoding + chunking < least {
                let start = cpu_time();
                black_box(raw.encode_ordinary(&document.text));
                let between = cpu_time();
                chunks = black_box(chunker.chunk(&document, None)).len();
                encoding += between.saturating_sub(start);
                chunking += cpu_time().saturating_sub(between);
                rounds += 1;
            }
            let bytes = document.text.len() as f64 * f64::from(rounds) / 1e6;
            let (encoding, chunking) = (bytes / encoding.as_secs_f64(), bytes / chunking.as_secs_f64());
            let ratio = chunking / encoding;
            println!("{name:<18}{:>10}{encoding:>12.2}{chunking:>12.2}{ratio:>8.2}{chunks:>9}", document.text.len());
        }
    }
    let sizes: &[usize] = if tiny { &[2_000] } else { &[1_000_000, 10_000_000] };
    for (name, unit, markup) in ADVERSARIAL {
        for size in sizes {
            let document = document(markup, unit.repeat(size / unit.len()));
            let start = cpu_time();
            let chunks = black_box(chunker.chunk(&document, None)).len();
            let speed = document.text.len() as f64 / 1e6 / cpu_time().saturating_sub(start).as_secs_f64();
            println!("{name:<18}{:>10}{:>12}{speed:>12.2}{:>8}{chunks:>9}", document.text.len(), "-", "-");
        }
    }
}

/// This thread's time on a CPU, so that a busy machine does not blur the ratio; where the system does not tell, the time.
fn cpu_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|line| line.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
    told.unwrap_or_else(|| START.get_or_init(Instant::now).elapsed())
}

fn document(markup: Markup, text: String) -> Document {
    Document {
        uri: "bench".into(),
        title: None,
        markup,
        text: text.into(),
        pages: Vec::new(),
        anchors: Vec::new(),
        modified_ns: 0,
        metadata: Metadata::new(),
    }
}

/// The text again and again, with a number between so that no two rounds are the same.
fn repeated(text: &str, size: usize) -> String {
    let mut all = String::with_capacity(size + text.len());
    for round in 0.. {
        if all.len() >= size {
            break;
        }
        all.push_str(text);
        all.push_str(&format!("\n{round}\n\n"));
    }
    all.truncate(all.floor_char_boundary(size));
    all
}

fn prose() -> String {
    let sentences = [
        "The harbour lay quiet under a low grey sky, and nobody had seen the ferry leave.",
        "Dr. Weaver counted 3,412 letters, i.e. about as many as the year before.",
        "\"Is it far?\" she asked.",
        "When the wind turned, the boats that had waited since Tuesday went out one after another, with lamps lit.",
        "Most of the archive had survived: maps, wills, a ledger of salt taxes, and two boxes of undated photographs.",
    ];
    let mut text = String::new();
    for paragraph in 0..40_usize {
        for sentence in 0..3 + paragraph % 5 {
            text.push_str(sentences[(paragraph * 7 + sentence * 3) % sentences.len()]);
            text.push(' ');
        }
        text.push_str("\n\n");
    }
    text
}

fn markdown() -> String {
    let prose = prose();
    let mut text = String::from("# Guide\n\n");
    for (i, paragraph) in prose.split_terminator("\n\n").enumerate() {
        if i % 5 == 0 {
            text.push_str(&format!("{} Section {i}\n\n", "#".repeat(2 + i / 5 % 3)));
        }
        text.push_str(paragraph.trim());
        match i % 4 {
            0 => text.push_str("\n\n- first, the `--flag`\n- second, [a link](https://example.org/path?q=1)\n  - nested\n\n"),
            1 => text.push_str("\n\n```rust\nfn main() {\n    let x = vec![1, 2, 3];\n\n    println!(\"{x:?}\");\n}\n```\n\n"),
            2 => text.push_str("\n\n| name | value |\n|------|-------|\n| a | 1 |\n| b | 2 |\n\n"),
            _ => text.push_str("\n\n"),
        }
    }
    text
}

fn code() -> String {
    include_str!("../../src/tokenizer.rs").to_string() + include_str!("../../src/chunk/markdown.rs")
}

fn chinese() -> String {
    let sentences = [
        "数据从文件夹进入，经过解析、切分和向量化，最后写入索引。",
        "如果文件没有变化，系统就不会再次计算它的向量；这样可以节省时间和费用。",
        "“为什么需要重叠？”因为一句话可能跨越两个片段，",
        "检索时会同时使用关键词与语义两种方法，并把结果合并成一个列表！",
    ];
    let mut text = String::new();
    for paragraph in 0..40_usize {
        for sentence in 0..3 + paragraph % 5 {
            text.push_str(sentences[(paragraph * 5 + sentence * 3) % sentences.len()]);
        }
        text.push_str("\n\n");
    }
    text
}
