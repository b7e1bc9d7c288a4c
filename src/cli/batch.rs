//! `ask --batch`: answers a file of questions, one JSON object a line.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use tokio::io::AsyncBufRead;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::args::{AskArgs, Order};
use super::exit;
use super::jsonl::json_lines;
use super::models::{named, open};
use super::output::{Output, counted, grouped};
use super::show::price;
use super::style::one_line;
use crate::answer::batch::{Batch, BatchEvent, BatchQuestion, generation_of, run as run_batch};
use crate::answer::record::{Answered, Record};
use crate::answer::wire::{BatchSummary, Failed, Line as WireLine, Stage};
use crate::answer::{ModelChoice, Question};
use crate::error::Error;
use crate::eval::set::text_or_number;
use crate::providers::Usage;
use crate::runtime::Runtime;
use crate::vectordb::StoreError;

/// Questions under way where the provider's concurrency is not declared: enough to hide its latency, few enough for its limits.
const WORKERS: usize = 8;

/// A line of the file. Other keys are ignored, as in a file of queries.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "_id", deserialize_with = "text_or_number")]
    id: String,
    text: String,
    #[serde(default)]
    priority: f64,
    model: Option<String>,
}

/// Answers the questions of a file. Ctrl-C lets what is under way finish.
pub(super) async fn run(
    file: &Path,
    args: &AskArgs,
    how: Question,
    pipelines: (&Arc<Runtime>, &[Arc<Runtime>]),
    output: &Output,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let started = Instant::now();
    let (questions, bad) = read(file, pipelines).await?;
    let (batch, record, path) = match batch(args, how, pipelines, questions.clone(), stop.clone()).await {
        Ok(batch) => batch,
        Err(error) => {
            if let Some(error) = error.downcast_ref::<Error>().filter(|_| output.json) {
                output.event(&WireLine::from(error));
            }
            return Err(error);
        }
    };
    let view = BatchView::new(output, &questions, record);
    let mut view = BatchView { order: args.order, silent: args.out.is_some(), ..view };
    for (line, error) in bad {
        output.complain(&format!("error: {}:{line}: {}\n", file.display(), one_line(&error)));
        view.failed += 1;
        let failed = Failed { line: Some(line), stage: Some(Stage::Read), error: error.into(), ..Failed::default() };
        view.print(&WireLine::Failed(failed));
    }
    let mut events = pin!(run_batch(batch));
    let mut fatal = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => view.take(event).await?,
            Err(error) => fatal = Some(error),
        }
    }
    view.flush().await?;
    view.bar.finish_and_clear();
    let left = questions.len() - view.decided.len();
    view.summarise(left, started.elapsed());
    if left > 0 {
        let asked = path.map_or_else(
            || "run the same command again to go on".to_owned(),
            |path| format!("run the same command again to go on; what is answered is in {}", path.display()),
        );
        output.complain(&format!("{} not asked: {asked}\n", counted(left as u64, "question")));
    }
    if let Some(error) = fatal {
        if output.json {
            output.event(&WireLine::from(&error));
        }
        output.error(&error.into());
        return Ok(exit::FAILED);
    }
    Ok(match (left, view.failed) {
        (1.., _) => exit::INTERRUPTED,
        (0, 0) => exit::OK,
        (0, _) => exit::SOME_FAILED,
    })
}

/// The questions of a file, and the lines that are none.
async fn read(
    file: &Path,
    (runtime, others): (&Arc<Runtime>, &[Arc<Runtime>]),
) -> anyhow::Result<(Vec<BatchQuestion>, Vec<(u64, String)>)> {
    let input: Box<dyn AsyncBufRead + Unpin + Send> = if file == Path::new("-") {
        Box::new(tokio::io::BufReader::new(tokio::io::stdin()))
    } else {
        let opened = tokio::fs::File::open(file).await;
        Box::new(tokio::io::BufReader::new(opened.with_context(|| format!("cannot open {}", file.display()))?))
    };
    let (mut questions, mut bad) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut lines = pin!(json_lines::<Line>(input));
    while let Some(line) = lines.next().await {
        let (number, line) = line.with_context(|| format!("cannot read {}", file.display()))?;
        let question = line.and_then(|Line { id, text, priority, model }| {
            if text.trim().is_empty() {
                return Err("the question is empty".to_owned());
            }
            if let Some(first) = seen.get(&id) {
                return Err(format!("the id \"{id}\" is that of line {first}, too: answers could not be told apart"));
            }
            let model = match model {
                None => None,
                Some(name) => {
                    let model = named(&name, &runtime.plan, others).map_err(|error| format!("\"model\": {}", error.0))?;
                    Some(ModelChoice::Named(model))
                }
            };
            seen.insert(id.clone(), number);
            Ok(BatchQuestion { id, text, priority, model })
        });
        match question {
            Ok(question) => questions.push(question),
            Err(error) => bad.push((number, error)),
        }
    }
    Ok((questions, bad))
}

type Shared = Arc<Mutex<Record>>;

/// The batch, its record, and the record's file where the user named one.
async fn batch(
    args: &AskArgs,
    how: Question,
    (runtime, others): (&Arc<Runtime>, &[Arc<Runtime>]),
    questions: Vec<BatchQuestion>,
    stop: CancellationToken,
) -> anyhow::Result<(Batch, Shared, Option<PathBuf>)> {
    // What is paid for is made with all that was named.
    let answerer = open(runtime, others).await?.needing_every_index();
    let Some(model) = answerer.models(&how).await?.first().map(|model| model.model().to_owned()) else {
        anyhow::bail!("no model is set, and --batch needs one: name it with --model PROVIDER/MODEL, or set OPENAI_API_KEY");
    };
    let first = generation(runtime).await?;
    let mut beside = Vec::new();
    for other in others {
        beside.push((&*other.plan.name, generation(other).await?, &other.plan.query));
    }

    let home = runtime.settings.home.join(format!("{}.answers.jsonl", runtime.plan.name));
    let path = args.out.clone().unwrap_or(home);
    let record = tokio::task::spawn_blocking(move || Record::open(&path)).await??;
    let record = Arc::new(Mutex::new(record));
    let provider = model.split('/').next().and_then(|name| runtime.plan.providers.get(name));
    let declared = provider.and_then(|provider| provider.limits.concurrency).map(|concurrency| concurrency as usize);
    let workers = args.workers.map_or_else(|| declared.unwrap_or(WORKERS), std::num::NonZeroUsize::get);
    let (generation, kept) = (generation_of(first, &beside), Arc::clone(&record));
    Ok((Batch { answerer, how, generation, questions, record: kept, workers, stop }, record, args.out.clone()))
}

/// The generation of a pipeline's index.
async fn generation(runtime: &Runtime) -> Result<Uuid, Error> {
    let store = runtime.store().await?;
    let meta = store.meta().await?.ok_or_else(|| StoreError::Missing { store: store.describe() })?;
    Ok(meta.generation)
}

/// A decision on a question that is not printed yet.
enum Kept {
    /// The record has its answer, under this key.
    Answered(String),
    /// Where it failed, and why.
    Failed(Stage, String),
}

/// Prints what becomes of the questions, and counts.
struct BatchView<'a> {
    output: &'a Output,
    questions: &'a [BatchQuestion],
    record: Shared,
    order: Order,
    /// Answers go to a file.
    silent: bool,
    bar: ProgressBar,
    /// The questions that are decided, by index; where the order is the file's, with what is not printed yet.
    decided: BTreeMap<usize, Option<Kept>>,
    next: usize,
    known: u64,
    answered: u64,
    failed: u64,
    /// Some question was asked and has no answer.
    unanswered: bool,
    usage: Usage,
    cost: Option<f64>,
}

impl<'a> BatchView<'a> {
    fn new(output: &'a Output, questions: &'a [BatchQuestion], record: Shared) -> Self {
        let target = if output.watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(questions.len() as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} questions  {bar:20}  {per_sec}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            output,
            questions,
            record,
            order: Order::Input,
            silent: false,
            bar,
            decided: BTreeMap::new(),
            next: 0,
            known: 0,
            answered: 0,
            failed: 0,
            unanswered: false,
            usage: Usage::new(Some(0), Some(0)),
            cost: Some(0.0),
        }
    }

    fn print(&self, line: &impl serde::Serialize) {
        if !self.silent {
            self.bar.suspend(|| self.output.event(line));
        }
    }

    async fn take(&mut self, event: BatchEvent) -> anyhow::Result<()> {
        let in_order = self.order == Order::Input && !self.silent;
        let (index, kept) = match event {
            BatchEvent::Answered { index, answer, known, cost_usd } => {
                self.answered += 1;
                self.known += u64::from(known);
                if !known {
                    self.pay(&answer, cost_usd);
                }
                if in_order {
                    (index, Some(Kept::Answered(answer.key)))
                } else {
                    self.print(&answer);
                    (index, None)
                }
            }
            BatchEvent::Failed { index, stage, error } => {
                self.failed += 1;
                self.unanswered = true;
                let told = format!("error: {}: {}\n", one_line(self.id(index)), one_line(&error));
                self.bar.suspend(|| self.output.complain(&told));
                if in_order {
                    (index, Some(Kept::Failed(stage, error)))
                } else {
                    self.print_failed(index, stage, &error);
                    (index, None)
                }
            }
        };
        self.decided.insert(index, kept);
        self.bar.set_position(self.decided.len() as u64);
        if self.failed > 0 {
            self.bar.set_message(format!("{} failed", self.failed));
        }
        while in_order && self.decided.contains_key(&self.next) {
            self.print_next().await?;
        }
        Ok(())
    }

    fn id(&self, index: usize) -> &str {
        self.questions.get(index).map_or("", |question| question.id.as_str())
    }

    fn print_failed(&self, index: usize, stage: Stage, error: &str) {
        let failed = Failed { id: Some(self.id(index)), stage: Some(stage), error: error.into(), ..Failed::default() };
        self.print(&WireLine::Failed(failed));
    }

    /// Prints what is decided, also behind questions that were not asked.
    async fn flush(&mut self) -> anyhow::Result<()> {
        while self.next < self.questions.len() {
            self.print_next().await?;
        }
        Ok(())
    }

    async fn print_next(&mut self) -> anyhow::Result<()> {
        match self.decided.get_mut(&self.next).and_then(Option::take) {
            Some(Kept::Answered(key)) => {
                let id = self.id(self.next).to_owned();
                let record = Arc::clone(&self.record);
                let read = move || record.lock().unwrap_or_else(PoisonError::into_inner).find(&key, &id);
                if let Some(answer) = tokio::task::spawn_blocking(read).await?? {
                    self.print(&answer);
                }
            }
            Some(Kept::Failed(stage, error)) => self.print_failed(self.next, stage, &error),
            None => {}
        }
        self.next += 1;
        Ok(())
    }

    fn pay(&mut self, answer: &Answered, cost: Option<f64>) {
        self.usage = self.usage.and(answer.usage);
        self.cost = self.cost.and_then(|sum| Some(sum + cost?));
    }

    /// Says how it went.
    fn summarise(&mut self, not_asked: usize, took: Duration) {
        // The provider may have charged for what came to nothing, and does not say what.
        let unknown = self.unanswered && self.answered == 0;
        let (usage, cost) = if unknown { (Usage::default(), None) } else { (self.usage, self.cost) };
        if self.output.json {
            self.output.event(&WireLine::Summary(BatchSummary {
                questions: self.questions.len(),
                answered: self.answered,
                known: self.known,
                failed: self.failed,
                not_asked,
                cost_usd: cost,
                usage,
                seconds: took,
            }));
        }
        let Usage { input_tokens, output_tokens, .. } = usage;
        let mut text = format!("{} answered", counted(self.answered, "question"));
        if self.known > 0 {
            text.push_str(&format!(" ({} known already)", grouped(self.known)));
        }
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", grouped(self.failed)));
        }
        if let (Some(read), Some(written)) = (input_tokens, output_tokens) {
            text.push_str(&format!(" · {} + {} tokens", grouped(read), grouped(written)));
        }
        text.push_str(&format!(" · {:.1} s", took.as_secs_f64()));
        if self.failed == 0 || self.answered > 0 {
            text.push_str(&format!(" · {}", price(cost)));
        }
        self.output.note(&text);
    }
}
