//! Parts of a paragraph.

use url::Url;

use super::super::flow::Flow;
use super::super::line::Mark;
use super::super::seen;
use super::super::tree::Id;
use super::Writer;

impl Writer<'_> {
    pub(super) fn inline(&mut self, id: Id, name: &str, flow: &mut Flow) {
        match name {
            "script" => {
                let kind = self.tree.attribute(id, "type").unwrap_or_default();
                if kind.starts_with("math/tex") || kind.starts_with("math/asciimath") {
                    flow.line.push_verbatim(&format!("${}$", self.tree.whole_text(id).trim()));
                }
            }
            "wbr" => {}
            "b" | "strong" => self.marked(id, Mark::Strong, flow),
            "i" | "em" => self.marked(id, Mark::Emphasis, flow),
            "del" | "s" | "strike" => self.struck(id, flow),
            "q" => {
                flow.line.push("“");
                self.children(id, flow);
                flow.line.push("”");
            }
            "code" | "tt" | "samp" => self.code(id, flow),
            "sup" => self.raised(id, flow),
            "sub" => self.lowered(id, flow),
            "ruby" => self.ruby(id, flow),
            "a" => self.link(id, flow),
            "img" => self.image(id, flow),
            "svg" => self.drawing(id, flow),
            "math" => self.math(id, flow),
            "label" => {
                flow.line.part();
                self.children(id, flow);
                flow.line.part();
            }
            _ if name.contains('-') && !name.starts_with("mjx-") => {
                // A site's own element: a box, mostly.
                flow.line.part();
                self.children(id, flow);
                flow.line.part();
            }
            _ => self.plain(id, flow),
        }
    }

    /// An element that means nothing by itself, which has a role at times.
    fn plain(&mut self, id: Id, flow: &mut Flow) {
        let marks =
            |id| self.tree.attribute(id, "epub:type").is_some_and(|kind| kind.split(' ').any(|kind| kind == "pagebreak"));
        if marks(id) || self.tree.attribute(id, "role") == Some("doc-pagebreak") {
            return;
        }
        self.children(id, flow);
    }

    fn struck(&mut self, id: Id, flow: &mut Flow) {
        if self.holds_block(id) {
            // Whole paragraphs that were taken out.
            return;
        }
        flow.line.open(Mark::Struck);
        self.children(id, flow);
        flow.line.close();
    }

    fn code(&mut self, id: Id, flow: &mut Flow) {
        if self.holds_block(id) {
            self.children(id, flow);
            return;
        }
        let text = self.tree.whole_text(id);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        if text.is_empty() {
            return;
        }
        if self.tree.name(id) != "code" && self.bare > 0 {
            flow.line.push(&text);
            return;
        }
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let ticks = "`".repeat(longest + 1);
        let pad = if longest > 0 { " " } else { "" };
        flow.line.push_verbatim(&format!("{ticks}{pad}{text}{pad}{ticks}"));
    }

    /// Powers, ordinals, and the marks of footnotes.
    fn raised(&mut self, id: Id, flow: &mut Flow) {
        if self.holds_block(id) {
            self.children(id, flow);
            return;
        }
        let text = self.shown(id);
        let note = self.tree.all(id).any(|id| self.is_note_link(id))
            || seen::has_class(
                self.tree,
                id,
                &["footnote-ref", "footnote", "reference", "fn", "noteref", "footnote-reference"],
            );
        if text.is_empty() {
            return;
        }
        if note {
            Self::note(&text, flow);
        } else {
            match self.power(id, &text, flow) {
                Raised::Note => Self::note(&text, flow),
                Raised::Power => {
                    let simple = text.chars().all(|c| c.is_alphanumeric() || "+-−–*.,′°".contains(c));
                    let power = if simple { format!("^{text}") } else { format!("^({text})") };
                    flow.line.push(&power);
                }
                Raised::Plain => flow.line.push(&text),
            }
        }
    }

    fn power(&self, id: Id, text: &str, flow: &Flow) -> Raised {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let letters = text.chars().all(char::is_alphabetic);
        let Some(last) = flow.line.last() else {
            // 14C, but a note that stands apart.
            let joins = self.next_char(id).is_some_and(char::is_alphabetic);
            return if digits && !joins && text.len() <= 3 { Raised::Note } else { Raised::Plain };
        };
        if text.starts_with(['[', '(']) && text.trim_matches(['[', ']', '(', ')']).bytes().all(|b| b.is_ascii_digit()) {
            return Raised::Note;
        }
        if last.is_ascii_digit() {
            let ordinal = letters && (text.chars().count() > 1 || "eèoaºª".contains(text));
            return if ordinal || text.chars().all(|c| "†‡*®™°″′".contains(c)) {
                Raised::Plain
            } else {
                Raised::Power
            };
        }
        if digits {
            // Units and variables are short; after a word and after the end of a sentence it is the number of a note.
            let word = flow.line.last_word().chars().count();
            let unit = (1..=3).contains(&word) && last.is_ascii_alphabetic();
            return if unit
                || matches!(last, ')' | ']' | '}' | '`' | '$')
                || (word > 0 && !last.is_ascii() && !last.is_alphabetic())
            {
                Raised::Power
            } else {
                Raised::Note
            };
        }
        if last.is_alphabetic() && letters {
            let (word, one) = (flow.line.last_word().chars().count(), text.chars().count() == 1);
            return match word {
                1 if one => Raised::Power,
                // The mark of a note in a table, but Mme, Dra and Foo TM.
                4.. if one && text.is_ascii() => Raised::Note,
                _ => Raised::Plain,
            };
        }
        let calculated = text.chars().any(char::is_alphanumeric);
        if calculated && (last.is_alphanumeric() || last == ')') { Raised::Power } else { Raised::Plain }
    }

    /// The first character after an element, if it follows without a blank.
    fn next_char(&self, id: Id) -> Option<char> {
        let text = self.tree.all(self.tree.after(id)?).find_map(|id| self.tree.text(id))?;
        text.chars().next()
    }

    /// The mark of a note, apart from the word.
    fn note(text: &str, flow: &mut Flow) {
        let bare = text.trim_matches(['[', ']', '(', ')']);
        if !flow.line.is_empty() && !flow.line.last().is_some_and(|c| "([{“‘„«（【「".contains(c)) {
            flow.line.part();
        }
        if bare.is_empty() {
            return;
        }
        flow.line.push(&format!("[{bare}]"));
    }

    /// Indices stay with their word: H2O, PFC14. A number after a number does not.
    fn lowered(&mut self, id: Id, flow: &mut Flow) {
        if self.holds_block(id) {
            self.children(id, flow);
            return;
        }
        let text = self.shown(id);
        let numbers = flow.line.last().is_some_and(|c| c.is_ascii_digit()) && text.starts_with(|c: char| c.is_ascii_digit());
        if numbers {
            flow.line.push(&format!("_{text}"));
        } else if text.contains(char::is_whitespace) {
            flow.line.push(&format!("_({text})"));
        } else {
            flow.line.push(&text);
        }
    }

    fn shown(&mut self, id: Id) -> String {
        let mut flow = Flow::default();
        self.bare += 1;
        self.children(id, &mut flow);
        self.bare -= 1;
        flow.finish().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Words with their reading.
    fn ruby(&mut self, id: Id, flow: &mut Flow) {
        let (mut base, mut reading, mut rest) = (String::new(), String::new(), Vec::new());
        let mut walk = self.tree.all(id);
        while let Some(id) = walk.next() {
            match self.tree.name(id) {
                "rt" | "rtc" => {
                    let text = self.tree.whole_text(id);
                    let latin = text.trim().chars().any(|c| c.is_alphabetic() && (c as u32) < 0x300);
                    if latin && !reading.is_empty() {
                        reading.push(' ');
                    }
                    reading.push_str(text.trim());
                    walk.skip_below(id);
                }
                "rp" => walk.skip_below(id),
                "img" => rest.push(id),
                _ => base.extend(self.tree.text(id).unwrap_or_default().split_whitespace()),
            }
        }
        if base.is_empty() || reading.is_empty() {
            flow.line.push(&base);
            flow.line.push(&reading);
        } else {
            flow.line.push_ruby(&base, &reading);
        }
        for image in rest {
            self.image(image, flow);
        }
    }

    /// Links elsewhere are kept. Of those within the site only the text is: their targets are noise in an embedding, and lead
    /// nowhere outside of the page.
    fn link(&mut self, id: Id, flow: &mut Flow) {
        let target = self.tree.attribute(id, "href").unwrap_or_default().trim();
        if target.starts_with('#') || target.contains(".xhtml#") || target.contains(".html#") {
            let text = self.tree.whole_text(id);
            let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{fe0e}' | '\u{fe0f}'));
            // The mark at a heading that links to the heading, and the one that leads back from a note.
            if matches!(text, "¶" | "#" | "§" | "🔗" | "↩" | "↑" | "⏎" | "^" | "↵" | "⬆") {
                return;
            }
            if (self.is_note_link(id) && flow.line.last().is_some()) || self.is_named_note(id) {
                let text = text.to_owned();
                Self::note(&text, flow);
                return;
            }
        }
        let elsewhere = target.starts_with("mailto:") || self.is_elsewhere(target);
        // What would break the brackets around an address.
        let plain = target.len() <= 2000 && !target.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>'));
        if !elsewhere || !plain || self.bare > 0 || self.holds_block(id) {
            self.children(id, flow);
        } else {
            self.marked(id, Mark::Link(target.to_owned()), flow);
        }
    }

    /// Whether an address is one of the web, and not of the page's own site where that is known.
    fn is_elsewhere(&self, target: &str) -> bool {
        let absolute = target.starts_with("http://") || target.starts_with("https://");
        let Some(url) = self.url.filter(|_| absolute) else { return absolute };
        Url::parse(target).is_ok_and(|target| site(&target) != site(url))
    }

    /// A link that is the mark of a note.
    fn is_note_link(&self, id: Id) -> bool {
        if self.tree.name(id) != "a" {
            return false;
        }
        let of = |name| self.tree.attribute(id, name).unwrap_or_default();
        let text = self.tree.whole_text(id);
        let mark = text.trim().trim_matches(['[', ']', '(', ')', '†', '*', '‡']);
        let short = mark.len() <= 4 && mark.bytes().all(|b| b.is_ascii_alphanumeric());
        self.is_named_note(id)
            || (of("href").contains('#')
                && short
                && (mark.is_empty() || mark.bytes().any(|b| b.is_ascii_digit()) || mark.len() == 1))
    }

    fn is_named_note(&self, id: Id) -> bool {
        self.tree.attribute(id, "epub:type").is_some_and(|kind| kind.contains("noteref"))
            || self.tree.attribute(id, "role") == Some("doc-noteref")
            || seen::has_class(self.tree, id, &["footnote-reference", "footnote-ref", "noteref", "footnoteref"])
    }

    fn image(&mut self, id: Id, flow: &mut Flow) {
        let alt = self.tree.attribute(id, "alt").unwrap_or_default();
        let alt = alt.split_whitespace().collect::<Vec<_>>().join(" ");
        // One or two words tell what sort of picture it is, not what it shows.
        let short = alt.split(' ').count() < 3 && !alt.chars().any(super::super::line::is_unspaced);
        if alt.is_empty() || short || is_file_name(&alt) || self.is_told(id) || !self.pictures.insert(alt.clone()) {
            return;
        }
        // A formula that is shown as a picture.
        if let Some(tex) = alt.strip_prefix("{\\displaystyle").and_then(|rest| rest.strip_suffix('}')) {
            flow.line.push_verbatim(&format!("${}$", tex.trim()));
            return;
        }
        flow.line.part();
        flow.line.push(&alt);
        flow.line.part();
    }

    /// Whether a caption or the words of a link say what the picture shows.
    fn is_told(&self, id: Id) -> bool {
        self.tree.above(id).take(6).any(|above| match self.tree.name(above) {
            "figure" => self
                .tree
                .all(above)
                .take(500)
                .any(|id| self.tree.name(id) == "figcaption" && !self.tree.whole_text(id).trim().is_empty()),
            "a" => self.tree.all(above).take(500).any(|id| self.tree.text(id).is_some_and(|text| !text.trim().is_empty())),
            _ => false,
        })
    }

    /// The words in a drawing. Icons have none.
    fn drawing(&mut self, id: Id, flow: &mut Flow) {
        let mut words = Vec::new();
        let mut walk = self.tree.all(id);
        while let Some(id) = walk.next() {
            match self.tree.name(id) {
                "title" | "desc" | "metadata" | "style" | "script" => walk.skip_below(id),
                "text" | "foreignObject" => {
                    let text: Vec<&str> =
                        self.tree.all(id).filter_map(|id| self.tree.text(id)).flat_map(str::split_whitespace).collect();
                    words.push(text.join(" "));
                    walk.skip_below(id);
                }
                _ => {}
            }
        }
        words.retain(|text| !text.is_empty());
        if !words.is_empty() {
            flow.line.part();
            flow.line.push(&words.join(", "));
            flow.line.part();
        }
    }
}

/// What links of one site have in common: whether they say `www` or are encrypted makes no other site.
fn site(url: &Url) -> (Option<&str>, Option<u16>) {
    (url.host_str().map(|host| host.strip_prefix("www.").unwrap_or(host)), url.port())
}

/// What raised text is.
enum Raised {
    Power,
    Plain,
    Note,
}

fn is_file_name(alt: &str) -> bool {
    let extension = alt.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    !alt.contains(' ') && matches!(extension.as_deref(), Some("jpg" | "jpeg" | "png" | "gif" | "webp" | "svg" | "avif" | "bmp"))
}
