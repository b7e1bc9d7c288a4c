//! Addresses that are made without end: calendars, facets, answers to a comment. They have a shape in common and bring nothing new.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::links::shape;

/// Shapes that are watched at once.
const MAX_SHAPES: usize = 10_000;

/// Which shapes have brought nothing for so long that no more of them is fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Traps {
    patience: u32,
    shapes: HashMap<String, Seen>,
}

/// What pages of one shape have brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Seen {
    new: u32,
    barren: u32,
    /// Barren ones since the last new one.
    in_a_row: u32,
    stopped: bool,
}

impl Default for Traps {
    fn default() -> Self {
        Self::new(25)
    }
}

impl Traps {
    /// `patience`: pages of one shape that may bring nothing before it is stopped.
    pub(super) fn new(patience: u32) -> Self {
        Self { patience: patience.max(1), shapes: HashMap::new() }
    }

    /// Whether no more like this is to be fetched.
    pub(super) fn is_stopped(&self, url: &Url) -> bool {
        self.shapes.get(&shape(url)).is_some_and(|seen| seen.stopped)
    }

    /// Notes a page that was fetched. `new`: it is a document of its own, now or since an earlier run; not the same text as another
    /// address gave, and not nothing. Returns the shape that is stopped by it: so many in a row brought nothing, or four of five.
    pub(super) fn note(&mut self, url: &Url, new: bool) -> Option<String> {
        let shape = shape(url);
        if !self.shapes.contains_key(&shape) && self.shapes.len() >= MAX_SHAPES {
            // Those say nothing yet.
            self.shapes.retain(|_, seen| seen.stopped || seen.in_a_row > 0);
            if self.shapes.len() >= MAX_SHAPES {
                return None;
            }
        }
        let patience = self.patience;
        let seen = self.shapes.entry(shape.clone()).or_default();
        if new {
            seen.new = seen.new.saturating_add(1);
            seen.in_a_row = 0;
        } else {
            seen.barren = seen.barren.saturating_add(1);
            seen.in_a_row = seen.in_a_row.saturating_add(1);
        }
        let enough = seen.in_a_row >= patience || (seen.barren >= patience && seen.barren / 4 >= seen.new);
        let first = enough && !seen.stopped;
        seen.stopped |= enough;
        first.then_some(shape)
    }

    /// The shapes that are stopped, in order.
    pub(super) fn stopped(&self) -> Vec<&str> {
        let mut stopped: Vec<&str> =
            self.shapes.iter().filter(|(_, seen)| seen.stopped).map(|(shape, _)| shape.as_str()).collect();
        stopped.sort_unstable();
        stopped
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    fn at(text: &str) -> Url {
        Url::parse("https://a.example").unwrap().join(text).unwrap()
    }

    #[test]
    fn a_shape_that_brings_nothing_is_stopped_and_named_once() {
        let mut traps = Traps::new(3);
        let stopped: Vec<Option<String>> = (0..5).map(|n| traps.note(&at(&format!("/a?replytocom={n}")), false)).collect();
        let name = "https://a.example/a?replytocom";
        assert_eq!(stopped, [None, None, Some(name.to_owned()), None, None]);
        assert!(
            traps.is_stopped(&at("/a?replytocom=99"))
                && !traps.is_stopped(&at("/a"))
                && !traps.is_stopped(&at("/b?replytocom=1"))
        );
        assert_eq!(traps.stopped(), [name]);
        let kept: Traps = serde_json::from_str(&serde_json::to_string(&traps).unwrap()).unwrap();
        assert_eq!(kept, traps);
    }

    #[test]
    fn a_shape_with_pages_of_its_own_goes_on() {
        let mut traps = Traps::new(3);
        let page = |n: u32| at(&format!("/news/{n}"));
        assert!((0..1000).all(|n| traps.note(&page(n), n % 3 == 0).is_none()), "one of three is new");
        assert!((0..3).any(|n| traps.note(&page(n), false).is_some()), "and then none is");
        let mut sparse = Traps::new(5);
        assert!((0..100).any(|n| sparse.note(&page(n), n % 5 == 0).is_some()), "one of five is new");
    }

    #[test]
    fn memory_is_bounded_and_what_is_stopped_stays_so() {
        let mut traps = Traps::new(1);
        traps.note(&at("/trap/1"), false);
        let word = |n: u32| n.to_string().bytes().map(|digit| char::from(digit + b'k' - b'0')).collect::<String>();
        for n in 0..25_000 {
            traps.note(&at(&word(n)), true);
        }
        assert!(traps.shapes.len() <= MAX_SHAPES && traps.is_stopped(&at("/trap/2")));
        for n in 0..12_000 {
            traps.note(&at(&format!("/other/{}", word(n))), false);
        }
        assert!(traps.shapes.len() <= MAX_SHAPES && traps.is_stopped(&at("/trap/2")));
    }
}
