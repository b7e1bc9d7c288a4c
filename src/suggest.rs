//! "Did you mean …?"

/// Bytes of a word that may be mistaken.
const LONGEST: usize = 64;

/// The candidates that are nearest to `word`: one, or several that are equally near, or none that is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let mut nearest = misspelt(word, candidates.iter().copied());
    let folded = fold(word);
    if nearest.is_empty() && (3..=LONGEST).contains(&folded.len()) {
        nearest = candidates.into_iter().filter(|candidate| fold(candidate).starts_with(&folded)).collect();
    }
    nearest.truncate(3);
    nearest
}

/// Those that `word` may be a typing mistake for, not counting those that it is merely the beginning of.
pub(crate) fn misspelt<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // Longer words are no typing mistakes, and the distance below takes time in the product of the lengths.
    if word.len() > LONGEST {
        return Vec::new();
    }
    let folded = fold(word);
    let (mut best, mut found) = (usize::MAX, Vec::new());
    for candidate in candidates {
        let other = fold(candidate);
        let distance = strsim::damerau_levenshtein(&folded, &other);
        let length = folded.chars().count().max(other.chars().count());
        if distance > (length / 3).max(1) || distance >= length {
            continue;
        }
        if distance < best {
            best = distance;
            found.clear();
        }
        if distance == best {
            found.push(candidate);
        }
    }
    found
}

/// "did you mean `a`?" or "did you mean `a` or `b`?"; `None` if nothing is near.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let nearest = nearest(word, candidates);
    let quoted: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(" or ")))
}

/// Keys are compared as people misremember them: `maxTokens` and `max-tokens` are `max_tokens`.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["by", "max_tokens", "overlap", "tokenizer"];
        assert_eq!(nearest("maxTokens", keys), ["max_tokens"]);
        assert_eq!(nearest("max", keys), ["max_tokens"]);
        assert!(misspelt("max", keys).is_empty());
        assert_eq!(misspelt("overlpa", keys), ["overlap"]);
        assert_eq!(nearest("b", keys), ["by"]);
        assert_eq!(nearest("pm", ["rpm", "tpm"]), ["rpm", "tpm"]);
        assert!(nearest("colour", keys).is_empty());
        assert!(nearest(&"x".repeat(5000), keys).is_empty());
    }
}
