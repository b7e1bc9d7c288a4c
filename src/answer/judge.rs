//! A model's verdict on several answers: which is the best, and why.
//!
//! The candidates are shown without their authors, in an order that follows from their texts: models favour what stands first and
//! what they wrote themselves.

use std::sync::Arc;

use futures_util::StreamExt;

use super::event::{Member, Verdict};
use super::prompt::{JudgeTask, judge_prompt};
use super::source::Source;
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
            match event? {
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
            return Err(ProviderError::new(by, ErrorKind::BadAnswer, "judged without naming one of the answers"));
        };
        let names: Vec<&str> = candidates.iter().map(|candidate| &*candidate.member.model).collect();
        let (choice, why) = (picked.member.clone(), named(why, &names));
        Ok(Verdict { by, choice, why, usage, cost_usd: usage.cost(judge.price()) })
    }
}

/// The number in the first line that has one of 1 to `count`, and the reason: what follows, or that line itself.
fn read(reply: &str, count: usize) -> Option<(usize, &str)> {
    let mut rest = reply.trim();
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok());
        if let Some(n) = numbers.into_iter().find(|n| (1..=count).contains(n)) {
            let after = after.trim();
            return Some((n, if after.is_empty() { line.trim() } else { after }));
        }
        rest = after.trim_start();
    }
    None
}

/// The reason with the models' names in place of the numbers, which the reader has never seen.
fn named(why: &str, names: &[&str]) -> String {
    let mut why = why.to_owned();
    // From the highest on, so that "Answer 12" is not taken for "Answer 1".
    for (n, name) in names.iter().enumerate().rev() {
        let n = n + 1;
        for word in ["Answer", "answer"] {
            why = why.replace(&format!("{word} {n}"), name);
        }
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_however_it_is_put() {
        assert_eq!(read("2\nIt cites [1] rightly.", 3), Some((2, "It cites [1] rightly.")));
        assert_eq!(read(" **Answer 3**\n\n", 3), Some((3, "**Answer 3**")));
        assert_eq!(read("The best of the 12 is 1.", 3), Some((1, "The best of the 12 is 1.")));
        assert_eq!(read("Well.\nI take answer 2, it is complete.", 2), Some((2, "I take answer 2, it is complete.")));
        assert_eq!(read("None of them, 4 or 0.", 3), None);
        assert_eq!(read("", 3), None);
    }

    #[test]
    fn numbers_become_names() {
        let names: Vec<String> = (1..=12).map(|n| format!("p/m{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(named("Answer 12 beats answer 1.", &names), "p/m12 beats p/m1.");
    }
}
