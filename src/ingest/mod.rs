//! Ingest: from sources to an index, as one stream.
//!
//! ```text
//!  coordinator             worker
//!  list ─▶ compare ─queue─▶ fetch ─▶ parse ─▶ chunk ─▶ (context) ─▶ embed ─▶ store ─▶ finish
//!  items   versions         bodies   text     chunks   where       vectors  points   stale ones deleted, committed
//!             │                        │         │     they stand                        ▲
//!             │                        │         └── no chunk is new ────────────────────┘
//!             │                        └── the same content: committed under its new version
//!             └── the same version: nothing more to do
//!  then: what is gone is removed, and ledger and store get a new generation (seal)
//! ```
//!
//! An item is compared three times, each time with less to go by and more to gain: its version where it is listed, which costs no
//! body; its content where it is parsed, which costs no parsing; its chunks where it is cut, which costs no embedding.
//!
//! Every stage pulls from the one before it, so that the slowest sets the pace and nothing piles up: what is under way is
//! bounded in items by each stage's concurrency and in bytes by the memory budget.
//!
//! Invariant: a document is committed after the store has acknowledged its new chunks and its stale ones are deleted.
//! Invariant: what may be written or deleted is recorded before it is (see [`ledger`]).
//! Invariant: the ledger is trusted only where it and the store bear the same generation, which a run gives to both at its
//! end. Otherwise (a kill, a wiped or restored store, a lost ledger, another home) the store is looked through first.
//! Absent on purpose: errors as stream items. One bad document is counted and recorded where it fails; what must end the
//! run goes to `Run::abort`, which lets everything in flight finish.

mod batching;
mod blame;
pub mod breaker;
mod claims;
pub mod clocks;
pub mod context;
pub mod coordination;
mod coordinator;
pub mod copy;
mod counters;
mod diff;
pub mod embed;
mod forecast;
pub mod ledger;
pub mod limit;
mod memory;
mod open;
mod point;
mod prune;
mod queue;
mod quotas;
mod reconcile;
pub mod report;
mod run;
mod setup;
mod stage;
mod summary;
mod taken;
mod together;
mod told;
pub mod whatif;
pub mod wire;
mod worker;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use self::batching::Batching;
pub use self::forecast::{Forecast, ForecastChange, ForecastChunks, ForecastContexts, forecast};
#[cfg(feature = "postgres")]
pub(crate) use self::open::make;
use self::open::{Opened, open};
pub(crate) use self::point::sparse_vector;
#[cfg(feature = "postgres")]
pub(crate) use self::reconcile::new_generation;
use self::report::{IngestSummary, Report};
pub(crate) use self::run::begun;
#[cfg(feature = "serve")]
pub(crate) use self::run::drained;
use self::run::{Mode, Run};
pub use self::setup::{EmbedTerms, Listener, Observer, Options, Setup};
use crate::error::Error;
use crate::telemetry;
use crate::vectordb::{IndexMeta, OneByOne};

/// Brings an index up to date with its sources, once.
///
/// Cancelling `stop` takes nothing new, finishes what is in flight (half a minute at most) and returns
/// [`report::Outcome::Interrupted`]; running again goes on from there. Dropping the future stops at once, and loses no more than what
/// was in flight.
///
/// # Errors
/// What ends the whole run: the index was made with something else, another run is writing, the provider or the store refuses or
/// stays away, the ledger fails. A document that fails is counted, and told to [`Options::observer`].
pub async fn run(setup: Setup, options: Options, report: Arc<Report>, stop: CancellationToken) -> Result<IngestSummary, Error> {
    let span = telemetry::workflow("ingest", Some(&setup.name));
    // As large as all that a run does: on the heap, once, instead of within each future around it.
    let ran = Box::pin(run_within(setup, options, report, stop)).instrument(span.clone()).await;
    told::ended(&span, &ran);
    ran
}

async fn run_within(
    setup: Setup,
    options: Options,
    report: Arc<Report>,
    stop: CancellationToken,
) -> Result<IngestSummary, Error> {
    let name = setup.name.clone();
    let opened = tokio::select! {
        // A token of the run's own: a run that stops itself was not interrupted by anyone.
        opened = open(setup, Mode::Write, options, &report, stop.child_token()) => opened?,
        // To look through a large store takes a while, and to wait for one that is away. Left halfway it is begun anew.
        () = stop.cancelled() => None,
    };
    let Some(Opened { run, index }) = opened else { return Ok(IngestSummary::interrupted(&name, report.elapsed())) };
    let run = Arc::new(run);

    run.report.clocks.begin(|step| run.places(step));
    let (kept, one_by_one) = match run.setup.workers.clone() {
        None => alone(&run, index).await?,
        Some(workers) => (Box::pin(together::together(&run, &workers)).await?.unwrap_or_default(), None),
    };
    run.report.clocks.end();
    run.told.loads(&report.load());
    Ok(summary::summary(&run, kept, one_by_one))
}

/// One process does it all. Returns how many documents are gone and were kept, and what the store did one by one meanwhile.
async fn alone(run: &Arc<Run>, index: Option<IndexMeta>) -> Result<(u64, Option<OneByOne>), Error> {
    let before = run.setup.store.one_by_one();
    let (batches, claims) = queue::local();
    let work = async { tokio::join!(coordinator::list(run, batches), worker::work(run, claims)).0 };
    let listed = run.drained(work).await;
    run.report.clocks.close();
    let one_by_one = run.setup.store.one_by_one().map(|now| now.since(before.unwrap_or_default()));
    Ok((coordinator::close(run, listed, index).await?, one_by_one))
}
