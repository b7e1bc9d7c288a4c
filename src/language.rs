//! Which language a document is written in.

use whatlang::{Detector, Lang};

use crate::document::Markup;

pub(crate) mod script;

/// Bytes that are looked at from each of [`WINDOWS`] places of a long text: a preface may be in another language.
const WINDOW: usize = 2048;
/// How many places of a long text are looked at.
const WINDOWS: usize = 3;
/// Letters without which nothing is said: on fewer, trigrams guess.
const FEWEST_LETTERS: usize = 24;
/// A Chinese character says as much as about three letters of an alphabet: mixed with so many, a text is still Chinese.
const LETTERS_PER_CHARACTER: usize = 3;

/// A language, as its ISO 639-1 code ("en", "zh").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language(&'static str);

impl Language {
    /// English.
    pub const ENGLISH: Self = Self("en");
    /// Chinese.
    pub const CHINESE: Self = Self("zh");

    /// The ISO 639-1 code.
    pub fn code(self) -> &'static str {
        self.0
    }

    /// The language of a document's text; `None` when unsure, and for code and records, which have none.
    /// CPU work, of a bounded amount.
    pub fn of_document(text: &str, markup: Markup) -> Option<Self> {
        match markup {
            Markup::Code | Markup::Records => None,
            Markup::Text | Markup::Markdown | Markup::Rst => Self::of(&sample(text)),
        }
    }

    /// The language of a piece of prose; `None` when unsure. Takes time in proportion to the text.
    pub fn of(text: &str) -> Option<Self> {
        let scripts = Scripts::of(text);
        if let Some(language) = Self::of_scripts(&scripts) {
            return Some(language);
        }
        if scripts.other < FEWEST_LETTERS {
            return None;
        }
        Detector::new().detect(text).filter(whatlang::Info::is_reliable).and_then(|info| Self::from_whatlang(info.lang()))
    }

    /// The language that the letters alone tell of.
    fn of_scripts(scripts: &Scripts) -> Option<Self> {
        let Scripts { han, kana, hangul, other } = *scripts;
        let east_asian = han + kana + hangul;
        if east_asian > 0 && east_asian * LETTERS_PER_CHARACTER >= other {
            return Some(Self(if hangul * 2 > east_asian {
                "ko"
            } else if kana * 20 > han + kana {
                // Chinese texts quote a Japanese word now and then; no Japanese sentence goes without Kana.
                "ja"
            } else {
                "zh"
            }));
        }
        None
    }

    /// The languages that are told apart, with their English names.
    pub fn known() -> impl Iterator<Item = (Self, &'static str)> {
        Lang::all().iter().filter_map(|lang| Some((Self::from_whatlang(*lang)?, lang.eng_name())))
    }

    /// The likeliest language of a few words, however uncertain.
    pub fn guess(text: &str) -> Option<Self> {
        // What is likely enough for [`Self::of`] is likeliest, too.
        Self::of_scripts(&Scripts::of(text)).or_else(|| Self::from_whatlang(Detector::new().detect(text)?.lang()))
    }

    /// The language of this ISO 639-1 code, if it is one of [`Self::known`].
    pub fn from_code(code: &str) -> Option<Self> {
        Self::known().map(|(language, _)| language).find(|language| language.code() == code)
    }

    fn from_whatlang(lang: Lang) -> Option<Self> {
        let code = match lang {
            // Nobody writes documents in them, and texts full of names and code are taken for them.
            Lang::Epo | Lang::Lat => return None,
            Lang::Eng => "en",
            Lang::Rus => "ru",
            Lang::Cmn => "zh",
            Lang::Spa => "es",
            Lang::Por => "pt",
            Lang::Ita => "it",
            Lang::Ben => "bn",
            Lang::Fra => "fr",
            Lang::Deu => "de",
            Lang::Ukr => "uk",
            Lang::Kat => "ka",
            Lang::Ara => "ar",
            Lang::Hin => "hi",
            Lang::Jpn => "ja",
            Lang::Heb => "he",
            Lang::Yid => "yi",
            Lang::Pol => "pl",
            Lang::Amh => "am",
            Lang::Jav => "jv",
            Lang::Kor => "ko",
            Lang::Nob => "nb",
            Lang::Dan => "da",
            Lang::Swe => "sv",
            Lang::Fin => "fi",
            Lang::Tur => "tr",
            Lang::Nld => "nl",
            Lang::Hun => "hu",
            Lang::Ces => "cs",
            Lang::Ell => "el",
            Lang::Bul => "bg",
            Lang::Bel => "be",
            Lang::Mar => "mr",
            Lang::Kan => "kn",
            Lang::Ron => "ro",
            Lang::Slv => "sl",
            Lang::Hrv => "hr",
            Lang::Srp => "sr",
            Lang::Mkd => "mk",
            Lang::Lit => "lt",
            Lang::Lav => "lv",
            Lang::Est => "et",
            Lang::Tam => "ta",
            Lang::Vie => "vi",
            Lang::Urd => "ur",
            Lang::Tha => "th",
            Lang::Guj => "gu",
            Lang::Uzb => "uz",
            Lang::Pan => "pa",
            Lang::Aze => "az",
            Lang::Ind => "id",
            Lang::Tel => "te",
            Lang::Pes => "fa",
            Lang::Mal => "ml",
            Lang::Ori => "or",
            Lang::Mya => "my",
            Lang::Nep => "ne",
            Lang::Sin => "si",
            Lang::Khm => "km",
            Lang::Tuk => "tk",
            Lang::Aka => "ak",
            Lang::Zul => "zu",
            Lang::Sna => "sn",
            Lang::Afr => "af",
            Lang::Slk => "sk",
            Lang::Cat => "ca",
            Lang::Tgl => "tl",
            Lang::Hye => "hy",
        };
        Some(Self(code))
    }
}

/// How many letters of which script.
#[derive(Default)]
struct Scripts {
    han: usize,
    kana: usize,
    hangul: usize,
    other: usize,
}

impl Scripts {
    fn of(text: &str) -> Self {
        let mut scripts = Self::default();
        for c in text.chars() {
            match c {
                '\u{3041}'..='\u{309F}' | '\u{30A1}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9D}' => {
                    scripts.kana += 1;
                }
                '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}' | '\u{AC00}'..='\u{D7A3}' => scripts.hangul += 1,
                '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}' => {
                    scripts.han += 1;
                }
                c if c.is_alphabetic() => scripts.other += 1,
                _ => {}
            }
        }
        scripts
    }
}

/// The prose in some windows of a text: what looks like code or a table says nothing.
fn sample(text: &str) -> String {
    let step = (text.len() / WINDOWS).max(WINDOW);
    let mut sample = String::with_capacity(WINDOW * WINDOWS);
    for window in 0..WINDOWS {
        let from = text.floor_char_boundary(window * step);
        let to = text.floor_char_boundary(from + WINDOW);
        for line in text.get(from..to).unwrap_or_default().lines().filter(|line| is_prose(line)) {
            sample.push_str(line);
            sample.push('\n');
        }
    }
    sample
}

/// Whether nearly all of a line is words, and what stands between them.
fn is_prose(line: &str) -> bool {
    let (mut words, mut all) = (0, 0);
    for c in line.chars().filter(|c| !c.is_whitespace()) {
        all += 1;
        words += usize::from(c.is_alphanumeric() || matches!(c, '.' | ',' | '\'' | '’' | '-' | '。' | '，' | '、' | '？'));
    }
    words * 100 >= all * 85
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        Language::of_document(text, Markup::Markdown).map(Language::code)
    }

    #[test]
    fn prose_is_known_by_script_or_by_trigrams() {
        assert_eq!(code("Keys are rotated every thirty days, and the old version still decrypts for a week."), Some("en"));
        assert_eq!(code("Die Schlüssel werden alle dreißig Tage gewechselt, und der alte gilt noch eine Woche."), Some("de"));
        assert_eq!(
            code("Les clés sont renouvelées tous les trente jours, et l'ancienne reste valable une semaine."),
            Some("fr")
        );
        assert_eq!(code("Ключи меняются каждые тридцать дней, а старая версия действует ещё неделю."), Some("ru"));
        assert_eq!(code("密钥每三十天轮换一次，旧版本仍可解密一周。"), Some("zh"));
        assert_eq!(code("金鑰每三十天輪換一次，舊版本仍可解密一週。"), Some("zh"));
        assert_eq!(code("鍵は三十日ごとに交換されます。"), Some("ja"));
        assert_eq!(code("키는 30일마다 교체됩니다."), Some("ko"));
    }

    #[test]
    fn a_chinese_document_may_be_full_of_english_names() {
        assert_eq!(
            code("# 部署\n\n用 docker compose 启动 lantern-server，默认端口是 7420，配置在 config.yaml 里。"),
            Some("zh")
        );
        assert_eq!(
            code("The word 密钥 means key, and this is the only Chinese word in the whole English sentence."),
            Some("en")
        );
    }

    #[test]
    fn a_code_leads_back_to_its_language() {
        assert!(Language::known().all(|(language, _)| Language::from_code(language.code()) == Some(language)));
        let east_asian = ["zh", "ja", "ko"].map(|code| Language::from_code(code).map(Language::code));
        assert_eq!(east_asian, [Some("zh"), Some("ja"), Some("ko")]);
        assert_eq!((Language::from_code("xx"), Language::from_code("")), (None, None));
    }

    #[test]
    fn what_is_not_prose_has_no_language() {
        assert_eq!(code(""), None);
        assert_eq!(code("OK"), None, "too short");
        assert_eq!(code("a = 1; b += f(x[2]) % 7;\n|---|---|\n{\"k\": [1, 2, 3]}\n"), None);
        for markup in [Markup::Code, Markup::Records] {
            assert_eq!(Language::of_document("Keys are rotated every thirty days, as everyone knows.", markup), None);
        }
    }

    #[test]
    fn code_and_a_foreign_preface_do_not_decide() {
        let preface = "This file is published under a license that lets you copy it as you like. ".repeat(15);
        let book =
            "Die Wächter gingen in der Nacht um die Mauer und zählten die Lichter in den Fenstern der Stadt.\n".repeat(200);
        assert_eq!(code(&format!("{preface}\n{book}")), Some("de"));
        let code_block = "let mut found = store.query(&vector, limit).await?; // 2\n".repeat(30);
        assert_eq!(
            code(&format!("Die Wächter zählten die Lichter in den Fenstern der Stadt.\n```rust\n{code_block}```\n")),
            Some("de")
        );
    }

    proptest! {
        #[test]
        fn any_text_has_one_or_none_and_always_the_same(text in any::<String>()) {
            let found = Language::of_document(&text, Markup::Text);
            prop_assert_eq!(found, Language::of_document(&text, Markup::Text));
            prop_assert!(found.is_none_or(|language| language.code().len() == 2));
        }

        #[test]
        fn windows_end_at_characters(text in "[文ü🦀a \n]{0,9000}") {
            prop_assert!(sample(&text).len() <= (WINDOW + 1) * WINDOWS);
        }
    }
}
