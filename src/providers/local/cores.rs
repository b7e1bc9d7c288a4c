//! One thread a core for all that models compute.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::failure::{PROVIDER, off_the_runtime};
use super::sequence::Sequence;
use crate::providers::{ErrorKind, ProviderError};

/// Tokens that are computed together, about: enough to keep the products busy, few enough for their operands to stay in the cache.
pub(super) const GROUP_TOKENS: usize = 512;

/// A permit for each core: however many calls are in flight, no more than this many threads compute.
#[derive(Debug, Clone)]
pub(super) struct Cores(Arc<Semaphore>);

impl Cores {
    pub(super) fn all() -> Self {
        Self(Arc::new(Semaphore::new(count())))
    }

    /// Runs work on the blocking pool, once a core is free.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ProviderError> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|e| ProviderError {
            source: Some(Box::new(e)),
            ..ProviderError::new(PROVIDER, ErrorKind::Unavailable, "the model is shutting down")
        })?;
        off_the_runtime(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _permit = permit;
            work()
        })
        .await
    }
}

pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Splits lists of tokens, in order, into groups of about the same number of tokens, [`GROUP_TOKENS`] or a little more at most, and
/// where there are enough lists, as many groups for each core.
pub(super) fn group<S: Sequence>(lists: Vec<S>, cores: usize) -> Vec<Vec<S>> {
    let total: usize = lists.iter().map(|list| list.ids().len()).sum();
    let count = total.div_ceil(GROUP_TOKENS).max(1).next_multiple_of(cores.max(1));
    let size = total.div_ceil(count);
    let mut groups = Vec::new();
    let mut current = Vec::new();
    let mut filled = 0;
    for list in lists {
        filled += list.ids().len();
        current.push(list);
        if filled >= size {
            groups.push(std::mem::take(&mut current));
            filled = 0;
        }
    }
    if !current.is_empty() {
        groups.push(current);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The longest list of the tests.
    const LONGEST: usize = 512;

    proptest! {
        #[test]
        fn groups_keep_every_list_in_order(lengths in prop::collection::vec(1_usize..=LONGEST, 0..60), cores in 1_usize..9) {
            let lists: Vec<Vec<u32>> = (0_u32..).zip(&lengths).map(|(i, n)| vec![i; *n]).collect();
            let groups = group(lists.clone(), cores);
            for one in &groups {
                prop_assert!(!one.is_empty());
                prop_assert!(one.iter().map(Vec::len).sum::<usize>() < GROUP_TOKENS + LONGEST);
            }
            prop_assert_eq!(groups.concat(), lists);
        }
    }

    #[test]
    fn a_small_batch_is_spread_over_the_cores() {
        assert_eq!(group(vec![vec![0; 10]; 8], 4).len(), 4);
        assert_eq!(group(vec![vec![0; 100]; 11], 2).len(), 4);
    }
}
