//! Rows on their way from a database.

use tokio::sync::mpsc;

use super::cell::{Cell, Row};

/// Rows that travel together, and their bytes, at most.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait.
const WAITING: usize = 4;

/// Where a statement's rows go. Whoever has enough drops the receiver.
#[derive(Debug)]
pub(super) struct Rows {
    sender: mpsc::Sender<Vec<Row>>,
    batch: Vec<Row>,
    bytes: usize,
}

/// A way for rows.
pub(super) fn rows() -> (Rows, mpsc::Receiver<Vec<Row>>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Rows { sender, batch: Vec::new(), bytes: 0 }, receiver)
}

/// All rows of a statement that has few.
pub(super) async fn gathered(mut coming: mpsc::Receiver<Vec<Row>>) -> Vec<Row> {
    let mut all = Vec::new();
    while let Some(rows) = coming.recv().await {
        all.extend(rows);
    }
    all
}

impl Rows {
    /// Adds a row; a batch that is to go, if it is full.
    fn add(&mut self, row: Row) -> Option<Vec<Row>> {
        self.bytes += row.iter().map(Cell::len).sum::<usize>();
        self.batch.push(row);
        (self.batch.len() == BATCH || self.bytes >= BATCH_BYTES).then(|| {
            self.bytes = 0;
            std::mem::take(&mut self.batch)
        })
    }

    /// Sends a row; false: nobody wants more.
    pub async fn push(&mut self, row: Row) -> bool {
        match self.add(row) {
            Some(batch) => self.sender.send(batch).await.is_ok(),
            None => true,
        }
    }

    /// [`Self::push`], on a thread that may block.
    pub fn push_blocking(&mut self, row: Row) -> bool {
        match self.add(row) {
            Some(batch) => self.sender.blocking_send(batch).is_ok(),
            None => true,
        }
    }

    /// Sends the rest. Where the statement failed there is no rest.
    pub async fn finish(self) {
        if !self.batch.is_empty() {
            // Nobody wants them: so be it.
            let _ = self.sender.send(self.batch).await;
        }
    }

    /// [`Self::finish`], on a thread that may block.
    pub fn finish_blocking(self) {
        if !self.batch.is_empty() {
            let _ = self.sender.blocking_send(self.batch);
        }
    }
}
