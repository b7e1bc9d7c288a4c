//! Whether a question has all documents read, and by what.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::answerer::Answerer;
use super::decide::Deciding;
use super::event::AnswerEvent;
use super::federated;
use super::question::QuestionError;
use super::whole::{Asked, Estimate, Given, Library, Pass};
use crate::error::Error;

/// How long parts of all documents that are under way may take to be read, when their answer is given up: what they cost is paid.
pub const DRAIN: Duration = Duration::from_secs(30);

impl Answerer {
    /// The same, but when this is cancelled while all documents are read, no further part of them is begun, and the answer ends, without
    /// its last event, as soon as those under way are read and kept. Where another process answers, it ends at once, and that process
    /// reads them to their end.
    #[must_use]
    pub fn stopping_with(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// What a pass over all documents is made with.
    pub(super) fn given<'a>(&self, asked: Asked<'a>) -> Given<'a> {
        let (count, notes) = (Arc::clone(&self.count_tokens), self.notes.clone());
        let quota = self.models.quota(asked.models.first().map_or("", |model| model.model()));
        Given { asked, count, quota, notes, releasing: self.releases, stop: self.stop.clone() }
    }

    /// The pass over all documents that answers a question about all, and what it takes; `None`: the question is none.
    pub(super) async fn whole(&self, asked: Asked<'_>) -> Result<Option<(Pass, Estimate)>, Error> {
        // Passages are no answer to who wants all read.
        if asked.question.all == Some(true) && asked.models.is_empty() {
            return Err(QuestionError::NoReader.into());
        }
        loop {
            match self.foreseen(asked).await {
                Err(error) => self.renew(error).await?,
                foreseen => return foreseen,
            }
        }
    }

    async fn foreseen(&self, asked: Asked<'_>) -> Result<Option<(Pass, Estimate)>, Error> {
        let given = self.given(asked);
        if !given.is_whole() {
            return Ok(None);
        }
        let (libraries, left_out) = match &self.together {
            Some(indexes) => federated::libraries(indexes, |plan| asked.question.narrowed(plan)).await?,
            None => (vec![Library::of(&*self.retriever().await?, asked.plan)], Vec::new()),
        };
        let (pass, estimate) = given.pass(libraries).await?;
        Ok(Some((pass.without(left_out), estimate)))
    }

    /// The answer for which all documents are read. Where another index takes the place of one meanwhile, that one is read from the
    /// beginning: what was noted of documents that are in both is kept.
    pub(super) fn read_all<'a>(
        &'a self,
        first: (Pass, Estimate),
        asked: Asked<'a>,
        wishes: Option<String>,
        deciding: Option<Deciding>,
    ) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send + 'a {
        try_stream! {
            let mut next = Some(first);
            while let Some((pass, estimate)) = next.take() {
                let parts = estimate.parts;
                yield AnswerEvent::Estimate(estimate);
                let mut answer = pin!(pass.answer(parts, wishes.clone(), deciding.clone()));
                let mut reading = true;
                while let Some(event) = answer.next().await {
                    match event {
                        Err(error) if reading => {
                            self.renew(error).await?;
                            next = self.whole(asked).await?;
                            break;
                        }
                        event => {
                            let event = event?;
                            reading &= matches!(event, AnswerEvent::Reading { .. });
                            yield event;
                        }
                    }
                }
            }
        }
    }

    /// Goes on with the indexes that have taken the place of those that were read, where these were removed for it.
    ///
    /// # Errors
    /// That error, where it says something else.
    async fn renew(&self, error: Error) -> Result<(), Error> {
        match &self.together {
            Some(indexes) => federated::renew(indexes, error).await,
            None => self.retriever.renew(error).await,
        }
    }
}
