//! Letters: what a PDF writes for them, and what they are.

use unicode_normalization::UnicodeNormalization;

/// Whether a font said something of a code: anything but nothing, a zero and the sign for "unknown".
pub(super) fn is_said(text: &str) -> bool {
    text.chars().any(|c| c != '\0' && c != '\u{fffd}' && c != '\u{ffff}')
}

/// Letters that have a meaning in one font alone.
pub(super) fn is_private(c: char) -> bool {
    matches!(u32::from(c), 0xe000..=0xf8ff | 0xf_0000..)
}

/// What a font says of a code, in the letters that people search for: ligatures and the shapes that letters take within a
/// word are taken apart, radicals that stand for whole characters become those, bullets of symbol fonts become bullets.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Latin and Armenian ligatures, Hebrew and Arabic shapes; radicals, ideographs for compatibility.
            '\u{fb00}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{2e80}'..='\u{2fd5}' | '\u{f900}'..='\u{faff}' => {
                out.extend(std::iter::once(c).nfkc());
            }
            // ZapfDingbats and Symbol by the private codes of Word, and the DEL that reportlab writes for a bullet.
            '\u{7f}' | '\u{f0b7}' | '\u{f0a7}' | '\u{f076}' | '\u{f0d8}' | '\u{f06c}' | '\u{f06e}' | '\u{25cf}' => {
                out.push('•');
            }
            '\u{f020}' | '\t' | '\n' | '\r' | '\u{a0}' => out.push(' '),
            '\u{f0e0}' => out.push('→'),
            '\u{f0fc}' => out.push('✓'),
            '\u{2010}' | '\u{f02d}' => out.push('-'),
            // Vertical forms of punctuation.
            '\u{fe10}'..='\u{fe19}' | '\u{fe30}'..='\u{fe48}' => out.extend(std::iter::once(c).nfkc()),
            c if c.is_control() || c == '\u{feff}' || c == '\u{fffd}' || c == '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

const ACCENTS: [(char, char); 14] = [
    ('`', '\u{300}'),
    ('´', '\u{301}'),
    ('ˆ', '\u{302}'),
    ('^', '\u{302}'),
    ('˜', '\u{303}'),
    ('~', '\u{303}'),
    ('¯', '\u{304}'),
    ('˘', '\u{306}'),
    ('˙', '\u{307}'),
    ('¨', '\u{308}'),
    ('˚', '\u{30a}'),
    ('˝', '\u{30b}'),
    ('ˇ', '\u{30c}'),
    ('¸', '\u{327}'),
];

/// Whether this is an accent without a letter.
pub(super) fn is_accent(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| ACCENTS.iter().any(|(mark, _)| *mark == c)) && letters.next().is_none()
}

/// A letter with an accent that was drawn apart from it, as TeX does: `¨` over `ı` is `ï`. `None` if there is no such letter.
pub(super) fn with_accent(letter: &str, accent: char) -> Option<String> {
    let (_, mark) = ACCENTS.iter().find(|(a, _)| *a == accent)?;
    let bare: String = letter
        .chars()
        .map(|c| match c {
            'ı' => 'i',
            'ȷ' => 'j',
            c => c,
        })
        .collect();
    let mut letters = bare.chars();
    let first = letters.next().filter(|c| c.is_alphabetic())?;
    let whole: String = [first, *mark].into_iter().nfc().collect();
    (whole.chars().count() == 1).then(|| whole + letters.as_str())
}

/// Scripts that are written without blanks between words.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(u32::from(c),
        0x2e80..=0x30ff | 0x3105..=0x312f | 0x31a0..=0x31bf | 0x31f0..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f | 0xff00..=0xff9f | 0xffe0..=0xffe6 | 0x2_0000..=0x3_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_what_people_search_for() {
        for (drawn, meant) in
            [("ﬁ", "fi"), ("ﬄ", "ffl"), ("ﻼ", "لا"), ("⼀", "一"), ("\u{7f}", "•"), ("½", "½"), ("²", "²"), ("Ａ", "Ａ")]
        {
            assert_eq!(plain(drawn), meant);
        }
        assert_eq!(with_accent("ı", '¨').as_deref(), Some("ï"));
        assert_eq!(with_accent("C", 'ˇ').as_deref(), Some("Č"));
        assert_eq!(with_accent("q", '¨'), None);
        assert!(is_cjk('漢') && is_cjk('か') && is_cjk('。') && !is_cjk('한') && !is_cjk('é'));
    }
}
