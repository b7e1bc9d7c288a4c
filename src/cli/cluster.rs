//! `--cluster`: several machines on one index.

use std::sync::Arc;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::args::{Common, IngestArgs, IngestCommand};
use super::output::Output;
use super::telemetry::Telemetry;
use crate::ingest::report::Report;
use crate::ingest::{Forecast, Options};
use crate::providers::Secret;
use crate::runtime::Runtime;

#[cfg(feature = "postgres")]
mod show;

/// What the others cannot know of, or would undo.
fn refuse(args: &IngestArgs) -> anyhow::Result<()> {
    if !args.paths.is_empty() {
        bail!("several workers need to know of the same sources: name them in a pipeline file (`-p FILE`), and not here");
    }
    if args.pipeline.pipeline.is_none() {
        bail!("several workers need the same pipeline: name its file (`-p FILE`)");
    }
    if args.rebuild {
        bail!("--rebuild would take the index away from the other workers: name another `collection` in the pipeline instead");
    }
    Ok(())
}

/// Says what of a command and its pipeline several machines cannot work on together.
pub(super) fn check(args: &IngestArgs, common: &Common) -> anyhow::Result<()> {
    refuse(args)?;
    args.pipeline.check_for_cluster(common)
}

/// What does not go together with a worker.
fn refuse_watch(args: &IngestCommand) -> anyhow::Result<()> {
    if args.watch.watch {
        bail!("--watch is for one machine: start `ingest --cluster` again as often as the sources are to be compared");
    }
    Ok(())
}

/// Takes part in a round.
#[cfg(feature = "postgres")]
pub(super) async fn ingest(
    args: IngestCommand,
    common: &Common,
    output: &Output,
    telemetry: &Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    refuse(&args.ingest)?;
    refuse_watch(&args)?;
    let Some(url) = args.cluster.url()? else { bail!("no cluster is named") };
    args.ingest.pipeline.check_for_cluster(common)?;
    let runtime = super::ingest::runtime(&args.ingest, common)?;
    let joined = tokio::select! {
        joined = runtime.in_cluster(url.expose().trim(), args.lease) => joined?,
        () = stop.cancelled() => return Ok(super::exit::INTERRUPTED),
    };
    super::ingest::run_on(joined, &args.ingest, output, telemetry, stop).await
}

/// What an ingest would do that is one of several.
#[cfg(feature = "postgres")]
pub(super) async fn forecast(
    runtime: &Runtime,
    url: &Secret,
    options: Options,
    report: Arc<Report>,
    stop: CancellationToken,
) -> anyhow::Result<Option<Forecast>> {
    Ok(runtime.forecast_in_cluster(url.expose().trim(), options, report, stop).await?)
}

/// Shows what all workers are at.
#[cfg(feature = "postgres")]
pub(super) async fn status(runtime: &Runtime, url: &Secret, output: &Output) -> anyhow::Result<u8> {
    let status = runtime.cluster_status(url.expose().trim()).await?;
    Ok(show::show(status.as_ref(), output))
}

/// The SQL that makes the tables.
#[cfg(feature = "postgres")]
#[expect(clippy::unnecessary_wraps, reason = "without Postgres there are none")]
pub(super) fn tables() -> anyhow::Result<&'static str> {
    Ok(crate::cluster::SCHEMA)
}

#[cfg(not(feature = "postgres"))]
const WITHOUT: &str = "this ragstream was built without `postgres`, where several machines meet";

#[cfg(not(feature = "postgres"))]
pub(super) async fn ingest(
    args: IngestCommand,
    _: &Common,
    _: &Output,
    _: &Telemetry,
    _: CancellationToken,
) -> anyhow::Result<u8> {
    refuse(&args.ingest)?;
    refuse_watch(&args)?;
    bail!(WITHOUT)
}

#[cfg(not(feature = "postgres"))]
pub(super) async fn forecast(
    _: &Runtime,
    _: &Secret,
    _: Options,
    _: Arc<Report>,
    _: CancellationToken,
) -> anyhow::Result<Option<Forecast>> {
    bail!(WITHOUT)
}

#[cfg(not(feature = "postgres"))]
pub(super) async fn status(_: &Runtime, _: &Secret, _: &Output) -> anyhow::Result<u8> {
    bail!(WITHOUT)
}

#[cfg(not(feature = "postgres"))]
pub(super) fn tables() -> anyhow::Result<&'static str> {
    bail!(WITHOUT)
}
