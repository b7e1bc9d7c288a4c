//! The service: everything that the commands do, over HTTP.
//!
//! ```text
//!  connections ─▶ [listen] ─▶ [guard] ─▶ a route ─▶ [pipelines] ─▶ an answerer ─▶ events as JSON lines or server-sent events
//!                 timers,     Host,       /api, /v1     reloaded      │
//!                 caps,       Origin,     the page      when their    └─▶ [jobs]: an ingest lives longer than its request
//!                 drain       token                     file changes     ([job]), on threads that yield
//! ```
//!
//! `/mcp` says it in the words of the Model Context Protocol, which is spoken over stdin and stdout, too ([`serve_agent`]).
//!
//! What is answered here is what the commands print with `--json`, from the same types ([`crate::answer::wire`],
//! [`crate::ingest::wire`]); `/v1` says it in the words of `OpenAI`'s API.
//!
//! Invariants:
//! - An answer lives in its response: when the client leaves, it is dropped, and with it the request upstream; one that was asked
//!   for with an id is dropped when nobody has come back to it for three seconds ([answers]). An ingest does not.
//! - Connections, bodies, answers at once, those that wait for their turn, jobs and what is kept of them: all have a bound.
//! - Without a token nobody but this machine is heard, and no page of another origin.

mod access;
mod answering;
mod answers;
mod api;
mod background;
mod blocks;
mod draining;
mod error;
mod fault;
mod guard;
mod history;
pub(crate) mod identity;
mod job;
mod jobs;
mod listen;
pub(crate) mod local;
mod map;
mod markdown;
mod mcp;
mod metrics;
mod page;
mod peer;
mod pipelines;
mod rendering;
mod router;
mod sampler;
mod scope;
mod service;
mod slots;
mod sse;
mod tokens;
mod traced;
mod v1;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use self::access::Access;
pub use self::error::ServeError;
use self::pipelines::Pipelines;
pub use self::service::SOCKET;
use self::service::Service;
pub use self::tokens::{Token, TokenFile};
use crate::runtime::Settings;
use crate::telemetry::Reading;

/// The address where none is said.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7171);

/// What a service is told.
#[derive(Debug)]
pub struct ServeOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Pipeline files; none: the one without a file.
    pub pipelines: Vec<PathBuf>,
    /// Who is heard.
    pub access: Access,
    /// Agents may begin ingests, too.
    pub allow_ingest: bool,
    /// Where index, ledger and cache are kept.
    pub settings: Settings,
}

/// What an agent's server on stdin and stdout is told.
#[derive(Debug)]
pub struct McpOptions {
    /// Pipeline files; none: the one without a file.
    pub pipelines: Vec<PathBuf>,
    /// The agent may begin ingests.
    pub allow_ingest: bool,
    /// Where index, ledger and cache are kept.
    pub settings: Settings,
}

/// Answers an agent over stdin and stdout, until it leaves or `stop` is cancelled. Nothing else may be written to stdout meanwhile.
///
/// # Errors
/// When a pipeline is not valid or two have one name, or what comes is no such protocol.
pub async fn serve_agent(options: McpOptions, stop: CancellationToken) -> Result<(), ServeError> {
    let McpOptions { pipelines, allow_ingest, settings } = options;
    let pipelines = Pipelines::load(&pipelines, &settings)?;
    let service = Arc::new(Service::new(pipelines, Access::default(), allow_ingest));
    let reloading = tokio::spawn(pipelines::watch(Arc::clone(&service.pipelines), stop.clone()));
    let served = mcp::serve(service, stop).await;
    reloading.abort();
    served
}

/// A service that listens.
pub struct Server {
    service: Arc<Service>,
    listener: listen::Listener,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads the pipelines and begins to listen. Nothing is answered before [`Self::run`].
    ///
    /// # Errors
    /// When a pipeline is not valid, two have one name, the address is not to be had, or only a token would make it safe.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServeError> {
        let ServeOptions { listen, pipelines, access, allow_ingest, settings } = options;
        access.check(listen)?;
        let pipelines = Pipelines::load(&pipelines, &settings)?;
        let listener = listen::Listener::bind(listen, &settings.home).await?;
        let service = Service::new(pipelines, access, allow_ingest);
        Ok(Self { service: Arc::new(service), listener })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The names of the pipelines that it serves.
    pub fn pipelines(&self) -> Vec<String> {
        self.service.pipelines.names()
    }

    /// What is counted, read as it is then: the counters and gauges of `GET /metrics`.
    pub fn readings(&self) -> impl Fn() -> Vec<Reading> + Send + Sync + use<> {
        let metrics = Arc::clone(&self.service.metrics);
        move || metrics.readings()
    }

    /// Answers until `stop` is cancelled; then nothing new is taken, answers and ingests have a while to end, and what is left is cut.
    ///
    /// # Errors
    /// When it can listen no longer.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        let Self { service, listener } = self;
        let reloading = tokio::spawn(pipelines::watch(Arc::clone(&service.pipelines), stop.clone()));
        let tokens = service.access.token_file.clone().map(|file| tokio::spawn(tokens::watch(file, stop.clone())));
        let looking = tokio::spawn(sampler::keep(Arc::clone(&service), stop.clone()));
        let router = router::router(Arc::clone(&service));
        let ran = listener.run(router, &service, stop).await;
        reloading.abort();
        looking.abort();
        if let Some(tokens) = tokens {
            tokens.abort();
        }
        ran
    }
}
