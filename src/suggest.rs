//! "Did you mean …?"

/// The candidates that are nearest to `word`: one, or several that are equally near, or none that is near enough.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // Longer words are no typing mistakes, and the distance below takes time in the product of the lengths.
    if word.len() > 64 {
        return Vec::new();
    }
    let folded = fold(word);
    let (mut best, mut found, mut completions) = (usize::MAX, Vec::new(), Vec::new());
    for candidate in candidates {
        let other = fold(candidate);
        if folded.len() >= 3 && other.starts_with(&folded) {
            completions.push(candidate);
        }
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
    let mut nearest = if found.is_empty() { completions } else { found };
    nearest.truncate(3);
    nearest
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
        assert_eq!(nearest("b", keys), ["by"]);
        assert_eq!(nearest("pm", ["rpm", "tpm"]), ["rpm", "tpm"]);
        assert!(nearest("colour", keys).is_empty());
        assert!(nearest(&"x".repeat(5000), keys).is_empty());
    }
}
