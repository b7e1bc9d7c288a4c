//! How much text and how many vectors may be under way.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Text and vectors on the way, in KiB: documents wait to be fetched while this much is under way.
const BUDGET_KIB: u32 = 48 * 1024;

/// A document's share of the budget, given back when it is dropped.
pub(super) type Share = OwnedSemaphorePermit;

/// The bytes that may be under way, as permits of a KiB.
#[derive(Debug)]
pub(super) struct MemoryBudget(Arc<Semaphore>);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB as usize)))
    }
}

impl MemoryBudget {
    /// Waits until documents of these sizes, in bytes, may be under way; their shares, one each. For all of them at once: who holds
    /// some and waits for more may wait for ever. What is larger than the budget takes all of it, and travels alone.
    #[expect(clippy::expect_used, reason = "each says why it cannot be")]
    pub async fn reserve(&self, sizes: impl Iterator<Item = u64> + Clone + Send) -> Vec<Share> {
        let wanted: u64 = sizes.clone().map(|bytes| u64::from(permits(bytes))).sum();
        let wanted = wanted.min(u64::from(BUDGET_KIB)) as u32;
        let mut whole = Arc::clone(&self.0).acquire_many_owned(wanted).await.expect("the semaphore is never closed");
        let share = |bytes| {
            let share = (permits(bytes) as usize).min(whole.num_permits());
            whole.split(share).expect("no more than there is")
        };
        sizes.map(share).collect()
    }
}

/// Permits for a document of this size.
fn permits(bytes: u64) -> u32 {
    // What is fetched is also parsed, cut and embedded: the text, its tokens and its chunks weigh about three times as much.
    (bytes.saturating_mul(3) / 1024 + 1).min(u64::from(BUDGET_KIB)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_come_together_and_return() {
        let budget = MemoryBudget::default();
        let shares = budget.reserve([100, 10 << 20, u64::MAX].into_iter()).await;
        assert_eq!(shares.iter().map(Share::num_permits).collect::<Vec<_>>(), [1, 30 * 1024 + 1, 18 * 1024 - 2]);
        assert_eq!(budget.0.available_permits(), 0, "more than there is takes all there is");
        drop(shares);
        assert_eq!(budget.0.available_permits(), BUDGET_KIB as usize);
    }
}
