//! How many texts a request may have, as a server's refusals tell: in so many words, or by what it refuses and what it takes.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::providers::ProviderError;

/// What a run has learned of it.
#[derive(Debug)]
pub(super) struct Taken {
    /// Not more texts than these; as many as there can be while nothing is known.
    most: AtomicUsize,
    /// As many were taken.
    proven: AtomicUsize,
}

impl Default for Taken {
    fn default() -> Self {
        Self { most: AtomicUsize::new(usize::MAX), proven: AtomicUsize::new(0) }
    }
}

impl Taken {
    /// As many texts as a request may have.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// A request of so many texts was taken, whatever was learned.
    pub fn took(&self, texts: usize) {
        self.proven.fetch_max(texts, Ordering::Relaxed);
        self.most.fetch_max(texts, Ordering::Relaxed);
    }

    /// A request of so many texts was refused. Returns the number that the refusal names, where that is news.
    pub fn refused(&self, texts: usize, error: &ProviderError) -> Option<usize> {
        self.learn(most_in(&error.message, texts)?)
    }

    /// A request of so many texts was refused, and every one of them was taken in smaller ones, of which the largest had `largest`.
    /// Returns that number, where it is news.
    pub fn took_in_parts(&self, texts: usize, largest: usize, error: &ProviderError) -> Option<usize> {
        let proven = self.proven.load(Ordering::Relaxed).max(largest);
        // As many were taken before or since: this refusal was about something else. So it was where it speaks of the texts' sizes.
        if proven >= texts || is_about_size(&error.message) { None } else { self.learn(proven) }
    }

    fn learn(&self, most: usize) -> Option<usize> {
        (self.most.fetch_min(most, Ordering::Relaxed) > most).then_some(most)
    }
}

/// What a refusal that is about the number of texts speaks of.
const NUMBER_OF_TEXTS: [&str; 12] = [
    "batch size",
    "batch_size",
    "batchsize",
    "number of texts",
    "number of inputs",
    "too many inputs",
    "too many texts",
    "array",
    "input.contents",
    "数组",
    "条数",
    "批",
];
/// What comes before the number that is meant.
const AT_MOST: [&str; 14] = [
    "larger than",
    "greater than",
    "more than",
    "less than",
    "maximum",
    "at most",
    "max ",
    "limit",
    "exceed",
    "between",
    "不能超过",
    "不得超过",
    "最大",
    "最多",
];
/// What one that is about the texts' sizes speaks of.
const SIZES: [&str; 8] = ["token", "context", "too long", "too large", "characters", "physical batch", "ubatch", "bytes"];

fn is_about_size(message: &str) -> bool {
    let message = message.to_lowercase();
    SIZES.iter().any(|size| message.contains(size))
}

/// The most texts that a refusal of so many names: "batch size 100 > maximum allowed batch size 32", "it should not be larger than 10".
fn most_in(message: &str, texts: usize) -> Option<usize> {
    let message = message.to_lowercase();
    if is_about_size(&message) || !NUMBER_OF_TEXTS.iter().any(|about| message.contains(about)) {
        return None;
    }
    let said = AT_MOST.iter().filter_map(|words| message.split_once(words));
    let numbers =
        said.flat_map(|(_, after)| after.split(|c: char| !c.is_ascii_digit())).filter_map(|number| number.parse().ok());
    // The other numbers are how many there were, and the first of a range.
    numbers.filter(|number| (1..texts).contains(number)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::ErrorKind;

    fn refusal(message: &str) -> ProviderError {
        ProviderError::new("p", ErrorKind::InvalidInput, message)
    }

    #[test]
    fn the_number_is_read_out_of_a_refusal() {
        for (message, texts, most) in [
            (
                "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger than 10.: input.contents",
                128,
                Some(10),
            ),
            ("batch size 100 > maximum allowed batch size 32", 100, Some(32)),
            ("input batch size 136 > maximum allowed batch size 64", 136, Some(64)),
            (
                "'$.input' is invalid. Expected an array with maximum length 2048, but got an array with length 3000 instead.",
                3000,
                Some(2048),
            ),
            ("batch size must be between 1 and 16", 40, Some(16)),
            ("input数组最大不得超过64条", 128, Some(64)),
            // What is no less than was sent, and what is about something else.
            ("batch size 100 > maximum allowed batch size 32", 32, None),
            ("This model's maximum context length is 8 tokens, however you requested 9 tokens", 128, None),
            ("input is too large to process. increase the physical batch size (current batch size: 64)", 128, None),
            ("Too many tokens overall, split into more batches: at most 16", 128, None),
            ("InvalidParameter: 17", 128, None),
            ("batch size is invalid", 128, None),
            ("", 128, None),
        ] {
            assert_eq!(most_in(message, texts), most, "{message}");
        }
    }

    #[test]
    fn it_is_learned_by_what_is_refused_and_what_is_taken() {
        let taken = Taken::default();
        let odd = refusal("Bad Request");
        assert_eq!((taken.refused(128, &odd), taken.most()), (None, usize::MAX));
        taken.took(8);
        assert_eq!(taken.took_in_parts(128, 8, &refusal("too many tokens")), None, "it was about the texts' sizes");
        assert_eq!((taken.took_in_parts(128, 8, &odd), taken.most()), (Some(8), 8));
        assert_eq!(taken.took_in_parts(128, 8, &odd), None, "no news");
        // Refused once, and not for its size.
        assert_eq!((taken.took_in_parts(8, 4, &odd), taken.most()), (None, 8));
        assert_eq!((taken.refused(8, &refusal("batch size: at most 5")), taken.most()), (Some(5), 5));
        taken.took(7);
        assert_eq!(taken.most(), 7, "it does take more");
    }
}
