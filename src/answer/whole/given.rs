//! What a pass is made with, and whether it is made.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;
use super::estimate::Estimate;
use super::kept::Kept;
use super::pass::{Pass, Quota};
use super::plan::Wish;
use super::reader::Reader;
use super::reading::Library;
use super::recognise::is_about_all;
use crate::answer::plan::QueryPlan;
use crate::answer::prompt::CountTokens;
use crate::answer::question::{MAX_TERMS, Question, QuestionError};
use crate::answer::void::Void;
use crate::error::Error;
use crate::providers::{ChatModel, Price};

/// Tokens of a part, where the model is a provider's: a request is worth its instructions, and models still find everything in it.
const PART_TOKENS: usize = 24_000;
/// Parts that the notes for the answer may be as large as, where the model is a provider's: a list is worth more than a short prompt.
const ROOM: usize = 3;
/// Tokens of an answer, where nothing else is said: a list of everything is long.
const ANSWER_TOKENS: u32 = 4096;

/// A question that may be about all documents.
#[derive(Clone, Copy)]
pub(in crate::answer) struct Asked<'a> {
    /// As it stands alone.
    pub(in crate::answer) text: &'a str,
    pub(in crate::answer) question: &'a Question,
    /// As it is answered.
    pub(in crate::answer) plan: &'a QueryPlan,
    /// One after the other until one answers.
    pub(in crate::answer) models: &'a [Arc<dyn ChatModel>],
}

/// What a pass is made with.
pub(in crate::answer) struct Given<'a> {
    pub(in crate::answer) asked: Asked<'a>,
    pub(in crate::answer) count: CountTokens,
    pub(in crate::answer) quota: Quota,
    /// Where notes are kept.
    pub(in crate::answer) notes: Option<PathBuf>,
    pub(in crate::answer) releasing: bool,
    /// Ends the reading.
    pub(in crate::answer) stop: CancellationToken,
}

impl Given<'_> {
    fn wish(&self) -> Wish {
        // Passages are the answer where there is no model.
        let Asked { text, question, plan, models } = self.asked;
        if models.is_empty() {
            return Wish::Passages;
        }
        plan.whole.wish(question.all, || is_about_all(text))
    }

    /// Whether all documents have anything to do with it.
    pub(in crate::answer) fn is_whole(&self) -> bool {
        self.wish() != Wish::Passages
    }

    /// The pass, and what it takes: whether it is made is in the estimate.
    pub(in crate::answer) async fn pass(self, libraries: Vec<Library>) -> Result<(Pass, Estimate), Error> {
        let reads = self.wish() == Wish::Read;
        if let Some(terms) = libraries.iter().map(|library| library.filter.len()).max().filter(|terms| *terms > MAX_TERMS) {
            return Err(QuestionError::TooManyTerms { terms }.into());
        }
        let Self { asked: Asked { text, question, plan, models }, count, quota, notes, releasing, stop } = self;
        let at_home = models.first().is_some_and(|model| model.price() == Some(Price::FREE));
        // What runs at home has little room, and needs long for much.
        let usual = if at_home { plan.context_tokens } else { plan.context_tokens.max(PART_TOKENS) };
        let budget = plan.whole.part_tokens.unwrap_or(usual);
        let max_tokens = match question.max_tokens {
            Some(asked) => asked,
            None if plan.max_tokens == QueryPlan::default().max_tokens => ANSWER_TOKENS,
            None => plan.max_tokens,
        };
        let reader = Reader {
            question: text.trim().into(),
            models: models.to_vec(),
            patience: plan.fallback_after,
            temperature: plan.temperature,
            kept: Kept::at(notes, question.refresh),
            void: Void::default(),
            // None before it is known how much there is.
            allowance: Allowance::of(0, 0),
            stop,
        };
        let mut pass = Pass {
            libraries,
            reader,
            budget,
            room: if at_home { budget } else { budget * ROOM },
            count,
            quota,
            instructions: plan.prompt.clone(),
            max_tokens,
            releasing,
            left_out: Vec::new(),
        };
        let (estimate, allowance) = pass.estimate(reads).await?;
        pass.reader.allowance = allowance;
        Ok((pass, estimate))
    }
}

/// The remark on several models' answers to such a question, which are written from the best passages.
pub(in crate::answer) const SEVERAL: &str = "This question seems to be about all documents, and the passages found for it are not all. To have all \
    read: --all, with one model.";
