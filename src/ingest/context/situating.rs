//! What says where chunks stand.

use std::sync::Arc;

use super::setting::Setting;
use crate::limits::{Allowed, Limits};
use crate::providers::ChatModel;

/// What says where chunks stand, and what is known of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Situating {
    /// Asked one after the other until one answers; the first is the one that contexts are known by.
    pub models: Vec<Arc<dyn ChatModel>>,
    /// Tokens of a document that a model is shown, at most.
    pub window: usize,
    /// The quota of the first model's provider, as declared.
    pub limits: Limits,
    /// As of when its price is known; `None` where the pipeline says it.
    pub prices_as_of: Option<&'static str>,
    /// What its provider allows, as far as that is known by now.
    pub allowed: Option<Arc<dyn Fn() -> Allowed + Send + Sync>>,
}

impl Situating {
    /// By these models, with nothing known of them.
    pub fn new(models: Vec<Arc<dyn ChatModel>>, window: usize) -> Self {
        Self { models, window, limits: Limits::default(), prices_as_of: None, allowed: None }
    }

    /// The name of the model that contexts are known by.
    pub(in crate::ingest) fn model(&self) -> &str {
        self.models.first().map_or("", |model| model.model())
    }

    pub(in crate::ingest) fn setting(&self) -> Setting {
        Setting::new(self.model(), self.window)
    }
}

impl std::fmt::Debug for Situating {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Situating").field("models", &self.models).field("window", &self.window).finish_non_exhaustive()
    }
}
