//! Sets of rows. Every point has a row of its own, a number that ascends with the time of writing and is never used again.

/// Rows in one chunk.
const CHUNK: usize = 1 << 15;
/// Words of a chunk.
const WORDS: usize = CHUNK / 64;

/// A set of rows, as one bit each, in chunks of 32,768 of which empty ones take next to nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSet {
    chunks: Vec<Option<Box<[u64; WORDS]>>>,
}

impl RowSet {
    /// The chunk in which a row's bit is.
    pub(super) fn chunk_of(row: i64) -> i64 {
        row.max(0) / CHUNK as i64
    }

    /// The rows of a chunk.
    pub(super) fn rows_of(chunk: i64) -> std::ops::Range<i64> {
        chunk * CHUNK as i64..(chunk + 1) * CHUNK as i64
    }

    /// Adds a row; negative ones are none. Whether it was not there yet.
    pub(super) fn insert(&mut self, row: i64) -> bool {
        let Some((chunk, word, bit)) = place(row) else { return false };
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        let Some(slot) = self.chunks.get_mut(chunk) else { return false };
        let words = slot.get_or_insert_with(|| Box::new([0; WORDS]));
        let Some(word) = words.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes a row out.
    pub(super) fn remove(&mut self, row: i64) {
        let Some((chunk, word, bit)) = place(row) else { return };
        if let Some(Some(words)) = self.chunks.get_mut(chunk)
            && let Some(word) = words.get_mut(word)
        {
            *word &= !bit;
        }
    }

    pub(super) fn contains(&self, row: i64) -> bool {
        let Some((chunk, word, bit)) = place(row) else { return false };
        self.chunks.get(chunk).and_then(Option::as_ref).and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// How many there are from `first` to `last`, both inclusive.
    pub(super) fn count(&self, first: i64, last: i64) -> u64 {
        (Self::chunk_of(first)..=Self::chunk_of(last))
            .map(|chunk| {
                let Some(Some(words)) = self.chunks.get(chunk as usize) else { return 0 };
                let rows = Self::rows_of(chunk);
                if first <= rows.start && rows.end <= last.saturating_add(1) {
                    return words.iter().map(|word| u64::from(word.count_ones())).sum();
                }
                (rows.start.max(first)..rows.end.min(last.saturating_add(1))).filter(|row| self.contains(*row)).count() as u64
            })
            .sum()
    }

    /// A chunk's bits, as they are kept; `None` when it is empty.
    pub(super) fn to_bytes(&self, chunk: i64) -> Option<Vec<u8>> {
        let words = self.chunks.get(usize::try_from(chunk).ok()?)?.as_ref()?;
        words.iter().any(|word| *word != 0).then(|| words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// Takes a chunk's bits from what was kept; `None` when that is not as long as a chunk.
    #[must_use]
    pub(super) fn set_bytes(&mut self, chunk: i64, bytes: &[u8]) -> Option<()> {
        let chunk = usize::try_from(chunk).ok()?;
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let words: Box<[u64; WORDS]> = words.into_boxed_slice().try_into().ok()?;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        *self.chunks.get_mut(chunk)? = Some(words);
        Some(())
    }
}

fn place(row: i64) -> Option<(usize, usize, u64)> {
    let row = usize::try_from(row).ok()?;
    Some((row / CHUNK, row % CHUNK / 64, 1 << (row % 64)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_rows_is_a_set(changes in prop::collection::vec((any::<bool>(), 0_i64..200_000), 0..200), from in 0_i64..200_000, to in 0_i64..200_000) {
            let (mut rows, mut model) = (RowSet::default(), BTreeSet::new());
            for (add, row) in changes {
                if add {
                    prop_assert_eq!(rows.insert(row), model.insert(row));
                } else {
                    rows.remove(row);
                    model.remove(&row);
                }
            }
            let (from, to) = (from.min(to), from.max(to));
            prop_assert_eq!(rows.count(from, to), model.range(from..=to).count() as u64);
            let mut read = RowSet::default();
            for chunk in 0..8 {
                let bytes = rows.to_bytes(chunk);
                prop_assert_eq!(bytes.is_some(), model.range(RowSet::rows_of(chunk)).next().is_some());
                if let Some(bytes) = bytes {
                    read.set_bytes(chunk, &bytes).unwrap();
                }
            }
            prop_assert!(model.iter().all(|row| read.contains(*row)));
            prop_assert_eq!(read.count(0, i64::from(u32::MAX)), model.len() as u64);
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let mut rows = RowSet::default();
        assert!(rows.set_bytes(0, &[0; 4095]).is_none() && rows.set_bytes(-1, &[0; 4096]).is_none());
        assert!(!rows.insert(-1) && !rows.contains(-1));
    }
}
