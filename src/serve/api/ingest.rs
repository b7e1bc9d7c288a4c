//! `/api/ingest`: ingests that live longer than their request.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::read::{Asked, Body};
use crate::limits::Allowed;
use crate::runtime::Runtime;
use crate::serve::fault::Fault;
use crate::serve::job::{Job, JobOptions};
use crate::serve::peer::Peer;
use crate::serve::pipelines::Served;
use crate::serve::service::Service;
use crate::serve::sse;

/// What is to be ingested, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "the wire's")]
pub(super) struct Ingest {
    /// Which pipeline, or several as `docs+tickets`; without it, all that are served and name sources, each by a job of its own.
    pipeline: Option<String>,
    /// Of several pipelines, only of those that are named.
    prune: bool,
    /// Of several pipelines, only of those that are named.
    rebuild: bool,
    checksum: bool,
    /// Name what is passed over, too, by `skipped` lines.
    skipped: bool,
    /// What this user's own command says besides.
    #[schemars(skip)]
    local: Option<Local>,
}

/// What only this user's own commands may say, through the socket in the home folder: which file, which paths.
#[derive(Debug, Clone, Deserialize)]
struct Local {
    /// The pipeline's file; none: the pipeline without one.
    file: Option<PathBuf>,
    paths: Vec<PathBuf>,
    cwd: PathBuf,
    cache: PathBuf,
}

pub(super) async fn begin(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    Body(ingest): Body<Ingest>,
) -> Result<Response, Fault> {
    let Ingest { pipeline, prune, rebuild, checksum, skipped, local } = ingest;
    let asked = match local {
        Some(_) if peer != Peer::Local => return Err(Fault::bad("paths are taken from this machine's own commands alone")),
        Some(local) => vec![of_command(&service, local)?],
        None => of_pipelines(&service, pipeline.as_deref())?,
    };
    if let (true, None, Some(all)) = (prune || rebuild, &pipeline, service.scopes.together_name()) {
        let fault = Fault::bad("`prune` and `rebuild` are not for whichever pipelines are served");
        return Err(fault.hint(format!("say as `pipeline` for which: {all} are all of them")));
    }
    let options = JobOptions { prune, rebuild, checksum, scoped: false, skipped };
    let asked = asked.into_iter().map(|(runtime, scoped)| (runtime, JobOptions { scoped, ..options })).collect();
    let jobs = service.jobs.begin(asked)?;
    let told = match jobs.as_slice() {
        [job] => Json(job.view()).into_response(),
        jobs => Json(json!({"type": "jobs", "jobs": jobs.iter().map(|job| job.view()).collect::<Vec<_>>()})).into_response(),
    };
    Ok((StatusCode::ACCEPTED, told).into_response())
}

/// What the pipelines' files say; of each, whether it is over a part of the index alone. Where none is named, those are passed over
/// that name no sources.
pub(in crate::serve) fn of_pipelines(service: &Service, name: Option<&str>) -> Result<Vec<(Arc<Runtime>, bool)>, Fault> {
    let scope = service.scopes.asked(name)?;
    let members: Vec<_> = scope.members().iter().map(|served| service.pipelines.as_written(Arc::clone(served))).collect();
    let without = members.iter().find(|served| served.runtime.plan.sources.is_empty());
    let (with, all) = (members.iter().filter(|served| !served.runtime.plan.sources.is_empty()), members.len());
    if let Some(without) = without.filter(|_| name.is_some() || all == 1 || with.clone().next().is_none()) {
        let fault = Fault::bad(format!("the pipeline {} names no sources", without.name));
        return Err(fault.hint("start the service with a pipeline file that has `sources`, or run `ingest ./docs` beside it"));
    }
    with.map(|served| Ok((served.for_ingest(|_, _| Ok::<_, Fault>(()))?, served.file.is_none()))).collect()
}

/// What a command of this user's wants done: by a pipeline that is served, over other paths where some are named.
fn of_command(service: &Service, local: Local) -> Result<(Arc<Runtime>, bool), Fault> {
    let Local { file, paths, cwd, cache } = local;
    let served = service.pipelines.all().into_iter().find(|served| same_file(served, file.as_deref()));
    let served = served.ok_or_else(|| Fault::missing("this pipeline is not served here"))?;
    let served = service.pipelines.as_written(served);
    if let Some(trouble) = served.trouble() {
        return Err(Fault::missing(format!("the pipeline's file, as it is now, is not valid: {trouble}")));
    }
    if cache != served.runtime.settings.cache {
        return Err(Fault::missing("the service has another cache"));
    }
    let scoped = !paths.is_empty() || file.is_none();
    let runtime = served.for_ingest(|plan, settings| {
        settings.cwd = cwd;
        if !paths.is_empty() {
            *plan = plan.clone().with_sources(paths).map_err(|diagnostic| Fault::bad(diagnostic.to_string()))?;
        }
        Ok::<_, Fault>(())
    })?;
    Ok((runtime, scoped))
}

fn same_file(served: &Served, file: Option<&std::path::Path>) -> bool {
    let canonical = |path: &std::path::Path| std::fs::canonicalize(path).ok();
    match (&served.file, file) {
        (None, None) => true,
        (Some(served), Some(file)) => canonical(served).is_some_and(|served| canonical(file) == Some(served)),
        _ => false,
    }
}

/// Which ingests.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Of those that have ended, only the last so many.
    #[serde(default)]
    ended: Option<usize>,
}

/// From where on.
#[derive(Debug, Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    from: u64,
}

pub(super) async fn list(State(service): State<Arc<Service>>, Asked(which): Asked<Which>) -> Response {
    let providers: Vec<_> = service
        .pipelines
        .all()
        .iter()
        .flat_map(|served| {
            let told = move |(name, allowed): (String, Allowed)| {
                let Allowed { rpm, tpm, quota, concurrency, in_flight, used: (requests, tokens) } = allowed;
                json!({
                    "pipeline": served.name, "provider": name, "rpm": rpm, "tpm": tpm, "quota": quota, "concurrency": concurrency,
                    "in_flight": in_flight, "requests_last_minute": requests, "tokens_last_minute": tokens,
                })
            };
            served.runtime.providers.allowed().into_iter().map(told).collect::<Vec<_>>()
        })
        .collect();
    let seconds = service.started.elapsed().as_secs_f64();
    Json(json!({"type": "jobs", "seconds": seconds, "jobs": service.jobs.latest(which.ended), "providers": providers}))
        .into_response()
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let job = find(&service, &id)?;
    if sse::accepts(&headers, "text/event-stream") || sse::accepts(&headers, sse::NDJSON) {
        return Ok(sse::lines(&headers, job.follow()));
    }
    Ok(Json(job.view()).into_response())
}

/// What it has told so far besides its progress, for who asks now and then: a stream would hold one of the few connections that a
/// browser has.
pub(super) async fn lines(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Asked(Since { from }): Asked<Since>,
) -> Result<Response, Fault> {
    let (lines, next) = find(&service, &id)?.since(from);
    Ok(Json(json!({"type": "lines", "next": next, "lines": lines})).into_response())
}

pub(super) async fn cancel(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Response, Fault> {
    let job = find(&service, &id)?;
    job.cancel();
    Ok((StatusCode::ACCEPTED, Json(job.view())).into_response())
}

fn find(service: &Service, id: &str) -> Result<Arc<Job>, Fault> {
    let job = id.parse::<Uuid>().ok().and_then(|id| service.jobs.get(id));
    job.ok_or_else(|| Fault::missing("there is no such ingest; those that ended long ago are forgotten"))
}
