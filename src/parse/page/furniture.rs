//! What stands on so many pages of a site that it belongs to the site and not to the pages.

use std::collections::HashMap;

/// Signatures that are counted at once.
const MAX_COUNTED: usize = 100_000;
/// Signatures that are written down, the most frequent ones.
const MAX_KEPT: usize = 20_000;
/// Pages before which nothing can be said.
const ENOUGH_PAGES: u32 = 10;
/// Pages that a block has to stand on.
const ENOUGH_TIMES: u32 = 5;
/// Of ten pages, on more than so many.
const OF_TEN: u64 = 3;
/// The form of what [`Furniture::to_bytes`] writes.
const FORM: u8 = 1;
const BYTES_OF_HEAD: usize = 9;
const BYTES_OF_ONE: usize = 12;

/// On how many pages of a site each block of text stands, by the signatures in [`super::PageScan::blocks`].
///
/// Memory is bounded however many pages there are: what was seen least is forgotten (lossy counting, Manku and Motwani 2002), so
/// that a count may be short by a few; never one by which something would be furniture that is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Furniture {
    pages: u32,
    /// What was forgotten had been seen so often at most.
    forgotten: u32,
    counts: HashMap<u64, u32>,
}

impl Furniture {
    /// Counts a page that has these blocks, each named once.
    pub fn add(&mut self, blocks: &[u64]) {
        self.pages = self.pages.saturating_add(1);
        for &block in blocks {
            let count = self.counts.entry(block).or_default();
            *count = count.saturating_add(1);
        }
        while self.counts.len() > MAX_COUNTED {
            self.forgotten = self.forgotten.saturating_add(1);
            let least = self.forgotten;
            self.counts.retain(|_, count| *count > least);
        }
    }

    /// Whether a block stands on more than three of ten pages. Nothing does before ten pages were counted.
    pub fn is_furniture(&self, block: u64) -> bool {
        let count = self.counts.get(&block).copied().unwrap_or_default();
        self.pages >= ENOUGH_PAGES && count >= ENOUGH_TIMES && u64::from(count) * 10 > u64::from(self.pages) * OF_TEN
    }

    /// The blocks that are furniture, in no order: what to ask while a page is read.
    pub fn blocks(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.keys().copied().filter(|&block| self.is_furniture(block))
    }

    /// Pages that were counted.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// All of it but what was seen once, in at most 240 KB.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut kept: Vec<(u32, u64)> =
            self.counts.iter().filter(|(_, count)| **count > 1).map(|(block, count)| (*count, *block)).collect();
        kept.sort_unstable_by(|a, b| b.cmp(a));
        kept.truncate(MAX_KEPT);
        let mut bytes = Vec::with_capacity(BYTES_OF_HEAD + kept.len() * BYTES_OF_ONE);
        bytes.push(FORM);
        bytes.extend(self.pages.to_le_bytes());
        bytes.extend(self.forgotten.to_le_bytes());
        for (count, block) in kept {
            bytes.extend(block.to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes
    }

    /// What [`Self::to_bytes`] wrote; `None` for anything else, such as what another version wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (pages, rest) = rest.split_first_chunk()?;
        let (forgotten, rest) = rest.split_first_chunk()?;
        let (all, left) = rest.as_chunks::<BYTES_OF_ONE>();
        if *form != FORM || !left.is_empty() || all.len() > MAX_KEPT {
            return None;
        }
        let one = |bytes: &[u8; BYTES_OF_ONE]| {
            let (block, count) = bytes.split_first_chunk()?;
            Some((u64::from_le_bytes(*block), u32::from_le_bytes(*count.first_chunk()?)))
        };
        let counts = all.iter().filter_map(one).collect();
        Some(Self { pages: u32::from_le_bytes(*pages), forgotten: u32::from_le_bytes(*forgotten), counts })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A site in which block 1 is on each page and block 2 on each third; the others are on one.
    fn site(pages: u64) -> Furniture {
        let mut furniture = Furniture::default();
        for page in 0..pages {
            let mut blocks = vec![1, 100 + page, 1_000_000 + page];
            blocks.extend((page % 3 == 0).then_some(2));
            furniture.add(&blocks);
        }
        furniture
    }

    #[test]
    fn what_stands_on_a_third_of_the_pages_is_furniture() {
        assert!(!site(9).is_furniture(1), "too few to tell");
        let furniture = site(100);
        assert!(furniture.is_furniture(1) && furniture.is_furniture(2) && !furniture.is_furniture(100));
        assert!(!site(12).is_furniture(2), "four times is not enough");
        let mut all: Vec<u64> = furniture.blocks().collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    }

    #[test]
    fn memory_is_bounded_and_nothing_frequent_is_forgotten() {
        let mut furniture = Furniture::default();
        for page in 0..3000u64 {
            let mut blocks: Vec<u64> = (0..100).map(|n| 1000 + page * 100 + n).collect();
            blocks.push(1);
            furniture.add(&blocks);
        }
        assert!(furniture.counts.len() <= MAX_COUNTED);
        assert!(furniture.is_furniture(1) && furniture.blocks().count() == 1);
        assert_eq!(furniture.counts.get(&1), Some(&3000));
    }

    #[test]
    fn it_is_written_down_and_read_again() {
        let furniture = site(100);
        let bytes = furniture.to_bytes();
        let read = Furniture::from_bytes(&bytes).unwrap();
        assert_eq!(read.counts, HashMap::from([(1, 100), (2, 34)]), "what is seen once is not kept");
        assert_eq!((read.pages(), read.to_bytes()), (100, bytes));
        assert_eq!(Furniture::from_bytes(&Furniture::default().to_bytes()), Some(Furniture::default()));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), form in any::<bool>()) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut().filter(|_| form) {
                *first = FORM;
            }
            if let Some(read) = Furniture::from_bytes(&bytes) {
                prop_assert!(Furniture::from_bytes(&read.to_bytes()).is_some());
            }
        }
    }
}
