//! Letters as office files have them: raised, lowered, taken from fonts of symbols, with hyphens that show only at the end of a
//! line. What comes out are words as one types them.

/// Adds text of a run: words stay whole, hyphens that do not break are hyphens.
pub(super) fn push(out: &mut String, text: &str, font: Option<&str>) {
    for c in text.chars() {
        match c {
            // Soft hyphens, and what programs leave in a text for themselves.
            '\u{ad}' | '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{2060}' => {}
            '\u{2011}' => out.push('-'),
            '\u{b}' | '\u{2028}' | '\u{85}' => out.push('\n'),
            '\u{f000}'..='\u{f0ff}' => out.extend(symbol(font.unwrap_or_default(), c as u32)),
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            c => out.push(c),
        }
    }
}

/// Adds raised text: `10th` and `1er` are words, `10^6` and `m^2` are not 106 and m2.
pub(super) fn push_raised(out: &mut String, text: &str) {
    let bare = text.trim();
    let after_digit = out.ends_with(|c: char| c.is_ascii_digit());
    let after_word = out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ')' | ']'));
    let number = bare.strip_prefix(['-', '−', '–', '+']).unwrap_or(bare);
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '/'));
    let is_variable = after_digit && matches!(number, "n" | "k" | "x" | "y" | "i" | "j" | "m");
    if after_word && (is_number || is_variable) {
        out.push('^');
    }
    push(out, text, None);
}

/// The character that a font of symbols shows for a code, if it is one that is said with words or numbers.
pub(super) fn symbol(font: &str, code: u32) -> Option<char> {
    let code = if (0xf000..=0xf0ff).contains(&code) { code - 0xf000 } else { code };
    let font = font.to_ascii_lowercase();
    if font.starts_with("wingdings 2") {
        return match code {
            0x50 | 0x52 => Some('✓'),
            0x4f | 0x51 => Some('✗'),
            0xa3 | 0x2a => Some('☐'),
            _ => None,
        };
    }
    if font.contains("wingdings") {
        return match code {
            0x4a => Some('☺'),
            0x4c => Some('☹'),
            0x6c | 0x9f | 0x77 | 0xa7 | 0x6e | 0x73 | 0x75 | 0x76 | 0xd8 => Some('•'),
            0x6f | 0xa8 | 0x71 => Some('☐'),
            0x78 | 0xfd => Some('☒'),
            0xfb => Some('✗'),
            0xfc => Some('✓'),
            0xfe => Some('☑'),
            0xdf | 0xe7 | 0xef => Some('←'),
            0xe0 | 0xe8 | 0xf0 => Some('→'),
            0xe1 | 0xe9 | 0xf1 => Some('↑'),
            0xe2 | 0xea | 0xf2 => Some('↓'),
            0xf3 => Some('⇔'),
            0x80 => Some('⓪'),
            0x81..=0x8a => char::from_u32(0x2460 + code - 0x81),
            _ => None,
        };
    }
    if font.contains("webdings") {
        return None;
    }
    // "Symbol", and fonts that are not named where it is meant.
    let of_symbol = SYMBOL.chars().nth((code.checked_sub(0x20)?) as usize)?;
    (of_symbol != '\u{fffd}').then_some(of_symbol)
}

/// The font Symbol from 0x20 on.
const SYMBOL: &str = " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_\u{203e}αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼\u{fffd}\
    \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\
    \u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\
    €ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…\u{fffd}\u{fffd}↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_letters_are_part_of_the_word_and_raised_numbers_are_exponents() {
        for (base, raised, whole) in [
            ("10", "th", "10th"),
            ("10", "6", "10^6"),
            ("10", "-3", "10^-3"),
            ("m", "2", "m^2"),
            ("2", "n", "2^n"),
            ("2", "e", "2e"),
            ("Acme", "TM", "AcmeTM"),
            ("see ", "1", "see 1"),
        ] {
            let mut out = base.to_owned();
            push_raised(&mut out, raised);
            assert_eq!(out, whole);
        }
    }

    #[test]
    fn symbols() {
        assert_eq!(
            (symbol("Symbol", 0x61), symbol("Symbol", 0xf0b3), symbol("Symbol", 0xf0a3)),
            (Some('α'), Some('≥'), Some('≤'))
        );
        assert_eq!((symbol("Symbol", 0xf0e5), symbol("Symbol", 0x7f), symbol("Symbol", 0)), (Some('∑'), None, None));
        assert_eq!(
            (symbol("Wingdings", 0xf0e0), symbol("Wingdings", 0xf0fe), symbol("Wingdings", 0x21)),
            (Some('→'), Some('☑'), None)
        );
        let mut out = String::new();
        push(&mut out, "Donau\u{ad}dampf\u{2011}schiff \u{f061}\u{1}", Some("Symbol"));
        assert_eq!(out, "Donaudampf-schiff α");
    }
}
