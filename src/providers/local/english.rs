//! The language that the local models were trained on.

use crate::language::Language;

/// Both models were trained on English: of other scripts they know at most single letters, of other languages few words. Short
/// questions are of no certain language and count as English.
pub(super) fn may_be_english(text: &str) -> bool {
    is_mostly_latin(text) && Language::of(text).is_none_or(|language| language == Language::ENGLISH)
}

fn is_mostly_latin(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_alphabetic());
    // The last Latin letter with a use in everyday text is in Latin Extended Additional (Vietnamese).
    letters().filter(|c| *c <= '\u{24f}' || ('\u{1e00}'..='\u{1eff}').contains(c)).count() * 2 >= letters().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_scripts_are_not_read() {
        for text in ["how do I rotate keys?", "Schlüssel erneuern", "什么是 Lantern Keyring?", "404", ""] {
            assert!(may_be_english(text), "{text}");
        }
        for text in [
            "如何轮换密钥?",
            "как сменить ключ",
            "用 lanternctl 如何备份数据库和全部密钥分片文件",
            "¿Cómo se cambian las claves de firma en el servidor de producción?",
        ] {
            assert!(!may_be_english(text), "{text}");
        }
    }
}
