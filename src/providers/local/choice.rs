//! Which of the local models suits what is to be read.

use std::path::Path;

use crate::language::Language;

/// In place of a model's name: the one that suits the documents, or that an index has already.
pub const AUTO: &str = "auto";
/// For English alone: by far the fastest.
pub const ENGLISH: &str = "potion-base-8M";
/// For everything else: the lighter one of those that read more than English.
pub const MULTILINGUAL: &str = "use-multilingual-v3";

/// One document in so many that is not in English makes a corpus one of several languages: with a model of English alone, it could
/// not be found by meaning at all.
const ONE_IN: usize = 10;

/// Whether the multilingual model was trained on a language.
pub(super) fn multilingual_reads(language: Language) -> bool {
    const LANGUAGES: [&str; 15] = ["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"];
    LANGUAGES.contains(&language.code())
}

/// Whether a language is one of those besides English that the multilingual model reads.
pub fn is_foreign(language: Language) -> bool {
    language != Language::ENGLISH && multilingual_reads(language)
}

/// The model for documents in these languages, as far as they are known.
pub fn model_for(languages: &[Option<Language>]) -> &'static str {
    model_for_share(languages.iter().flatten().filter(|language| is_foreign(**language)).count(), languages.len())
}

/// The model for so many documents, of which so many are in [another language](is_foreign) than English.
pub fn model_for_share(foreign: usize, documents: usize) -> &'static str {
    if foreign > 0 && foreign * ONE_IN >= documents { MULTILINGUAL } else { ENGLISH }
}

/// Whether a name is the path of a folder: it says where in the file system. (`..` says so, `local/name` does not: the provider is
/// not a part of a model's name.)
pub fn is_folder(model: &str) -> bool {
    model.contains(['/', std::path::MAIN_SEPARATOR]) || matches!(model, "." | "..")
}

/// The files of a model's folder: weights, tokenizer, configuration.
pub const FOLDER: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];

/// Which of them a folder lacks. All of them: it may not be there itself.
pub fn lacking(folder: &Path) -> Vec<&'static str> {
    FOLDER.into_iter().filter(|name| !folder.join(name).exists()).collect()
}

/// The model of this [fingerprint](crate::providers::Fingerprint).
pub fn model_of(fingerprint: &str) -> Option<&'static str> {
    let name = fingerprint.strip_prefix("local/")?.split('/').next()?;
    let name = name.strip_suffix("-q4").unwrap_or(name);
    super::MODELS.into_iter().find(|model| model.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_ten_makes_a_corpus_multilingual() {
        let corpus = |foreign: usize, rest: Option<Language>| {
            let mut languages = vec![rest; 20 - foreign];
            languages.extend(vec![Some(Language::CHINESE); foreign]);
            model_for(&languages)
        };
        assert_eq!(corpus(0, Some(Language::ENGLISH)), ENGLISH);
        assert_eq!(corpus(1, Some(Language::ENGLISH)), ENGLISH);
        assert_eq!(corpus(2, Some(Language::ENGLISH)), MULTILINGUAL);
        assert_eq!(corpus(2, None), MULTILINGUAL);
        assert_eq!(corpus(20, None), MULTILINGUAL);
        assert_eq!(model_for(&[]), ENGLISH);
    }

    #[test]
    fn models_are_known_by_their_fingerprints() {
        assert_eq!(model_of("local/potion-base-8m/256"), Some("potion-base-8M"));
        assert_eq!(model_of("local/multilingual-e5-small-q4/384"), Some("multilingual-e5-small"));
        assert_eq!(model_of("local/use-multilingual-v3/512"), Some(MULTILINGUAL));
        assert_eq!(model_of("openai/text-embedding-3-small/512"), None);
    }
}
