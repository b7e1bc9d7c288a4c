//! The chunker's invariants, over generated documents of every markup and over hostile ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]
#![allow(clippy::format_push_string, clippy::format_collect, clippy::naive_bytecount, reason = "clearer than fast, in a test")]

mod golden;
mod texts;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use ragstream::chunk::{ChunkBy, ChunkPlan};
use ragstream::chunk::{Chunker, Fits, embedded_text};
use ragstream::document::{Chunk, Document, Markup, Metadata, PageStart};
use ragstream::parse::{Hint, ParseOptions, parse_with};
use ragstream::tokenizer::Tokenizer;
use ragstream::tokenizer::TokenizerName;
use unicode_segmentation::UnicodeSegmentation;

use self::texts::{by, markup, text};

fn plan(by: ChunkBy, max_tokens: usize, overlap: usize) -> ChunkPlan {
    ChunkPlan { by, max_tokens: NonZeroUsize::new(max_tokens).unwrap(), overlap, tokenizer: TokenizerName::O200kBase }
}

fn document(markup: Markup, text: &str) -> Document {
    Document {
        pages: Vec::new(),
        anchors: Vec::new(),
        uri: "a".into(),
        title: Some("Title".into()),
        markup,
        text: text.into(),
        modified_ns: 0,
        metadata: Metadata::new(),
    }
}

fn chunks_of(plan: &ChunkPlan, document: &Document, fits: Option<Fits<'_>>) -> Vec<Chunk> {
    let chunks = Chunker::new(plan).chunk(document, fits);
    check(plan, document, &chunks, fits.is_some());
    chunks
}

/// Whether a character is in no chunk by right.
fn is_blank(at: usize, c: char) -> bool {
    c.is_whitespace() || (at == 0 && c == '\u{feff}')
}

/// What lies between two chunks is blank.
fn left_out(text: &str, gap: Range<usize>) {
    let blank = text[gap.clone()].char_indices().all(|(at, c)| is_blank(gap.start + at, c));
    assert!(blank, "left out: {:?}", &text[gap]);
}

/// Every invariant that holds whatever the document.
fn check(plan: &ChunkPlan, document: &Document, chunks: &[Chunk], fitted: bool) {
    let text: &str = &document.text;
    let tokenizer = Tokenizer::get(plan.tokenizer);
    let max_tokens = plan.max_tokens.get();
    let graphemes: HashSet<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
    // A cluster that begins with a blank loses the blank, and one above a limit is cut.
    let in_grapheme = |at: usize| {
        let cluster = || text.grapheme_indices(true).take_while(|(start, _)| *start < at).last().unwrap().1;
        !fitted
            && !graphemes.contains(&at)
            && !cluster().starts_with(char::is_whitespace)
            && tokenizer.count(cluster()) <= max_tokens
    };
    let mut covered = 0;
    for (i, chunk) in chunks.iter().enumerate() {
        let slice = text.get(chunk.span.clone()).expect("spans lie on character boundaries");
        assert_eq!(chunk.index as usize, i);
        assert!(!slice.is_empty() && slice.trim() == slice, "no blanks at the ends: {slice:?}");
        assert_eq!(chunk.tokens as usize, tokenizer.count(slice), "the tokens are those of the text alone: {slice:?}");
        assert!(chunk.tokens as usize <= max_tokens || slice.chars().count() == 1, "{} tokens: {slice:?}", chunk.tokens);
        assert!(!in_grapheme(chunk.span.start) && !in_grapheme(chunk.span.end), "a grapheme is cut: {slice:?}");

        let line = |at: usize| 1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() as u32;
        assert_eq!(chunk.lines, (line(chunk.span.start), line(chunk.span.end - 1)));

        if let Some(before) = i.checked_sub(1).map(|i| &chunks[i]) {
            assert!(before.span.start < chunk.span.start && before.span.end < chunk.span.end, "spans ascend");
            if chunk.span.start < before.span.end {
                let repeated = tokenizer.count(&text[chunk.span.start..before.span.end]);
                assert!(repeated <= plan.overlap, "{repeated} tokens are repeated: {slice:?}");
            }
        }
        left_out(text, covered..chunk.span.start.max(covered));
        covered = chunk.span.end;
    }
    left_out(text, covered..text.len());
}

/// The chunks that begin below a table's header, each as the names it has and its first line.
fn rows<'a>(text: &'a str, chunks: &'a [Chunk]) -> Vec<(Option<&'a str>, &'a str)> {
    let first = |chunk: &'a Chunk| text[chunk.span.clone()].lines().next().unwrap();
    chunks.iter().map(|chunk| (chunk.columns.as_deref(), first(chunk))).collect()
}

#[test]
fn a_passage_of_a_page_knows_the_name_of_its_place() {
    let long = |about: &str| format!("<p>{}</p>", format!("All about {about}. ").repeat(30));
    let page = format!(
        "<main><h1 id=top>Ports</h1>{}<section id=fees><h2>Fees</h2>{}<h3>Without a name</h3>{}</section>\
         <dl><dt id=berth()>berth()</dt><dd>{}</dd></dl></main>",
        long("ports"),
        long("fees"),
        long("nothing"),
        long("berths")
    );
    let parsed = parse_with(Hint::name("a.html"), page.into_bytes(), &ParseOptions::default()).unwrap();
    let text: Arc<str> = parsed.extracted.text.into();
    let document = Document { text, anchors: parsed.anchors, ..document(Markup::Markdown, "") };
    for by in [ChunkBy::Auto, ChunkBy::Sentences] {
        let chunks = chunks_of(&plan(by, 60, 10), &document, None);
        let mut named: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let text = &document.text[chunk.span.clone()];
                let about = ["ports", "fees", "nothing", "berths"].into_iter().rfind(|word| text.contains(word)).unwrap();
                (chunk.anchor.as_deref(), about)
            })
            .collect();
        named.dedup();
        if by == ChunkBy::Auto {
            // What has no name of its own is not led to by another's.
            let expected = [
                (Some("top"), "ports"),
                (Some("fees"), "fees"),
                (None, "nothing"),
                (None, "berths"),
                (Some("berth()"), "berths"),
            ];
            assert_eq!(named, expected);
        }
        let starts = |chunk: &Chunk| document.anchors.iter().rfind(|anchor| anchor.start <= chunk.span.start).unwrap();
        assert!(chunks.iter().all(|chunk| chunk.anchor.as_deref().is_none_or(|name| name == starts(chunk).id)));
    }
}

#[test]
fn rows_that_are_cut_from_their_table_know_its_columns() {
    let csv: String = std::iter::once("berth,length_m,fee_eur\n".to_owned())
        .chain((0..200).map(|n| format!("B{n},{},{}\n", n % 9, n * 10)))
        .collect();
    let markdown: String = std::iter::once("# Fees\n\nAll of them:\n\n|  Berth   |  费用 |\n| --- | --- |\n".to_owned())
        .chain((0..200).map(|n| format!("| B{n} | {} |\n", n * 10)))
        .chain(["\nAfter the table, a paragraph. ".repeat(60)])
        .collect();
    for (markup, text, columns) in
        [(Markup::Records, &csv, "berth,length_m,fee_eur"), (Markup::Markdown, &markdown, "| Berth | 费用 |")]
    {
        for overlap in [0, 20] {
            let chunks = chunks_of(&plan(ChunkBy::Auto, 60, overlap), &document(markup, text), None);
            let rows = rows(text, &chunks);
            assert!(rows.len() > 20);
            for (named, first) in rows {
                let is_row = first.starts_with('B') || first.starts_with("| B") && !first.contains("Berth");
                assert_eq!(named, is_row.then_some(columns), "{first}");
            }
        }
    }
    let told = format!("sep=;\nberth;fee\n{}", "B1;20\n".repeat(100));
    let chunks = chunks_of(&plan(ChunkBy::Auto, 40, 0), &document(Markup::Records, &told), None);
    assert_eq!(chunks.last().unwrap().columns.as_deref(), Some("berth;fee"));
    // What is no header names nothing: numbers, JSON, an open quote, one column.
    for text in ["1,2\n", "{\"a\": 1, \"b\": 2}\n", "a,\"b\nc\",d\n", "line\n", "a,a\n"] {
        let chunks = chunks_of(&plan(ChunkBy::Auto, 4, 0), &document(Markup::Records, &text.repeat(20)), None);
        assert!(chunks.iter().all(|chunk| chunk.columns.is_none()), "{text}");
    }
}

#[test]
fn a_chunk_knows_the_page_that_it_begins_on() {
    let text = "one one one one one.\n\ntwo two two two two.\n\nthree three three three.";
    let starts = |page: u32, word: &str| PageStart { start: text.find(word).unwrap(), page, label: page.to_string() };
    let mut document = document(Markup::Text, text);
    document.pages = vec![starts(2, "two"), starts(5, "three")];
    let pages: Vec<Option<u32>> =
        chunks_of(&plan(ChunkBy::Auto, 8, 0), &document, None).iter().map(|chunk| chunk.page).collect();
    assert_eq!(pages, [None, Some(2), Some(5)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_document_keeps_the_invariants(text in text(), by in by(), markup in markup(), max_tokens in 1..80_usize, overlap in 0..40_usize) {
        let plan = plan(by, max_tokens, overlap.min(max_tokens - 1));
        let document = document(markup, &text);
        let chunks = chunks_of(&plan, &document, None);
        prop_assert_eq!(&chunks, &Chunker::new(&plan).chunk(&document, None), "the same twice");
    }

    #[test]
    fn every_chunk_fits(text in text(), by in by(), markup in markup(), words in 30..60_usize) {
        // What a model with a limit of its own would say.
        let fits = |text: &str| text.chars().count() <= words;
        let document = document(markup, &text);
        for chunk in chunks_of(&plan(by, 60, 10), &document, Some(&fits)) {
            let slice = &text[chunk.span];
            // A heading of its own length leaves no room for any text: then the text is cut as fine as can be.
            let bare = embedded_text(Some("Title"), &chunk.headings, chunk.columns.as_deref(), "x").chars().count() > words;
            prop_assert!(fits(&embedded_text(Some("Title"), &chunk.headings, chunk.columns.as_deref(), slice)) || bare || slice.chars().count() == 1, "{slice:?}");
        }
    }

    #[test]
    fn a_mapped_slice_counts_as_the_slice_alone(text in text(), from in 0.0..1.0_f64, to in 0.0..1.0_f64, cl100k in any::<bool>()) {
        let name = if cl100k { TokenizerName::Cl100kBase } else { TokenizerName::O200kBase };
        let tokenizer = Tokenizer::get(name);
        let at = |share: f64| text.floor_char_boundary((text.len() as f64 * share) as usize);
        let (from, to) = (at(from.min(to)), at(from.max(to)));
        prop_assert_eq!(tokenizer.map(&text).count(from..to), tokenizer.count(&text[from..to]));
    }

    #[test]
    fn the_guard_changes_no_token(text in text(), cl100k in any::<bool>()) {
        // Long enough to be fed in several segments, with borders in every one.
        let text = format!("{text} word, 1\n").repeat(1 + 60_000 / (text.len() + 9)).chars().take(60_000).collect::<String>();
        prop_assume!(text.split_ascii_whitespace().all(|run| run.len() < 2000));
        let (name, raw) = if cl100k {
            (TokenizerName::Cl100kBase, tiktoken_rs::cl100k_base_singleton())
        } else {
            (TokenizerName::O200kBase, tiktoken_rs::o200k_base_singleton())
        };
        let mut end = 0;
        let ids = raw.encode_ordinary(&text);
        let map = Tokenizer::get(name).map(&text);
        for (i, id) in ids.iter().enumerate() {
            end += raw.decode_bytes(&[*id]).unwrap().len();
            prop_assert_eq!(map.end_of(i + 1), text.floor_char_boundary(end));
        }
        prop_assert_eq!(map.before(text.len()), ids.len());
    }
}

#[test]
fn blank_documents_have_no_chunks() {
    for text in ["", " ", "\n\n\r\n", "\u{feff}", "\u{feff} \u{3000}\n"] {
        assert_eq!(chunks_of(&plan(ChunkBy::Auto, 10, 0), &document(Markup::Markdown, text), None), [], "{text:?}");
    }
}

/// Paragraphs of different text and length, seeded by `from`.
fn paragraphs(from: usize, count: usize) -> String {
    let words =
        ["harbour", "ledger", "wind", "archive", "salt", "lamp", "ferry", "winter", "map", "stone", "orchard", "signal"];
    let mut text = String::new();
    for paragraph in from..from + count {
        for sentence in 0..2 + paragraph * 7 % 4 {
            let word = |i: usize| words[(paragraph * 31 + sentence * 17 + i * (3 + paragraph % 5)) % words.len()];
            let sentence: Vec<_> = (0..6 + (paragraph + sentence) % 9).map(word).collect();
            text.push_str(&format!("The {} {}. ", paragraph, sentence.join(" ")));
        }
        text.push_str("\n\n");
    }
    text
}

fn texts(document: &Document, chunks: &[Chunk]) -> HashSet<String> {
    chunks.iter().map(|chunk| document.text[chunk.span.clone()].to_string()).collect()
}

#[test]
fn an_edit_changes_few_chunks() {
    let sections: Vec<_> = (0..20).map(|i| format!("## Section {i}\n\n{}", paragraphs(i * 100, 12))).collect();
    let with_sections = format!("# Book\n\n{}", sections.concat());
    let without = paragraphs(0, 240);
    let lines: String = (0..3000).map(|i| format!("{i},row {},{}\n", i * 7919 % 1000, i % 13)).collect();
    let no_heading = |document: &Document, chunks: &[Chunk]| {
        chunks.windows(2).filter(|pair| pair[1].span.start < pair[0].span.end).all(|pair| {
            let repeated = &document.text[pair[1].span.start..pair[0].span.end];
            !repeated.contains("## ") && !repeated.starts_with("Section")
        })
    };
    for (markup, text, allowed) in
        [(Markup::Markdown, &with_sections, 5), (Markup::Text, &without, 6), (Markup::Records, &lines, 6)]
    {
        let plan = plan(ChunkBy::Auto, 200, 20);
        let document_before = document(markup, text);
        let chunks = chunks_of(&plan, &document_before, None);
        assert!(no_heading(&document_before, &chunks), "no overlap across a heading");
        let before = texts(&document_before, &chunks);
        let middle = text[..text.len() / 2].rfind('\n').unwrap() + 1;
        let insert = if markup == Markup::Records { "a new row\n" } else { "\nA new paragraph of a few words.\n\n" };
        for edited in [
            format!("{}{insert}{}", &text[..middle], &text[middle..]),
            // A few words less, in the middle of a paragraph.
            format!("{}{}", &text[..middle - 30], &text[middle..]),
        ] {
            let document = document(markup, &edited);
            let after = texts(&document, &chunks_of(&plan, &document, None));
            let changed = after.difference(&before).count();
            assert!(changed <= allowed, "{markup:?}: {changed} of {} chunks changed", after.len());
            assert!(before.len() > 50, "{}", before.len());
        }
    }
}

#[test]
fn an_edit_leaves_other_sections_alone() {
    let section = |i: usize, count: usize| format!("## Section {i}\n\n{}", paragraphs(i * 100, count));
    let text = |count| format!("# Book\n\n{}{}{}", section(0, 9), section(1, count), section(2, 9));
    let plan = plan(ChunkBy::Auto, 120, 20);
    let of_section = |count: usize, heading: &str| {
        let text = text(count);
        let document = document(Markup::Markdown, &text);
        let chunks = chunks_of(&plan, &document, None);
        let here = chunks.iter().filter(|chunk| chunk.headings.last().is_some_and(|last| **last == *heading));
        here.map(|chunk| text[chunk.span.clone()].to_string()).collect::<Vec<_>>()
    };
    for count in 4..12 {
        assert_eq!(of_section(count, "Section 2"), of_section(8, "Section 2"));
        assert_eq!(of_section(count, "Section 0"), of_section(8, "Section 0"));
    }
    assert_ne!(of_section(4, "Section 1"), of_section(8, "Section 1"));
}

#[test]
fn fences_and_tables_stay_whole_where_they_fit() {
    let fence = |i: usize| {
        format!("```rust\nfn f{i}() {{\n    let a = {i};\n\n    let b = a + {i};\n\n    println!(\"{{b}}\");\n}}\n```\n")
    };
    let table = |i: usize| format!("| key | value |\n|---|---|\n| a{i} | {i} |\n| b{i} | {i} |\n| c{i} | {i} |\n");
    let mut text = String::from("# T\n\n");
    let mut blocks = Vec::new();
    for i in 0..40 {
        text.push_str(&paragraphs(i, 1 + i % 2));
        let block = if i % 2 == 0 { fence(i) } else { table(i) };
        text.push_str(&format!("As in example {i}:\n\n{block}\n"));
        blocks.push(block);
    }
    let document = document(Markup::Markdown, &text);
    for max_tokens in [60, 90, 150, 400] {
        let chunks = chunks_of(&plan(ChunkBy::Auto, max_tokens, 10), &document, None);
        for block in &blocks {
            let whole = chunks.iter().any(|chunk| text[chunk.span.clone()].contains(block.trim_end()));
            assert!(whole, "{max_tokens}: {block}");
        }
    }
}

#[test]
fn headings_are_carried_and_open_their_chunks() {
    let text = format!(
        "---\ntitle: x\n---\n\n# Guide\n\n## Install\n\n{}\n### Linux\n\n{}\n```\n# not a heading\n```\n\n## Use\n\n{}",
        paragraphs(0, 6),
        paragraphs(10, 6),
        paragraphs(20, 6)
    );
    let document = document(Markup::Markdown, &text);
    let chunks = chunks_of(&plan(ChunkBy::Auto, 120, 15), &document, None);
    let paths: HashSet<String> = chunks.iter().map(|chunk| chunk.headings.join(" > ")).collect();
    let expected = ["Guide > Install", "Guide > Install > Linux", "Guide > Use"];
    assert!(expected.iter().all(|path| paths.contains(*path)), "{paths:?}");
    for heading in ["### Linux", "## Use"] {
        assert!(chunks.iter().any(|chunk| text[chunk.span.clone()].starts_with(heading)), "{heading}");
    }
}

#[test]
fn records_are_cut_between_lines() {
    let text: String = (0..500).map(|i| format!("{i},\"a value, quoted. Twice.\",{}\r\n", i * i)).collect();
    for chunk in chunks_of(&plan(ChunkBy::Auto, 100, 20), &document(Markup::Records, &text), None) {
        let slice = &text[chunk.span.clone()];
        assert!(chunk.span.start == 0 || text[..chunk.span.start].ends_with('\n'), "{slice:?}");
        assert!(text[chunk.span.end..].starts_with("\r\n"), "{slice:?}");
    }
}

#[test]
fn prose_is_cut_between_sentences() {
    let latin = paragraphs(0, 60).replace("\n\n", "");
    let chinese = "数据从文件夹进入，经过解析和切分。如果文件没有变化；系统不会再次计算！".repeat(60);
    for (text, ends) in [(latin, ['.', '.', '.']), (chinese, ['。', '；', '！'])] {
        for by in [ChunkBy::Auto, ChunkBy::Sentences] {
            let chunks = chunks_of(&plan(by, 120, 30), &document(Markup::Text, &text), None);
            assert!(chunks.len() > 5);
            assert!(chunks.iter().all(|chunk| text[chunk.span.clone()].ends_with(ends)), "{by:?}");
            let overlapping = chunks.windows(2).filter(|pair| pair[1].span.start < pair[0].span.end).count();
            assert!(overlapping * 10 >= (chunks.len() - 1) * 9, "{overlapping} of {} overlap", chunks.len());
            let opens = |chunk: &&Chunk| text[..chunk.span.start].trim_end().ends_with(ends);
            assert!(chunks[1..].iter().filter(opens).count() * 10 >= (chunks.len() - 1) * 9, "overlaps begin with a sentence");
        }
    }
}

#[test]
fn by_tokens_fills_every_chunk() {
    let text = paragraphs(0, 60);
    let chunks = chunks_of(&plan(ChunkBy::Tokens, 100, 0), &document(Markup::Text, &text), None);
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.tokens >= 97), "{chunks:?}");
}

#[test]
fn hostile_documents_are_cut_like_any_other() {
    let lines: String = (0..20_000).map(|i| format!("{}- x\n", " ".repeat(i % 200))).collect();
    let texts = [
        " ".repeat(200_000),
        format!("{}x", " ".repeat(200_000)),
        "\n".repeat(200_000) + "a",
        "a".repeat(200_000),
        "#".repeat(100_000),
        "`".repeat(100_000),
        "# a\n".repeat(20_000),
        "```\n".repeat(9_999),
        "天地玄黄宇宙洪荒".repeat(5_000),
        "\u{301}".repeat(20_000),
        "🇩🇪".repeat(10_000),
        "\u{feff}".repeat(10_000),
        "=\n".repeat(20_000),
        "|-|\n".repeat(20_000),
        "-".repeat(100_000),
        "\r".repeat(50_000) + "a\r\rb",
        lines,
    ];
    for text in texts {
        for markup in [Markup::Markdown, Markup::Rst, Markup::Text, Markup::Code] {
            let plan = plan(ChunkBy::Auto, 400, 40);
            let document = document(markup, &text);
            let chunks = Chunker::new(&plan).chunk(&document, None);
            let covered: usize = chunks.iter().map(|chunk| chunk.span.len()).sum();
            let solid =
                text.trim_start_matches('\u{feff}').chars().filter(|c| !c.is_whitespace()).map(char::len_utf8).sum::<usize>();
            assert!(covered >= solid && chunks.iter().all(|chunk| chunk.tokens <= 400), "{:?}", text.chars().next());
            // Nothing falls apart into crumbs.
            assert!(chunks.len() <= 10 + text.len() / 16, "{} chunks of {:?}", chunks.len(), text.chars().next());
        }
    }
}
