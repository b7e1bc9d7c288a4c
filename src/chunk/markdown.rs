//! Markdown's lines: headings (ATX and setext), fences, tables, lists, front matter, HTML blocks, paragraphs.
//!
//! A line scanner after `CommonMark` 0.31 and GFM's tables, not a parser: what it does not see (nested quotes, reference
//! definitions) only makes a border a little weaker or stronger than it should be.

use super::outline::{Outline, RawLine, after_marker, raw_lines, strength};

/// How many lines a setext heading may have: a longer paragraph above `---` is a paragraph above a rule.
const SETEXT_LINES: usize = 3;
/// How many lines front matter may have.
const FRONT_MATTER_LINES: usize = 1000;

/// What the scanner is inside of.
enum Inside {
    Flow,
    /// A fence of that character and length.
    Fence {
        start: usize,
        mark: u8,
        length: usize,
    },
    /// HTML that ends on the line with that text.
    Html {
        start: usize,
        until: &'static str,
    },
    /// Front matter, until that line.
    FrontMatter {
        start: usize,
        until: &'static str,
    },
    /// A table, whose header ends at `body`.
    Table {
        start: usize,
        body: usize,
    },
}

#[allow(clippy::struct_excessive_bools, reason = "each says one independent thing of the lines above")]
struct Scanner<'o> {
    outline: &'o mut Outline,
    inside: Inside,
    /// A blank line is above.
    blank: bool,
    /// A list's item is above, and nothing has ended the list.
    list: bool,
    /// The paragraph that is being read: where it starts, and how many lines it has.
    paragraph: Option<(usize, usize)>,
    /// The line above is a heading.
    heading: bool,
    /// The line above ends a fence, a table or other block.
    block: bool,
    /// The line above ends with a colon.
    announced: bool,
}

pub(super) fn scan(text: &str, outline: &mut Outline) {
    let inside = front_matter(text);
    let mut scanner =
        Scanner { outline, inside, blank: true, list: false, paragraph: None, heading: false, block: false, announced: false };
    let mut above = "";
    for line in raw_lines(text) {
        scanner.line(&line, text, above);
        above = line.text;
    }
    match scanner.inside {
        Inside::Flow => {}
        Inside::Fence { start, .. } | Inside::Html { start, .. } | Inside::FrontMatter { start, .. } => {
            scanner.outline.blocks.push(start..text.len());
        }
        Inside::Table { start, body } => scanner.close_table(start, body, text.len(), text),
    }
}

/// Front matter is YAML between `---` or TOML between `+++`, on the first line; without an end it is none.
fn front_matter(text: &str) -> Inside {
    let mut lines = raw_lines(text);
    let Some(first) = lines.next() else { return Inside::Flow };
    let until = match first.text.trim_end() {
        "---" => "---",
        "+++" => "+++",
        _ => return Inside::Flow,
    };
    if lines.take(FRONT_MATTER_LINES).any(|line| line.text.trim_end() == until) {
        Inside::FrontMatter { start: first.start, until }
    } else {
        Inside::Flow
    }
}

impl Scanner<'_> {
    fn line(&mut self, line: &RawLine<'_>, text: &str, above: &str) {
        match self.inside {
            Inside::Fence { start, mark, length } => {
                let trimmed = line.text.trim();
                let run = trimmed.bytes().take_while(|b| *b == mark).count();
                let ends = run >= length && run == trimmed.len();
                self.inner_line(line, ends);
                if ends {
                    self.close(start, line.end);
                }
            }
            Inside::Html { start, until } => {
                self.inner_line(line, false);
                if contains_ignoring_case(line.text, until) {
                    self.close(start, line.end);
                }
            }
            Inside::FrontMatter { start, until } => {
                let first = line.start == start;
                if first {
                    self.outline.push_line(start, strength::BLOCK, false);
                } else {
                    let ends = line.text.trim_end() == until;
                    self.inner_line(line, ends);
                    if ends {
                        self.close(start, line.end);
                    }
                }
            }
            Inside::Table { start, body } => {
                if line.is_blank() || !line.text.contains('|') {
                    self.close_table(start, body, line.start, text);
                    self.flow(line, text, above);
                } else {
                    self.outline.push_line(line.start, strength::ROW, false);
                }
            }
            Inside::Flow => self.flow(line, text, above),
        }
    }

    /// A line inside a block.
    fn inner_line(&mut self, line: &RawLine<'_>, ends: bool) {
        if line.is_blank() {
            self.blank = true;
            return;
        }
        let strength = if ends {
            strength::GLUED
        } else if self.blank {
            strength::ROW + 10
        } else {
            strength::ROW.saturating_sub(line.indent().min(20) as u8)
        };
        self.outline.push_line(line.start, strength, false);
        self.blank = false;
    }

    fn close(&mut self, start: usize, end: usize) {
        self.outline.blocks.push(start..end);
        self.inside = Inside::Flow;
        self.block = true;
        self.blank = false;
    }

    fn close_table(&mut self, start: usize, body: usize, end: usize, text: &str) {
        let header = text.get(start..body).unwrap_or_default();
        // Tables are padded for people.
        let header = header.split_whitespace().collect::<Vec<_>>().join(" ");
        if header.contains(char::is_alphanumeric) {
            self.outline.push_table(start, body..end, &header, true);
        }
        self.close(start, end);
    }

    /// Emits a line that nothing holds together with the one above, unless a heading does.
    fn emit(&mut self, line: &RawLine<'_>, strength: u8, prose: bool) {
        let strength = if self.heading && strength < strength::HEADING {
            strength::GLUED
        } else if self.announced && strength < strength::HEADING && self.blank {
            strength.min(strength::ANNOUNCED)
        } else {
            strength
        };
        self.outline.push_line(line.start, strength, prose);
        self.heading = false;
        self.block = false;
        self.blank = false;
        self.announced = line.text.trim_end().ends_with([':', '：']);
    }

    fn flow(&mut self, line: &RawLine<'_>, text: &str, above: &str) {
        if line.is_blank() {
            self.blank = true;
            self.paragraph = None;
            return;
        }
        let indent = line.indent();
        let trimmed = line.text.trim();
        let shallow = indent <= 3;
        if let Some((mark, length)) = fence(trimmed).filter(|_| shallow || self.list) {
            self.open(line, Inside::Fence { start: line.start, mark, length });
        } else if let Some((level, title)) = atx(trimmed).filter(|_| shallow) {
            self.list = false;
            self.paragraph = None;
            self.emit(line, strength::HEADING, false);
            self.outline.open_section(line.start, line.end, level, title);
            self.heading = true;
            self.announced = false;
        } else if let Some((start, level)) = self.setext(trimmed).filter(|_| shallow) {
            self.emit(line, strength::GLUED, false);
            let title = text.get(start..line.start).unwrap_or_default();
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            self.outline.promote(start, line.end, level, &title);
            self.paragraph = None;
            self.heading = true;
        } else if let Some(until) = html(trimmed).filter(|_| shallow) {
            self.open(line, Inside::Html { start: line.start, until });
            if contains_ignoring_case(trimmed.get(1..).unwrap_or_default(), until) {
                self.close(line.start, line.end);
            }
        } else if let Some(start) = self.table(trimmed, above) {
            self.outline.push_line(line.start, strength::RULE, false);
            if let Some(header) = self.outline.lines.iter_mut().rev().nth(1) {
                header.prose = false;
                // A heading's hold on the table is stronger than the table's own border.
                if header.strength != strength::GLUED {
                    header.strength = header.strength.max(strength::BLOCK);
                }
            }
            self.paragraph = None;
            self.inside = Inside::Table { start, body: line.start };
        } else if after_marker(trimmed).is_some() && !is_rule(trimmed) && (shallow || self.list) {
            let depth = (indent / 2).min(3) as u8;
            let opens = !self.list && (self.blank || self.block);
            let strength = if opens { strength::BLOCK } else { strength::ITEM - 8 * depth };
            self.paragraph = None;
            self.emit(line, strength, true);
            self.list = true;
        } else {
            self.paragraph_line(line, indent, is_rule(trimmed));
        }
    }

    fn paragraph_line(&mut self, line: &RawLine<'_>, indent: usize, rule: bool) {
        let in_item = self.list && indent >= 2;
        let strength = if self.blank || self.block || rule {
            let ends_list = self.list && !in_item;
            self.list = in_item;
            if in_item {
                strength::NESTED
            } else if self.block || ends_list {
                strength::BLOCK
            } else {
                strength::PARAGRAPH
            }
        } else {
            strength::LINE
        };
        let (start, lines) = self.paragraph.unwrap_or((line.start, 0));
        // A rule, a quote or what stands in a list is never the text of a setext heading.
        let fit = !rule && !self.list && !line.text.trim_start().starts_with('>') && (indent <= 3 || lines > 0);
        self.paragraph = fit.then_some((start, lines + 1));
        self.emit(line, strength, true);
    }

    fn open(&mut self, line: &RawLine<'_>, inside: Inside) {
        self.paragraph = None;
        let strength = if self.list && line.indent() >= 2 { strength::NESTED } else { strength::BLOCK };
        self.emit(line, strength, false);
        self.announced = false;
        self.inside = inside;
    }

    /// The heading that this underline makes of the paragraph above: where it starts, and its level.
    fn setext(&self, trimmed: &str) -> Option<(usize, u8)> {
        let (start, lines) = self.paragraph.filter(|(_, lines)| *lines <= SETEXT_LINES)?;
        let level = match trimmed.as_bytes().first()? {
            b'=' => 1,
            b'-' => 2,
            _ => return None,
        };
        let mark = trimmed.chars().next()?;
        (lines > 0 && trimmed.chars().all(|c| c == mark)).then_some((start, level))
    }

    /// Where the table starts whose delimiter row this is: at the line above.
    fn table(&self, trimmed: &str, above: &str) -> Option<usize> {
        let (_, lines) = self.paragraph?;
        let delimiter = trimmed.contains('-')
            && trimmed.contains('|')
            && trimmed.bytes().all(|b| matches!(b, b'-' | b'|' | b':' | b' ' | b'\t'));
        let header = delimiter && lines > 0 && above.contains('|');
        header.then(|| self.outline.lines.last().map(|line| line.start as usize)).flatten()
    }
}

/// An opening fence: its character and length.
fn fence(trimmed: &str) -> Option<(u8, usize)> {
    let mark = *trimmed.as_bytes().first().filter(|b| matches!(b, b'`' | b'~'))?;
    let length = trimmed.bytes().take_while(|b| *b == mark).count();
    let info = trimmed.get(length..)?;
    (length >= 3 && !(mark == b'`' && info.contains('`'))).then_some((mark, length))
}

/// An ATX heading: its level and its text.
fn atx(trimmed: &str) -> Option<(u8, &str)> {
    let level = trimmed.bytes().take(7).take_while(|b| *b == b'#').count();
    let rest = trimmed.get(level..)?;
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let title = rest.trim();
    let unmarked = title.trim_end_matches('#');
    // Closing marks count only behind a blank: `# C#` keeps its own.
    let title = if unmarked.is_empty() || unmarked.ends_with([' ', '\t']) { unmarked.trim_end() } else { title };
    Some((level as u8, title))
}

/// HTML that goes on over blank lines: what ends it.
fn html(trimmed: &str) -> Option<&'static str> {
    if !trimmed.starts_with('<') {
        return None;
    }
    let blocks =
        [("<!--", "-->"), ("<pre", "</pre>"), ("<script", "</script>"), ("<style", "</style>"), ("<textarea", "</textarea>")];
    blocks.into_iter().find_map(|(opens, ends)| {
        let start = trimmed.get(..opens.len())?;
        start.eq_ignore_ascii_case(opens).then_some(ends)
    })
}

/// `---`, `* * *`, `___`.
fn is_rule(trimmed: &str) -> bool {
    let Some(mark) = trimmed.chars().next().filter(|c| matches!(c, '-' | '*' | '_')) else { return false };
    trimmed.chars().filter(|c| *c == mark).count() >= 3 && trimmed.chars().all(|c| c == mark || c == ' ' || c == '\t')
}

fn contains_ignoring_case(line: &str, needle: &str) -> bool {
    line.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::string_slice, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::document::Markup;

    fn headings(text: &str) -> Vec<(u8, String)> {
        let outline = Outline::of(text, Markup::Markdown);
        outline.sections.iter().skip(1).map(|section| (section.level, section.title.to_string())).collect()
    }

    fn strength_before(text: &str, line: &str) -> u8 {
        let at = text.find(line).unwrap() as u32;
        Outline::of(text, Markup::Markdown).lines.iter().find(|line| line.start == at).unwrap().strength
    }

    #[test]
    fn atx_and_setext() {
        let text = "# One #\n\nTwo\n===\n\nThree\nfour\n---\n### C#\n####### seven\n#tag\n    # code\n##\n";
        let expected = [(1, "One"), (1, "Two"), (2, "Three four"), (3, "C#"), (2, "")];
        assert_eq!(headings(text), expected.map(|(level, title)| (level, title.to_string())));
    }

    #[test]
    fn what_looks_like_a_heading_and_is_none() {
        for text in [
            "```\n# a\n```\n",
            "~~~ sh\n# a\n```\n# b\n~~~\n",
            "````\n```\n# a\n````\n",
            "---\ntitle: a\n# b\n---\n",
            "+++\ntitle = 1\n# b\n+++\n",
            "\u{feff}---\ntitle: a\n---\n",
            "<!--\n\n# a\n\n-->\n",
            "<pre>\n# a\n</pre>\n",
            "- a\n---\n",
            "> a\n---\n",
            "a | b\n--- | ---\n1 | 2\n",
            "a\n\n---\n",
            "- x\n\n  ```\n# a\n  ```\n",
            "one\ntwo\nthree\nfour\nfive\n---\n",
        ] {
            assert_eq!(headings(text), [], "{text}");
        }
    }

    #[test]
    fn headings_return_after_a_block() {
        for text in
            ["```\nx\n```\n# a", "<!-- x -->\n# a", "<!--\nx -->\n# a", "---\nx: y\n---\n# a", "\u{feff}# a", "```a`b\n# a\r\n"]
        {
            assert_eq!(headings(text), [(1, "a".to_string())], "{text}");
        }
    }

    #[test]
    fn fences_and_tables_are_blocks() {
        let text = "text\n\n```rust\nfn a() {}\n\nfn b() {}\n```\n\na | b\n--|--\n1 | 2\n3 | 4\nend\n\n- x\n\n  ```\n  y\n";
        let blocks: Vec<_> =
            Outline::of(text, Markup::Markdown).blocks.into_iter().map(|range| text[range].trim().to_string()).collect();
        assert_eq!(blocks, ["```rust\nfn a() {}\n\nfn b() {}\n```", "a | b\n--|--\n1 | 2\n3 | 4", "```\n  y"]);
    }

    #[test]
    fn borders_are_ordered() {
        let text = "# H\n\nfirst\n\npara\nline\n\n- item\n- next\n  - deep\n\nafter\n\nlead:\n\n```\ncode\n```\n\nlast\n";
        let order = ["deep", "- next", "para", "after"]
            .map(|line| strength_before(text, if line == "deep" { "  - deep" } else { line }));
        assert!(order.is_sorted() && strength_before(text, "# H") > *order.last().unwrap(), "{order:?}");
        assert_eq!(strength_before(text, "first"), strength::GLUED);
        assert_eq!(strength_before(text, "line"), strength::LINE);
        assert_eq!(strength_before(text, "```\ncode"), strength::ANNOUNCED);
        assert_eq!(strength_before(text, "last"), strength::BLOCK);
    }
}
