//! Guesses of a text's tokens, where no tokenizer of the model's own is at hand.

use std::sync::atomic::{AtomicU64, Ordering};

/// A guess: four ASCII bytes a token, and a token for any other character.
pub(super) fn guess(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let others = text.chars().filter(|c| !c.is_ascii()).count();
    (ascii.div_ceil(4) + others).max(1) as u64
}

/// Corrects guesses by what was billed for earlier ones.
#[derive(Debug, Default)]
pub(super) struct Correction {
    guessed: AtomicU64,
    billed: AtomicU64,
}

impl Correction {
    /// A guess, corrected.
    pub(super) fn of(&self, guess: u64) -> u64 {
        let (guessed, billed) = (self.guessed.load(Ordering::Relaxed), self.billed.load(Ordering::Relaxed));
        if guessed == 0 {
            return guess;
        }
        // One odd answer must neither stop nor unleash what follows.
        let ratio = (billed as f64 / guessed as f64).clamp(0.25, 4.0);
        (guess as f64 * ratio).ceil() as u64
    }

    /// Learns what was billed for a guess.
    pub(super) fn learn(&self, guess: u64, billed: u64) {
        self.guessed.fetch_add(guess, Ordering::Relaxed);
        self.billed.fetch_add(billed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_follow_what_is_billed() {
        let correction = Correction::default();
        assert_eq!(correction.of(100), 100);
        correction.learn(100, 150);
        assert_eq!(correction.of(100), 150);
        correction.learn(1, 1_000_000);
        assert_eq!(correction.of(100), 400, "bounded");
        assert_eq!(guess("Hello, world"), 3);
        assert_eq!(guess("中文字"), 3);
        assert_eq!(guess(""), 1);
    }
}
