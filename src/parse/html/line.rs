//! A paragraph while it is written: words, blanks between them, and marks around some of them.

/// What a part of a paragraph is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Strong,
    Emphasis,
    Struck,
    /// To an address.
    Link(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Gap {
    #[default]
    None,
    /// Blanks; whether there was a line end among them.
    Blank(bool),
    /// So many `<br>`.
    Breaks(usize),
}

#[derive(Debug)]
struct Span {
    mark: Mark,
    start: usize,
    end: usize,
}

/// One paragraph.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    gap: Gap,
    open: Vec<(Option<Mark>, usize)>,
    spans: Vec<Span>,
    /// The reading of the word that ends the text, see [`Line::push_ruby`].
    reading: String,
}

impl Line {
    /// Nothing has been written yet.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The character that the next one will follow without a blank.
    pub(super) fn last(&self) -> Option<char> {
        if self.gap == Gap::None { self.text.chars().next_back() } else { None }
    }

    /// The letters that the next character will follow without a blank.
    pub(super) fn last_word(&self) -> &str {
        if self.gap != Gap::None {
            return "";
        }
        let rest = self.text.trim_end_matches(char::is_alphabetic);
        self.text.get(rest.len()..).unwrap_or_default()
    }

    /// Text as in the source: blanks are squeezed, and what is never seen is left out.
    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' | '\r' => self.blank(true),
                ' ' | '\t' | '\u{c}' | '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{2028}' => self.blank(false),
                // Where a word may be cut, and where not: marks of no meaning that part words in a search.
                '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\0' => {}
                c => self.push_char(c),
            }
        }
    }

    fn blank(&mut self, line_end: bool) {
        self.gap = match self.gap {
            Gap::None => Gap::Blank(line_end),
            Gap::Blank(before) => Gap::Blank(before || line_end),
            breaks @ Gap::Breaks(_) => breaks,
        };
    }

    fn push_char(&mut self, c: char) {
        self.push_reading(c);
        match std::mem::take(&mut self.gap) {
            _ if self.text.is_empty() => {}
            Gap::None => {}
            // Lines of Chinese and Japanese are wrapped without a blank being meant.
            Gap::Blank(true) if is_unspaced(c) && self.text.chars().next_back().is_some_and(is_unspaced) => {}
            Gap::Blank(_) => self.text.push(' '),
            Gap::Breaks(1) => self.text.push('\n'),
            Gap::Breaks(_) => self.text.push_str("\n\n"),
        }
        self.text.push(c);
    }

    /// Text that is to stay as it is.
    pub(super) fn push_verbatim(&mut self, text: &str) {
        let mut chars = text.chars();
        if let Some(first) = chars.next() {
            self.push_char(first);
            self.text.push_str(chars.as_str());
        }
    }

    /// Makes sure that what comes next is no part of the last word.
    pub(super) fn part(&mut self) {
        if self.gap == Gap::None {
            self.gap = Gap::Blank(false);
        }
    }

    pub(super) fn line_break(&mut self) {
        self.gap = match self.gap {
            Gap::Breaks(n) => Gap::Breaks(n + 1),
            _ => Gap::Breaks(1),
        };
    }

    /// A word and how it is read. The reading follows in brackets where the word ends: several of them in a row are one word,
    /// and so are letters of the same script that follow. It is left out before an ending that belongs to the word, and so is how some
    /// Chinese characters of a longer word sound.
    pub(super) fn push_ruby(&mut self, base: &str, reading: &str) {
        let before = if self.gap == Gap::None { std::mem::take(&mut self.reading) } else { String::new() };
        self.push(base);
        let latin = reading.is_ascii() || reading.chars().any(|c| c.is_alphabetic() && (c as u32) < 0x300);
        let parted = if latin && !before.is_empty() { " " } else { "" };
        self.reading = format!("{before}{parted}{}", reading.trim());
    }

    fn push_reading(&mut self, next: char) {
        if self.reading.is_empty() {
            return;
        }
        if self.gap == Gap::None && is_ideograph(next) {
            if is_chinese_sound(&self.reading) {
                self.reading.clear();
            }
            return;
        }
        // 食べる, but 漢字を.
        let particle = "をはがのにとでもへやか".contains(next);
        if self.gap != Gap::None || !is_kana(next) || particle {
            self.end_reading();
        } else {
            self.reading.clear();
        }
    }

    /// Writes the reading where its word ends: parts that end with the word end behind it, and parts that have begun since begin there.
    fn end_reading(&mut self) {
        let reading = std::mem::take(&mut self.reading);
        let at = self.text.len();
        self.text.push_str(&format!("({reading})"));
        let end = self.text.len();
        for (_, start) in self.open.iter_mut().filter(|(_, start)| *start == at) {
            *start = end;
        }
        for span in self.spans.iter_mut().filter(|span| span.end == at) {
            span.end = end;
            if span.start == at {
                span.start = end;
            }
        }
    }

    /// Begins a part; to be ended by [`Line::close`].
    pub(super) fn open(&mut self, mark: Mark) {
        let within = self.open.iter().any(|(open, _)| open.as_ref() == Some(&mark));
        if mark == Mark::Struck && self.last().is_some_and(char::is_alphanumeric) {
            self.part();
        }
        self.open.push(((!within).then_some(mark), self.text.len()));
    }

    pub(super) fn close(&mut self) {
        if let Some((Some(mark), start)) = self.open.pop() {
            let struck = mark == Mark::Struck && self.text.len() > start;
            self.spans.push(Span { mark, start, end: self.text.len() });
            if struck {
                self.part();
            }
        }
    }

    /// The paragraph, which is begun anew: parts that are open go on in the next. With their marks or without.
    pub(super) fn take(&mut self, marked: bool) -> String {
        self.gap = Gap::None;
        if !self.reading.is_empty() {
            self.end_reading();
        }
        let text = std::mem::take(&mut self.text);
        let mut spans = std::mem::take(&mut self.spans);
        for (mark, start) in self.open.iter_mut().rev() {
            spans.extend(mark.clone().map(|mark| Span { mark, start: *start, end: text.len() }));
            *start = 0;
        }
        if marked {
            spans.retain_mut(|span| span.fits(&text));
            with_marks(&text, &spans)
        } else {
            text
        }
    }
}

impl Span {
    /// Draws the ends in to the words, and says whether marks may stand there.
    fn fits(&mut self, text: &str) -> bool {
        let within = text.get(self.start..self.end).unwrap_or_default();
        let trimmed = within.trim();
        self.start += within.len() - within.trim_start().len();
        self.end = self.start + trimmed.len();
        if trimmed.is_empty() || trimmed.contains("\n\n") {
            return false;
        }
        match &self.mark {
            Mark::Struck => true,
            Mark::Link(address) => trimmed != address,
            Mark::Strong | Mark::Emphasis => {
                let before = text.get(..self.start).and_then(|t| t.chars().next_back());
                let after = text.get(self.end..).and_then(|t| t.chars().next());
                let joins = |a: Option<char>, b: Option<char>| {
                    a.is_some_and(char::is_alphanumeric) && b.is_some_and(char::is_alphanumeric)
                };
                // A mark within a word would make two words of it.
                trimmed.contains(char::is_alphanumeric)
                    && !joins(before, trimmed.chars().next())
                    && !joins(trimmed.chars().next_back(), after)
            }
        }
    }
}

fn with_marks(text: &str, spans: &[Span]) -> String {
    let mut opens: Vec<(usize, &Span)> = spans.iter().enumerate().collect();
    let mut closes = opens.clone();
    // The outer one opens first and closes last; inner ones were closed first.
    opens.sort_by(|(i, a), (j, b)| a.start.cmp(&b.start).then(b.end.cmp(&a.end)).then(j.cmp(i)));
    closes.sort_by(|(i, a), (j, b)| a.end.cmp(&b.end).then(b.start.cmp(&a.start)).then(i.cmp(j)));
    let mut out = String::with_capacity(text.len() + 8 * spans.len());
    let mut at = 0;
    let mut copy = |to: usize, out: &mut String| {
        out.push_str(text.get(at..to).unwrap_or_default());
        at = to;
    };
    let (mut opens, mut closes) = (opens.into_iter().peekable(), closes.into_iter().peekable());
    while let Some((_, close)) = closes.peek() {
        if let Some((_, open)) = opens.next_if(|(_, open)| open.start < close.end) {
            copy(open.start, &mut out);
            out.push_str(match open.mark {
                Mark::Strong => "**",
                Mark::Emphasis => "*",
                Mark::Struck => "~~",
                Mark::Link(_) => "[",
            });
            continue;
        }
        copy(close.end, &mut out);
        match &close.mark {
            Mark::Strong => out.push_str("**"),
            Mark::Emphasis => out.push('*'),
            Mark::Struck => out.push_str("~~"),
            Mark::Link(address) => {
                out.push_str("](");
                out.push_str(address);
                out.push(')');
            }
        }
        closes.next();
    }
    copy(text.len(), &mut out);
    out
}

/// Letters that are written without blanks between words.
pub(super) fn is_unspaced(c: char) -> bool {
    is_ideograph(c) || is_kana(c) || matches!(c as u32, 0x3001..=0x303f | 0xff00..=0xff60)
}

fn is_ideograph(c: char) -> bool {
    matches!(c as u32, 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x323af | 0x3005..=0x3007)
}

/// Pinyin with its tones, or bopomofo: it stands beside each character, of which the next may go on the word.
fn is_chinese_sound(reading: &str) -> bool {
    const TONES: &str = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜńňǹḿ";
    let sounds = |c: char| matches!(c, '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}');
    let mark = |c: char| c.is_whitespace() || matches!(c, 'ˊ' | 'ˇ' | 'ˋ' | '˙' | 'ˉ' | '\'' | '’');
    let lower = reading.to_lowercase();
    let bopomofo = lower.chars().any(sounds) && lower.chars().all(|c| sounds(c) || mark(c));
    let syllable = |word: &str| {
        (1..=6).contains(&word.chars().count())
            && word.chars().all(|c| c.is_ascii_lowercase() || c == 'ü' || TONES.contains(c))
            && word.chars().filter(|c| TONES.contains(*c)).count() <= 1
    };
    let toned = lower.chars().any(|c| TONES.contains(c));
    bopomofo
        || toned && lower.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '’')).filter(|w| !w.is_empty()).all(syllable)
}

fn is_kana(c: char) -> bool {
    matches!(c as u32, 0x3040..=0x30ff | 0x31f0..=0x31ff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_squeezed_and_words_stay_whole() {
        let mut line = Line::default();
        line.push(" a\n b\u{a0}c Donau\u{ad}dampf\u{200b}schiff ");
        line.push(" 这是\n");
        line.push("一个 x");
        assert_eq!(line.take(true), "a b c Donaudampfschiff 这是一个 x");
        line.push("one ");
        line.line_break();
        line.push(" two");
        line.line_break();
        line.line_break();
        line.push("three");
        line.line_break();
        assert_eq!(line.take(true), "one\ntwo\n\nthree");
    }

    #[test]
    fn marks_stand_around_words() {
        let marked = |parts: &[(&str, Option<Mark>)]| {
            let mut line = Line::default();
            for (text, mark) in parts {
                if let Some(mark) = mark.clone() {
                    line.open(mark);
                }
                line.push(text);
                if mark.is_some() {
                    line.close();
                }
            }
            line.take(true)
        };
        let strong = Some(Mark::Strong);
        assert_eq!(marked(&[("so", None), (" very ", strong.clone()), ("good", None)]), "so **very** good");
        assert_eq!(marked(&[("Q", strong.clone()), ("uokka", None)]), "Quokka");
        assert_eq!(marked(&[("(", None), ("x", strong.clone()), (")", None)]), "(**x**)");
        assert_eq!(marked(&[("…", strong)]), "…");
        assert_eq!(marked(&[("20", Some(Mark::Struck)), ("15", None)]), "~~20~~ 15");
        assert_eq!(marked(&[("a", Some(Mark::Link("https://e.org".into())))]), "[a](https://e.org)");
        let mut line = Line::default();
        line.open(Mark::Link("u".into()));
        line.open(Mark::Strong);
        line.push("a");
        line.close();
        line.push(" b");
        line.close();
        assert_eq!(line.take(true), "[**a** b](u)");
    }

    #[test]
    fn readings_follow_the_word() {
        let read = |parts: &[(&str, &str)]| {
            let mut line = Line::default();
            for (base, reading) in parts {
                if reading.is_empty() { line.push(base) } else { line.push_ruby(base, reading) }
            }
            line.take(true)
        };
        assert_eq!(read(&[("この", ""), ("漢", "かん"), ("字", "じ"), ("を読む。", "")]), "この漢字(かんじ)を読む。");
        assert_eq!(read(&[("東京", "とうきょう"), ("都 x", "")]), "東京都(とうきょう) x");
        assert_eq!(read(&[("食", "た"), ("べる", "")]), "食べる");
        assert_eq!(read(&[("汉", "hàn"), ("字", "zì")]), "汉字(hàn zì)");
    }

    #[test]
    fn readings_stay_with_their_word_where_marks_begin_and_end() {
        let mark = |what: &Mark, around: &str, between: &str, text: &str| {
            let mut line = Line::default();
            line.push(around);
            line.push_ruby("漢字", "kanji");
            line.push(between);
            line.open(what.clone());
            line.push(text);
            line.close();
            line.take(true)
        };
        assert_eq!(mark(&Mark::Strong, "vor ", " ", "fett"), "vor 漢字(kanji) **fett**");
        assert_eq!(mark(&Mark::Strong, "vor ", "", "fett"), "vor 漢字(kanji)**fett**");
        assert_eq!(mark(&Mark::Struck, "", " ", "alt"), "漢字(kanji) ~~alt~~");
        assert_eq!(mark(&Mark::Link("u".into()), "", "\n", " there"), "漢字(kanji) [there](u)");
        assert_eq!(mark(&Mark::Strong, "", "", ""), "漢字(kanji)");
        let mut line = Line::default();
        line.open(Mark::Link("u".into()));
        line.push("vor ");
        line.push_ruby("漢字", "kanji");
        line.close();
        line.open(Mark::Strong);
        line.close();
        line.push(" nach");
        assert_eq!(line.take(true), "[vor 漢字(kanji)](u) nach");
    }
}
