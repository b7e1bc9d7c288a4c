//! The vocabularies of tiktoken's encodings, packed: as the text in which they are published they were a tenth of the program.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use rustc_hash::FxHashMap;
use tiktoken_rs::{CoreBPE, O200K_BASE_PAT_STR, Rank};

/// An encoding.
pub(super) struct Encoding {
    /// How many tokens there are, but for the special ones. Their ids begin at 0.
    tokens: usize,
    /// Deflated: the tokens' lengths in bytes, a byte each; then the tokens, one after the other.
    packed: &'static [u8],
    /// What no ordinary text is made of.
    special: &'static [(&'static str, Rank)],
    /// Cuts a text into the pieces that no token reaches beyond.
    pattern: &'static str,
}

pub(super) const O200K_BASE: Encoding = Encoding {
    tokens: 199_998,
    packed: include_bytes!("o200k_base.zlib"),
    special: &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)],
    pattern: O200K_BASE_PAT_STR,
};

pub(super) const CL100K_BASE: Encoding = Encoding {
    tokens: 100_256,
    packed: include_bytes!("cl100k_base.zlib"),
    special: &[
        ("<|endoftext|>", 100_257),
        ("<|fim_prefix|>", 100_258),
        ("<|fim_middle|>", 100_259),
        ("<|fim_suffix|>", 100_260),
        ("<|endofprompt|>", 100_276),
    ],
    pattern: concat!(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+",
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
};

impl Encoding {
    /// The encoding, and the lengths of its tokens by their ids.
    #[expect(clippy::expect_used, reason = "both are in the program, and the test reads all of them")]
    pub(super) fn unpacked(&self) -> (CoreBPE, Vec<u8>) {
        let mut tokens = Vec::new();
        ZlibDecoder::new(self.packed).read_to_end(&mut tokens).expect("it is what was packed");
        let mut lengths = tokens;
        let tokens = lengths.split_off(self.tokens.min(lengths.len()));
        let mut rest = &*tokens;
        let tokens = (0..).zip(&lengths).map(|(rank, length)| {
            let (token, others) = rest.split_at_checked(usize::from(*length)).unwrap_or_default();
            rest = others;
            (token.to_vec(), rank)
        });
        let tokens: FxHashMap<Vec<u8>, Rank> = tokens.collect();
        let special = self.special.iter().map(|(name, rank)| ((*name).to_owned(), *rank)).collect();
        (CoreBPE::new(tokens, special, self.pattern).expect("it is tiktoken's own"), lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_the_one_that_tiktoken_has() {
        let encodings = [
            (O200K_BASE, tiktoken_rs::o200k_base_singleton(), 200_020),
            (CL100K_BASE, tiktoken_rs::cl100k_base_singleton(), 100_280),
        ];
        for (encoding, published, beyond) in encodings {
            let (bpe, lengths) = encoding.unpacked();
            assert_eq!(lengths.len(), encoding.tokens);
            for id in 0..beyond {
                let (own, known) = (bpe.decode_bytes(&[id]).ok(), published.decode_bytes(&[id]).ok());
                assert_eq!(own, known, "{id}");
                let length = lengths.get(id as usize).map(|length| usize::from(*length));
                assert!(length.is_none() || length == own.map(|own| own.len()), "{id}");
            }
        }
    }
}
