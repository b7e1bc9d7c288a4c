//! A running service as the owner of the index: `ask`, `search`, `why`, `chat` and `status` have it answer, and print what they would
//! print if they had found it themselves. One quota is for all then, and index, vectors and models are in memory already.
//!
//! What the service does not do is done here, without a word: where it serves another pipeline or another state of this one, is of
//! another version or has other keys or another cache (see [`crate::serve::identity`]), is too busy, or dies before it has said anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::received::{Ended, Received};
use super::remote::{ADDRESS, PATIENCE, client};
use crate::answer::{AnswerEvent, Answerer, Ensemble, EnsembleEvent, Events, Found, Owner, Question, Trace};
use crate::error::{Error, Failure, Origin};
use crate::runtime::{Runtime, Status};
use crate::serve::identity::{identity, together};
use crate::serve::local::wire::{Line, Request, Wanted};

/// How long a service may say nothing, not even that it goes on.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of a line, at most: the sources of an answer are one.
const LINE: usize = 64 << 20;

/// A service that owns the index, or several.
#[derive(Debug, Clone)]
struct Service {
    client: reqwest::Client,
    identity: String,
    needs_all: bool,
    /// It does not do what this program asks, or does not answer: it is not asked again.
    given_up: Arc<AtomicBool>,
}

/// What asks the service that runs on this home and has the index open, if there is one; or those of several pipelines, if it serves all
/// of them. Where it is gone when it is asked, or no longer serves them, the indexes are opened here.
pub(super) async fn answerer(runtime: &Arc<Runtime>, others: &[Arc<Runtime>]) -> Option<Answerer> {
    let service = Service::find(runtime, others).await?;
    let Line::End = service.ask_for(Wanted::Open).await?.next().await.ok()? else { return None };
    let service = Arc::new(service);
    Some(if others.is_empty() {
        Answerer::open_through(runtime, service)
    } else {
        Answerer::open_together(runtime, others).asked_first(service)
    })
}

/// What the index holds, as the service that runs on this home says it, if one does.
pub(super) async fn status(runtime: &Runtime) -> Option<Status> {
    let service = Service::find(runtime, &[]).await?;
    let Line::Status(status) = service.ask_for(Wanted::Status).await?.next().await.ok()? else { return None };
    // It may call the same folder otherwise.
    Some(Status { store: runtime.store().await.ok()?.describe(), ..status })
}

impl Service {
    /// The service that runs on this home, whatever it serves.
    async fn find(runtime: &Runtime, others: &[Arc<Runtime>]) -> Option<Self> {
        let client = client(&runtime.settings).await?;
        let variable = |name: &str| std::env::var(name).ok();
        let all = std::iter::once(runtime).chain(others.iter().map(|other| &**other));
        let identity = together(all.map(|one| identity(&one.plan, &one.settings, variable)));
        Some(Self { client, identity, needs_all: false, given_up: Arc::default() })
    }

    /// What it answers; `None` where it does not.
    async fn ask_for(&self, wanted: Wanted) -> Option<Lines> {
        if self.given_up.load(Ordering::Relaxed) {
            return None;
        }
        match tokio::time::timeout(PATIENCE, self.begin(wanted)).await {
            Ok(Ok(lines)) => Some(lines),
            // The next question may find one that has been started anew.
            Ok(Err(None)) => None,
            Ok(Err(Some(why))) => {
                tracing::debug!(why, "the service on this home is not asked");
                self.given_up.store(true, Ordering::Relaxed);
                None
            }
            Err(_) => {
                tracing::debug!("the service on this home does not answer");
                self.given_up.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// # Errors
    /// Why it is not to be asked again; `None`: it cannot be reached.
    async fn begin(&self, wanted: Wanted) -> Result<Lines, Option<String>> {
        let request = Request { identity: self.identity.clone(), needs_all: self.needs_all, wanted };
        let sent = self.client.post(format!("{ADDRESS}/api/local")).json(&request).send().await;
        let response = sent.map_err(|error| {
            tracing::debug!(%error, "the service on this home cannot be reached");
            None
        })?;
        if !response.status().is_success() {
            return Err(Some(response.status().to_string()));
        }
        let mut lines = Lines(Received::new(response, LINE));
        match lines.next().await {
            Ok(Line::Taken) => Ok(lines),
            Ok(Line::Declined(why)) => Err(Some(why)),
            Ok(_) => Err(Some("it speaks in unknown words".to_owned())),
            Err(_) => Err(None),
        }
    }

    /// The events of an answer, of which the first has come.
    async fn events<E: Send + 'static>(&self, wanted: Wanted, of: fn(Line) -> Option<E>) -> Option<Events<E>> {
        let mut lines = self.ask_for(wanted).await?;
        let first = told(lines.next().await.ok()?, of)?;
        let events = async_stream::stream! {
            let (mut event, mut lines) = (Some(first), lines);
            while let Some(said) = event {
                let is_last = said.is_err();
                yield said;
                if is_last {
                    return;
                }
                event = match lines.next().await {
                    Ok(Line::End) => None,
                    Ok(line) => Some(told(line, of).unwrap_or_else(|| Err(ServiceGone.into()))),
                    Err(Gone) => Some(Err(ServiceGone.into())),
                };
            }
        };
        Some(events.boxed())
    }
}

/// An event, or why there is none; `None`: no line of an answer.
fn told<E>(line: Line, of: fn(Line) -> Option<E>) -> Option<Result<E, Error>> {
    match line {
        Line::Failed(error) => Some(Err(error.into())),
        line => of(line).map(Ok),
    }
}

#[async_trait]
impl Owner for Service {
    async fn retrieve(&self, question: &Question) -> Option<Result<Found, Error>> {
        let mut lines = self.ask_for(Wanted::Search(question.into())).await?;
        let mut found = Found::default();
        loop {
            match lines.next().await.ok()? {
                Line::Note(note) => found.note = Some(note),
                Line::Hit(hit) => found.hits.push(hit),
                Line::End => return Some(Ok(found)),
                Line::Failed(error) => return Some(Err(error.into())),
                _ => return None,
            }
        }
    }

    async fn trace(&self, question: &Question, uri: &str) -> Option<Result<Option<Trace>, Error>> {
        let mut lines = self.ask_for(Wanted::Trace(question.into(), uri.to_owned())).await?;
        match lines.next().await.ok()? {
            Line::Traced(trace) => Some(Ok(trace.map(|trace| *trace))),
            Line::Failed(error) => Some(Err(error.into())),
            _ => None,
        }
    }

    async fn ask(&self, question: &Question) -> Option<Events<AnswerEvent>> {
        let of = |line| if let Line::Answer(event) = line { Some(event) } else { None };
        self.events(Wanted::Ask(question.into()), of).await
    }

    async fn ask_all(&self, question: &Question, ensemble: &Ensemble) -> Option<Events<EnsembleEvent>> {
        let of = |line| if let Line::Answers(event) = line { Some(event) } else { None };
        self.events(Wanted::AskAll(question.into(), ensemble.into()), of).await
    }

    fn needing_every_index(&self) -> Option<Arc<dyn Owner>> {
        Some(Arc::new(Self { needs_all: true, ..self.clone() }))
    }
}

/// The lines that a service says.
struct Lines(Received);

/// It says no more, and has not said that this was all.
struct Gone;

impl Lines {
    async fn next(&mut self) -> Result<Line, Gone> {
        loop {
            let line = match tokio::time::timeout(SILENCE, self.0.next()).await {
                Ok(Ok(line)) => line,
                Ok(Err(Ended::Gone(error))) => {
                    tracing::debug!(?error, "the service on this home has gone");
                    return Err(Gone);
                }
                Ok(Err(Ended::TooLong)) => {
                    tracing::debug!("the service on this home says more than is understood");
                    return Err(Gone);
                }
                Err(_) => {
                    tracing::debug!("the service on this home does not answer any more");
                    return Err(Gone);
                }
            };
            if !line.is_empty() {
                return serde_json::from_slice(&line).map_err(|error| {
                    tracing::debug!(%error, "the service on this home speaks in unknown words");
                    Gone
                });
            }
        }
    }
}

/// The service has gone in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the service on this home has gone before the answer was complete")]
struct ServiceGone;

impl Failure for ServiceGone {
    fn origin(&self) -> Origin {
        Origin::Worker
    }

    fn code(&self) -> &'static str {
        "service_gone"
    }

    fn hint(&self) -> Option<String> {
        Some("ask again: where no service runs, this command answers by itself".to_owned())
    }

    fn is_transient(&self) -> bool {
        true
    }

    fn stops_all(&self) -> bool {
        false
    }
}
