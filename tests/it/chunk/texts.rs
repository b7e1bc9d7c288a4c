//! Texts of all kinds.

use proptest::prelude::*;
use ragstream::chunk::ChunkBy;
use ragstream::document::Markup;

pub fn by() -> impl Strategy<Value = ChunkBy> {
    prop_oneof![
        3 => Just(ChunkBy::Auto),
        1 => Just(ChunkBy::Markdown),
        1 => Just(ChunkBy::Text),
        1 => Just(ChunkBy::Code),
        1 => Just(ChunkBy::Sentences),
        1 => Just(ChunkBy::Tokens),
    ]
}

pub fn markup() -> impl Strategy<Value = Markup> {
    prop_oneof![
        3 => Just(Markup::Markdown),
        1 => Just(Markup::Text),
        1 => Just(Markup::Rst),
        1 => Just(Markup::Code),
        1 => Just(Markup::Records),
    ]
}

/// Pieces that documents are made of, among them what breaks tokenizers, graphemes and scanners.
const PIECES: [&str; 62] = [
    "# One\n",
    "## Two ##\n",
    "###### Six\n",
    "Setext\n===\n",
    "Under\n-----\n",
    "=====\nOver\n=====\n",
    "#nothing\n",
    "\n",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    "\r",
    " ",
    "    ",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{feff}",
    "- item\n",
    "  - nested item\n",
    "12. numbered\n",
    "* \n",
    "> quote\n",
    "```\n",
    "```rust\n",
    "~~~\n",
    "a | b\n--|--\n",
    "| 1 | 2 |\n",
    "---\n",
    "+++\n",
    "<!--",
    "-->\n",
    "<pre>\n",
    "</pre>",
    ".. note::\n\n   body\n",
    "like::\n\n  so\n",
    "+--+\n|a |\n+--+\n",
    "fn a() {\n",
    "    b(c);\n",
    "}\n",
    "}}}}",
    "/// doc\n",
    "// x",
    "A sentence ends here. ",
    "Dr. Smith, e.g., said 3.14! ",
    "words without an end ",
    "don't IT'S ſ's ",
    "中文句子。",
    "“引号。”然后，",
    "日本語のテキスト",
    "한국어 문장. ",
    "ไทยไม่มีวรรค",
    "é\u{301}\u{302}",
    "👩‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "क्षि",
    "aB3$%_xY",
    "https://example.org/a/b?c=d&e=f ",
    "0123456789",
    "<|endoftext|>",
    "\u{0}\u{200b}",
    "…\u{2028}\u{85}",
];

pub fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        12 => prop::sample::select(&PIECES[..]).prop_map(str::to_string),
        1 => (prop::sample::select(&PIECES[..]), 2..60_usize).prop_map(|(piece, times)| piece.repeat(times)),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}
