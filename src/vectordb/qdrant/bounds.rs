//! How much a server takes at once. In strict mode (a collection's or the whole server's) it refuses what is larger than it allows,
//! and says the number; a proxy in front of it refuses by bytes. Both are found out by being refused, once for each kind of
//! request, and kept to from then on.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::vectordb::StoreError;

/// Refusals of one kind from which on numbers are not believed any more: a size is halved then, so that this ends.
const BELIEVED: usize = 4;

/// What is learned of a server. Everything is as large as we would have it until it is refused.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Points that are written or deleted at once.
    pub(super) written: Bound,
    /// Points that are read at once.
    pub(super) read: Bound,
    /// Passages that a search finds at once.
    pub(super) found: Bound,
    /// Documents that are counted at once.
    pub(super) counted: Bound,
    /// Values of one condition.
    pub(super) values: Bound,
    /// Conditions of which one must hold.
    pub(super) choices: Bound,
}

impl Bounds {
    pub(super) fn none() -> Self {
        let none = Bound::none;
        Self { written: none(), read: none(), found: none(), counted: none(), values: none(), choices: none() }
    }
}

/// The largest size of a kind that was not refused yet.
#[derive(Debug)]
pub(super) struct Bound {
    most: AtomicUsize,
    refusals: AtomicUsize,
}

impl Bound {
    fn none() -> Self {
        Self { most: AtomicUsize::new(usize::MAX), refusals: AtomicUsize::new(0) }
    }

    /// As many of these as may be asked for.
    pub(super) fn of(&self, wanted: usize) -> usize {
        wanted.min(self.most.load(Ordering::Relaxed)).max(1)
    }

    /// Whether less is worth a try after so many were refused, and then it is learned.
    pub(super) fn shrinks(&self, asked: usize, error: &StoreError, about: About) -> bool {
        let Some(refused) = Refused::of(error).filter(|refused| refused.about == about && asked > 1) else { return false };
        let believed = self.refusals.fetch_add(1, Ordering::Relaxed) < BELIEVED && about != About::Choices;
        let told = refused.largest_below(asked).filter(|_| believed);
        self.most.fetch_min(told.unwrap_or(asked / 2), Ordering::Relaxed);
        true
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The things that are written or asked for.
    Size,
    /// The values of a condition.
    Values,
    /// The number of conditions, of which those that are choices are only a part.
    Choices,
}

/// What a refusal says that is about a size.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    about: About,
    numbers: Vec<usize>,
}

impl Refused {
    /// What is refused for its size, in the words of servers 1.8 to 1.19, of gRPC, and of what stands in front of them.
    fn of(error: &StoreError) -> Option<Self> {
        let (StoreError::Denied { message, .. } | StoreError::Failed { message, .. } | StoreError::Unavailable { message, .. }) =
            error
        else {
            return None;
        };
        let said = message.to_ascii_lowercase();
        let mentions = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let sizes = [
            "limit exceeded",
            "limit reached",
            "exceed",
            "too large",
            "too many",
            "too big",
            "larger than",
            "split your request",
        ];
        // Limits that nothing smaller keeps to: of all that is stored, and of time.
        let others = ["points count", "storage", "disk", "rate limit exceeded, retry", "deadline", "timeout"];
        if !mentions(&sizes) || (mentions(&others) && !mentions(&["split your request"])) {
            return None;
        }
        let about = match () {
            () if mentions(&["condition size"]) => About::Values,
            () if mentions(&["condition"]) => About::Choices,
            () => About::Size,
        };
        let numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
        Some(Self { about, numbers })
    }

    /// The largest number below what was asked for: whichever way it is put, that is the one which is allowed.
    fn largest_below(&self, asked: usize) -> Option<usize> {
        self.numbers.iter().copied().filter(|number| (1..asked).contains(number)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(message: &str) -> StoreError {
        StoreError::Failed { store: "s".into(), action: "write", message: message.into(), source: None }
    }

    /// The size after so many were refused in these words; `None` where they are not about it.
    fn after(asked: usize, about: About, message: &str) -> Option<usize> {
        let bound = Bound::none();
        bound.shrinks(asked, &failed(message), about).then(|| bound.of(usize::MAX))
    }

    #[test]
    fn the_number_that_is_allowed_is_read_however_it_is_put() {
        for (message, most) in [
            (
                "Bad request: Limit exceeded 128 > 100 for \"upsert limit\". Help: Reduce the \"upsert limit\" parameter to or below 100.",
                100,
            ),
            ("Wrong input: Limit exceeded 128 > 100 for \"upsert_max_batchsize\". Help: Reduce the upsert batch size.", 100),
            ("batch of 128 points is larger than the 50 that are allowed", 50),
            ("too many points (max 60)", 60),
            ("Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes", 64),
            ("Write rate limit exceeded, request larger than than rate limiter capacity, please try to split your request", 64),
            ("413 Payload Too Large", 64),
        ] {
            let read = after(128, About::Size, message);
            // A status is a number, too, above what was asked for or not.
            assert_eq!(read, Some(most), "{message}");
            assert_eq!(after(128, About::Values, message), None, "{message}");
        }
        assert_eq!(after(1, About::Size, "Limit exceeded 1 > 0"), None, "there is nothing smaller");
        for other in
            ["Max points count limit of 100 reached!", "Not found: Collection", "Write rate limit exceeded, retry later"]
        {
            assert_eq!(after(128, About::Size, other), None, "{other}");
        }
    }

    #[test]
    fn a_filter_has_bounds_of_its_own() {
        let size = "Bad request: Condition size limit reached (4 > 3). Help: Reduce the size of your condition.";
        assert_eq!((after(4, About::Values, size), after(4, About::Size, size)), (Some(3), None));
        let count =
            "Bad request: Filter condition limit reached (9 > 5). Help: Reduce the amount of conditions of your filter.";
        assert_eq!(after(8, About::Choices, count), Some(4), "the number is of conditions, and not of values");
    }

    #[test]
    fn it_ends_whatever_is_told() {
        let bound = Bound::none();
        let mut asked = 1_000_000;
        let mut refusals = 0;
        while bound.shrinks(asked, &failed(&format!("limit exceeded, {} are allowed", asked - 1)), About::Size) {
            asked = bound.of(asked);
            refusals += 1;
        }
        assert!(refusals <= 4 + 20, "{refusals}");
    }
}
