//! What all routes share.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::answers::Answers;
use super::draining::Drains;
use super::history::History;
use super::jobs::Jobs;
use super::map::Maps;
use super::metrics::Metrics;
use super::pipelines::Pipelines;
use super::scope::Scopes;
use super::slots::Slots;

/// The socket in the home folder by which this user's commands find the service.
pub const SOCKET: &str = "serve.sock";

/// Answers that are written at once, and questions that wait for their turn.
const ANSWERS: (usize, usize) = (64, 64);
/// Searches at once, and those that wait.
const SEARCHES: (usize, usize) = (16, 256);
/// Answers at once to this user's own commands, and those that wait: a batch takes no place from those who ask over the network.
const COMMANDS: (usize, usize) = (512, 512);
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all routes share.
pub(super) struct Service {
    pub(super) pipelines: Arc<Pipelines>,
    pub(super) scopes: Scopes,
    pub(super) jobs: Arc<Jobs>,
    pub(super) access: Access,
    pub(super) answers: Arc<Slots>,
    /// Places of this user's own commands.
    pub(super) commands: Slots,
    /// Answers that outlive their connection for a while.
    pub(super) kept: Answers,
    /// Answers that are given up, and what they were reading.
    pub(super) drains: Drains,
    pub(super) searches: Arc<Slots>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) maps: Maps,
    /// What it did lately.
    pub(super) history: Mutex<History>,
    pub(super) started: Instant,
    pub(super) stopping: CancellationToken,
    /// Answers that still go on say that they end here, before their connections are cut.
    pub(super) ending: CancellationToken,
    /// Whether agents may begin ingests.
    pub(super) agents_ingest: bool,
}

impl Service {
    pub(super) fn new(pipelines: Pipelines, access: Access, agents_ingest: bool) -> Self {
        let (pipelines, jobs) = (Arc::new(pipelines), Arc::new(Jobs::default()));
        let answers = Arc::new(Slots::new(ANSWERS, PATIENCE));
        let searches = Arc::new(Slots::new(SEARCHES, PATIENCE));
        let metrics = Metrics::new(Arc::clone(&pipelines), Arc::clone(&jobs), Arc::clone(&answers), Arc::clone(&searches));
        let metrics = Arc::new(metrics);
        Self {
            scopes: Scopes::new(Arc::clone(&pipelines), Arc::clone(&metrics)),
            pipelines,
            jobs,
            access,
            answers,
            commands: Slots::new(COMMANDS, PATIENCE),
            kept: Answers::default(),
            drains: Drains::default(),
            searches,
            metrics,
            maps: Maps::default(),
            history: Mutex::default(),
            started: Instant::now(),
            stopping: CancellationToken::new(),
            ending: CancellationToken::new(),
            agents_ingest,
        }
    }
}
