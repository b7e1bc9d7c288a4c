//! Threads for ingests, which yield to those that answer: a search beside an ingest takes about as long as one alone.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::TaskTracker;

use crate::priority;

/// A runtime of its own, whose threads yield. Where there can be none, ingests run beside the rest.
#[derive(Debug)]
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) fn new() -> Self {
        let built = Builder::new_multi_thread().thread_name("ingest").enable_all().on_thread_start(priority::yields).build();
        Self(built.inspect_err(|error| tracing::warn!(%error, "ingests have no threads of their own")).ok())
    }

    /// Runs it here, and counts it.
    pub(super) fn spawn(&self, tasks: &TaskTracker, task: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            Some(runtime) => drop(tasks.spawn_on(task, runtime.handle())),
            None => drop(tasks.spawn_on(task, &Handle::current())),
        }
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
