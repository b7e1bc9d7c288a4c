//! The text of one paragraph of Word's, and what hangs on it.

use super::super::package::Relations;
use super::super::xml::Element;
use super::super::{drawing, letters, math, writer};
use super::styles::Styles;

/// What belongs to a paragraph and stands outside of its line.
#[derive(Debug)]
pub(super) enum Attached<'a> {
    /// A text box: its content.
    Box(&'a Element),
    /// A footnote or an endnote (`true`): its id in the file, and its mark in the text.
    Note(bool, &'a str, String),
    /// A comment, by id.
    Comment(&'a str),
    /// A chart or a diagram, by its part's id among the relations.
    Part(&'a str),
}

/// A field (a link, a table of contents, a page number) that has begun. Its code is not shown, its result is.
#[derive(Debug, Default)]
struct Field {
    code: String,
    in_result: bool,
    /// Where the result began in the present paragraph.
    since: Option<usize>,
}

/// Fields that are open, and how many notes there were so far. Both go on from one paragraph to the next.
#[derive(Debug, Default)]
pub(super) struct Running {
    fields: Vec<Field>,
    footnotes: usize,
    endnotes: usize,
}

/// Fields within fields.
const MAX_FIELDS: usize = 50;

pub(super) struct Inline<'a, 'r> {
    pub(super) styles: &'r Styles,
    pub(super) relations: &'r Relations,
    pub(super) running: &'r mut Running,
    pub(super) text: String,
    pub(super) attached: Vec<Attached<'a>>,
}

impl<'a> Inline<'a, '_> {
    /// Reads what is in a paragraph, or in something within one.
    pub(super) fn read(&mut self, within: &'a Element) {
        for e in within.children() {
            match e.name() {
                "w:r" => self.run(e),
                "w:hyperlink" => {
                    let since = self.text.len();
                    self.read(e);
                    if let Some(relation) = e.attribute("r:id").and_then(|id| self.relations.get(id)) {
                        self.link_since(since, &relation.target.clone());
                    }
                }
                "w:fldSimple" => {
                    let since = self.text.len();
                    let code = e.attribute("instr").unwrap_or_default();
                    self.read(e);
                    self.end_of_field(code, since);
                }
                "m:oMath" | "m:oMathPara" => self.text.push_str(&math::linear(e)),
                "mc:AlternateContent" => {
                    if let Some(chosen) = chosen(e) {
                        self.read(chosen);
                    }
                }
                // Taken out or moved elsewhere while changes were tracked.
                "w:del" | "w:moveFrom" | "w:pPr" | "w:rPr" | "w:sdtPr" | "w:sdtEndPr" => {}
                "w:ruby" => self.ruby(e),
                _ => self.read(e),
            }
        }
    }

    /// At the end of a paragraph: a code that goes on in the next one would hide what follows.
    pub(super) fn close(&mut self) {
        self.running.fields.retain(|field| field.in_result);
        for field in &mut self.running.fields {
            field.since = None;
        }
    }

    fn visible(&self) -> bool {
        self.running.fields.iter().all(|field| field.in_result)
    }

    fn run(&mut self, run: &'a Element) {
        let properties = run.child("w:rPr");
        if properties.is_some_and(|p| p.is_on("w:vanish") || p.child("w:del").is_some()) {
            // Field marks count even where they are hidden.
            run.named("w:fldChar").for_each(|e| self.field(e));
            return;
        }
        let position = properties.and_then(|p| {
            p.value_of("w:vertAlign").or_else(|| p.value_of("w:rStyle").and_then(|style| self.styles.position(style)))
        });
        let font = properties.and_then(|p| p.child("w:rFonts")).and_then(|f| f.attribute("ascii"));
        let raised = position == Some("superscript");
        self.parts(run, raised, font);
    }

    fn parts(&mut self, run: &'a Element, raised: bool, font: Option<&str>) {
        for e in run.children() {
            match e.name() {
                "w:fldChar" => self.field(e),
                "w:instrText" => {
                    if let Some(field) = self.running.fields.last_mut().filter(|f| !f.in_result && f.code.len() < 4000) {
                        field.code.push_str(&e.text());
                    }
                }
                "w:drawing" | "w:pict" | "w:object" => self.drawing(e),
                "mc:AlternateContent" => {
                    if let Some(chosen) = chosen(e) {
                        self.parts(chosen, raised, font);
                    }
                }
                _ if !self.visible() => {}
                "w:t" if raised => letters::push_raised(&mut self.text, &e.text()),
                "w:t" => letters::push(&mut self.text, &e.text(), font),
                "w:tab" | "w:ptab" => self.text.push('\t'),
                "w:br" | "w:cr" => self.text.push('\n'),
                "w:noBreakHyphen" => self.text.push('-'),
                "w:sym" => {
                    let code = e.attribute("char").and_then(|code| u32::from_str_radix(code, 16).ok());
                    self.text.extend(code.and_then(|code| letters::symbol(e.attribute("font").unwrap_or_default(), code)));
                }
                "w:ruby" => self.ruby(e),
                "w:footnoteReference" | "w:endnoteReference" => self.note(e),
                "w:commentReference" => self.attached.extend(e.attribute("id").map(Attached::Comment)),
                _ => {}
            }
        }
    }

    fn field(&mut self, e: &Element) {
        match e.attribute("fldCharType") {
            Some("begin") => {
                if self.running.fields.len() < MAX_FIELDS {
                    self.running.fields.push(Field::default());
                }
                if let Some(list) = e.at(&["w:ffData", "w:ddList"]) {
                    let nth: usize = list.value_of("w:result").and_then(|n| n.parse().ok()).unwrap_or(0);
                    let entry = list.named("w:listEntry").nth(nth).and_then(|entry| entry.attribute("val"));
                    self.text.push_str(entry.unwrap_or_default());
                }
            }
            Some("separate") => {
                let since = self.text.len();
                if let Some(field) = self.running.fields.last_mut() {
                    field.in_result = true;
                    field.since = Some(since);
                }
            }
            Some("end") => {
                if let Some(field) = self.running.fields.pop()
                    && let Some(since) = field.since
                {
                    self.end_of_field(&field.code, since);
                }
            }
            _ => {}
        }
    }

    fn end_of_field(&mut self, code: &str, since: usize) {
        let mut words = code.split_whitespace();
        match words.next() {
            Some("HYPERLINK") => {
                let target = words.next().unwrap_or_default().trim_matches('"').to_owned();
                self.link_since(since, &target);
            }
            // Where the page is, every reader of the text has other pages.
            Some("PAGE" | "NUMPAGES" | "SECTIONPAGES") => self.text.truncate(since),
            _ => {}
        }
    }

    fn link_since(&mut self, since: usize, target: &str) {
        let Some(shown) = self.text.get(since..) else { return };
        let linked = writer::link(shown, target);
        self.text.truncate(since);
        self.text.push_str(&linked);
    }

    fn ruby(&mut self, e: &'a Element) {
        let before = self.text.len();
        e.named("w:rubyBase").for_each(|base| self.read(base));
        let based = self.text.len() > before;
        let reading: String = e.child("w:rt").map(|rt| rt.all("w:t").iter().map(|t| t.text()).collect()).unwrap_or_default();
        if reading.is_empty() {
            return;
        }
        if based {
            self.text.push_str(&format!("({reading})"));
        } else {
            self.text.push_str(&reading);
        }
    }

    fn note(&mut self, e: &'a Element) {
        let Some(id) = e.attribute("id") else { return };
        let end = e.name() == "w:endnoteReference";
        let count = if end { &mut self.running.endnotes } else { &mut self.running.footnotes };
        *count += 1;
        let mark = if end { format!("e{count}") } else { count.to_string() };
        self.text.push_str(&format!("[^{mark}]"));
        self.attached.push(Attached::Note(end, id, mark));
    }

    /// Text boxes, what a picture is said to show, charts and diagrams.
    fn drawing(&mut self, drawing: &'a Element) {
        let mut todo: Vec<&'a Element> = drawing.children().rev().collect();
        while let Some(e) = todo.pop() {
            match e.name() {
                "w:txbxContent" => {
                    self.attached.push(Attached::Box(e));
                    continue;
                }
                "mc:AlternateContent" => {
                    todo.extend(chosen(e));
                    continue;
                }
                "wp:docPr" => self.described(e.attribute("descr")),
                "v:shape" | "v:rect" | "v:oval" | "v:group" => self.described(e.attribute("alt")),
                // Letters that are drawn along a line.
                "v:textpath" => {
                    let said = e.attribute("string").unwrap_or_default().to_owned();
                    self.apart(&said);
                }
                "c:chart" | "cx:chart" => self.attached.extend(e.attribute("r:id").map(Attached::Part)),
                "dgm:relIds" => self.attached.extend(e.attribute("r:dm").map(Attached::Part)),
                _ => {}
            }
            todo.extend(e.children().rev());
        }
    }

    fn described(&mut self, text: Option<&str>) {
        if let Some(text) = text.and_then(drawing::description) {
            self.apart(text);
        }
    }

    fn apart(&mut self, text: &str) {
        if !self.text.is_empty() && !self.text.ends_with(char::is_whitespace) {
            self.text.push(' ');
        }
        letters::push(&mut self.text, text, None);
        self.text.push(' ');
    }
}

/// The variant of some content that is read: the new one, or the one for old programs where the new one has no text.
pub(super) fn chosen(alternatives: &Element) -> Option<&Element> {
    let has_text = |e: &&Element| ["w:t", "a:t", "m:t", "c:chart", "dgm:relIds"].iter().any(|name| e.first(name).is_some());
    let first = alternatives.child("mc:Choice");
    first.filter(has_text).or_else(|| alternatives.child("mc:Fallback").filter(has_text)).or(first)
}
