//! The tokenizer of XLM-R out of a tokenizer.json, by [`Unigram`]: of its 250,000 pieces `tokenizers` takes a second and a half of
//! CPU to make a tree.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::normal::{Charsmap, Normaliser, Replacements};
use super::unigram::{Piece, Special, Unigram};

/// Stands for a blank.
const BLANK: &str = "▁";

#[derive(Deserialize)]
struct File {
    normalizer: Normalizer,
    pre_tokenizer: PreTokenizer,
    post_processor: PostProcessor,
    model: Model,
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Normalizer {
    Precompiled {
        precompiled_charsmap: String,
    },
    Sequence {
        normalizers: Vec<Normalizer>,
    },
    /// Of blanks by one, which [`Normaliser`] does anyway.
    Replace {
        pattern: HashMap<String, String>,
        content: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PreTokenizer {
    Sequence { pretokenizers: Vec<PreTokenizer> },
    WhitespaceSplit,
    Metaspace { replacement: String, add_prefix_space: Option<bool>, prepend_scheme: Option<String> },
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PostProcessor {
    TemplateProcessing { pair: Vec<Part>, special_tokens: HashMap<String, Ids> },
}

#[derive(Deserialize)]
enum Part {
    SpecialToken(Place),
    Sequence(Place),
}

#[derive(Deserialize)]
struct Place {
    id: String,
    type_id: u32,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Model {
    Unigram { unk_id: u32, vocab: Vec<(String, f32)> },
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

/// A tokenizer, and what stands before, between and after the texts of a pair.
pub(super) struct XlmRoberta {
    pub(super) unigram: Unigram,
    pub(super) before: Vec<u32>,
    pub(super) between: Vec<u32>,
    pub(super) after: Vec<u32>,
}

/// Reads a tokenizer.json; `None` where it is not that of XLM-R to the letter.
pub(super) fn read(tokenizer: &[u8]) -> Option<XlmRoberta> {
    let File { normalizer, pre_tokenizer, post_processor, model, added_tokens } = serde_json::from_slice(tokenizer).ok()?;
    if !pre_tokenizer.splits_at_blanks() {
        return None;
    }
    let charsmap = Charsmap::read(&STANDARD.decode(normalizer.charsmap()?).ok()?)?;
    let Model::Unigram { unk_id: unknown, vocab } = model;
    let added: HashMap<&str, u32> = added_tokens.iter().map(|added| (added.content.as_str(), added.id)).collect();
    // Those that have a meaning of their own are all of the vocabulary, and nothing else is added to it.
    if added.len() > 5 || added.iter().any(|(text, id)| vocab.get(*id as usize).is_none_or(|(piece, _)| piece != text)) {
        return None;
    }
    let special = Special { start: *added.get("<s>")?, end: *added.get("</s>")?, unknown };
    let pieces = vocab.iter().map(|(text, score)| Piece { text, score: *score, ordinary: !added.contains_key(text.as_str()) });
    let unigram = Unigram::new(Normaliser(Replacements::Charsmap(charsmap)), special, pieces);
    let [before, between, after] = post_processor.around()?;
    Some(XlmRoberta { unigram, before, between, after })
}

impl Normalizer {
    fn charsmap(&self) -> Option<&str> {
        match self {
            Self::Precompiled { precompiled_charsmap } => Some(precompiled_charsmap),
            Self::Sequence { normalizers } => match normalizers.as_slice() {
                [Self::Precompiled { precompiled_charsmap }, Self::Replace { pattern, content }] => {
                    let of_blanks = pattern.get("Regex").is_some_and(|pattern| pattern == " {2,}") && content == " ";
                    of_blanks.then_some(precompiled_charsmap)
                }
                _ => None,
            },
            Self::Replace { .. } => None,
        }
    }
}

impl PreTokenizer {
    fn splits_at_blanks(&self) -> bool {
        match self {
            Self::Metaspace { replacement, add_prefix_space, prepend_scheme } => {
                let always = prepend_scheme.as_ref().map(|scheme| scheme == "always").or(*add_prefix_space);
                replacement == BLANK && always == Some(true)
            }
            Self::Sequence { pretokenizers } => {
                matches!(pretokenizers.as_slice(), [Self::WhitespaceSplit, blanks @ Self::Metaspace { .. }] if blanks.splits_at_blanks())
            }
            Self::WhitespaceSplit => false,
        }
    }
}

impl PostProcessor {
    /// What stands before, between and after the texts of a pair; `None` where types tell them apart.
    fn around(&self) -> Option<[Vec<u32>; 3]> {
        let Self::TemplateProcessing { pair, special_tokens } = self;
        let mut around = [const { Vec::new() }; 3];
        let mut texts = 0;
        for part in pair {
            match part {
                Part::Sequence(Place { id, type_id: 0 }) if ["A", "B"].get(texts) == Some(&id.as_str()) => texts += 1,
                Part::SpecialToken(Place { id, type_id: 0 }) => {
                    around.get_mut(texts)?.extend(&special_tokens.get(id)?.ids);
                }
                _ => return None,
            }
        }
        (texts == 2).then_some(around)
    }
}
