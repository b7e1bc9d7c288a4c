//! What of a text can be looked for: words, the parts of identifiers, numbers and codes, and pairs of Chinese characters.
//!
//! Words are whole, whatever they look like: `**Q**uokka` is also "Quokka", `PFC<sub>14</sub>` is also "PFC14"; soft hyphens are not
//! seen, and letters in pieces (as macOS writes names) are the letters that they are drawn as.

use std::iter::Peekable;

use unicode_normalization::{UnicodeNormalization as _, is_nfc_quick};

/// A longer chain of joined words ("a.b.c.…") is known by its parts alone.
const MAX_JOINED: usize = 64;
/// Where markup parts a word, in what is kept of it until its end.
const SEAM: char = '\0';
/// Tags of HTML that say how a part of a word looks.
const TAGS: [&str; 13] = ["b", "big", "del", "em", "i", "ins", "mark", "small", "strong", "sub", "sup", "u", "wbr"];
/// Characters of the longest of them.
const MAX_TAG: usize = 6;

/// The terms of a text, each followed by a space.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Terms {
    /// Words of scripts that write spaces; identifiers and codes, whole and in parts. Lower and upper case as they came.
    pub words: String,
    /// Overlapping pairs of characters of scripts that write no spaces ("向量库": "向量", "量库"); of a run of one, that one.
    ///
    /// The engine's `Multilingual` tokenizer segments Chinese with a dictionary, but guesses the language anew for each text, so
    /// that a question may be cut otherwise than the passage it asks for, and it drops every number. Pairs need no guess.
    pub pairs: String,
}

impl Terms {
    /// Takes a text apart, in one pass.
    pub fn of(text: &str) -> Self {
        if is_nfc_quick(text.chars()) == unicode_normalization::IsNormalized::Yes {
            Self::of_characters(text.chars())
        } else {
            Self::of_characters(text.nfc())
        }
    }

    fn of_characters(text: impl Iterator<Item = char> + Clone) -> Self {
        let mut terms = Self::default();
        let mut joined = String::new(); // words and what joins them, since the last gap
        let mut run = Run::default();
        let mut text = text.map(narrow).peekable();
        while let Some(c) = text.next() {
            if is_unseen(c) {
                continue;
            }
            if is_unspaced(c) {
                terms.split(&mut joined);
                run.push(c, &mut terms.pairs);
            } else if is_markup(c, &mut text) {
                if !joined.is_empty() {
                    joined.push(SEAM);
                }
            } else if c.is_alphanumeric() || is_joint(c) {
                run.end(&mut terms.pairs);
                joined.push(c);
            } else {
                run.end(&mut terms.pairs);
                terms.split(&mut joined);
            }
        }
        run.end(&mut terms.pairs);
        terms.split(&mut joined);
        terms
    }

    /// Words and pairs.
    #[cfg(test)]
    pub fn all(&self) -> String {
        format!("{}{}", self.words, self.pairs)
    }

    /// Notes what was joined; where markup parted it, its parts and what they are together.
    fn split(&mut self, joined: &mut String) {
        let mut parts = 0;
        for part in joined.split(SEAM) {
            self.note(part);
            parts += usize::from(!part.trim_matches(is_joint).is_empty());
        }
        if parts > 1 && joined.len() <= MAX_JOINED {
            self.note(&joined.replace(SEAM, ""));
        }
        joined.clear();
    }

    /// Notes a word, whole and in parts: `snake_case`, `Type::method`, `kebab-case`, `dotted.path`, `1.95.0`, `10:30`.
    fn note(&mut self, word: &str) {
        let whole = word.trim_matches(is_joint);
        let parts = || whole.split(is_joint).filter(|part| !part.is_empty());
        for part in parts() {
            let before = self.words.len();
            let humps = push_humps(part, &mut self.words);
            if humps > 1 {
                self.words.push_str(part);
                self.words.push(' ');
            }
            debug_assert!(self.words.len() > before, "a part is a term");
        }
        if parts().nth(1).is_some() && whole.len() <= MAX_JOINED {
            self.words.push_str(whole);
            self.words.push(' ');
        }
    }
}

/// Whether this is, or begins, markup that may stand within a word: emphasis of Markdown, the escape of a sign, a tag that says how
/// its part looks. What belongs to it is taken.
fn is_markup(c: char, rest: &mut Peekable<impl Iterator<Item = char> + Clone>) -> bool {
    match c {
        '*' | '~' | '^' | '`' => true,
        '\\' => rest.peek().is_some_and(char::is_ascii_punctuation),
        '<' => {
            let mut ahead = rest.clone();
            let closes = ahead.next_if_eq(&'/').is_some();
            let name: String = ahead.by_ref().take(MAX_TAG + 1).take_while(|c| *c != '>').collect();
            let is_tag = TAGS.contains(&name.to_ascii_lowercase().as_str());
            if is_tag {
                // With the mark at its end.
                rest.by_ref().take(usize::from(closes) + name.len() + 1).for_each(drop);
            }
            is_tag
        }
        _ => false,
    }
}

/// What nobody sees: soft hyphens, and marks that only say how letters are to be joined or in which direction they run.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200C}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// Notes the words of `camelCase` and `HTTPServer`, and returns how many there are.
fn push_humps(word: &str, out: &mut String) -> usize {
    let mut humps = 1;
    let mut before: Option<char> = None;
    let mut characters = word.chars().peekable();
    while let Some(c) = characters.next() {
        let next_is_lower = characters.peek().is_some_and(|next| next.is_lowercase());
        // "e|C" and "P|Se"; digits stay with what is before them: "E0382", "0x1F", "utf8".
        let begins = before.is_some_and(|b| b.is_lowercase() || (b.is_uppercase() && next_is_lower));
        if c.is_uppercase() && begins {
            out.push(' ');
            humps += 1;
        }
        out.push(c);
        before = Some(c);
    }
    out.push(' ');
    humps
}

/// A run of characters of a script without spaces.
#[derive(Default)]
struct Run {
    last: Option<char>,
    paired: bool,
}

impl Run {
    fn push(&mut self, c: char, pairs: &mut String) {
        if let Some(last) = self.last.replace(c) {
            pairs.extend([last, c, ' ']);
            self.paired = true;
        }
    }

    fn end(&mut self, pairs: &mut String) {
        if let (Some(c), false) = (self.last.take(), std::mem::take(&mut self.paired)) {
            pairs.extend([c, ' ']);
        }
    }
}

/// What joins words to one name.
fn is_joint(c: char) -> bool {
    matches!(c, '_' | '.' | '-' | ':')
}

/// The ordinary form of a character that is drawn as wide as a Chinese one: "ＡＢＣ１２３".
fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    }
}

/// Letters of scripts that write no spaces between words: Thai, Lao, Burmese, Khmer, Kana, Han. (Korean writes spaces, but
/// glues particles to its nouns: pairs serve it better, too.)
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E01}'..='\u{0E4E}' | '\u{0E81}'..='\u{0ECD}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17D3}'
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}')
        && c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> String {
        Terms::of(text).words.trim_end().to_owned()
    }

    #[test]
    fn identifiers_are_known_whole_and_in_parts() {
        assert_eq!(words("read_to_string"), "read to string read_to_string");
        assert_eq!(words("getUserName(x)"), "get User Name getUserName x");
        assert_eq!(words("HTTPServer parseJSON iPhone"), "HTTP Server HTTPServer parse JSON parseJSON i Phone iPhone");
        assert_eq!(words("std::io::Read"), "std io Read std::io::Read");
        assert_eq!(words("well-known config.yaml --dry-run"), "well known well-known config yaml config.yaml dry run dry-run");
        assert_eq!(words("Ends. And: (so)"), "Ends And so");
    }

    #[test]
    fn words_are_whole_whatever_they_look_like() {
        assert_eq!(words("**Q**uokka"), "Q uokka Quokka");
        assert_eq!(words("un**believ**able *all* of `it`."), "un believ able unbelievable all of it");
        assert_eq!(words("PFC<sub>14</sub>, 10<sup>th</sup> x<b>y"), "PFC 14 PFC14 10 th 10th x y xy");
        assert_eq!(words("Donau\u{AD}dampf\u{AD}schiff \u{200E}a\u{2060}b"), "Donaudampfschiff ab");
        assert_eq!(words("snake\\_case C\\D a<c d<table>e"), "snake case snake case snake_case C D a c d table e");
        assert_eq!(words("na\u{308}chste й"), words("n\u{e4}chste и\u{306}"));
        assert_eq!(words("***").len() + words("<sub></sub>").len(), 0);
        assert_eq!(Terms::of("**向量**库，か\u{3099}").pairs, "向量 量库 が ");
    }

    #[test]
    fn numbers_and_codes_stay_whole() {
        assert_eq!(words("E0382 0x1F utf8 503"), "E0382 0x1F utf8 503");
        assert_eq!(words("v1.95.0, 10:30"), "v1 95 0 v1.95.0 10 30 10:30");
    }

    #[test]
    fn pairs_of_characters_stand_for_words() {
        let terms = Terms::of("用Qdrant的向量库。猫、カメラ");
        assert_eq!((terms.words.as_str(), terms.pairs.as_str()), ("Qdrant ", "用 的向 向量 量库 猫 カメ メラ "));
    }

    #[test]
    fn wide_forms_are_ordinary_ones() {
        assert_eq!(Terms::of("ＡＢＣ１２３　ｆｏｏ＿ｂａｒ"), Terms::of("ABC123 foo_bar"));
    }

    #[test]
    fn a_long_chain_is_known_by_its_parts() {
        let chain = "ab.".repeat(30);
        assert_eq!(words(&chain), "ab ".repeat(30).trim_end());
        // Joints alone, however many, are nothing.
        assert_eq!(words(&"-".repeat(100_000)), "");
    }

    proptest! {
        /// What is quoted between gaps is found by all of its terms.
        #[test]
        fn the_terms_of_a_part_are_terms_of_the_whole(before in any::<String>(), part in any::<String>(), after in any::<String>()) {
            let whole = Terms::of(&format!("{before} {part} {after}")).all();
            let whole: std::collections::HashSet<&str> = whole.split_whitespace().collect();
            let part = Terms::of(&part).all();
            prop_assert!(part.split_whitespace().all(|term| whole.contains(term)));
        }

        #[test]
        fn the_same_for_text_of_names(before in "[a-zA-Z0-9_.: 文字*~<sub>/-]{0,40}", part in "[a-zA-Z0-9_.: 文字*~<sub>/-]{0,40}") {
            let whole = Terms::of(&format!("{before}\n{part}\n")).all();
            let whole: std::collections::HashSet<&str> = whole.split_whitespace().collect();
            let part = Terms::of(&part).all();
            prop_assert!(part.split_whitespace().all(|term| whole.contains(term)), "{part:?} of {whole:?}");
        }

        /// At most each character so often (a hump, its word, the whole, each again where markup parts it; a pair each for two), and a space each.
        #[test]
        fn terms_are_in_proportion_to_the_text(text in any::<String>()) {
            prop_assert!(Terms::of(&text).all().len() <= text.len() * 16);
        }
    }
}
