//! The paragraphs of a page, told apart by what they say: a signature each, the same on every page of a site that has the block.

use super::line::is_unspaced;
use super::seen;
use super::tree::{Id, ROOT, Tree};

/// Letters of a block that its signature is made of.
const MAX_LETTERS: usize = 2000;
/// Numbers beside it are years.
const COPYRIGHT: char = '\u{a9}';
/// Blocks of one page that are looked at: those of the rest have no signature.
const MAX_BLOCKS: usize = 20_000;

/// What a box says by itself, without what boxes within it say.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) id: Id,
    /// Of its words and of what sort of box it is; of links whatever numbers stand in them. Zero where it has no word.
    pub(super) signature: u64,
    /// Letters; those of scripts without blanks count as several.
    pub(super) letters: usize,
    /// Of these, in links.
    pub(super) linked: usize,
}

/// The blocks in the order of the page.
pub(super) fn of(tree: &Tree) -> Vec<Block> {
    let mut found: Vec<(Block, String)> = Vec::new();
    // By number of the node: the box that its text belongs to, whether it is within a link, and the place of a box in the list.
    let mut around: Vec<(Id, bool)> = vec![(ROOT, false); tree.len()];
    let mut places: Vec<Option<usize>> = vec![None; tree.len()];
    let mut walk = tree.all(ROOT);
    while let Some(id) = walk.next() {
        let name = tree.name(id);
        if seen::is_never_shown(name) || matches!(name, "script" | "template" | "noscript") {
            walk.skip_below(id);
            continue;
        }
        let (block, linked) = tree.parent(id).and_then(|parent| around.get(parent as usize).copied()).unwrap_or((ROOT, false));
        let (block, linked) = (if seen::is_block(name) { id } else { block }, linked || name == "a");
        if let Some(place) = around.get_mut(id as usize) {
            *place = (block, linked);
        }
        let Some(text) = tree.text(id).filter(|text| !text.trim().is_empty()) else { continue };
        let Some(place) = places.get_mut(block as usize) else { continue };
        if place.is_none() && found.len() < MAX_BLOCKS {
            *place = Some(found.len());
            found.push((Block { id: block, signature: 0, letters: 0, linked: 0 }, String::new()));
        }
        if let Some((block, words)) = place.and_then(|place| found.get_mut(place)) {
            let letters = if text.is_ascii() {
                text.bytes().filter(|byte| !is_blank(*byte)).count()
            } else {
                text.chars().map(|c| if is_unspaced(c) { 3 } else { usize::from(!c.is_whitespace()) }).sum()
            };
            block.letters += letters;
            block.linked += if linked { letters } else { 0 };
            add(text, words);
        }
    }
    let signed = |(mut block, words): (Block, String)| {
        let name = tree.name(block.id);
        // "Page 3 of 17" is a way through the site, "Depth: 3 m" is what its page is about.
        let numbers = is_heading(name) || (block.linked * 2 < block.letters && !words.contains(COPYRIGHT));
        block.signature = if numbers { signature(name, words.trim()) } else { signature(name, without_numbers(&words).trim()) };
        block
    };
    found.into_iter().map(signed).collect()
}

/// A blank, as [`char::is_whitespace`] has it.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// Letters and digits, small, with one blank between words.
fn add(text: &str, words: &mut String) {
    for c in text.chars() {
        if words.len() >= MAX_LETTERS {
            return;
        }
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        } else if c == COPYRIGHT {
            words.push(c);
        } else if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
}

/// One zero for each number.
fn without_numbers(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        if !c.is_numeric() {
            out.push(c);
        } else if !out.ends_with('0') {
            out.push('0');
        }
    }
    out
}

fn signature(name: &str, words: &str) -> u64 {
    if words.is_empty() {
        return 0;
    }
    // A heading that says "Notes" is not what a menu says.
    let kind: &[u8] = match name {
        _ if is_heading(name) => b"heading\0",
        "pre" | "listing" | "xmp" | "plaintext" => b"listing\0",
        _ => b"text\0",
    };
    let hash = blake3::Hasher::new().update(kind).update(words.as_bytes()).finalize();
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    // Zero is for those that have none.
    u64::from_le_bytes(first).max(1)
}

/// What sets its page apart: "Version 3.2", "Version 3.3".
fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signatures(html: &str) -> Vec<u64> {
        of(&Tree::parse(html)).iter().map(|block| block.signature).collect()
    }

    #[test]
    fn a_block_is_known_again_by_its_words() {
        let [first, second] =
            ["<ul><li><a href=a.html>Next ›</a><li><a>Page 3 of 17</a></ul>", "<div><p> next <p><a>page 12\nof 170</a></div>"];
        assert_eq!(signatures(first), signatures(second));
        assert_eq!(signatures("<p>Next<script>x</script>").len(), 1);
        assert_ne!(signatures("<h2>Next</h2>"), signatures("<p>Next</p>"));
        assert_ne!(signatures("<p>上一页</p>"), signatures("<p>下一页</p>"));
        assert_ne!(signatures("<p>Depth: 3 m</p>"), signatures("<p>Depth: 4 m</p>"));
        assert_eq!(signatures("<p>\u{a9} 2023 Us</p>"), signatures("<p>\u{a9} 2026 Us</p>"));
        assert_ne!(signatures("<h1>Version 3.2</h1>"), signatures("<h1>Version 3.3</h1>"));
        assert_eq!(signatures("<p>|</p>"), [0]);
        // They are written to disk: a new version must know the old ones.
        assert_eq!(signatures("<p>Report a bug</p>"), [2_327_951_166_456_701_902]);
    }

    #[test]
    fn a_box_says_what_boxes_in_it_do_not() {
        let tree = Tree::parse("<div>By <a href=x>Ann</a><p>Text.</p>, 2020</div>");
        let blocks = of(&tree);
        let seen: Vec<_> = blocks.iter().map(|block| (tree.name(block.id), block.letters, block.linked)).collect();
        assert_eq!(seen, [("div", 10, 3), ("p", 5, 0)]);
    }
}
