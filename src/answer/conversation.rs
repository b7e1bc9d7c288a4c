//! The conversation that a question goes on from: what the model is to read of it, and what is searched for.

use std::sync::Arc;

use super::carried::Sought;
use super::plan::QueryPlan;
use super::prompt::CountTokens;
use super::question::Question;
use super::retrieve::off_runtime;
use super::void::Void;
use super::{history, rewrite};
use crate::providers::{ChatModel, Message};

/// The conversation that a question goes on from.
#[derive(Default)]
pub(super) struct Conversation {
    /// Questions and answers in turn, oldest first.
    pub history: Vec<Message>,
    /// The question as it stands alone; `None` is the question itself.
    pub search: Option<String>,
    /// The questions before, oldest first, where no model has told how this one stands alone.
    before: Vec<String>,
}

impl Conversation {
    /// As much of it as a quarter of the plan's budget holds, and the question as `model` has it stand alone, for which the questions
    /// count that have no answer, where these are wished for. What that takes is told.
    pub async fn of(
        question: &Question,
        model: Option<&Arc<dyn ChatModel>>,
        plan: &QueryPlan,
        count: &CountTokens,
        paid: &Void,
        unanswered: bool,
    ) -> Self {
        let Some(turns) = question.history.as_ref().filter(|turns| !turns.is_empty()) else { return Self::default() };
        let before = turns.iter().map(|turn| turn.question.clone()).collect();
        let Some(model) = model else { return Self { before, ..Self::default() } };
        let newest = turns.get(turns.len().saturating_sub(history::EXCHANGES)..).unwrap_or_default().to_vec();
        let (budget, count) = (plan.context_tokens / history::PART, Arc::clone(count));
        let fitted = off_runtime("fit what was said into the prompt", move || {
            let unanswered = unanswered && newest.iter().any(|exchange| exchange.answer.trim().is_empty());
            if unanswered { history::asked(&newest, budget, &*count) } else { history::fit(&newest, budget, &*count) }
        });
        let history = fitted.await.unwrap_or_default();
        if history.is_empty() {
            return Self { before, ..Self::default() };
        }
        match rewrite::counted(&**model, &history, &question.text, plan.temperature, paid).await {
            Some(text) => {
                let search = Some(text).filter(|text| text != question.text.trim());
                Self { history, search, before: Vec::new() }
            }
            None => Self { history, before, ..Self::default() },
        }
    }

    /// What is searched for.
    pub fn sought<'a>(&'a self, question: &'a Question) -> Sought<'a> {
        Sought { text: self.search.as_ref().unwrap_or(&question.text), before: &self.before }
    }
}
