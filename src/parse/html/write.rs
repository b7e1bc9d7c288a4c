//! The tree as Markdown, in one walk.

mod forms;
mod inline;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use url::Url;

use super::anchors::Names;
use super::flow::{Flow, Kind};
use super::line::Mark;
use super::rows::{self, CellAt};
use super::tree::{Id, ROOT, Tree};
use super::{code, math, seen};
use crate::document::Anchor;
use crate::parse::table::{Cell, Table};

/// Elements within elements. Of what lies deeper there is the text alone.
const MAX_DEPTH: usize = 200;
/// Tables within tables. What lies deeper is written as blocks.
const MAX_TABLES: usize = 6;

/// Writes parts of a page.
pub(super) struct Writer<'a> {
    tree: &'a Tree,
    /// What is furniture, by number of the node.
    left_out: &'a [bool],
    /// The page's own address, where it has one.
    url: Option<&'a Url>,
    depth: usize,
    tables: usize,
    /// Within a heading or a preformatted link: no marks, no links.
    bare: usize,
    /// What pictures are said to show: once is enough.
    pictures: HashSet<String>,
    /// Elements by their `id`, once one is asked for.
    named: OnceCell<HashMap<&'a str, Id>>,
    tabs: OnceCell<HashMap<&'a str, Id>>,
    names: Names<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(tree: &'a Tree, left_out: &'a [bool], url: Option<&'a Url>) -> Self {
        Self {
            tree,
            left_out,
            url,
            depth: 0,
            tables: 0,
            bare: 0,
            pictures: HashSet::new(),
            named: OnceCell::new(),
            tabs: OnceCell::new(),
            names: Names::default(),
        }
    }

    /// Some parts, in their order, and the places in the text that have a name.
    pub(super) fn write(mut self, parts: &[Id]) -> (String, Vec<Anchor>) {
        let mut flow = Flow::default();
        for &part in parts {
            self.node(part, &mut flow);
            flow.end_line();
        }
        self.names.take_out(&flow.finish())
    }

    fn children(&mut self, id: Id, flow: &mut Flow) {
        let tree = self.tree;
        for child in tree.children(id) {
            self.node(child, flow);
        }
    }

    fn node(&mut self, id: Id, flow: &mut Flow) {
        if self.left_out.get(id as usize).copied().unwrap_or(false) {
            return;
        }
        if let Some(text) = self.tree.text(id) {
            flow.line.push(text);
            return;
        }
        if self.depth >= MAX_DEPTH {
            self.flat(id, flow);
            return;
        }
        self.depth += 1;
        self.element(id, flow);
        self.depth -= 1;
    }

    /// The words alone, without going deeper.
    fn flat(&mut self, id: Id, flow: &mut Flow) {
        let mut walk = self.tree.all(id);
        while let Some(id) = walk.next() {
            let name = self.tree.name(id);
            if self.left_out.get(id as usize).copied().unwrap_or(false) || seen::is_never_shown(name) || is_script(name) {
                walk.skip_below(id);
            } else if let Some(text) = self.tree.text(id) {
                flow.line.push(text);
            } else if seen::is_block(name) {
                flow.line.part();
            }
        }
        flow.line.part();
    }

    fn element(&mut self, id: Id, flow: &mut Flow) {
        let name = self.tree.name(id);
        if seen::is_never_shown(name) || seen::is_double(self.tree, id) {
            return;
        }
        if seen::is_for_screen_readers(self.tree, id) && !seen::is_heading(name) && self.tree.whole_text(id).len() < 80 {
            return;
        }
        match name {
            "template" => {
                // A part of the page that the parser does not attach.
                if self.tree.attribute(id, "shadowrootmode").is_some()
                    && let Some(content) = self.tree.template(id)
                {
                    self.children(content, flow);
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(id, name, flow),
            "pre" | "listing" | "xmp" | "plaintext" => flow.push(Kind::Other, code::listing(self.tree, id)),
            "ul" | "ol" | "menu" | "dir" => self.list(id, flow),
            "li" => {
                let item = self.item(id, "- ");
                flow.push(Kind::List, item);
            }
            "dl" => self.definitions(id, flow),
            "blockquote" => {
                let mut quote = Flow::default();
                self.children(id, &mut quote);
                flow.push(Kind::Other, quote.finish_quote());
            }
            "hr" => flow.push(Kind::Other, "* * *".to_owned()),
            "br" => flow.line.line_break(),
            "noscript" => self.without_scripts(id, flow),
            "optgroup" | "option" | "select" | "button" | "input" | "textarea" => self.form(id, name, flow),
            _ if rows::is_table(self.tree, id) => self.table(id, flow),
            _ if seen::is_block(name) => self.block(id, flow),
            _ => self.inline(id, name, flow),
        }
    }

    fn block(&mut self, id: Id, flow: &mut Flow) {
        let mark = flow.mark();
        self.panel_label(id, flow);
        if self.is_heading(id) {
            let level = self.tree.attribute(id, "aria-level").and_then(|level| level.trim().parse().ok()).unwrap_or(2);
            self.bare += 1;
            self.children(id, flow);
            self.bare -= 1;
            let name = self.names.mark(self.tree, id);
            flow.end_heading(level, &name);
            return;
        }
        self.children(id, flow);
        flow.end_line();
        if is_footnote(self.tree, id) {
            flow.join_label(mark);
        }
    }

    /// Whether a box plays a heading.
    fn is_heading(&self, id: Id) -> bool {
        self.tree.attribute(id, "role").map(str::trim) == Some("heading") && !self.holds_block(id)
    }

    fn holds_block(&self, id: Id) -> bool {
        self.tree.all(id).skip(1).any(|id| seen::is_block(self.tree.name(id)))
    }

    fn named(&self) -> &HashMap<&'a str, Id> {
        let tree = self.tree;
        self.named.get_or_init(|| tree.all(ROOT).filter_map(|id| Some((tree.attribute(id, "id")?, id))).collect())
    }

    /// What the tab of a panel says.
    fn panel_label(&mut self, id: Id, flow: &mut Flow) {
        let of = |name| self.tree.attribute(id, name);
        let panel = of("role").map(str::trim) == Some("tabpanel")
            || seen::has_class(self.tree, id, &["tab-pane", "tabpanel", "tab-panel"]);
        if !panel {
            return;
        }
        let named = of("aria-labelledby").and_then(|by| self.named().get(by).copied());
        let label = named.or_else(|| of("id").and_then(|name| self.tabs().get(name).copied()));
        if let Some(label) = label {
            flow.line.push(&self.tree.whole_text(label).chars().take(100).collect::<String>());
            flow.end_line();
        }
    }

    /// Tabs, by the names of their panels.
    fn tabs(&self) -> &HashMap<&'a str, Id> {
        let tree = self.tree;
        self.tabs.get_or_init(|| {
            let mut tabs = HashMap::new();
            for id in tree.all(ROOT) {
                let of = |name| tree.attribute(id, name);
                let kinds = [of("role"), of("data-toggle"), of("data-bs-toggle")];
                if kinds.into_iter().flatten().any(|kind| matches!(kind.trim(), "tab" | "pill")) {
                    let targets = [of("href"), of("data-target"), of("data-bs-target")].into_iter().flatten();
                    let names = targets.filter_map(|target| target.strip_prefix('#')).chain(of("aria-controls"));
                    for name in names {
                        tabs.entry(name).or_insert(id);
                    }
                }
            }
            tabs
        })
    }

    fn heading(&mut self, id: Id, name: &str, flow: &mut Flow) {
        flow.end_line();
        let level = name.bytes().last().map_or(1, |b| usize::from(b.saturating_sub(b'0')));
        // A table or a list within would be lost on one line.
        let boxes = |id| matches!(self.tree.name(id), "table" | "ul" | "ol" | "pre" | "p" | "blockquote" | "h1" | "h2" | "h3");
        if self.tree.all(id).skip(1).filter(|&id| boxes(id)).count() > 1 {
            self.children(id, flow);
            flow.end_line();
            return;
        }
        let mut within = Flow::default();
        self.bare += 1;
        for child in self.tree.children(id) {
            self.node(child, &mut within);
            if seen::is_block(self.tree.name(child)) {
                within.line.part();
            }
        }
        self.bare -= 1;
        let text = within.finish();
        let words: Vec<&str> = text.split_whitespace().collect();
        if !words.is_empty() {
            let name = self.names.mark(self.tree, id);
            flow.push(Kind::Heading, format!("{} {name}{}", "#".repeat(level.clamp(1, 6)), words.join(" ")));
        }
    }

    fn list(&mut self, id: Id, flow: &mut Flow) {
        let ordered = self.tree.name(id) == "ol";
        let mut number: i64 = self.number(id, "start").unwrap_or(1);
        let step = if self.tree.attribute(id, "reversed").is_some() { -1 } else { 1 };
        let mut items: Vec<String> = Vec::new();
        flow.end_line();
        for child in self.tree.children(id) {
            if self.tree.name(child) == "li" && !self.left_out.get(child as usize).copied().unwrap_or(false) {
                number = self.number(child, "value").unwrap_or(number);
                let mark = if ordered { format!("{number}. ") } else { "- ".to_owned() };
                number = number.saturating_add(step);
                items.push(self.item(child, &mark));
            } else {
                // Lists within lists, as many a page has them, and text that is in no item.
                let mut stray = Flow::default();
                self.node(child, &mut stray);
                let nested = matches!(self.tree.name(child), "ul" | "ol");
                items.push(if nested { stray.finish_item("  ") } else { stray.finish() });
            }
        }
        items.retain(|item| !item.trim().is_empty());
        flow.push(Kind::List, items.join("\n"));
    }

    fn number(&self, id: Id, name: &str) -> Option<i64> {
        self.tree.attribute(id, name)?.trim().parse().ok()
    }

    fn item(&mut self, id: Id, mark: &str) -> String {
        let mut item = Flow::default();
        self.children(id, &mut item);
        if is_footnote(self.tree, id) {
            item.join_label(0);
        }
        item.finish_item(mark)
    }

    /// Terms and what they mean: on one line where both are short.
    fn definitions(&mut self, id: Id, flow: &mut Flow) {
        flow.end_line();
        let tree = self.tree;
        // Each group may be wrapped in a box.
        let parts = tree.children(id).flat_map(|child| {
            let wrapped = matches!(tree.name(child), "div" | "section" | "span");
            let inner: Vec<Id> = if wrapped { tree.children(child).collect() } else { vec![child] };
            inner
        });
        let mut terms: Vec<String> = Vec::new();
        for part in parts {
            if self.left_out.get(part as usize).copied().unwrap_or(false) {
                continue;
            }
            match tree.name(part) {
                "dt" => {
                    let mut term = Flow::default();
                    self.children(part, &mut term);
                    match term.finish_short() {
                        // In a table the line is not its own.
                        Ok(term) if self.tables == 0 => terms.push(format!("{}{term}", self.names.mark(tree, part))),
                        Ok(term) => terms.push(term),
                        Err(blocks) => flow.push(Kind::Other, blocks),
                    }
                }
                "dd" => {
                    let mut meaning = Flow::default();
                    self.children(part, &mut meaning);
                    let term = std::mem::take(&mut terms).join(", ");
                    match meaning.finish_short() {
                        Ok(meaning) if !term.is_empty() => {
                            let colon = if term.ends_with([':', '：', '?', '？']) { " " } else { ": " };
                            flow.push(Kind::Paragraph, format!("{term}{colon}{meaning}"));
                        }
                        Ok(block) | Err(block) => {
                            flow.push(Kind::Paragraph, term);
                            flow.push(Kind::Other, block);
                        }
                    }
                }
                _ => {
                    self.node(part, flow);
                }
            }
        }
        flow.push(Kind::Paragraph, terms.join(", "));
    }

    /// For readers without scripts: text, not the pictures that scripts would have loaded, nor the advice to turn them on.
    fn without_scripts(&mut self, id: Id, flow: &mut Flow) {
        let text = self.tree.whole_text(id);
        let text = text.trim();
        let lower = text.to_lowercase();
        let advice = text.len() < 400 && lower.contains("javascript");
        if !text.is_empty() && !advice && !text.starts_with('<') {
            self.children(id, flow);
        }
    }

    fn table(&mut self, id: Id, flow: &mut Flow) {
        flow.end_line();
        if code::is_listing_table(self.tree, id) {
            flow.push(Kind::Other, code::listing(self.tree, id));
            return;
        }
        let found = rows::rows_of(self.tree, id);
        for stray in found.strays {
            self.node(stray, flow);
        }
        let caption = found.captions.iter().map(|&caption| self.within(caption)).collect::<Vec<_>>().join("\n\n");
        self.tables += 1;
        let rows: Vec<Vec<Cell>> = found.cells.iter().map(|row| row.iter().map(|cell| self.cell(cell)).collect()).collect();
        self.tables -= 1;
        let layout = matches!(self.tree.attribute(id, "role").map(str::trim), Some("presentation" | "none"));
        let table = Table { rows, caption: (!caption.is_empty()).then_some(caption) };
        let blocks = (layout && !Self::is_of_values(&table)) || self.tables >= MAX_TABLES;
        flow.push(Kind::Other, if blocks { table.to_blocks() } else { table.to_markdown() });
    }

    /// Tables in mails are layout by name, and hold invoices.
    fn is_of_values(table: &Table) -> bool {
        let rows = table.rows.iter().filter(|row| row.iter().filter(|cell| !cell.text.trim().is_empty()).count() > 1).count();
        rows > 1
    }

    fn cell(&mut self, cell: &CellAt) -> Cell {
        Cell { text: self.within(cell.id), header: cell.header, columns: cell.columns, rows: cell.rows }
    }

    fn within(&mut self, id: Id) -> String {
        let mut flow = Flow::default();
        if self.left_out.get(id as usize).copied().unwrap_or(false) {
            return String::new();
        }
        match self.tree.text(id) {
            Some(text) => flow.line.push(text),
            None => self.children(id, &mut flow),
        }
        flow.finish()
    }

    /// Some words of a paragraph, marked.
    fn marked(&mut self, id: Id, mark: Mark, flow: &mut Flow) {
        if self.bare > 0 {
            self.children(id, flow);
            return;
        }
        flow.line.open(mark);
        self.children(id, flow);
        flow.line.close();
    }

    fn math(&mut self, id: Id, flow: &mut Flow) {
        let written = math::written(self.tree, id);
        if !written.is_empty() {
            flow.line.push_verbatim(&written);
        }
    }
}

fn is_script(name: &str) -> bool {
    matches!(name, "script" | "template")
}

fn is_footnote(tree: &Tree, id: Id) -> bool {
    let of = |name| tree.attribute(id, name).unwrap_or_default();
    of("epub:type").contains("note") || of("role").starts_with("doc-footnote") || of("role").starts_with("doc-endnote") || {
        let class = of("class").to_ascii_lowercase();
        class.contains("footnote") || class.contains("endnote")
    }
}
