//! Which contents are gone by name alone: told of two lists in bounded room.

use std::collections::{HashMap, HashSet};

/// Contents that are kept of each list, by their hashes. Of more, a sample is: as many again are left out until these are enough.
const MOST: usize = 1 << 16;

/// Contents that are there under some name, and such as are gone with theirs. Up to [`MOST`] of each are all looked at; of more those
/// whose hashes end with enough zeros, which says within one percent how many there are.
#[derive(Debug, Clone, Default)]
pub struct Moved {
    /// Zeros that a hash has to end with.
    zeros: u32,
    there: HashSet<[u8; 32]>,
    /// Of how many names.
    gone: HashMap<[u8; 32], u64>,
}

impl Moved {
    /// A content is there.
    pub fn there(&mut self, hash: [u8; 32]) {
        if ends_with(&hash, self.zeros) {
            self.there.insert(hash);
            self.bound();
        }
    }

    /// A name is gone that had this content.
    pub fn gone(&mut self, hash: [u8; 32]) {
        if ends_with(&hash, self.zeros) {
            *self.gone.entry(hash).or_default() += 1;
            self.bound();
        }
    }

    /// How many names are gone whose content is there.
    pub fn count(&self) -> u64 {
        let moved: u64 = self.gone.iter().filter(|(hash, _)| self.there.contains(*hash)).map(|(_, names)| names).sum();
        moved << self.zeros
    }

    fn bound(&mut self) {
        while self.there.len().max(self.gone.len()) > MOST {
            self.zeros += 1;
            self.there.retain(|hash| ends_with(hash, self.zeros));
            self.gone.retain(|hash, _| ends_with(hash, self.zeros));
        }
    }
}

fn ends_with(hash: &[u8; 32], zeros: u32) -> bool {
    let [.., a, b, c, d] = *hash;
    u32::from_be_bytes([a, b, c, d]).trailing_zeros() >= zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> [u8; 32] {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    #[test]
    fn names_are_counted_whose_content_is_elsewhere() {
        let mut moved = Moved::default();
        (0..10).map(hash).for_each(|hash| moved.there(hash));
        (5..20).chain([7, 7]).map(hash).for_each(|hash| moved.gone(hash));
        assert_eq!(moved.count(), 5 + 2);
    }

    #[test]
    fn of_many_a_sample_says_it_nearly_and_takes_bounded_room() {
        let mut moved = Moved::default();
        for n in 0..600_000 {
            moved.there(hash(n));
            moved.gone(hash(n + 300_000));
        }
        assert!(moved.there.len() <= MOST && moved.gone.len() <= MOST, "{} {}", moved.there.len(), moved.gone.len());
        assert!(moved.count().abs_diff(300_000) < 6_000, "{}", moved.count());
        // A content under any number of names takes the room of one.
        (0..300_000).for_each(|_| moved.gone([0; 32]));
        assert!(moved.gone.len() <= MOST);
    }
}
