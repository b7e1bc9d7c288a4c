//! Answers questions over one index: what commands, a service and other programs call.
//!
//! ```text
//! question ─▶ who answers? ─▶ as it stands alone ─▶ search ─▶ (index let go) ─▶ prompt ─▶ one model, or several ─▶ events
//! ```

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, iter};

use async_stream::try_stream;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::QueryPlan;
use super::answerability::{self, probability};
use super::carried::Sought;
use super::duplicates::DedupedHit;
use super::ensemble::{self, Task};
use super::event::{AnswerEvent, AnswerOutcome, AnswerSummary, EnsembleEvent, EnsembleSummary};
use super::fallback::write_with_fallback;
use super::federated::{self, How, Index};
use super::lazy::{Lazy, OpenRetriever};
use super::models::Models;
use super::owner::{Events, Owner};
use super::paid::Paid;
use super::prompt::{Composed, CountTokens, HISTORY, compose};
use super::proof::Cited;
use super::question::{Ensemble, ModelChoice, Question, checked};
use super::retrieve::{Found, Retriever, off_runtime};
use super::source::{Source, sources_of};
use super::told;
use super::unread::Unread;
use super::void::Void;
use super::whole::{Asked, SEVERAL};
use crate::error::Error;
use crate::providers::{ChatModel, ChatRequest, Message, Role};
use crate::tokenizer::{Tokenizer, TokenizerName};

/// Passages that are shown as the answer when no model is set: as much as one reads.
const PASSAGES_SHOWN: usize = 3;

/// Answers questions over one index. Cheap to clone; questions may be asked side by side.
///
/// [`Answerer::open`] takes all from a pipeline; [`Answerer::new`] takes one's own store, embedder and reranker in a [`Retriever`],
/// and [`Answerer::with_models`] one's own models.
#[derive(Clone)]
pub struct Answerer {
    pub(super) retriever: Arc<Lazy>,
    /// Asked before the index is opened here.
    pub(super) owner: Option<Arc<dyn Owner>>,
    plan: Arc<QueryPlan>,
    pub(super) models: Models,
    pub(super) count_tokens: CountTokens,
    /// Several indexes that are asked together, of which `retriever` is the first's.
    pub(super) together: Option<Arc<[Index]>>,
    /// How these are asked.
    pub(super) how: How,
    /// Where notes of documents are kept that were read for a question about all.
    pub(super) notes: Option<PathBuf>,
    /// The index is let go as soon as a question's passages are found.
    pub(super) releases: bool,
    /// Ends the reading of all documents.
    pub(super) stop: CancellationToken,
    /// What may go otherwise than planned with every question has been told.
    told: Arc<AtomicBool>,
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerer").field("plan", &self.plan).field("models", &self.models).finish_non_exhaustive()
    }
}

impl Answerer {
    /// Answers with the best passages themselves, until it is given [models](Self::with_models). Of the plan, the models are left
    /// out, for names mean nothing here.
    pub fn new(retriever: Retriever, plan: QueryPlan) -> Self {
        Self::over(Arc::new(Lazy::opened(retriever)), plan)
    }

    /// As [`Self::new`], over an index whose place another one may take: that one is opened with `open` then.
    pub fn kept_open(retriever: Retriever, open: OpenRetriever, plan: QueryPlan) -> Self {
        Self::over(Arc::new(Lazy::kept_open(retriever, open)), plan)
    }

    /// Has another process answer, and opens the index here with `open` only for what that one cannot do, or no longer. Models as
    /// with [`Self::new`].
    pub fn through(owner: Arc<dyn Owner>, open: OpenRetriever, plan: QueryPlan) -> Self {
        Self { owner: Some(owner), ..Self::over(Arc::new(Lazy::new(open)), plan) }
    }

    /// Asks several indexes together, each as its own plan says and with its own model, and makes one ranking of what they find. All
    /// else is as the first one's plan says. One that cannot be asked is left out, and that is said. Models as with [`Self::new`].
    pub fn together(first: Index, others: Vec<Index>) -> Self {
        let one = Self::over(first.lazy(), first.plan.clone());
        Self { together: Some(std::iter::once(first).chain(others).collect()), ..one }
    }

    fn over(retriever: Arc<Lazy>, plan: QueryPlan) -> Self {
        Self {
            retriever,
            owner: None,
            plan: Arc::new(plan),
            models: Models::default(),
            count_tokens: Arc::new(|text: &str| Tokenizer::get(TokenizerName::O200kBase).count(text)),
            together: None,
            how: How::default(),
            notes: None,
            releases: false,
            stop: CancellationToken::new(),
            told: Arc::default(),
        }
    }

    /// The same with these models.
    #[must_use]
    pub fn with_models(self, models: Models) -> Self {
        Self { models, ..self }
    }

    /// The same with another way to count the tokens of a prompt; the default is `OpenAI`'s `o200k_base`.
    #[must_use]
    pub fn counting_tokens_with(self, count_tokens: CountTokens) -> Self {
        Self { count_tokens, ..self }
    }

    /// The same, but the index is let go as soon as a question's passages are found, so that other processes can have it while
    /// the model writes. The next question opens it again, which takes a while where it is large.
    #[must_use]
    pub fn releasing_the_index(self) -> Self {
        Self { releases: true, ..self }
    }

    /// The same, but what is noted of documents for a question about all of them is kept in this folder, so that it is not paid for
    /// twice.
    #[must_use]
    pub fn keeping_notes_in(self, folder: PathBuf) -> Self {
        Self { notes: Some(folder), ..self }
    }

    /// How questions are answered that say nothing else.
    pub fn plan(&self) -> &QueryPlan {
        &self.plan
    }

    /// Lets other processes have the index until the next question. Returns when it is closed.
    pub async fn release(&self) {
        if let Some(indexes) = &self.together {
            join_all(indexes.iter().map(Index::release)).await;
        } else if let Some(retriever) = self.retriever.if_open().await {
            retriever.store.release().await;
        }
    }

    /// The models that would be asked, one after the other until one answers. Empty: the passages would be the answer.
    ///
    /// # Errors
    /// When there is one model alone, and it cannot be had.
    pub async fn models(&self, question: &Question) -> Result<Vec<Arc<dyn ChatModel>>, Error> {
        Ok(self.models.line_up(question).await?)
    }

    /// Who is asked before the index is opened here.
    pub(super) fn owner(&self) -> Option<&dyn Owner> {
        self.owner.as_deref()
    }

    /// What finds passages.
    pub(super) async fn retriever(&self) -> Result<Arc<Retriever>, Error> {
        self.retriever.get().await
    }

    /// The model that embeds questions, by its whole name.
    #[cfg(feature = "cli")]
    pub(crate) async fn embedding_model(&self) -> Result<Option<String>, Error> {
        Ok(self.retriever().await?.embedder.as_ref().map(|embedder| embedder.model().to_owned()))
    }

    /// One of several models: one that cannot be had fails when it is asked.
    pub(crate) async fn member(&self, choice: &ModelChoice) -> Arc<dyn ChatModel> {
        self.models.member(choice).await
    }

    /// The passages that fit a question best, best first, each with its near-copies. Empty when nothing was found. No model is
    /// asked but the one that embeds (and the reranker).
    ///
    /// # Errors
    /// [`QuestionError`](super::QuestionError) when the question is blank or too long, else what the embedder or the store says. Of
    /// a reranker's errors only those that are final: without it, the order is that of the ranking.
    pub async fn search(&self, question: &Question) -> Result<Vec<DedupedHit>, Error> {
        Ok(self.retrieve(question).await?.hits)
    }

    /// The same, and how they were found: whether something went otherwise than planned, and what it took. The words of the questions
    /// before it, where it has a history, count in the search.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub async fn retrieve(&self, question: &Question) -> Result<Found, Error> {
        if let Some(owner) = &self.owner
            && let Some(found) = owner.retrieve(question).await
        {
            return found.inspect(|found| found.note.iter().for_each(|note| self.warn(note)));
        }
        let conversation = self.conversation(question, None, &Void::default()).await;
        self.found(conversation.sought(question), question).await
    }

    /// What a search finds, all else being as the question says.
    async fn found(&self, sought: Sought<'_>, question: &Question) -> Result<Found, Error> {
        let plan = &self.plan_for(question);
        let search = |retriever: Arc<Retriever>| async move { retriever.search(sought, plan).await };
        let found = match &self.together {
            Some(indexes) => federated::search(indexes, &self.how, sought, |plan| question.narrowed(plan)).await?,
            None => self.retriever.with(search).await?,
        };
        found.note.iter().for_each(|note| self.warn(note));
        Ok(Found { hits: self.trimmed(sought, plan, found.hits).await?, ..found })
    }

    /// Warns once: what every question meets is not told with every question.
    fn warn(&self, note: &str) {
        if self.told.swap(true, Ordering::Relaxed) {
            tracing::debug!("{note}");
        } else {
            tracing::warn!("{note}");
        }
    }

    /// Events of another process, with a warning of what they note.
    fn warning<E: 'static>(self, events: Events<E>, note: fn(&E) -> Option<&String>) -> Events<E> {
        let told = move |event: &Result<E, Error>| event.iter().filter_map(note).for_each(|note| self.warn(note));
        events.inspect(told).boxed()
    }

    /// Streams the answer to a question. Nothing happens before the first poll; dropping the stream cancels the request upstream.
    ///
    /// # Errors
    /// As [`Self::models`] and [`Self::search`], else what the (last) model says. The pieces of an answer that broke off have been
    /// yielded before the error.
    pub fn ask(&self, question: Question) -> Events<AnswerEvent> {
        let Some(owner) = self.owner.clone() else { return self.ask_here(question) };
        let answerer = self.clone();
        let asked = async move {
            let Some(there) = owner.ask(&question).await else { return answerer.ask_here(question) };
            let there = there.take_until(answerer.stop.clone().cancelled_owned()).boxed();
            answerer.warning(there, |event| match event {
                AnswerEvent::Note(note) | AnswerEvent::LeftOut(note) => Some(note),
                _ => None,
            })
        };
        stream::once(asked).flatten().boxed()
    }

    fn ask_here(&self, question: Question) -> Events<AnswerEvent> {
        let answerer = self.clone();
        let events = try_stream! {
            let (wishes, void) = (question.wishes()?, Void::default());
            // Before a model is asked to put it so that it stands alone.
            checked(&question.text)?;
            let mut models = answerer.models(&question).await?;
            let deciding = answerer.models.deciding()?;
            let conversation = answerer.conversation(&question, models.first(), &void).await;
            if question.history.is_some() {
                yield AnswerEvent::Question { text: question.text.clone(), search: conversation.search.clone() };
            }
            let started = Instant::now();
            let plan = answerer.plan_for(&question);
            let text = conversation.search.as_ref().unwrap_or(&question.text);
            let whole = answerer.whole(Asked { text, question: &question, plan: &plan, models: &models }).await?;
            let mut unread = Unread::default();
            if let Some((pass, estimate)) = whole {
                if estimate.reads {
                    let asked = Asked { text, question: &question, plan: &plan, models: &models };
                    let mut answer = pin!(answerer.read_all((pass, estimate), asked, wishes, deciding));
                    while let Some(event) = answer.next().await {
                        yield event?.with(|| Paid::so_far(None, None, &void));
                    }
                    return;
                }
                unread = Unread::of(estimate, &plan);
            }
            if let Some(estimate) = unread.tell() {
                yield estimate;
            }
            let found = answerer.found(conversation.sought(&question), &question).await;
            let _releasing = answerer.let_go();
            let Found { hits, note, left_out, decided, void: vain, embedding, judged, .. } = found?;
            void.add(vain);
            void.asked(embedding);
            let note = note.map(if left_out { AnswerEvent::LeftOut } else { AnswerEvent::Note });
            let (passages, found) = (hits.len(), sources_of(hits));
            if let Some(estimate) = unread.found(passages, &found) {
                yield estimate;
            }
            if found.is_empty() {
                yield AnswerEvent::Sources { sources: found, model: None };
                // It may stand where nobody could look.
                for remark in note.into_iter().chain(unread.remark()).filter(|_| left_out) {
                    yield remark;
                }
                let summary = AnswerSummary::without_model(AnswerOutcome::NothingFound, Vec::new(), started.elapsed());
                yield AnswerEvent::Done(summary.with(Paid::so_far(None, None, &void)));
                return;
            }
            let Some(model) = models.first().map(|model| model.model().to_owned()) else {
                yield AnswerEvent::Sources { sources: found.clone(), model: None };
                let (passages, shown) = as_they_are(&found);
                for event in note.into_iter().chain(passages) {
                    yield event;
                }
                let summary = AnswerSummary::without_model(AnswerOutcome::Passages, shown, started.elapsed());
                let summary = summary.with(Paid::so_far(decided.as_ref(), None, &void));
                yield AnswerEvent::Done(AnswerSummary { answerable: probability(judged), ..summary });
                return;
            };
            let decided_by = deciding.as_ref().filter(|_| !question.anyway);
            let judged = answerability::sharpened(judged, plan.answerability, decided_by, text, &found).await;
            let answerable = probability(judged);
            if !question.anyway && answerability::refuses(plan.answerability, judged) {
                let (sentence, shown, how) = answerability::refusal(&question.text, &found);
                yield AnswerEvent::Sources { sources: found, model: Some(model) };
                let cited = shown.iter().map(|(_, n)| *n).collect();
                let nearest = shown.into_iter().flat_map(|(text, n)| [AnswerEvent::Token(text), citation(n)]);
                let refusal = iter::once(AnswerEvent::Token(sentence)).chain(nearest).chain([AnswerEvent::Token(how.into())]);
                for event in note.into_iter().chain(unread.remark()).chain(refusal) {
                    yield event;
                }
                let summary = AnswerSummary::without_model(AnswerOutcome::Unanswerable, cited, started.elapsed());
                let summary = AnswerSummary { answerable, ..summary };
                yield AnswerEvent::Done(summary.with(Paid::so_far(decided.as_ref(), deciding.as_ref(), &void)));
                return;
            }
            let (sources, request) = answerer.compose(&question.text, wishes, conversation.history, found, &plan).await?;
            if let Some(estimate) = unread.given(&sources) {
                yield estimate;
            }
            let cited = Cited::new(&sources).sharpened(deciding.clone());
            yield AnswerEvent::Sources { sources, model: Some(model) };
            for remark in note.into_iter().chain(unread.remark()) {
                yield remark;
            }
            let mut answer = pin!(write_with_fallback(std::mem::take(&mut models), request, cited, plan.fallback_after, void.clone()));
            while let Some(event) = answer.next().await {
                yield match event? {
                    AnswerEvent::Done(summary) => {
                        let summary = AnswerSummary { took: started.elapsed(), answerable, ..summary };
                        AnswerEvent::Done(summary.with(Paid::so_far(decided.as_ref(), deciding.as_ref(), &void)))
                    }
                    event => event,
                };
            }
        };
        told::answer(events.boxed())
    }

    /// Streams the answers of several models to a question, as they come. The question's own model and those that stand by are not
    /// asked. Dropping the stream cancels all requests upstream.
    ///
    /// # Errors
    /// As [`Self::search`] before the models are asked; after that only when all of them have failed.
    pub fn ask_all(&self, question: Question, ensemble: Ensemble) -> Events<EnsembleEvent> {
        let Some(owner) = self.owner.clone() else { return self.ask_all_here(question, ensemble) };
        let answerer = self.clone();
        let asked = async move {
            let Some(there) = owner.ask_all(&question, &ensemble).await else {
                return answerer.ask_all_here(question, ensemble);
            };
            answerer.warning(there, |event| if let EnsembleEvent::Note(note) = event { Some(note) } else { None })
        };
        stream::once(asked).flatten().boxed()
    }

    fn ask_all_here(&self, question: Question, ensemble: Ensemble) -> Events<EnsembleEvent> {
        let answerer = self.clone();
        let events = try_stream! {
            let (mode, wishes, void) = (ensemble.mode, question.wishes()?, Void::default());
            checked(&question.text)?;
            let deciding = answerer.models.deciding()?;
            let models = join_all(ensemble.models.iter().map(|choice| answerer.member(choice))).await;
            let conversation = answerer.conversation(&question, models.first(), &void).await;
            if question.history.is_some() {
                yield EnsembleEvent::Question { text: question.text.clone(), search: conversation.search.clone() };
            }
            let started = Instant::now();
            let plan = answerer.plan_for(&question);
            let found = answerer.found(conversation.sought(&question), &question).await;
            let _releasing = answerer.let_go();
            let Found { hits, note, decided, void: vain, embedding, judged, .. } = found?;
            void.add(vain);
            void.asked(embedding);
            let found = sources_of(hits);
            let names = models.iter().map(|model| model.model().to_owned()).collect();
            if found.is_empty() {
                yield EnsembleEvent::Sources { sources: found, models: names };
                let summary = EnsembleSummary::nothing_found(mode, started.elapsed());
                yield EnsembleEvent::Done(summary.with(Paid::so_far(None, None, &void)));
                return;
            }
            let text = conversation.search.as_ref().unwrap_or(&question.text);
            let decided_by = deciding.as_ref().filter(|_| !question.anyway);
            let judged = answerability::sharpened(judged, plan.answerability, decided_by, text, &found).await;
            let answerable = probability(judged);
            if !question.anyway && answerability::refuses(plan.answerability, judged) {
                yield EnsembleEvent::Sources { sources: found, models: names };
                let summary = EnsembleSummary::nothing_found(mode, started.elapsed());
                let summary = summary.with(Paid::so_far(decided.as_ref(), deciding.as_ref(), &void));
                yield EnsembleEvent::Done(EnsembleSummary { answerable, refused: true, ..summary });
                return;
            }
            let (sources, request) = answerer.compose(&question.text, wishes, conversation.history, found, &plan).await?;
            yield EnsembleEvent::Sources { sources: sources.clone(), models: names };
            let given = answerer.given(Asked { text, question: &question, plan: &plan, models: &models });
            let remark = given.is_whole().then(|| SEVERAL.to_owned());
            for note in note.into_iter().chain(remark) {
                yield EnsembleEvent::Note(note);
            }
            let judge = match &ensemble.judge {
                Some(choice) => Some(answerer.member(choice).await),
                None => None,
            };
            let given = Cited::new(&sources).sharpened(deciding.clone());
            let (instructions, patience) = (plan.prompt, plan.fallback_after);
            let task = Task { question: question.text, sources, given, request, instructions, patience, void: void.clone() };
            answerer.models.make_room(&models);
            let mut events = pin!(ensemble::answer(models, mode, judge, task, started));
            while let Some(event) = events.next().await {
                yield match event? {
                    EnsembleEvent::Done(summary) => {
                        let summary = summary.with(Paid::so_far(decided.as_ref(), deciding.as_ref(), &void));
                        EnsembleEvent::Done(EnsembleSummary { answerable, ..summary })
                    }
                    event => event,
                };
            }
        };
        told::answers(events.boxed())
    }

    /// How a question is answered: as planned, save for what it says itself.
    pub(super) fn plan_for(&self, question: &Question) -> QueryPlan {
        question.narrowed(&self.plan)
    }

    /// Closes the index beside what goes on, if it is to be closed.
    fn let_go(&self) -> Option<AbortOnDropHandle<()>> {
        let answerer = self.releases.then(|| self.clone())?;
        Some(AbortOnDropHandle::new(tokio::spawn(async move { answerer.release().await })))
    }

    /// The request to a model, and those of the sources that fit into it.
    pub(super) async fn compose(
        &self,
        question: &str,
        wishes: Option<String>,
        history: Vec<Message>,
        found: Vec<Source>,
        plan: &QueryPlan,
    ) -> Result<(Vec<Source>, ChatRequest), Error> {
        let mut messages = history;
        let said: Vec<String> = messages.iter().map(|message| message.text.clone()).collect();
        let (count_tokens, question) = (Arc::clone(&self.count_tokens), question.to_owned());
        let (instructions, tokens) = (plan.prompt.clone(), plan.context_tokens);
        let Composed { prompt, sources, .. } = off_runtime("fit the sources into the prompt", move || {
            let said = said.iter().map(|text| count_tokens(text)).reduce(|a, b| a + b);
            let said = said.map_or(0, |said| said + count_tokens(HISTORY));
            let budget = tokens.saturating_sub(said);
            compose(instructions.as_deref(), wishes.as_deref(), question.trim(), found, budget, &*count_tokens)
        })
        .await??;
        messages.push(Message { role: Role::User, text: prompt.user });
        let system = if messages.len() > 1 { format!("{}\n\n{HISTORY}", prompt.system) } else { prompt.system };
        let request =
            ChatRequest { system, messages, max_tokens: plan.max_tokens, temperature: plan.temperature, shared: None };
        Ok((sources, request))
    }
}

/// The best passages as they are, each with its number behind it, and those numbers.
fn as_they_are(found: &[Source]) -> (Vec<AnswerEvent>, Vec<usize>) {
    let shown = found.get(..PASSAGES_SHOWN).unwrap_or(found);
    let told = |source: &Source| {
        let text = AnswerEvent::Token(format!("{}\n", source.text.trim_end()));
        [text, citation(source.n), AnswerEvent::Token("\n\n".into())]
    };
    (shown.iter().flat_map(told).collect(), shown.iter().map(|source| source.n).collect())
}

/// The mark of one source, which stands beside its own words.
fn citation(n: usize) -> AnswerEvent {
    AnswerEvent::Citation { text: format!("[{n}]"), sources: vec![n], unknown: Vec::new(), doubts: Vec::new() }
}
