//! Which sentences a citation stands for, while the answer streams.
//!
//! Text passes at once; a mark waits until its claim is known. At the end of its sentence ("… days \[2\].", "… days. \[2\]") that is so
//! with the character that follows; in its midst ("According to \[2\], …") when the sentence ends or the next mark comes, or after
//! [`MOST_HELD`] bytes. Marks in a row share a claim. An item, a row, a heading and a line with a mark are sentences; other lines are parts
//! of one, as in Markdown.
//!
//! Marks behind the last sentence of a line stand for those before it, too, which have none of their own: "It weighs 12 kg. It is red.
//! \[1\]". Marks that are a line of their own stand for the paragraph, list or table above them. What follows a mark is not its claim:
//! the items below "The source says \[1\]:" are not checked.

use std::mem::take;
use std::ops::Range;

use super::cite::Piece;
use super::proof::function::is_abbreviation;
use super::proof::lex::is_han;

/// Bytes that may wait behind a mark.
const MOST_HELD: usize = 400;
/// Bytes of a sentence that are remembered.
const MOST_REMEMBERED: usize = 4000;
/// Sentences before the last one that marks stand for, and their bytes.
const MOST_BEFORE: usize = 24;
const MOST_BEFORE_BYTES: usize = 8000;
/// Letters before a mark from which on they are its claim rather than an introduction to it.
const LEAST_SAID: usize = 24;

/// What is claimed, and of which sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The sentence, without its marks.
    pub text: String,
    /// The part of it that the marks stand for, in bytes.
    pub part: Range<usize>,
    /// The numbers in the marks.
    pub sources: Vec<usize>,
}

/// A part of the answer, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It may be shown.
    Piece(Piece),
    /// Marks in a row, with what stands between them: they may be shown when the claims have been checked. The last is that of their own
    /// sentence.
    Marks(Vec<Claim>, Vec<Piece>),
}

/// Reads an answer's pieces.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that the characters before have decided")]
pub struct Claims {
    /// The sentence so far, without marks.
    sentence: String,
    /// Where what belongs to the next mark begins in it.
    from: usize,
    /// It has ended; only white space and closing marks have come since.
    ended: bool,
    /// It ends here if a blank follows.
    point: bool,
    /// A line has ended in it: it goes on with the next one, unless that begins something else.
    broken: bool,
    /// Within `"`, which look the same on either side.
    quoted: bool,
    /// Nothing but white space has come in this line.
    blank: bool,
    /// A blank line has come since the sentence.
    apart: bool,
    /// A mark has come in the sentence or behind it.
    marked: bool,
    before: Before,
    held: Option<Held>,
}

/// Sentences of a paragraph, list or table that have ended without a mark.
#[derive(Debug, Default)]
struct Before {
    sentences: Vec<String>,
    /// Where those of the item or row that goes on begin.
    item: usize,
}

impl Before {
    fn clear(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, sentence: &str) {
        let sentence = sentence.trim();
        if sentence.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')) {
            // Below the names of a table's columns, which are no claims.
            if sentence.starts_with('|') {
                self.sentences.pop();
            }
        } else if sentence.starts_with('#') || sentence.ends_with([':', '：']) {
            // Neither is a heading, or what announces the lines that follow.
            self.clear();
        } else {
            self.sentences.push(sentence.to_owned());
        }
        let bytes = |sentences: &[String]| sentences.iter().map(String::len).sum::<usize>();
        while self.sentences.len() > MOST_BEFORE || bytes(&self.sentences) > MOST_BEFORE_BYTES {
            self.sentences.remove(0);
            self.item = self.item.saturating_sub(1);
        }
        self.item = self.item.min(self.sentences.len());
    }
}

/// Marks whose claim is not known yet.
#[derive(Debug)]
struct Held {
    marks: Vec<Piece>,
    sources: Vec<usize>,
    /// The end of the sentence so far, when they came.
    at: usize,
    /// They came after the sentence's end.
    after_end: bool,
    /// They begin their line.
    begins_line: bool,
    /// The text that came since.
    text: String,
}

impl Claims {
    /// Reads on. What comes back is all that is certain now.
    pub fn push(&mut self, piece: Piece) -> Vec<Part> {
        let mut parts = Vec::new();
        match piece {
            Piece::Text(text) => {
                for c in text.chars() {
                    self.read(c, &mut parts);
                }
            }
            Piece::Citation { ref numbers, .. } if numbers.is_empty() && self.held.is_none() => parts.push(Part::Piece(piece)),
            Piece::Citation { ref numbers, .. } => {
                let joined = self.held.as_ref().is_some_and(|held| held.text.chars().all(joins));
                if !joined {
                    self.judge(false, false, &mut parts);
                }
                let (at, after_end, begins_line) = (self.sentence.len(), self.ended, self.blank);
                self.marked = true;
                self.blank = false;
                let held = self.held.get_or_insert_with(|| Held {
                    marks: Vec::new(),
                    sources: Vec::new(),
                    at,
                    after_end,
                    begins_line,
                    text: String::new(),
                });
                let between = take(&mut held.text);
                if !between.is_empty() {
                    held.marks.push(Piece::Text(between));
                }
                held.sources.extend(numbers.iter().filter(|n| !held.sources.contains(n)).copied().collect::<Vec<_>>());
                held.marks.push(piece);
            }
        }
        parts
    }

    /// The answer has ended.
    pub fn finish(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        self.judge(true, true, &mut parts);
        parts
    }

    fn read(&mut self, c: char, parts: &mut Vec<Part>) {
        // Marks after the end of their sentence wait for no more than the next one.
        if self.held.as_ref().is_some_and(|held| held.after_end) && (c == '\n' || !joins(c)) {
            self.judge(true, c == '\n', parts);
        }
        let was_ended = self.ended;
        self.feed(c);
        let Some(held) = &mut self.held else {
            append(parts, c);
            return;
        };
        held.text.push(c);
        let at_once = matches!(c, '.' | '!' | '?') && held.text.trim_start().len() == c.len_utf8();
        if at_once || self.ended && !was_ended || held.text.len() >= MOST_HELD {
            self.ended |= at_once;
            self.judge(true, false, parts);
        }
    }

    /// Follows the sentence.
    fn feed(&mut self, c: char) {
        if self.point && c.is_whitespace() {
            self.ended = true;
        }
        // "It is sold.\" [1]": the quotation mark belongs to what it closes.
        self.point &= is_closing(c);
        if self.broken && !matches!(c, ' ' | '\t') {
            self.broken = false;
            self.ended |= begins_a_block(c);
        }
        let opens = self.opens(c);
        if self.ended && !c.is_whitespace() && (opens || !is_closing(c)) {
            self.begin(c);
        }
        self.apart |= c == '\n' && self.blank;
        self.blank = c == '\n' || self.blank && c.is_whitespace();
        self.quoted &= c != '\n';
        match c {
            '\n' if self.sentence.trim().is_empty() => {}
            '\n' if self.held.is_some() || ends_with_its_line(&self.sentence) => self.ended = true,
            '\n' => self.broken = !self.ended,
            '"' => self.quoted = opens,
            '。' | '！' | '？' | '!' | '?' => self.ended = true,
            '.' => self.point = !abbreviates(&self.sentence),
            _ => {}
        }
        // A sentence of that length is none: what matters stands before the mark.
        if self.sentence.len() > MOST_REMEMBERED {
            let cut = self.sentence.ceil_char_boundary(MOST_REMEMBERED / 2);
            if self.held.as_ref().is_none_or(|held| held.at >= cut) {
                self.sentence.drain(..cut);
                self.from = self.from.saturating_sub(cut);
                if let Some(held) = &mut self.held {
                    held.at -= cut;
                }
            }
        }
        self.sentence.push(c);
    }

    /// A sentence begins with this character: the last one is one of those before it, unless it has a mark.
    fn begin(&mut self, c: char) {
        if take(&mut self.marked) || take(&mut self.apart) {
            self.before.clear();
        } else {
            self.before.push(&self.sentence);
        }
        self.apart = false;
        if self.blank && begins_a_block(c) {
            self.before.item = self.before.sentences.len();
        }
        self.sentence.clear();
        (self.from, self.ended) = (0, false);
    }

    /// A quotation mark that looks the same on either side begins a quotation here.
    fn opens(&self, c: char) -> bool {
        let apart = self.sentence.is_empty() || self.sentence.ends_with(char::is_whitespace);
        match c {
            '"' => apart || !self.quoted,
            '\'' => apart,
            _ => false,
        }
    }

    /// The claim of the marks that are held is known: their sentence is over, or another mark has come. `last`: nothing follows in their
    /// line.
    fn judge(&mut self, over: bool, last: bool, parts: &mut Vec<Part>) {
        let Some(Held { marks, sources, at, after_end, begins_line, text }) = self.held.take() else { return };
        let before = self.sentence.get(self.from..at).unwrap_or_default();
        // A Chinese character says as much as about three letters do.
        let said = before.chars().map(|c| if is_han(c) { 3 } else { usize::from(c.is_alphanumeric()) });
        // A short clause with a number claims something already: "Alder opened in 1931 [1] and Birch in 1958 [2]."
        let little = said.sum::<usize>() < LEAST_SAID && !before.contains(|c: char| c.is_numeric());
        let part = match (over, little || introduces(before)) {
            (false, false) => self.from..at,
            // What begins after the last comma, or with the last "and", is the next mark's.
            (false, true) => self.from..at + last_clause(self.sentence.get(at..).unwrap_or_default()),
            _ if before.trim().is_empty() && text.trim().is_empty() => 0..self.sentence.len(),
            (true, _) => self.from..self.sentence.len(),
        };
        self.from = if over { self.sentence.len() } else { part.end };
        let before = match (after_end && last, begins_line) {
            (false, _) => &[][..],
            (true, false) => self.before.sentences.get(self.before.item..).unwrap_or_default(),
            (true, true) => &self.before.sentences,
        };
        let whole = |text: &String| Claim { text: text.clone(), part: 0..text.len(), sources: sources.clone() };
        let mut claims: Vec<Claim> = before.iter().map(whole).collect();
        claims.push(Claim { text: self.sentence.clone(), part, sources });
        parts.push(Part::Marks(claims, marks));
        if !text.is_empty() {
            parts.push(Part::Piece(Piece::Text(text)));
        }
    }
}

fn append(parts: &mut Vec<Part>, c: char) {
    match parts.last_mut() {
        Some(Part::Piece(Piece::Text(text))) => text.push(c),
        _ => parts.push(Part::Piece(Piece::Text(c.into()))),
    }
}

/// What may stand between marks in a row.
fn joins(c: char) -> bool {
    c == ' ' || matches!(c, ',' | '，' | '、' | ';' | '；')
}

fn is_closing(c: char) -> bool {
    matches!(c, ')' | '）' | ']' | '"' | '”' | '’' | '\'' | '」' | '』' | '》' | '*' | '_' | '。' | '.')
}

/// What a line begins with that goes on with no sentence of the line before: a blank line, an item, a row, a heading, a quote, a fence.
fn begins_a_block(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '\n' | '-' | '*' | '+' | '•' | '|' | '#' | '>' | '`')
}

/// Whether the sentence ends with its last line: a heading, a row, or what announces the lines that follow.
fn ends_with_its_line(sentence: &str) -> bool {
    let line = sentence.rsplit('\n').next().unwrap_or(sentence).trim();
    line.starts_with(['#', '|']) || line.ends_with([':', '：', '|'])
}

/// Where the last clause of the text begins; at its end, where it is one clause.
fn last_clause(text: &str) -> usize {
    let (pauses, joining) = ([',', ';', '，', '；', '、'], [" and ", " or ", " but ", " while ", "和", "与", "而", "但"]);
    let joined = joining.iter().filter_map(|word| text.rfind(word)).max();
    let paused = text.trim_end().rfind(pauses);
    joined.max(paused).unwrap_or(text.len())
}

/// `According to [2], …`: the claim follows.
fn introduces(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    matches!(first.as_str(), "according" | "as" | "per" | "see" | "in" | "source" | "sources")
        || ["根据", "据", "按照", "依据", "参见", "见", "如", "来源"].iter().any(|begin| text.starts_with(begin))
}

/// A point here is that of an abbreviation, an initial or an item's number.
fn abbreviates(sentence: &str) -> bool {
    let word = sentence.rsplit(|c: char| !c.is_alphanumeric() && c != '.').next().unwrap_or_default();
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let item = letters == 0 && sentence.trim_start().len() == word.len();
    item || letters == 1 || word.contains('.') && letters > 0 || is_abbreviation(&word.to_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a failed test panics")]
mod tests {
    use super::super::cite::Scanner;
    use super::*;
    use proptest::prelude::*;

    fn parts(answer: &str, cuts: &[usize]) -> Vec<Part> {
        let (mut scanner, mut claims, mut parts) = (Scanner::new(5), Claims::default(), Vec::new());
        let mut rest = answer;
        for at in cuts {
            let (head, tail) = rest.split_at(rest.floor_char_boundary((*at).min(rest.len())));
            parts.extend(scanner.push(head).into_iter().flat_map(|piece| claims.push(piece)));
            rest = tail;
        }
        parts.extend(scanner.push(rest).into_iter().flat_map(|piece| claims.push(piece)));
        parts.extend(scanner.finish().into_iter().flat_map(|piece| claims.push(piece)));
        parts.extend(claims.finish());
        parts
    }

    /// Texts joined, so that cuts do not show.
    fn joined(parts: Vec<Part>) -> Vec<Part> {
        let mut all: Vec<Part> = Vec::new();
        for part in parts {
            match (all.last_mut(), part) {
                (Some(Part::Piece(Piece::Text(last))), Part::Piece(Piece::Text(text))) => last.push_str(&text),
                (_, part) => all.push(part),
            }
        }
        all
    }

    fn text_of(parts: &[Part]) -> String {
        let pieces = parts.iter().flat_map(|part| match part {
            Part::Piece(piece) => std::slice::from_ref(piece),
            Part::Marks(_, pieces) => pieces,
        });
        let texts = pieces.map(|piece| match piece {
            Piece::Text(text) | Piece::Citation { text, .. } => text.as_str(),
        });
        texts.collect()
    }

    /// What each row of marks stands for, and of which sources.
    fn claimed(answer: &str) -> Vec<(String, Vec<usize>)> {
        let parts = parts(answer, &[]);
        assert_eq!(text_of(&parts), answer, "nothing is lost");
        let claims = parts.into_iter().filter_map(|part| match part {
            Part::Marks(claims, _) => Some(claims.into_iter().map(|claim| {
                let words: Vec<&str> = claim.text[claim.part.clone()].split_whitespace().collect();
                // Where a mark stood, a blank is left.
                (words.join(" ").replace(" .", ".").replace(" ,", ","), claim.sources)
            })),
            Part::Piece(_) => None,
        });
        claims.flatten().collect()
    }

    #[test]
    fn a_mark_stands_for_its_sentence() {
        let claim = |text: &str, sources: &[usize]| (text.to_owned(), sources.to_vec());
        assert_eq!(claimed("Hello. It takes 90 days [2]. Next."), [claim("It takes 90 days.", &[2])]);
        assert_eq!(claimed("Hello. It takes 90 days. [2] Next."), [claim("It takes 90 days.", &[2])]);
        assert_eq!(claimed("It takes 90 days. [2][3]\n\nNext"), [claim("It takes 90 days.", &[2, 3])]);
        assert_eq!(claimed("It takes 1.5 days [1], [2]."), [claim("It takes 1.5 days,.", &[1, 2])]);
        let says = claim("According to, it takes 90 days.", &[2]);
        assert_eq!(claimed("According to [2], it takes 90 days. Next one."), [says]);
        assert_eq!(claimed("密钥每月更换【1】。其他。"), [claim("密钥每月更换。", &[1])]);
        assert_eq!(claimed("密钥每月更换。【1】其他。"), [claim("密钥每月更换。", &[1])]);
        let rows = [claim("- one is 12", &[1]), claim("- two is 14", &[2])];
        assert_eq!(claimed("Fees:\n- one is 12 [1]\n- two is 14 [2]\n"), rows);
        assert_eq!(claimed("| B2 | 14 [1] |\n| B3 | 15 |"), [claim("| B2 | 14 |", &[1])]);
        let two = [claim("Keys rotate every ninety days", &[1]), claim("and backups every single night.", &[2])];
        assert_eq!(claimed("Keys rotate every ninety days [1] and backups every single night [2]."), two);
        let alone = |text: &str| {
            let claims: Vec<String> = claimed(text).into_iter().map(|(claim, _)| claim).collect();
            claims
        };
        assert_eq!(alone("Alder opened in 1931 [1] and Birch in 1958 [2]."), ["Alder opened in 1931", "and Birch in 1958."]);
        assert_eq!(alone("Alder: 1931 [1]; Birch: 1958 [2]."), ["Alder: 1931", "; Birch: 1958."]);
        assert_eq!(alone("Alder于1931年建成[1]，Birch于1958年建成[2]。"), ["Alder于1931年建成", "，Birch于1958年建成。"]);
        assert_eq!(alone("| Alder | 1931 [1] | Birch | 1958 [2] |"), ["| Alder | 1931", "| Birch | 1958 |"]);
        assert_eq!(alone("Alder [1] and Birch [2] opened in 1931."), ["Alder", "and Birch opened in 1931."]);
        assert_eq!(
            alone("Both Alder [1], in the north, and Birch [2] are bridges."),
            ["Both Alder, in the north,", "and Birch are bridges."]
        );
        assert_eq!(alone("According to [1], it costs 5, while [2] says 6."), ["According to, it costs 5,", "while says 6."]);
        assert_eq!(alone("桥[1]和塔[2]都很高。"), ["桥", "和塔都很高。"]);
        assert_eq!(claimed("e.g. Mr. Fog took 80 days [1]."), [claim("e.g. Mr. Fog took 80 days.", &[1])]);
        assert_eq!(claimed("It left on Nov. 29 with Prof. Li [1]."), [claim("It left on Nov. 29 with Prof. Li.", &[1])]);
    }

    #[test]
    fn a_mark_that_closes_a_line_stands_for_its_sentences() {
        let said = |answer: &str| claimed(answer).into_iter().map(|(claim, _)| claim).collect::<Vec<_>>();
        let two = ["It weighs 13.5 kg.", "It is red."];
        for answer in [
            "It weighs 13.5 kg. It is red. [1]",
            "It weighs 13.5 kg. It is red. [1]\nNext.",
            "Hello.\n\nIt weighs 13.5 kg. It is red. [1]\n\nNext.",
            "# Weight of 5\nIt weighs 13.5 kg. It is red. [1]",
            "It costs 5 [2]. It weighs 13.5 kg. It is red. [1]",
            "The source says:\nIt weighs 13.5 kg. It is red. [1]",
            "It weighs 13.5 kg. It is red.\n\n[1]",
        ] {
            let said = said(answer);
            assert!(said.ends_with(&two.map(str::to_owned)), "{answer}: {said:?}");
            assert!(said.iter().all(|said| !said.contains("Hello") && !said.contains("of 5")), "{answer}: {said:?}");
        }
        assert_eq!(said("重13.5公斤。红色。[1]\n"), ["重13.5公斤。", "红色。"]);
        // A mark in its sentence is that sentence's, and so is one that others follow.
        assert_eq!(said("It weighs 13.5 kg. It is red [1].\n"), ["It is red."]);
        assert_eq!(said("It weighs 13.5 kg. It is red. [1] It is new."), ["It is red."]);
        // An item's is the item's.
        assert_eq!(said("- It costs 5.\n- It weighs 13.5 kg. It is red. [1]\n"), ["- It weighs 13.5 kg.", "It is red."]);
        // A line of marks is about what stands above it.
        assert_eq!(said("- It costs 5.\n- It is red.\n[1]"), ["- It costs 5.", "- It is red."]);
        let rows = "| pump | weight |\n|---|:-:|\n| A | 13.5 kg |\n| B | 14 kg |\n";
        assert_eq!(said(&format!("Text. More.\n\n{rows}[1]\n")), ["| A | 13.5 kg |", "| B | 14 kg |"]);
        assert_eq!(said(&format!("{rows}\n[1]")), ["| A | 13.5 kg |", "| B | 14 kg |"]);
    }

    #[test]
    fn what_is_remembered_of_a_paragraph_is_bounded() {
        let many: String = (0..100).map(|n| format!("It is {n}. ")).collect();
        let said = claimed(&format!("{many}[1]"));
        assert_eq!((said.len(), said.last().unwrap().0.as_str()), (MOST_BEFORE + 1, "It is 99."));
        let long = format!("It is {}. ", "very ".repeat(700));
        assert_eq!(claimed(&format!("{}[1]", long.repeat(5))).len(), 3);
    }

    #[test]
    fn a_quotation_that_opens_a_sentence_is_its_own() {
        // Of the marks that close a line, what they stand for last.
        let said = |answer: &str| claimed(answer).pop().map(|(claim, _)| vec![claim]).unwrap_or_default();
        let quoted = "\"We never planned to buy it\".";
        assert_eq!(said("\"We never planned to buy it\" [1]."), [quoted]);
        assert_eq!(said("Foo bar. \"We never planned to buy it\" [1]."), [quoted]);
        assert_eq!(said("A 5\" pipe. \"We never planned to buy it\" [1]."), [quoted]);
        assert_eq!(said("Foo bar. 'We never planned to buy it' [1]."), ["'We never planned to buy it'."]);
        assert_eq!(said("他很高兴。\"我们明天就要卖掉整个风电场。\"[1]"), ["\"我们明天就要卖掉整个风电场。\""]);
        // What closes belongs to what it closes.
        assert_eq!(said("He said: \"It is sold.\" [1] Next."), ["He said: \"It is sold.\""]);
        assert_eq!(said("\"It is sold. All of it.\" [1] Next."), ["All of it.\""]);
        assert_eq!(said("\"卖了。全部卖了。\"[1]"), ["全部卖了。\""]);
    }

    #[test]
    fn a_sentence_goes_on_in_the_next_line() {
        let said = |answer: &str| claimed(answer).into_iter().map(|(claim, _)| claim).collect::<Vec<_>>();
        assert_eq!(
            said("The bridge cost 99 million\ndollars and is of steel [1]."),
            ["The bridge cost 99 million dollars and is of steel."]
        );
        assert_eq!(
            said("- It has a total of 61 wind\n  turbines at work [1].\n"),
            ["- It has a total of 61 wind turbines at work."]
        );
        assert_eq!(said("共有九十九台风机，\n分布在山脊上[1]。"), ["共有九十九台风机， 分布在山脊上。"]);
        // But not in what is no part of it.
        for between in ["\n\n", "\n \n", "\n- ", "\n  * ", "\n| ", "\n> ", "\n1. "] {
            let said = said(&format!("It cost 99 million{between}Trucks wait here [1]."));
            assert!(
                said.len() == 1 && said[0].ends_with("Trucks wait here.") && !said[0].contains("99"),
                "{between:?}: {said:?}"
            );
        }
        assert_eq!(said("# Costs of 99 million\nTrucks wait here [1]."), ["Trucks wait here."]);
        assert_eq!(said("Of 99 million:\nTrucks wait here [1]."), ["Trucks wait here."]);
        assert_eq!(said("One is 12 [1]\nand two is 14 [2]"), ["One is 12", "and two is 14"]);
    }

    #[test]
    fn nothing_waits_but_what_is_behind_an_open_mark() {
        let mut claims = Claims::default();
        let text = |text: &str| Piece::Text(text.into());
        let mark = |n| Piece::Citation { text: format!("[{n}]"), numbers: vec![n], unknown: vec![] };
        assert_eq!(claims.push(text("Keys live for 90 days")), [Part::Piece(text("Keys live for 90 days"))]);
        assert_eq!(claims.push(mark(1)), []);
        let parts = claims.push(text(". As"));
        assert!(matches!(&parts[..], [Part::Marks(..), Part::Piece(_)]), "{parts:?}");
        assert_eq!(text_of(&parts), "[1]. As");
        assert_eq!(claims.push(mark(2)), []);
        assert_eq!(claims.push(text(" says")), []);
        let long = "word ".repeat(MOST_HELD / 5);
        let parts = claims.push(text(&long));
        assert_eq!(text_of(&parts), format!("[2] says{long}"), "not for ever");
        assert_eq!(claims.push(mark(3)), []);
        assert_eq!(text_of(&claims.finish()), "[3]");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            parts_of in prop::collection::vec(
                prop::sample::select(vec![
                    "[1]", "[2]", "[7]", "【3】", ". ", ".", "。", "\n", "\n\n", "- ", ", ", " ", "word", "密钥", "90 days", "According to ", "1.5",
                    "e.g. ", "?", "| ", "**", "[", "](x)", "\"", "'", " and ", "Alder ", "# ", ":",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(0_usize..40, 0..20),
        ) {
            let answer = parts_of.concat();
            let cut = parts(&answer, &cuts);
            prop_assert_eq!(text_of(&cut), answer.clone());
            prop_assert_eq!(joined(cut), joined(parts(&answer, &[])));
        }
    }
}
