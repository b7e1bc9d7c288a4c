//! A running service, through the socket that it has in the home folder: an ingest that would find the index in use is its to do.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{Common, IngestArgs, Invalid};
use super::exit;
use super::ingest::{ended, failed_line, runtime, show, skipped_line, source};
use super::output::Output;
use super::progress::{Progress, Reading};
use super::received::{Ended, Received};
use super::spent::words;
use super::style::harmless;
use crate::ingest::report::{IngestSummary, Report, Spent};
use crate::ingest::wire;
use crate::pipeline;
use crate::runtime::Settings;
use crate::serve::SOCKET;
use crate::source::SkipReason;
use crate::source::readable::readable;

/// How long a service may take to take a connection and to answer: it is on this machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a line, at most.
const LINE: usize = 4 << 20;
/// Of the address, only the path counts.
pub(super) const ADDRESS: &str = "http://localhost";

/// A service that runs on a home.
struct Remote {
    client: reqwest::Client,
}

/// Has the service that runs on the home ingest, if one does, and shows it as if this program did. `None`: none does, or it serves
/// another pipeline, and nothing was done.
pub(super) async fn ingest(
    args: &IngestArgs,
    common: &Common,
    output: &Output,
    stop: &CancellationToken,
) -> anyhow::Result<Option<u8>> {
    let settings = common.settings()?;
    let Some(service) = Remote::find(&settings).await else { return Ok(None) };
    // What makes no sense is said as always.
    let reading = Reading::of(&runtime(args, common)?.plan.sources);
    let find = |name: &String| pipeline::find(name, &settings.cwd).map_err(Invalid::from);
    let file = args.pipeline.pipeline.as_ref().map(find).transpose()?;
    let paths = args.paths.iter().map(|path| source(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut asked = json!({
        "prune": args.prune, "rebuild": args.rebuild, "checksum": args.checksum,
        "local": {"file": file, "paths": paths, "cwd": settings.cwd, "cache": settings.cache},
    });
    // A service of an earlier version does not know of it.
    if let Some(asked) = asked.as_object_mut().filter(|_| output.verbose()) {
        asked.insert("skipped".to_owned(), true.into());
    }
    service.ingest(&asked, reading, output, stop).await
}

/// What talks to the service that runs on this home, if one does, at [`ADDRESS`].
pub(super) async fn client(settings: &Settings) -> Option<reqwest::Client> {
    let path = settings.home.join(SOCKET);
    let service = tokio::net::UnixStream::connect(&path).await.ok()?;
    if !is_trusted(&service).unwrap_or_default() {
        tracing::debug!(path = %path.display(), "a service of another user is not asked");
        return None;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().unix_socket(path).no_proxy().connect_timeout(PATIENCE).build().ok()
}

/// Whether it is this user's, or root's. Root asks anybody's.
fn is_trusted(service: &tokio::net::UnixStream) -> std::io::Result<bool> {
    let (own, _) = tokio::net::UnixStream::pair()?;
    let (own, other) = (own.peer_cred()?.uid(), service.peer_cred()?.uid());
    Ok(own == other || other == 0 || own == 0)
}

impl Remote {
    /// The service that runs on this home, if one does.
    async fn find(settings: &Settings) -> Option<Self> {
        client(settings).await.map(|client| Self { client })
    }

    /// `None` where it does not serve this pipeline.
    async fn ingest(
        &self,
        asked: &Value,
        reading: Reading,
        output: &Output,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<u8>> {
        let begun = self.client.post(format!("{ADDRESS}/api/ingest")).timeout(PATIENCE).json(asked).send().await;
        let begun = begun.context("the service on this home does not answer")?;
        let status = begun.status();
        let job: Value = begun.json().await.context("the service on this home does not answer as expected")?;
        if status == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let Some(id) = job.get("id").and_then(Value::as_str) else {
            bail!("the service on this home refuses: {}", job.get("message").and_then(Value::as_str).unwrap_or_default());
        };
        output.verbose().then(|| output.note("the service on this home ingests"));
        self.follow(&format!("{ADDRESS}/api/ingest/{id}"), reading, output, stop).await.map(Some)
    }

    async fn follow(&self, job: &str, reading: Reading, output: &Output, stop: &CancellationToken) -> anyhow::Result<u8> {
        let gone = "the service has ended before the ingest did; run it again to go on where it stopped";
        let response = self.client.get(job).header("accept", "application/x-ndjson").send().await.context(gone)?;
        let report = Arc::new(Report::default());
        let progress = Progress::start(output.clone(), Arc::clone(&report), reading);
        let told = super::ingest::tell_when_interrupted(stop, output, &progress);
        let lines = progress.lines();
        let mut received = Received::new(response, LINE);
        let mut cancelled = false;
        let last = loop {
            let line = tokio::select! {
                line = received.next() => line,
                () = stop.cancelled(), if !cancelled => {
                    cancelled = true;
                    let _ = self.client.delete(job).timeout(PATIENCE).send().await;
                    continue;
                }
            };
            let line = match line {
                Ok(line) => serde_json::from_slice::<Value>(&line).unwrap_or_default(),
                Err(Ended::Gone(None)) => bail!(gone),
                Err(Ended::Gone(Some(error))) => return Err(anyhow::Error::new(error).context(gone)),
                Err(Ended::TooLong) => bail!("the service says more than is understood"),
            };
            match line.get("type").and_then(Value::as_str) {
                Some("progress") => catch_up(&report, &line),
                Some("summary" | "error") => break line,
                Some("failed" | "notice" | "skipped") if output.json => output.event(&line),
                Some("skipped") => {
                    let uri = line.get("uri").and_then(Value::as_str).unwrap_or_default();
                    let reason = line.get("reason").and_then(|reason| SkipReason::deserialize(reason).ok());
                    lines.above(output, &skipped_line(uri, reason));
                }
                Some("failed") => {
                    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                    let (uri, error, stage) = (text("uri"), text("error"), text("stage"));
                    lines.above(output, &failed_line(&uri, &stage, &error, output));
                }
                Some("notice") => {
                    let message = line.get("message").and_then(Value::as_str).unwrap_or_default();
                    lines.above(output, &harmless(&readable(message)));
                }
                _ => {}
            }
        };
        drop(told);
        progress.finish();
        if last.get("type").and_then(Value::as_str) == Some("error") {
            if output.json {
                output.event(&last);
            }
            let text = |key: &str| last.get(key).and_then(Value::as_str);
            output.complain(&format!("{} {}\n", output.paint("error:", "1;31"), text("message").unwrap_or_default()));
            if let Some(spent) = Spent::deserialize(&last).ok().and_then(|spent| words(&spent)) {
                output.complain(&format!("{} {spent}\n", output.paint("until then:", "1")));
            }
            if let Some(hint) = text("hint") {
                output.complain(&format!("{} {hint}\n", output.paint("hint:", "1;36")));
            }
            return Ok(exit::FAILED);
        }
        let summary: IngestSummary =
            serde_json::from_value(last).context("the service speaks of its ingest in unknown words")?;
        if output.json {
            output.event(&summary);
        } else {
            show(&summary, reading, output);
        }
        Ok(ended(&summary))
    }
}

/// Counts what the service has counted.
fn catch_up(report: &Report, line: &Value) {
    let Ok(now) = serde_json::from_value::<wire::Progress>(line.clone()) else { return };
    now.limit.inspect(|limit| report.tell_limit(*limit));
    let was = wire::Progress::from(report);
    let Report { documents, chunks, embeddings, .. } = report;
    for (counter, was, now) in [
        (&documents.seen, was.documents.seen, now.documents.seen),
        (&documents.added, was.documents.added, now.documents.added),
        (&documents.changed, was.documents.changed, now.documents.changed),
        (&documents.unchanged, was.documents.unchanged, now.documents.unchanged),
        (&documents.failed, was.documents.failed, now.documents.failed),
        (&chunks.made, was.chunks.made, now.chunks.made),
        (&chunks.upserted, was.chunks.upserted, now.chunks.upserted),
        (&embeddings.embedded, was.embeddings.embedded, now.embeddings.embedded),
        (&embeddings.tokens, was.embeddings.tokens, now.embeddings.tokens),
    ] {
        counter.add(now.saturating_sub(was));
    }
}
