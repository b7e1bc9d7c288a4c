//! Models that read parts and put notes together, and what they took.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;
use super::kept::{Kept, Said};
use super::notes::{self, Line, merged, read};
use super::parts::Part;
use super::prompts::{NOTE_TOKENS, folding, reading};
use crate::answer::event::{AnswerEvent, AnswerOutcome};
use crate::answer::fallback::write_with_fallback;
use crate::answer::prompt::Prompt;
use crate::answer::proof::Cited;
use crate::answer::retrieve::off_runtime;
use crate::answer::void::Void;
use crate::error::Error;
use crate::providers::{ChatModel, ChatRequest, ErrorKind, Message, ProviderError, StopReason, Usage};

/// How often a request is made whose answer breaks off.
const ATTEMPTS: u32 = 3;
/// Before it is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tokens and money.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spent {
    pub(super) usage: Usage,
    /// In US dollars; `None` as soon as it is not known of one request.
    pub(super) cost_usd: Option<f64>,
    pub(super) requests: u64,
    /// Requests that were known already.
    pub(super) kept: u64,
}

impl Default for Spent {
    fn default() -> Self {
        Self { usage: Usage::new(Some(0), Some(0)), cost_usd: Some(0.0), requests: 0, kept: 0 }
    }
}

impl Spent {
    pub(super) fn add(&mut self, other: &Self) {
        self.usage = self.usage.and(other.usage);
        self.cost_usd = self.cost_usd.and_then(|cost| Some(cost + other.cost_usd?));
        self.requests += other.requests;
        self.kept += other.kept;
    }
}

/// What became of a part, or of notes.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) lines: Vec<Line>,
    pub(super) spent: Spent,
    /// Parts that it could not read, or be put together.
    pub(super) failed: Option<Error>,
    /// Notes were cut.
    pub(super) cut: bool,
}

/// Asks.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) question: Arc<str>,
    /// One after the other until one answers.
    pub(super) models: Vec<Arc<dyn ChatModel>>,
    pub(super) patience: Duration,
    pub(super) temperature: Option<f32>,
    pub(super) kept: Kept,
    /// Notes what is asked in vain.
    pub(super) void: Void,
    pub(super) allowance: Allowance,
    /// No request is begun after it; those under way come to their end.
    pub(super) stop: CancellationToken,
}

impl Reader {
    pub(super) fn request(&self, prompt: Prompt, max_tokens: u32) -> ChatRequest {
        let Prompt { system, user } = prompt;
        ChatRequest { system, messages: vec![Message::user(user)], max_tokens, temperature: self.temperature, shared: None }
    }

    /// Whether nothing need be paid for this part. Of one that had too much, its halves are.
    pub(super) fn knows(&self, request: &ChatRequest) -> bool {
        self.models.first().is_some_and(|model| self.kept.get(model.model(), request).is_some_and(|said| !said.cut))
    }

    /// Notes of a part. One that has too much for one reader, or that the model cannot take, is read in halves.
    pub(super) async fn read(self, part: Part) -> Found {
        let mut found = Found::default();
        let mut left = vec![part];
        while let Some(part) = left.pop() {
            let again = part.clone();
            let question = Arc::clone(&self.question);
            let composed = match off_runtime("write a part's prompt", move || reading(&question, part.sources)).await {
                Ok(Ok(composed)) => composed,
                Ok(Err(error)) => return Found { failed: Some(error.into()), ..found },
                Err(error) => return Found { failed: Some(error), ..found },
            };
            let (prompt, sources) = composed;
            let said = self.ask(self.request(prompt, NOTE_TOKENS), &mut found.spent).await;
            let halve = match &said {
                Ok(said) => said.cut,
                Err(error) => error.kind == ErrorKind::InvalidInput,
            };
            let halves = halve.then(|| again.halves()).flatten();
            if let Some((first, second)) = halves.filter(|_| self.allowance.halve(said.is_ok())) {
                left.extend([second, first]);
                continue;
            }
            match said {
                Ok(said) => {
                    let sources: Vec<Arc<_>> = sources.into_iter().map(Arc::new).collect();
                    found.cut |= said.cut;
                    found.lines.extend(read(&said.text, &sources, said.cut));
                }
                Err(error) => return Found { failed: Some(error.into()), ..found },
            }
        }
        found
    }

    /// Notes put together. Where that fails they are as they were.
    pub(super) async fn fold(self, lines: Vec<Line>, max_tokens: u32) -> Found {
        let mut spent = Spent::default();
        let (shown, question) = (notes::shown(&lines), Arc::clone(&self.question));
        let request = self.request(folding(&question, &shown), max_tokens);
        match self.ask(request, &mut spent).await {
            // What was cut would be lost.
            Ok(said) if said.cut => Found { lines, spent, ..Found::default() },
            Ok(said) => {
                let folded = merged(read(&said.text, &shown.sources, false));
                // Who says nothing of notes has not read them.
                let lines = if folded.is_empty() { lines } else { folded };
                Found { lines, spent, ..Found::default() }
            }
            Err(error) => Found { lines, spent, failed: Some(error.into()), ..Found::default() },
        }
    }

    async fn ask(&self, request: ChatRequest, spent: &mut Spent) -> Result<Said, ProviderError> {
        let name = self.models.first().map(|model| model.model().to_owned()).unwrap_or_default();
        let (kept, asked) = (self.kept.clone(), request.clone());
        let known = tokio::task::spawn_blocking({
            let name = name.clone();
            move || kept.get(&name, &asked)
        });
        if let Ok(Some(known)) = known.await {
            spent.kept += 1;
            return Ok(known);
        }
        if self.stop.is_cancelled() {
            return Err(ProviderError::new(name, ErrorKind::Unavailable, "not asked, since the reading was stopped"));
        }
        let said = self.said(&request, spent).await?;
        let (kept, keep) = (self.kept.clone(), said.clone());
        // What fails here is paid for again, and no more.
        let _ = tokio::task::spawn_blocking(move || kept.put(&name, &request, &keep)).await;
        Ok(said)
    }

    /// Asks until an answer comes to its end.
    async fn said(&self, request: &ChatRequest, spent: &mut Spent) -> Result<Said, ProviderError> {
        let mut attempt = 1;
        loop {
            let mut begun = false;
            match self.once(request, spent, &mut begun).await {
                Err(error) if begun && attempt < ATTEMPTS && self.is_worth_another(&error) => {
                    attempt += 1;
                    tracing::info!(%error, attempt, "a reader broke off and is asked again");
                    tokio::time::sleep(PAUSE).await;
                }
                said => return said,
            }
        }
    }

    /// Whether a request whose answer broke off is made again.
    fn is_worth_another(&self, error: &ProviderError) -> bool {
        !self.stop.is_cancelled() && (error.is_transient() || error.kind == ErrorKind::BadAnswer)
    }

    async fn once(&self, request: &ChatRequest, spent: &mut Spent, begun: &mut bool) -> Result<Said, ProviderError> {
        let (models, request) = (self.models.clone(), request.clone());
        let mut answer = pin!(write_with_fallback(models, request, Cited::default(), self.patience, self.void.clone()));
        let mut text = String::new();
        while let Some(event) = answer.next().await {
            match event? {
                AnswerEvent::Done(summary) => {
                    let (usage, cost_usd) = (summary.usage, summary.cost_usd);
                    spent.add(&Spent { usage, cost_usd, requests: 1, kept: 0 });
                    return match summary.outcome {
                        AnswerOutcome::Answered(StopReason::Refused) => {
                            let name = summary.model.unwrap_or_default();
                            Err(ProviderError::new(name, ErrorKind::BadAnswer, "its filter refused to read this"))
                        }
                        outcome => {
                            let cut = outcome == AnswerOutcome::Answered(StopReason::Length);
                            // No word is not NONE: taken for it, and kept, it would hide for good what the part holds.
                            if text.trim().is_empty() {
                                *begun = !cut;
                                return Err(nothing_said(summary.model.unwrap_or_default(), cut));
                            }
                            Ok(Said { text, cut })
                        }
                    };
                }
                AnswerEvent::Fallback { interrupted: true, .. } => text.clear(),
                event => {
                    *begun = true;
                    text.push_str(event.text());
                }
            }
        }
        let name = self.models.first().map_or("answer", |model| model.model());
        Err(ProviderError::new(name, ErrorKind::Network, "the answer ended without its end mark"))
    }
}

/// An answer without a word. `cut`: it ended at the tokens that it may have, which its thoughts took; halves would take as many.
fn nothing_said(model: String, cut: bool) -> ProviderError {
    if !cut {
        return ProviderError::new(model, ErrorKind::BadAnswer, "answered with nothing");
    }
    let message = "all that it may write went into its thoughts, and nothing into an answer";
    let hint = "have it think less (a setting of its server, or another model under `query.answer`)";
    ProviderError::new(model, ErrorKind::BadAnswer, message).with_hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::stream;

    use super::*;
    use crate::answer::source::Source;
    use crate::providers::{ChatEvent, ChatStream};

    /// Says one thing after the other, and after the last one that it has found something.
    #[derive(Debug, Default)]
    struct Scripted {
        answers: Mutex<Vec<(&'static str, StopReason)>>,
        asked: Mutex<u32>,
    }

    #[async_trait]
    impl ChatModel for Scripted {
        fn model(&self) -> &'static str {
            "own/scripted"
        }

        async fn chat(&self, _: ChatRequest) -> Result<ChatStream, ProviderError> {
            *self.asked.lock().unwrap() += 1;
            let (text, stop) = self.answers.lock().unwrap().pop().unwrap_or(("- A fire [1]", StopReason::End));
            let end = ChatEvent::Done { stop, usage: Usage::new(Some(10), Some(1)) };
            Ok(stream::iter([Ok(ChatEvent::Text(text.to_owned())), Ok(end)]).boxed())
        }
    }

    fn part() -> Part {
        let source = |uri: &str| Source { uri: uri.to_owned(), end: 1, lines: (1, 1), text: "x".into(), ..Source::default() };
        let sources = ["a.md", "甲.md"].map(source).to_vec();
        Part { sources, tokens: 2 }
    }

    async fn found(reader: &Reader) -> Found {
        reader.clone().read(part()).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_a_word_is_no_finding_that_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let model = Arc::new(Scripted::default());
        let reader = Reader {
            question: "Which fires?".into(),
            models: vec![model.clone()],
            patience: Duration::from_secs(1),
            temperature: None,
            kept: Kept::at(Some(folder.path().to_owned()), false),
            void: Void::default(),
            allowance: Allowance::of(8, 8),
            stop: CancellationToken::new(),
        };
        model.answers.lock().unwrap().extend([("", StopReason::End); 3]);
        let nothing = found(&reader).await;
        assert!(nothing.failed.unwrap().to_string().contains("answered with nothing"));
        assert_eq!((*model.asked.lock().unwrap(), nothing.spent.requests), (3, 3), "what was paid for is counted");
        // All of it thoughts: not asked again, nor in halves.
        model.answers.lock().unwrap().push(("\n", StopReason::Length));
        let thoughts = found(&reader).await.failed.unwrap();
        assert!(thoughts.to_string().contains("thoughts"), "{thoughts}");
        assert_eq!(*model.asked.lock().unwrap(), 4);
        // Neither is kept. Once is nothing, and the next answer counts.
        model.answers.lock().unwrap().push((" ", StopReason::End));
        let fire = found(&reader).await;
        assert!(fire.failed.is_none() && fire.lines.len() == 1 && fire.spent.kept == 0);
        assert_eq!(found(&reader).await.spent.kept, 1);
    }
}
