//! A host of the site.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::access::{Access, RobotsFile};
use super::super::pace::Pace;
use super::super::variant::Variants;

/// A host of the site, and how it is doing.
pub(super) struct Host {
    pub(super) access: Access,
    /// What that is read from.
    pub(super) robots: RobotsFile,
    pub(super) pace: Arc<Pace>,
    /// Visits that are under way.
    pub(super) flying: usize,
    /// Pages in a row that it could not give.
    pub(super) failures: u32,
    /// Why nothing more is asked of it.
    pub(super) dead: Option<String>,
    /// Cancelled with that: visits that still wait for their turn would wait for nothing.
    pub(super) given_up: CancellationToken,
    /// What it answers where there is nothing, if that is no 404: the blocks of that page.
    pub(super) not_found: Option<Vec<u64>>,
    /// It has been asked for a page that it cannot have.
    pub(super) probed: bool,
    pub(super) variants: Variants,
    /// What its llms.txt names, until it is looked at.
    pub(super) llms: Vec<Url>,
}
