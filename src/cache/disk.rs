//! The way to the file: who asks waits for an answer, and one task reads and writes for all, off the runtime.

use std::path::PathBuf;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::file::CacheFile;
use super::key::{Key, Vector};
use super::tier::Tier;

/// Keys that are looked up in one go: those that were asked for while the last ones were looked up.
const ROUND: usize = 512;
/// Answers of providers that may wait to be written.
const PUTS: usize = 4;

type Get = (Key, oneshot::Sender<Option<Vector>>);
type Put = (Vec<(Key, Vector)>, oneshot::Sender<()>);

/// See the module's page.
#[derive(Debug)]
pub(super) struct Disk {
    gets: mpsc::Sender<Get>,
    puts: mpsc::Sender<Put>,
    /// Ends with this value.
    _worker: AbortOnDropHandle<()>,
}

impl Disk {
    /// The file is opened when it is first needed.
    pub fn open(path: PathBuf, max_bytes: u64) -> Self {
        let (gets, wanted) = mpsc::channel(ROUND);
        let (puts, paid) = mpsc::channel(PUTS);
        let worker = tokio::spawn(serve(CacheFile::new(path, max_bytes), wanted, paid));
        Self { gets, puts, _worker: AbortOnDropHandle::new(worker) }
    }
}

#[async_trait]
impl Tier for Disk {
    async fn get(&self, key: Key) -> Option<Vector> {
        let (answer, vector) = oneshot::channel();
        self.gets.send((key, answer)).await.ok()?;
        vector.await.ok()?
    }

    /// Writes, in one transaction.
    async fn put(&self, paid: &[(Key, Vector)]) {
        let (answer, written) = oneshot::channel();
        if self.puts.send((paid.to_vec(), answer)).await.is_ok() {
            let _ = written.await;
        }
    }
}

/// Reads and writes in turn while both are asked for, so that neither waits for more than one round of the other.
async fn serve(mut file: CacheFile<Vector>, mut gets: mpsc::Receiver<Get>, mut puts: mpsc::Receiver<Put>) {
    loop {
        let mut wanted = Vec::new();
        let paid = tokio::select! {
            count = gets.recv_many(&mut wanted, ROUND) => if count == 0 { return } else { None },
            paid = puts.recv() => if paid.is_none() { return } else { paid },
        };
        let round = tokio::task::spawn_blocking(move || {
            if let Some((paid, answer)) = paid {
                file.put(&paid);
                let _ = answer.send(());
                // Only now: nobody needs to wait for it.
                file.trim(&paid);
            } else {
                let (keys, answers): (Vec<Key>, Vec<_>) = wanted.into_iter().unzip();
                for (answer, vector) in answers.into_iter().zip(file.get(&keys)) {
                    let _ = answer.send(vector);
                }
                file.touch();
            }
            file
        });
        match round.await {
            Ok(served) => file = served,
            // With the task end the channels: from now on everything is a miss.
            Err(error) => return tracing::warn!(%error, "the embedding cache broke; going on without it"),
        }
    }
}
