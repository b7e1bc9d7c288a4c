//! Nothing is sent: this program was built without the feature `otel`.

use tokio::runtime::Handle;

use super::output::{Layers, Output};
use crate::telemetry::Reading;

/// Reads nothing.
#[must_use]
pub(in crate::cli) struct Watching;

/// Sends nothing.
#[derive(Debug)]
pub(super) struct Telemetry;

impl Telemetry {
    pub fn start(_: &Handle) -> (Self, Layers) {
        (Self, Vec::new())
    }

    #[expect(clippy::unused_self, reason = "the same face as where the feature is")]
    pub fn complain(&self) {}

    #[expect(clippy::unused_self, reason = "the same face as where the feature is")]
    pub fn watch(&self, _: impl Fn() -> Vec<Reading> + Send + Sync + 'static) -> Watching {
        Watching
    }

    pub fn finish(self, _: &Output) {}
}
