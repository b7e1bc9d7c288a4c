//! What a pipeline and its providers may be called, and what a file without `name` gives its pipeline for one.
//!
//! A name becomes files in the home folder, a collection, labels and the first part of `provider/model`. All of these take letters of
//! any script; what they have no room for is a path separator, and more bytes than the name of a file may have.

use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::meaning::Problem;

/// Characters of a name, at most.
const MAX_CHARS: usize = 64;
/// Bytes of a name, at most: with the longest ending it is still the name of a file, which has 255.
const MAX_BYTES: usize = 192;
/// Hex digits that tell two names apart which would be one otherwise.
const DIGITS: usize = 8;
/// The name that a file has whose own name has nothing to give.
const DEFAULT: &str = "default";

/// The name that a file gives its pipeline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnName {
    pub(super) name: String,
    /// What it was before names held letters of any script, if that was another.
    pub(super) former: Option<String>,
}

/// Checks the name of a pipeline or a provider.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    const HINT: &str = "letters and digits of any script, `-`, `_` and `.`, beginning with a letter or digit";
    if name.contains(['/', '\\']) {
        return Err(Problem::new("a name cannot hold a path separator").hint(HINT));
    }
    if !name.chars().all(may_stand) || !name.starts_with(char::is_alphanumeric) {
        return Err(Problem::new("not a name").hint(HINT));
    }
    if name.chars().count() > MAX_CHARS {
        return Err(Problem::new(format!("a name of more than {MAX_CHARS} characters")));
    }
    if name.len() > MAX_BYTES {
        return Err(Problem::new(format!("a name of more than {MAX_BYTES} bytes")));
    }
    Ok(())
}

/// The same name, however its accents were typed: files that come from a Mac have them apart from their letters.
pub(super) fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// The name of the pipeline in this file.
pub(super) fn own_name(file_name: &str) -> OwnName {
    let stem = Path::new(file_name).file_stem().unwrap_or_default().to_string_lossy();
    let former = former(&stem);
    if stem.is_ascii() {
        return OwnName { name: former, former: None };
    }
    let stem = composed(&stem);
    let name: String = stem.chars().map(|c| if may_stand(c) { c } else { '-' }).collect();
    let name = name.trim_start_matches(|c: char| !c.is_alphanumeric());
    let name = if name.is_empty() {
        format!("{DEFAULT}-{}", digits(&stem))
    } else if check_name(name).is_err() {
        // Too long: what is cut off may be all that tells it from another.
        format!("{}-{}", shortened(name), digits(&stem))
    } else {
        name.to_owned()
    };
    OwnName { former: (former != name).then_some(former), name }
}

/// What a file's name gave when names were ASCII.
fn former(stem: &str) -> String {
    let stands = |c: char| c.is_ascii() && may_stand(c);
    let name: String = stem.chars().map(|c| if stands(c) { c } else { '-' }).take(MAX_CHARS).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { DEFAULT.to_owned() } else { name.to_owned() }
}

/// Marks are a part of their letters: without them, words of many scripts are others, or none.
fn may_stand(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '-' | '_' | '.')
}

/// As much of a name as leaves room for a dash and digits.
fn shortened(name: &str) -> String {
    let mut bytes = 0;
    let room = |c: &char| {
        bytes += c.len_utf8();
        bytes + DIGITS < MAX_BYTES
    };
    name.chars().take(MAX_CHARS - DIGITS - 1).take_while(room).collect()
}

fn digits(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(file: &str) -> String {
        own_name(file).name
    }

    #[test]
    fn a_file_of_ascii_gives_what_it_always_gave() {
        for (file, expected) in [
            ("pipelines/docs.yaml", "docs"),
            ("a b.yml", "a-b"),
            (".yaml", "yaml"),
            ("---.yaml", "default"),
            ("v1.2_x.yaml", "v1.2_x"),
            ("Docs (2).yaml", "Docs--2-"),
        ] {
            assert_eq!(own_name(file), OwnName { name: expected.to_owned(), former: None }, "{file}");
        }
        assert_eq!(name(&format!("{}.yaml", "a".repeat(80))), "a".repeat(64));
    }

    #[test]
    fn letters_of_any_script_stay_and_what_they_were_is_known() {
        for (file, expected, former) in [
            ("p/手册.yaml", "手册", "default"),
            ("笔记.yaml", "笔记", "default"),
            ("手册2025.yml", "手册2025", "2025"),
            ("手册（新）.yaml", "手册-新-", "default"),
            ("docs手册.yaml", "docs手册", "docs--"),
            ("ÿ.yaml", "ÿ", "default"),
            ("naïve.yaml", "naïve", "na-ve"),
            ("हिन्दी.yaml", "हिन्दी", "default"),
            ("คู่มือ.yaml", "คู่มือ", "default"),
            ("ｄｏｃｓ.yaml", "ｄｏｃｓ", "default"),
        ] {
            assert_eq!(own_name(file), OwnName { name: expected.to_owned(), former: Some(former.to_owned()) }, "{file}");
            assert_eq!(check_name(expected), Ok(()), "{file}");
        }
        // As it was: there was no letter to lose.
        assert_eq!(own_name("docs📚.yaml"), OwnName { name: "docs-".to_owned(), former: None });
    }

    #[test]
    fn a_name_is_the_same_from_every_file_system() {
        assert_eq!(name("nai\u{308}ve.yaml"), name("naïve.yaml"));
        assert_eq!(name("か\u{3099}.yaml"), name("が.yaml"));
        assert_eq!(composed("e\u{301}"), "é");
    }

    #[test]
    fn files_whose_names_have_nothing_to_give_are_told_apart() {
        assert_ne!(name("📚.yaml"), name("📕.yaml"));
        assert!(name("📚.yaml").starts_with("default-"));
        let long = |end: &str| name(&format!("{}{end}.yaml", "手".repeat(70)));
        assert_ne!(long("册"), long("本"));
        assert!(long("册").starts_with("手手手"));
        assert_ne!(name(&format!("{}.yaml", "𠮷".repeat(60))), name(&format!("{}.yaml", "𠮷".repeat(61))));
    }

    #[test]
    fn a_name_that_cannot_be_is_refused() {
        for wrong in ["", "-a", ".a", "手 册", "a/b", "a\\b", "手册？", "a\u{200b}b", "\u{301}a", "🙂"] {
            assert!(check_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(check_name(&"手".repeat(64)).is_ok() && check_name(&"手".repeat(65)).is_err());
        assert!(check_name(&"𠮷".repeat(48)).is_ok() && check_name(&"𠮷".repeat(49)).is_err());
    }

    proptest! {
        #[test]
        fn what_a_file_gives_is_a_name_and_a_letter_is_never_lost(stem in "\\PC{1,80}") {
            let own = own_name(&format!("{stem}.yaml"));
            prop_assert!(check_name(&own.name).is_ok(), "{}", own.name);
            prop_assert!(own.former.as_deref().is_none_or(|former| check_name(former).is_ok()));
        }

        #[test]
        fn files_of_letters_have_names_of_their_own(one in "[\\p{Han}\\p{Greek}\\p{Cyrillic}\\p{Hangul}]{1,40}", other in "[\\p{Han}\\p{Greek}]{1,40}") {
            let (a, b) = (name(&format!("{one}.yaml")), name(&format!("{other}.yaml")));
            prop_assert_eq!(composed(&one) == composed(&other), a == b);
        }
    }
}
