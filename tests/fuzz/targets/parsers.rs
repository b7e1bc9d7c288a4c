//! Any bytes under any name: what comes out is text that can be cut into chunks, or an error.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ragstream::chunk::{ChunkPlan, Chunker};
use ragstream::document::{Document, Metadata};
use ragstream::parse::{Hint, parse};

/// The first byte chooses. Formats that other people's crates read are panics apart (see below) included.
const NAMES: [&str; 14] =
    ["a.txt", "a.md", "a.rst", "a.rs", "a.csv", "a.json", "a.jsonl", "a.html", "a.ipynb", "a.eml", "a.epub", "a", "a.mbox", "a.mht"];

fuzz_target!(|data: &[u8]| {
    static ONCE: OnceLock<Chunker> = OnceLock::new();
    let chunker = ONCE.get_or_init(|| {
        // The parser's own thread contains the panics of the crates that it calls; libFuzzer would end at them.
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some("parse") {
                others(panic);
            }
        }));
        Chunker::new(&ChunkPlan {
            max_tokens: 30.try_into().unwrap(),
            overlap: 5,
            ..ragstream::pipeline::default_plan(&|_| None).chunk
        })
    });
    let Some((choice, bytes)) = data.split_first() else { return };
    let name = NAMES[*choice as usize % NAMES.len()];
    let Ok(extracted) = parse(Hint::name(name), bytes.to_vec()) else { return };
    assert!(!extracted.text.trim().is_empty(), "blank text is an error");
    if extracted.text.len() > 20_000 {
        return;
    }
    let document = Document {
        pages: Vec::new(),
        anchors: Vec::new(),
        uri: name.to_owned(),
        title: extracted.title,
        markup: extracted.markup,
        text: extracted.text.into(),
        modified_ns: 0,
        metadata: Metadata::new(),
    };
    let mut end = 0;
    for chunk in chunker.chunk(&document, None) {
        assert!(chunk.span.start < chunk.span.end && chunk.span.end > end, "chunks ascend");
        assert!(document.text[end.min(chunk.span.start)..chunk.span.start].trim_matches(['\u{feff}', ' ']).trim().is_empty());
        end = chunk.span.end;
    }
    assert!(document.text[end..].trim_matches('\u{feff}').trim().is_empty(), "no letter is lost");
});
