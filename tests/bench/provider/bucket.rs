//! A quota as a server keeps it.

use std::time::Instant;

/// A quota as a server keeps it: a bucket that refills all the time.
#[derive(Debug)]
pub struct Bucket {
    pub limit: u64,
    pub capacity: f64,
    pub level: f64,
    filled_at: Instant,
}

impl Bucket {
    pub fn new(limit: u64, burst_s: u64) -> Self {
        let capacity = (limit as f64 / 60.0 * burst_s as f64).max(1.0);
        Self { limit, capacity, level: capacity, filled_at: Instant::now() }
    }

    pub fn rate(&self) -> f64 {
        self.limit as f64 / 60.0
    }

    pub fn refill(&mut self) {
        let now = Instant::now();
        self.level = (self.level + (now - self.filled_at).as_secs_f64() * self.rate()).min(self.capacity);
        self.filled_at = now;
    }

    /// Seconds until the bucket holds this much; 0 when it does.
    pub fn wait(&self, amount: u64) -> f64 {
        ((amount as f64 - self.level) / self.rate()).max(0.0)
    }
}
