//! What a page says to those who visit a whole site: where it leads, what it asks for, what it is made of.

mod links;
mod robots;

pub use links::Link;
pub use robots::Robots;
use url::Url;

use super::line::is_unspaced;
use super::tree::{Id, ROOT, Tree};
use super::{blocks, seen, select, title_of};
use crate::parse::title;

/// Signatures of one page, at most.
const MAX_BLOCKS: usize = 5000;
/// Letters of text up to which a page that has scripts is taken for one that they have yet to fill.
const SHELL: usize = 200;

/// What a page says, but for its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PageScan {
    /// Its `<title>`.
    pub title: Option<String>,
    /// Where it leads over HTTP, in the order of the page, each address once: links, areas of pictures, frames. At most 20,000.
    pub links: Vec<Link>,
    /// What it calls its own address, if that is one of the web. A hint at best: documentation says the same for all versions.
    pub canonical: Option<Url>,
    /// Where it sends its readers by itself, if elsewhere.
    pub refresh: Option<Url>,
    /// Where it says that its text is as Markdown.
    pub alternates: Vec<Url>,
    /// What it asks of robots.
    pub robots: Robots,
    /// The program that made it, as that calls itself ("Sphinx 7.2", "mdbook"); Sphinx is known by what it links to as well.
    pub generator: Option<String>,
    /// The language that it says it is in, as written ("en-GB").
    pub lang: Option<String>,
    /// Words of the text that would be indexed, about; characters of scripts that part no words count by two.
    pub words: usize,
    /// Characters that are seen on the page, furniture and all, blanks apart.
    pub letters: usize,
    /// Programs on it.
    pub scripts: usize,
    /// Links to pages that a program of the site makes of one (`#/install`, `#!install`).
    pub hash_routes: usize,
    /// Whether it asks for a password, as a login page does.
    pub password_form: bool,
    /// A number for each block of text that may stand on other pages of the site as well, each once: what [`Furniture`] counts.
    ///
    /// [`Furniture`]: crate::parse::page::Furniture
    pub blocks: Vec<u64>,
}

impl PageScan {
    /// Whether there is hardly a word on it until its programs have run, as a browser would.
    pub fn needs_browser(&self) -> bool {
        self.scripts > 0 && self.letters < SHELL
    }
}

pub(super) fn scan(tree: &Tree, url: &Url) -> PageScan {
    let links = links::of(tree, url);
    let mut scan = PageScan {
        title: title_of(tree),
        links: links.targets,
        canonical: links.canonical,
        refresh: links.refresh,
        alternates: links.alternates,
        hash_routes: links.hash_routes,
        words: words(tree),
        ..PageScan::default()
    };
    // Its themes may leave out what tells its name, and many do on the first page.
    let mut sphinx = false;
    for id in tree.all(ROOT).filter(|&id| tree.is_element(id)) {
        match tree.name(id) {
            "script" => {
                scan.scripts += usize::from(is_program(tree, id));
                sphinx |= ends_with(tree.attribute(id, "src"), "_static/documentation_options.js");
            }
            "link" if is(tree, id, "rel", "index") => sphinx |= ends_with(tree.attribute(id, "href"), "genindex.html"),
            "input" => scan.password_form |= is(tree, id, "type", "password"),
            "html" => {
                let lang = ["lang", "xml:lang"].into_iter().find_map(|name| tree.attribute(id, name).and_then(title::clean));
                scan.lang = scan.lang.take().or(lang);
            }
            "meta" if is(tree, id, "name", "robots") || is(tree, id, "name", "ragstream") => {
                scan.robots.add(tree.attribute(id, "content").unwrap_or_default());
            }
            "meta" if is(tree, id, "name", "generator") => {
                scan.generator = scan.generator.take().or_else(|| tree.attribute(id, "content").and_then(title::clean));
            }
            _ => {}
        }
    }
    if sphinx && scan.generator.is_none() {
        scan.generator = Some("Sphinx".to_owned());
    }
    let blocks = blocks::of(tree);
    scan.letters = blocks.iter().map(|block| block.letters).sum();
    let mut signatures: Vec<u64> = blocks.iter().map(|block| block.signature).filter(|&signature| signature != 0).collect();
    signatures.sort_unstable();
    signatures.dedup();
    signatures.truncate(MAX_BLOCKS);
    scan.blocks = signatures;
    scan
}

fn is(tree: &Tree, id: Id, attribute: &str, value: &str) -> bool {
    tree.attribute(id, attribute).is_some_and(|written| written.trim().eq_ignore_ascii_case(value))
}

/// Whether the path of an address ends so, whatever its query.
fn ends_with(address: Option<&str>, end: &str) -> bool {
    address.is_some_and(|address| address.split(['?', '#']).next().unwrap_or_default().trim_end().ends_with(end))
}

/// Not the data and the formulas that are also written as scripts.
fn is_program(tree: &Tree, id: Id) -> bool {
    let kind = tree.attribute(id, "type").unwrap_or_default().trim().to_ascii_lowercase();
    kind.is_empty() || kind == "module" || kind.ends_with("javascript") || kind.ends_with("ecmascript")
}

/// Words of the main part.
fn words(tree: &Tree) -> usize {
    let selection = select::main(tree, None);
    let mut words = 0;
    let mut unspaced = 0;
    for &part in &selection.parts {
        let mut walk = tree.all(part);
        while let Some(id) = walk.next() {
            let name = tree.name(id);
            let left_out = selection.left_out.get(id as usize).copied().unwrap_or(false);
            if left_out || seen::is_never_shown(name) || matches!(name, "script" | "template" | "noscript") {
                walk.skip_below(id);
            }
            if let Some(text) = tree.text(id).filter(|_| !left_out) {
                unspaced += text.chars().filter(|&c| is_unspaced(c)).count();
                let of_letters = |word: &&str| word.chars().any(|c| c.is_alphanumeric() && !is_unspaced(c));
                words += text.split_whitespace().filter(of_letters).count();
            }
        }
    }
    words + unspaced.div_ceil(2)
}
