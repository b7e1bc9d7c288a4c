//! The pass over all documents: parts are read side by side, notes put together as they grow, the last request answers.
//!
//! ```text
//! documents ─▶ parts ─▶ readers (several at once) ─▶ notes ─▶ folded, whenever they fill a request ─▶ … ─▶ the answer, streamed
//! ```

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::estimate::WholeSummary;
use super::notes::{Line, merged, shown};
use super::parts::Part;
use super::prompts::{answering, concluding};
use super::reader::{Found, Reader, Spent};
use super::reading::{Count, Counted, Documents, Library, first_two};
use crate::answer::decide::Deciding;
use crate::answer::event::{AnswerEvent, AnswerOutcome, AnswerSummary};
use crate::answer::fallback::write_with_fallback;
use crate::answer::prompt::Prompt;
use crate::answer::proof::Cited;
use crate::answer::retrieve::off_runtime;
use crate::answer::source::Source;
use crate::error::{Error, reason};

/// Parts in a row that could not be read: the next could not be either.
const OUTAGE: u32 = 3;
/// How often notes are folded at the end that are too many for one request.
const ROUNDS: usize = 6;

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
    pub(super) count: Count,
    pub(super) quota: Quota,
    /// Instructions for the answer; `None`: the built-in ones.
    pub(super) instructions: Option<String>,
    /// Tokens of the answer.
    pub(super) max_tokens: u32,
    /// Other processes have the indexes as soon as all is read.
    pub(super) releasing: bool,
}

/// What comes of the pass before the answer.
#[derive(Default)]
struct Gathered {
    lines: Vec<Line>,
    spent: Spent,
    counted: Counted,
    parts: u64,
    failed: u64,
    /// The last part that failed, and why.
    error: Option<Error>,
    in_a_row: u32,
    cut: bool,
}

impl Gathered {
    fn summary(&self) -> WholeSummary {
        WholeSummary {
            documents: self.counted.documents,
            passages: self.counted.passages,
            parts: self.parts,
            failed: self.failed,
            kept: self.spent.kept,
            requests: self.spent.requests,
        }
    }

    /// What is missing, in words.
    fn remark(&self) -> Option<String> {
        let mut said = Vec::new();
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

/// Notes that are folded whenever they fill a request: so they take no more room than some requests, however many documents there are.
struct Shelf {
    reader: Reader,
    budget: usize,
    count: Count,
    /// Notes by how often they were folded, and their tokens.
    levels: BTreeMap<usize, (Vec<Line>, usize)>,
    folding: FuturesOrdered<Folding>,
}

/// What comes next.
enum Next {
    Folded(usize, Found),
    Read(Option<Result<(Found, Counted), Error>>),
}

type Folding = Pin<Box<dyn Future<Output = (usize, Found)> + Send>>;

impl Shelf {
    async fn add(&mut self, level: usize, lines: Vec<Line>) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let more = tokens(&self.count, &lines).await?;
        let (kept, tokens) = self.levels.entry(level).or_default();
        kept.extend(lines);
        *tokens += more;
        if *tokens > self.budget {
            let (lines, _) = std::mem::take(self.levels.entry(level).or_default());
            self.begin(level, merged(lines));
        }
        Ok(())
    }

    fn begin(&mut self, level: usize, lines: Vec<Line>) {
        let reader = self.reader.clone();
        self.folding.push_back(Box::pin(async move { (level + 1, reader.fold(lines).await) }));
    }

    /// All notes, in the order of the documents.
    fn all(&mut self) -> Vec<Line> {
        let levels = std::mem::take(&mut self.levels);
        merged(levels.into_iter().rev().flat_map(|(_, (lines, _))| lines).collect())
    }
}

impl Pass {
    /// The answer: `Reading` as parts are read, then what any answer consists of. Dropping it cancels all that is under way; what was
    /// read by then is kept.
    pub(in crate::answer) fn answer(
        self,
        of: u64,
        wishes: Option<String>,
        deciding: Option<Deciding>,
    ) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send + 'static {
        try_stream! {
            let started = Instant::now();
            let documents = Documents::of(self.libraries.clone()).await?;
            let mut gathered = Gathered::default();
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
            let cited = Cited::new(&sources).sharpened(deciding.clone());
            yield AnswerEvent::Sources { sources, model };
            if let Some(remark) = gathered.remark() {
                yield AnswerEvent::Incomplete(remark);
            }
            let request = self.reader.request(prompt, self.max_tokens);
            let mut answer = pin!(write_with_fallback(self.reader.models.clone(), request, cited, self.reader.patience));
            while let Some(event) = answer.next().await {
                yield match event? {
                    AnswerEvent::Done(summary) => {
                        let last = Spent { usage: summary.usage, cost_usd: summary.cost_usd, requests: 1, kept: 0 };
                        gathered.spent.add(&last);
                        let summary = finished(summary, &gathered, started.elapsed());
                        AnswerEvent::Done(summary.with_decided(deciding.as_ref().and_then(Deciding::spent)))
                    }
                    event => event,
                };
            }
            let kept = self.reader.kept.clone();
            // It is worth no error.
            let _ = tokio::task::spawn_blocking(move || kept.tidy()).await;
        }
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
                    Ok::<_, Error>((reader.read(part).await, counted))
                }
            };
            let mut reading = pin!(parts.map(read).buffered(self.quota.concurrency.max(1)).fuse());
            let mut shelf = Shelf {
                reader: self.reader.clone(),
                budget: self.budget,
                count: Arc::clone(&self.count),
                levels: BTreeMap::new(),
                folding: FuturesOrdered::new(),
            };
            loop {
                let room = shelf.folding.len() < self.quota.concurrency.max(1);
                let next = tokio::select! {
                    biased;
                    Some((level, folded)) = shelf.folding.next() => Next::Folded(level, folded),
                    // Notes wait for no more folds than readers are at work.
                    read = reading.next(), if room => Next::Read(read),
                };
                match next {
                    Next::Folded(level, folded) => {
                        let lines = gathered.folded(folded)?;
                        shelf.add(level, lines).await?;
                    }
                    Next::Read(None) => break,
                    Next::Read(Some(read)) => {
                        let (found, counted) = read?;
                        gathered.counted = counted;
                        let lines = gathered.read(found)?;
                        shelf.add(0, lines).await?;
                        yield AnswerEvent::Reading { read: gathered.parts, of: of.max(gathered.parts) };
                    }
                }
            }
            while let Some((level, folded)) = shelf.folding.next().await {
                let lines = gathered.folded(folded)?;
                shelf.add(level, lines).await?;
            }
            let mut lines = shelf.all();
            // What is left of several levels may be too much for one request together.
            for _ in 0..ROUNDS {
                let before = tokens(&self.count, &lines).await?;
                if before <= self.budget {
                    break;
                }
                for piece in pieces(lines, self.budget, &self.count).await? {
                    shelf.begin(0, piece);
                }
                lines = Vec::new();
                while let Some((_, folded)) = shelf.folding.next().await {
                    lines.extend(gathered.folded(folded)?);
                }
                lines = merged(lines);
                if tokens(&self.count, &lines).await? * 10 > before * 9 {
                    break;
                }
            }
            gathered.lines = lines;
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
        Ok(Some(finished(AnswerSummary { model, ..summary }, gathered, started.elapsed())))
    }

    /// The last prompt, from as many notes as fit, and the sources that they cite.
    async fn concluded(
        &self,
        gathered: &mut Gathered,
        question: Arc<str>,
        wishes: Option<String>,
    ) -> Result<(Prompt, Vec<Source>), Error> {
        let mut fitting = pieces(std::mem::take(&mut gathered.lines), self.budget, &self.count).await?.into_iter();
        let lines = fitting.next().unwrap_or_default();
        gathered.cut |= fitting.next().is_some();
        let (instructions, complete) = (self.instructions.clone(), gathered.failed == 0);
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

    /// Takes down what became of notes.
    ///
    /// # Errors
    /// When no other notes could be folded either.
    fn folded(&mut self, found: Found) -> Result<Vec<Line>, Error> {
        self.spent.add(&found.spent);
        self.cut |= found.cut;
        match found.failed {
            Some(error) if error.stops_all() => Err(error),
            Some(error) => {
                tracing::info!(error = %reason(&error), "notes could not be put together");
                Ok(found.lines)
            }
            None => Ok(found.lines),
        }
    }
}

async fn tokens(count: &Count, lines: &[Line]) -> Result<usize, Error> {
    let (text, count) = (shown(lines).text, Arc::clone(count));
    off_runtime("count the tokens of notes", move || count(&text)).await
}

/// Notes in pieces, none of which takes more than `budget` tokens as far as lines allow.
async fn pieces(lines: Vec<Line>, budget: usize, count: &Count) -> Result<Vec<Vec<Line>>, Error> {
    let count = Arc::clone(count);
    off_runtime("count the tokens of notes", move || {
        let (mut pieces, mut open, mut filled) = (Vec::new(), Vec::new(), 0);
        for line in lines {
            let tokens = count(&shown(std::slice::from_ref(&line)).text);
            if filled + tokens > budget && !open.is_empty() {
                pieces.push(std::mem::take(&mut open));
                filled = 0;
            }
            open.push(line);
            filled += tokens;
        }
        if !open.is_empty() {
            pieces.push(open);
        }
        pieces
    })
    .await
}

/// The end of an answer, with what the pass took.
fn finished(summary: AnswerSummary, gathered: &Gathered, took: Duration) -> AnswerSummary {
    let Spent { usage, cost_usd, .. } = gathered.spent;
    AnswerSummary { usage, cost_usd, took, whole: Some(gathered.summary()), ..summary }
}
