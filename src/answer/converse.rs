//! A conversation with a model alone, beside the questions; and what a model makes of a question in one.

use std::pin::pin;
use std::sync::Arc;

use async_stream::try_stream;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::answerer::Answerer;
use super::conversation::Conversation;
use super::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use super::fallback::write_with_fallback;
use super::owner::Events;
use super::paid::Paid;
use super::proof::Cited;
use super::question::Question;
#[cfg(feature = "cli")]
use super::void::Judging;
use super::void::Void;
#[cfg(feature = "cli")]
use crate::error::Error;
use crate::providers::{ChatModel, ChatRequest, Message};

impl Answerer {
    /// Streams what a model says to a conversation as it is, without a search: for what a program asks of one beside its questions,
    /// such as a title. Of `how`, the models, the instructions (here they are all that the model is told), the tokens and the
    /// temperature count. No sources are told, so what looks like a citation is unknown. Without a model nothing is said.
    ///
    /// # Errors
    /// As [`Self::models`], else what the (last) model says.
    pub fn chat(&self, messages: Vec<Message>, how: Question) -> Events<AnswerEvent> {
        let answerer = self.clone();
        let events = try_stream! {
            let system = how.wishes()?.unwrap_or_default();
            let models = answerer.models(&how).await?;
            let (started, plan) = (Instant::now(), answerer.plan_for(&how));
            if models.is_empty() {
                yield AnswerEvent::Done(AnswerSummary::without_model(AnswerOutcome::Passages, Vec::new(), started.elapsed()));
                return;
            }
            let request = ChatRequest { system, messages, max_tokens: plan.max_tokens, temperature: plan.temperature, shared: None };
            let void = Void::default();
            let mut answer = pin!(write_with_fallback(models, request, Cited::default(), plan.fallback_after, void.clone()));
            while let Some(event) = answer.next().await {
                yield event?.with(|| Paid::so_far(None, None, &void));
            }
        };
        events.boxed()
    }

    /// The conversation that a question goes on from. What it takes to make the question stand alone is told.
    pub(super) async fn conversation(
        &self,
        question: &Question,
        model: Option<&Arc<dyn ChatModel>>,
        paid: &Void,
    ) -> Conversation {
        Conversation::of(question, model, self.plan(), &self.count_tokens, paid, false).await
    }

    /// The question as it stands alone, as the first of its models puts it (`None`: it does already, or no model says otherwise), and
    /// what that took.
    ///
    /// # Errors
    /// As [`Self::models`].
    #[cfg(feature = "cli")]
    pub(crate) async fn standalone(&self, question: &Question) -> Result<(Option<String>, Vec<Judging>), Error> {
        let (models, paid) = (self.models(question).await?, Void::default());
        // A set may name the questions before alone.
        let conversation = Conversation::of(question, models.first(), self.plan(), &self.count_tokens, &paid, true).await;
        let search = conversation.search;
        Ok((search, paid.asking().into_iter().chain(paid.taken()).collect()))
    }
}
