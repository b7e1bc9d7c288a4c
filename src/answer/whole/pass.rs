//! The pass over all documents: parts are read side by side, notes put together as they grow, the last request answers.
//!
//! ```text
//! documents ─▶ parts ─▶ readers (several at once) ─▶ notes ─▶ folded, whenever they fill a request ─▶ … ─▶ the answer, streamed
//! ```

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::Instant;

use super::estimate::WholeSummary;
use super::notes::{Line, shown};
use super::parts::Part;
use super::prompts::{FOLD_TOKENS, answering, concluding};
use super::reader::{Found, Reader, Spent};
use super::reading::{Counted, Documents, Library, first_two};
use super::shelf::{Folded, Shelf, pieces};
use crate::answer::decide::Deciding;
use crate::answer::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use crate::answer::fallback::write_with_fallback;
use crate::answer::paid::Paid;
use crate::answer::prompt::{CountTokens, Prompt};
use crate::answer::proof::Cited;
use crate::answer::retrieve::off_runtime;
use crate::answer::source::Source;
use crate::error::{Error, reason};

/// Parts in a row that could not be read: the next could not be either.
const OUTAGE: u32 = 3;

/// What the provider allows.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::answer) struct Quota {
    /// Requests a minute.
    pub(in crate::answer) rpm: Option<u64>,
    /// Tokens a minute.
    pub(in crate::answer) tpm: Option<u64>,
    /// Requests in flight.
    pub(in crate::answer) concurrency: usize,
}

/// A question that may be answered from all documents.
pub(in crate::answer) struct Pass {
    pub(super) libraries: Vec<Library>,
    pub(super) reader: Reader,
    /// Tokens of a part, and of notes.
    pub(super) budget: usize,
    /// Tokens of the notes that the answer is written from.
    pub(super) room: usize,
    pub(super) count: CountTokens,
    pub(super) quota: Quota,
    /// Instructions for the answer; `None`: the built-in ones.
    pub(super) instructions: Option<String>,
    /// Tokens of the answer.
    pub(super) max_tokens: u32,
    /// Other processes have the indexes as soon as all is read.
    pub(super) releasing: bool,
    /// Indexes that are not read, and why.
    pub(super) left_out: Vec<String>,
}

/// A document's index, where there are several, and its name.
type Name = (Option<String>, String);

/// What comes of the pass before the answer.
#[derive(Default)]
struct Gathered {
    left_out: Vec<String>,
    lines: Vec<Line>,
    spent: Spent,
    counted: Counted,
    parts: u64,
    failed: u64,
    /// The documents of which a part could not be read.
    unread: HashSet<Name>,
    /// The last part that failed, and why.
    error: Option<Error>,
    in_a_row: u32,
    cut: bool,
}

impl Gathered {
    fn summary(&self) -> WholeSummary {
        WholeSummary {
            documents: self.counted.documents.saturating_sub(self.unread.len() as u64),
            passages: self.counted.passages,
            parts: self.parts,
            failed: self.failed,
            kept: self.spent.kept,
            requests: self.spent.requests,
        }
    }

    /// What is missing, in words.
    fn remark(&self) -> Option<String> {
        let mut said = self.left_out.clone();
        if let Some(error) = self.error.as_ref().filter(|_| self.failed > 0) {
            said.push(format!(
                "{} of {} parts could not be read ({}): the answer lacks what they hold. Asked again, only they are read.",
                self.failed,
                self.parts,
                reason(error)
            ));
        }
        if self.cut {
            said.push("More was found than fits into one answer: some of it is left out.".to_owned());
        }
        (!said.is_empty()).then(|| said.join(" "))
    }
}

impl Pass {
    /// The same, which says that these indexes are not read, and why.
    pub(in crate::answer) fn without(self, left_out: Vec<String>) -> Self {
        Self { left_out, ..self }
    }

    /// The answer: `Reading` as parts are read, then what any answer consists of. Dropping it cancels all that is under way; what was
    /// read by then is kept. Stopped while parts are read, it ends when those under way are.
    pub(in crate::answer) fn answer(
        self,
        of: u64,
        wishes: Option<String>,
        deciding: Option<Deciding>,
    ) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send + 'static {
        try_stream! {
            let started = Instant::now();
            let documents = Documents::of(self.libraries.clone()).await?;
            let mut gathered = Gathered { left_out: self.left_out.clone(), ..Gathered::default() };
            let mut parts = Box::pin(documents.parts(self.budget, Arc::clone(&self.count), self.releasing));
            let (first, second) = first_two(&mut parts).await?;
            let Some((first, counted)) = first else {
                yield AnswerEvent::Sources { sources: Vec::new(), model: None };
                yield AnswerEvent::Done(AnswerSummary::without_model(AnswerOutcome::NothingFound, Vec::new(), started.elapsed()));
                return;
            };
            let question = Arc::clone(&self.reader.question);
            let (prompt, sources) = if let Some(second) = second {
                let parts = stream::iter([Ok((first, counted)), Ok(second)]).chain(parts);
                {
                    let mut reading = pin!(self.gather(parts, of, &mut gathered));
                    while let Some(read) = reading.next().await {
                        yield read?;
                    }
                }
                if self.reader.stop.is_cancelled() {
                    return;
                }
                if let Some(kept) = self.outcome_without_notes(&mut gathered, started)? {
                    yield AnswerEvent::Sources { sources: Vec::new(), model: None };
                    if let Some(remark) = gathered.remark() {
                        yield AnswerEvent::Incomplete(remark);
                    }
                    yield AnswerEvent::Done(kept);
                    return;
                }
                self.concluded(&mut gathered, question, wishes.clone()).await?
            } else {
                (gathered.counted, gathered.parts) = (counted, 1);
                let (instructions, wishes) = (self.instructions.clone(), wishes.clone());
                off_runtime("write the prompt", move || {
                    answering(instructions.as_deref(), wishes.as_deref(), &question, first.sources)
                })
                .await??
            };
            let model = self.reader.models.first().map(|model| model.model().to_owned());
            let cited = Cited::new(&sources).of_all().sharpened(deciding.clone());
            yield AnswerEvent::Sources { sources, model };
            if let Some(remark) = gathered.remark() {
                yield AnswerEvent::Incomplete(remark);
            }
            let request = self.reader.request(prompt, self.max_tokens);
            let (models, void) = (self.reader.models.clone(), self.reader.void.clone());
            let mut answer = pin!(write_with_fallback(models, request, cited, self.reader.patience, void));
            while let Some(event) = answer.next().await {
                yield match event? {
                    AnswerEvent::Done(summary) => {
                        let last = Spent { usage: summary.usage, cost_usd: summary.cost_usd, requests: 1, kept: 0 };
                        gathered.spent.add(&last);
                        let summary = finished(summary, &gathered, started.elapsed());
                        AnswerEvent::Done(summary.with(Paid::so_far(None, deciding.as_ref(), &self.reader.void)))
                    }
                    event => event,
                };
            }
            let kept = self.reader.kept.clone();
            // It is worth no error.
            let _ = tokio::task::spawn_blocking(move || kept.tidy()).await;
        }
    }

    /// Tokens of notes that one fold is given.
    pub(super) fn fold(&self) -> usize {
        self.budget.min(FOLD_TOKENS as usize)
    }

    /// Reads all parts, several at once, and folds what is noted of them.
    fn gather<'a>(
        &'a self,
        parts: impl Stream<Item = Result<(Part, Counted), Error>> + Send + 'a,
        of: u64,
        gathered: &'a mut Gathered,
    ) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send + 'a {
        try_stream! {
            let read = |part: Result<(Part, Counted), Error>| {
                let reader = self.reader.clone();
                async move {
                    let (part, counted) = part?;
                    let mut names: Vec<Name> = part.sources.iter().map(|s| (s.pipeline.clone(), s.uri.clone())).collect();
                    names.dedup();
                    Ok::<_, Error>((reader.read(part).await, names, counted))
                }
            };
            let stop = &self.reader.stop;
            let parts = parts.take_until(stop.cancelled());
            let mut reading = pin!(parts.map(read).buffered(self.quota.concurrency.max(1)).fuse());
            let mut shelf = Shelf::new(self.reader.clone(), self.fold(), self.room, Arc::clone(&self.count));
            loop {
                let room = shelf.folding() < self.quota.concurrency.max(1);
                let next = tokio::select! {
                    biased;
                    Some(folded) = shelf.next() => Next::Folded(folded),
                    // Notes wait for no more folds than readers are at work.
                    read = reading.next(), if room => Next::Read(read),
                };
                match next {
                    // What is under way was to come to its end, and nothing is written from it now.
                    Next::Folded(_) if stop.is_cancelled() => {}
                    Next::Folded(folded) => gathered.folded(&mut shelf, folded).await?,
                    Next::Read(None) => break,
                    Next::Read(Some(read)) if stop.is_cancelled() => {
                        gathered.parts += u64::from(read.is_ok_and(|(found, ..)| found.failed.is_none()));
                        yield AnswerEvent::Reading { read: gathered.parts, of: of.max(gathered.parts) };
                    }
                    Next::Read(Some(read)) => {
                        let (found, names, counted) = read?;
                        gathered.counted = counted;
                        if found.failed.is_some() {
                            gathered.unread.extend(names);
                        }
                        let lines = gathered.read(found)?;
                        shelf.add(lines).await?;
                        yield AnswerEvent::Reading { read: gathered.parts, of: of.max(gathered.parts) };
                    }
                }
            }
            // A fold may begin another.
            while let Some(folded) = shelf.next().await {
                if stop.is_cancelled() {
                    continue;
                }
                gathered.folded(&mut shelf, folded).await?;
            }
            gathered.cut |= shelf.dropped();
            gathered.lines = shelf.into_lines();
        }
    }

    /// The end of a pass that found nothing; `None`: it found something.
    ///
    /// # Errors
    /// When not one part could be read.
    fn outcome_without_notes(&self, gathered: &mut Gathered, started: Instant) -> Result<Option<AnswerSummary>, Error> {
        if gathered.failed > 0
            && gathered.failed == gathered.parts
            && let Some(error) = gathered.error.take()
        {
            return Err(error);
        }
        if !gathered.lines.is_empty() {
            return Ok(None);
        }
        let model = self.reader.models.first().map(|model| model.model().to_owned());
        let summary = AnswerSummary::without_model(AnswerOutcome::NothingFound, Vec::new(), started.elapsed());
        let summary = finished(AnswerSummary { model, ..summary }, gathered, started.elapsed());
        Ok(Some(summary.with(Paid::so_far(None, None, &self.reader.void))))
    }

    /// The last prompt, from as many notes as fit, and the sources that they cite.
    async fn concluded(
        &self,
        gathered: &mut Gathered,
        question: Arc<str>,
        wishes: Option<String>,
    ) -> Result<(Prompt, Vec<Source>), Error> {
        let mut fitting = pieces(std::mem::take(&mut gathered.lines), self.room, &self.count).await?.into_iter();
        let lines = fitting.next().unwrap_or_default();
        gathered.cut |= fitting.next().is_some();
        let (instructions, complete) = (self.instructions.clone(), gathered.failed == 0 && self.left_out.is_empty());
        let prompt = move || {
            let notes = shown(&lines);
            let prompt = concluding(instructions.as_deref(), wishes.as_deref(), &question, &notes, complete);
            let numbered = notes.sources.iter().zip(1..).map(|(source, n)| Source { n, ..Source::clone(source) });
            (prompt, numbered.collect())
        };
        off_runtime("write the prompt", prompt).await
    }
}

impl Gathered {
    /// Takes down what became of a part.
    ///
    /// # Errors
    /// When the next parts could not be read either.
    fn read(&mut self, found: Found) -> Result<Vec<Line>, Error> {
        self.parts += 1;
        self.spent.add(&found.spent);
        self.cut |= found.cut;
        match found.failed {
            None => self.in_a_row = 0,
            Some(error) => {
                self.failed += 1;
                self.in_a_row += 1;
                if error.stops_all() || self.in_a_row >= OUTAGE {
                    return Err(error);
                }
                tracing::info!(error = %reason(&error), "a part could not be read");
                self.error = Some(error);
            }
        }
        Ok(found.lines)
    }

    /// Takes down what became of notes, and puts them back.
    ///
    /// # Errors
    /// When no other notes could be folded either.
    async fn folded(&mut self, shelf: &mut Shelf, mut folded: Folded) -> Result<(), Error> {
        self.spent.add(&folded.found.spent);
        if let Some(error) = &folded.found.failed {
            tracing::info!(error = %reason(error), "notes could not be put together");
        }
        match folded.found.failed.take_if(|error| error.stops_all()) {
            Some(error) => Err(error),
            None => shelf.put_back(folded).await,
        }
    }
}

/// What became of a part, its documents, and what was read so far.
type ReadPart = (Found, Vec<Name>, Counted);

/// What comes next.
enum Next {
    Folded(Folded),
    Read(Option<Result<ReadPart, Error>>),
}

/// The end of an answer, with what the pass took.
fn finished(summary: AnswerSummary, gathered: &Gathered, took: Duration) -> AnswerSummary {
    let Spent { usage, cost_usd, .. } = gathered.spent;
    AnswerSummary { usage, cost_usd, took, whole: Some(gathered.summary()), ..summary }
}
