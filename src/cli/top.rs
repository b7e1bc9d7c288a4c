//! `top`: what a running service ingests, and what holds it back, once a second until Ctrl-C.

mod view;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::args::{Common, TopArgs, variable};
use super::exit;
use super::output::Output;
use crate::ingest::clocks::Times;
use crate::ingest::wire::Progress;

/// How often it is drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer, at most: 64 ingests are remembered.
const MOST: usize = 4 << 20;

/// What a service tells of its ingests.
#[derive(Debug, Deserialize)]
struct Told {
    jobs: Vec<Job>,
    #[serde(default)]
    providers: Vec<Provider>,
}

/// An ingest.
#[derive(Debug, Clone, Deserialize)]
struct Job {
    id: String,
    pipeline: String,
    state: String,
    progress: Progress,
    #[serde(default)]
    cost_usd: Option<f64>,
    #[serde(default)]
    time: Times,
}

/// What a provider allows, and how much of that is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Provider {
    pipeline: String,
    #[serde(rename = "provider")]
    name: String,
    rpm: Option<u64>,
    tpm: Option<u64>,
    concurrency: u32,
    in_flight: u32,
    requests_last_minute: u64,
    tokens_last_minute: u64,
}

/// An ingest over the last second.
#[derive(Debug)]
struct Now {
    job: Job,
    /// Where the time of the last second went; of all of it, the first time.
    lately: Times,
    documents_a_second: f64,
    chunks_a_second: f64,
}

pub(super) async fn run(args: TopArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let service = Service::find(args, common).await?;
    let redraw = output.style().columns.filter(|_| variable("TERM").is_none_or(|term| term != "dumb"));
    let mut screen = view::Screen::new(output.clone(), redraw);
    let mut earlier: HashMap<String, (Instant, Job)> = HashMap::new();
    let mut ticks = tokio::time::interval(TICK);
    // A terminal that was stopped for an hour is not drawn 3600 times.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return Ok(exit::OK),
        }
        let told = tokio::select! {
            told = service.ask() => told?,
            () = stop.cancelled() => return Ok(exit::OK),
        };
        let at = Instant::now();
        let under_way = |job: &Job| matches!(job.state.as_str(), "waiting" | "running" | "stopping");
        let jobs: Vec<Job> = told.jobs.into_iter().filter(under_way).collect();
        let now: Vec<Now> = jobs.iter().map(|job| lately(job, earlier.get(&job.id), at)).collect();
        screen.show(&now, &told.providers);
        earlier = jobs.into_iter().map(|job| (job.id.clone(), (at, job))).collect();
    }
}

/// What an ingest has done since it was looked at last.
fn lately(job: &Job, earlier: Option<&(Instant, Job)>, at: Instant) -> Now {
    let (times, documents, chunks, seconds) = match earlier {
        Some((then, was)) => {
            let documents = done(job).saturating_sub(done(was));
            let chunks = job.progress.chunks.upserted.saturating_sub(was.progress.chunks.upserted);
            (job.time.since(&was.time), documents, chunks, (at - *then).as_secs_f64())
        }
        None => (job.time, done(job), job.progress.chunks.upserted, job.progress.seconds),
    };
    let rate = |count: u64| count as f64 / seconds.max(0.1);
    Now { job: job.clone(), lately: times, documents_a_second: rate(documents), chunks_a_second: rate(chunks) }
}

/// Documents that are done, or failed.
fn done(job: &Job) -> u64 {
    let documents = &job.progress.documents;
    documents.added + documents.changed + documents.unchanged + documents.failed
}

/// A service that can be asked.
struct Service {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Service {
    async fn find(args: TopArgs, common: &Common) -> anyhow::Result<Self> {
        let TopArgs { url, token } = args;
        let Some(url) = url else { return Self::of_home(common).await };
        if url.cannot_be_a_base() || !matches!(url.scheme(), "http" | "https") {
            bail!("{url} is no address of a service; http://127.0.0.1:7171 is one");
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Redirects would take the token elsewhere.
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let url = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client: client.build().context("no connection can be made")?, url, token })
    }

    #[cfg(unix)]
    async fn of_home(common: &Common) -> anyhow::Result<Self> {
        let settings = common.settings()?;
        let Some(client) = super::remote::client(&settings).await else {
            bail!(
                "no service runs on {}: `ragstream serve` starts one, and `top URL` asks one elsewhere",
                settings.home.display()
            );
        };
        Ok(Self { client, url: super::remote::ADDRESS.to_owned(), token: None })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_async, reason = "as where there are sockets")]
    async fn of_home(_: &Common) -> anyhow::Result<Self> {
        bail!("name the address of the service: `top http://127.0.0.1:7171`");
    }

    async fn ask(&self) -> anyhow::Result<Told> {
        let mut request = self.client.get(format!("{}/api/ingest", self.url)).timeout(PATIENCE);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let mut response = request.send().await.context("the service does not answer")?;
        let status = response.status();
        if status == reqwest::StatusCode::UNAUTHORIZED {
            bail!("the service wants a token: --token, or the variable RAGSTREAM_TOKEN");
        }
        if !status.is_success() {
            bail!("the service answers with HTTP {}", status.as_u16());
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.context("the service's answer breaks off")? {
            body.extend_from_slice(&piece);
            if body.len() > MOST {
                bail!("the service says more than is understood");
            }
        }
        serde_json::from_slice(&body)
            .context("the service does not answer as expected; is it another version, or another program?")
    }
}

#[cfg(test)]
mod tests;
