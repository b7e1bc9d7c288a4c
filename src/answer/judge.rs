//! A model's verdict on several answers: which is the best, and why.
//!
//! The candidates are shown without their authors, in an order that follows from their texts: models favour what stands first and
//! what they wrote themselves.

use std::sync::Arc;

use futures_util::StreamExt;

use super::event::{Member, Verdict};
use super::prompt::{JudgeTask, judge_prompt};
use super::source::Source;
use super::verdict::{named, read};
use crate::providers::{ChatEvent, ChatModel, ChatRequest, ErrorKind, Message, ProviderError, Role, Usage};

/// Bytes of a verdict that are read: a number and two sentences are far less.
const MAX_VERDICT: usize = 16 * 1024;

/// An answer that may be picked, and who wrote it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) member: Member,
    pub(super) model: Arc<dyn ChatModel>,
    pub(super) text: String,
}

/// The question that the candidates answered, and how it was asked.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub(super) question: String,
    pub(super) sources: Vec<Source>,
    pub(super) instructions: Option<String>,
    pub(super) max_tokens: u32,
    pub(super) temperature: Option<f32>,
}

impl Comparison {
    /// The request to a model about the candidates.
    pub(super) fn request(&self, task: JudgeTask, candidates: &[Candidate]) -> ChatRequest {
        let texts: Vec<&str> = candidates.iter().map(|candidate| candidate.text.as_str()).collect();
        let prompt = judge_prompt(task, self.instructions.as_deref(), self.question.trim(), &self.sources, &texts);
        ChatRequest {
            system: prompt.system,
            messages: vec![Message { role: Role::User, text: prompt.user }],
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            shared: None,
        }
    }

    /// The verdict of `judge`.
    ///
    /// # Errors
    /// What the model says, or [`ErrorKind::BadAnswer`] when its reply names none of the candidates.
    pub(super) async fn pick(&self, judge: &dyn ChatModel, candidates: &[Candidate]) -> Result<Verdict, ProviderError> {
        let mut candidates = candidates.to_vec();
        candidates.sort_by_key(|candidate| *blake3::hash(candidate.text.as_bytes()).as_bytes());
        let mut reply = judge.chat(self.request(JudgeTask::Pick, &candidates)).await?;
        let (mut text, mut usage) = (String::new(), Usage::default());
        while let Some(event) = reply.next().await {
            match event.map_err(|error| if text.is_empty() { error } else { error.having_begun() })? {
                ChatEvent::Text(more) if text.len() + more.len() <= MAX_VERDICT => text.push_str(&more),
                ChatEvent::Text(_) => break,
                ChatEvent::Reasoning(_) => {}
                ChatEvent::Retracted => text.clear(),
                ChatEvent::Done { usage: spent, .. } => usage = spent,
            }
        }
        let by = judge.model().to_owned();
        let picked = read(&text, candidates.len()).and_then(|(n, why)| Some((candidates.get(n.checked_sub(1)?)?, why)));
        let Some((picked, why)) = picked else {
            let said = "judged without naming one of the answers";
            return Err(ProviderError::new(by, ErrorKind::BadAnswer, said).having_used(usage));
        };
        let names: Vec<&str> = candidates.iter().map(|candidate| &*candidate.member.model).collect();
        let (choice, why) = (picked.member.clone(), named(why, &names));
        Ok(Verdict { by, choice, why, usage, cost_usd: usage.cost(judge.price()) })
    }
}
