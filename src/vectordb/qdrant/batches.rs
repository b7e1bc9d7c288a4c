//! What is written at once.

use crate::document::Passage;

/// Points in one request, at most.
pub(super) const BATCH_POINTS: usize = 256;
/// Bytes in one request, about: proxies in front of a server often stop at 4 MiB or more.
pub(super) const BATCH_BYTES: usize = 3 << 20;

/// About what a passage takes on the wire.
pub(super) fn passage_bytes(passage: &Passage) -> usize {
    let headings = passage.headings.iter().chain(&passage.columns).map(String::len).sum::<usize>();
    128 + passage.uri.len() + passage.title.as_ref().map_or(0, String::len) + headings + passage.text.len()
}

/// Cuts a list into batches of at most [`BATCH_POINTS`] items and about [`BATCH_BYTES`] bytes. An item that is bigger on its own
/// goes on its own.
pub(super) fn batches<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut held = 0;
    for item in items {
        let size = bytes(&item);
        if !batch.is_empty() && (batch.len() == BATCH_POINTS || held + size > BATCH_BYTES) {
            batches.push(std::mem::take(&mut batch));
            held = 0;
        }
        held += size;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_to_both_limits_and_lose_nothing() {
        let sizes = |items: Vec<usize>| batches(items, |n| *n).into_iter().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(sizes(vec![]), Vec::<usize>::new());
        assert_eq!(sizes(vec![1; 600]), [256, 256, 88]);
        assert_eq!(sizes(vec![BATCH_BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(sizes(vec![1, BATCH_BYTES * 2, 1]), [1, 1, 1]);
    }
}
