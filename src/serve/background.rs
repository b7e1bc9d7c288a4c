//! Threads for ingests, which yield to those that answer: a search beside an ingest takes about as long as one alone.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::priority;

/// A runtime of its own, whose threads yield. Where there can be none, ingests run beside the rest.
#[derive(Debug)]
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) fn new() -> Self {
        let built = Builder::new_multi_thread().thread_name("ingest").enable_all().on_thread_start(priority::yields).build();
        Self(built.inspect_err(|error| tracing::warn!(%error, "ingests have no threads of their own")).ok())
    }

    /// What spawns on them.
    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It has ended, or is cut: nothing is waited for, as this may be a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}
