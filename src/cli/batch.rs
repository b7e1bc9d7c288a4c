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
use serde_json::{Value, json};
use tokio::io::AsyncBufRead;
use tokio_util::sync::CancellationToken;

use super::args::{AskArgs, Invalid, Order};
use super::ask::{failure, prepare};
use super::join::price;
use super::models::answerer;
use super::output::{Output, counted, grouped};
use super::search::{json_lines, text_or_number};
use super::style::one_line;
use crate::answer::batch::{Batch, BatchEvent, Key, Question, run as run_batch};
use crate::answer::record::Record;
use crate::answer::{Ask, Retriever};
use crate::error::Error;
use crate::pipeline::Purpose;
use crate::providers::ModelRef;
use crate::providers::{Usage, prices};
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
    runtime: &Runtime,
    output: &Output,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let started = Instant::now();
    let (questions, bad) = read(file, runtime).await?;
    let (batch, record, path) = match batch(args, runtime, questions.clone(), stop.clone()).await {
        Ok(batch) => batch,
        Err(error) => {
            if let Some(error) = error.downcast_ref::<Error>().filter(|_| output.json) {
                output.event(&failure(error));
            }
            return Err(error);
        }
    };
    let mut desk = Desk { order: args.order, silent: args.out.is_some(), ..Desk::new(output, runtime, &questions, record) };
    for (line, error) in bad {
        output.complain(&format!("error: {}:{line}: {}\n", file.display(), one_line(&error)));
        desk.failed += 1;
        desk.print(&json!({"type": "failed", "line": line, "stage": "read", "error": error}));
    }
    let mut events = pin!(run_batch(batch));
    let mut fatal = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => desk.take(event).await?,
            Err(error) => fatal = Some(error),
        }
    }
    desk.flush().await?;
    desk.bar.finish_and_clear();
    let left = questions.len() - desk.places.len();
    desk.summarise(left, started.elapsed());
    if left > 0 {
        let asked = path.map_or_else(
            || "run the same command again to go on".to_owned(),
            |path| format!("run the same command again to go on; what is answered is in {}", path.display()),
        );
        output.complain(&format!("{} not asked: {asked}\n", counted(left as u64, "question")));
    }
    if let Some(error) = fatal {
        if output.json {
            output.event(&failure(&error));
        }
        output.error(&error.into());
        return Ok(super::FAILED);
    }
    Ok(match (left, desk.failed) {
        (1.., _) => super::INTERRUPTED,
        (0, 0) => super::OK,
        (0, _) => super::SOME_FAILED,
    })
}

/// The questions of a file, and the lines that are none.
async fn read(file: &Path, runtime: &Runtime) -> anyhow::Result<(Vec<Question>, Vec<(u64, String)>)> {
    let input: Box<dyn AsyncBufRead + Unpin + Send> = if file == Path::new("-") {
        Box::new(tokio::io::BufReader::new(tokio::io::stdin()))
    } else {
        let opened = tokio::fs::File::open(file).await;
        Box::new(tokio::io::BufReader::new(opened.with_context(|| format!("cannot open {}", file.display()))?))
    };
    let (mut questions, mut bad) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut models = BTreeMap::new();
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
                    let parsed = ModelRef::parse(&name, &runtime.plan, Purpose::Answer)
                        .map_err(|error| format!("\"model\": {}", Invalid::from(error).0))?;
                    Some(models.entry(name).or_insert_with(|| answerer(runtime, &parsed)).clone())
                }
            };
            seen.insert(id.clone(), number);
            Ok(Question { id, text, priority, model })
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
    runtime: &Runtime,
    questions: Vec<Question>,
    stop: CancellationToken,
) -> anyhow::Result<(Batch, Shared, Option<PathBuf>)> {
    let limit = args.limit.unwrap_or(runtime.plan.query.limit).get();
    let ask = prepare(runtime, String::new(), limit).await?;
    let Some(model) = ask.model.as_ref().map(|model| model.model().to_owned()) else {
        anyhow::bail!("no model is set, and --batch needs one: name it with --model PROVIDER/MODEL, or set OPENAI_API_KEY");
    };
    let store = runtime.store()?;
    let meta = store.meta().await.map_err(Error::from)?;
    let meta = meta.ok_or_else(|| Error::from(StoreError::Missing { store: store.describe() }))?;
    let key = Key::new(meta.generation, &ask.retriever.plan, limit);
    // Nobody waits for one answer: a model has as long as its provider's retries take.
    let mut retriever = Retriever::clone(&ask.retriever);
    retriever.plan.fallback_after = Duration::MAX;
    let ask = Ask { retriever: Arc::new(retriever), ..ask };

    let home = runtime.settings.home.join(format!("{}.answers.jsonl", runtime.plan.name));
    let path = args.out.clone().unwrap_or(home);
    let record = tokio::task::spawn_blocking(move || Record::open(&path)).await??;
    let record = Arc::new(Mutex::new(record));
    let provider = model.split('/').next().and_then(|name| runtime.plan.providers.get(name));
    let declared = provider.and_then(|provider| provider.limits.concurrency).map(|concurrency| concurrency as usize);
    let workers = args.workers.map_or_else(|| declared.unwrap_or(WORKERS), std::num::NonZeroUsize::get);
    Ok((Batch { ask, key, questions, record: Arc::clone(&record), workers, stop }, record, args.out.clone()))
}

/// What was decided on a question and is not printed yet.
enum Kept {
    /// The record has its answer, under this key.
    Answered(String),
    Failed(Value),
}

/// Prints what becomes of the questions, and counts.
struct Desk<'a> {
    output: &'a Output,
    runtime: &'a Runtime,
    questions: &'a [Question],
    record: Shared,
    order: Order,
    /// Answers go to a file.
    silent: bool,
    bar: ProgressBar,
    /// The questions that are decided; where the order is the file's, with what is not printed yet.
    places: BTreeMap<usize, Option<Kept>>,
    next: usize,
    known: u64,
    answered: u64,
    failed: u64,
    usage: Usage,
    cost: Option<f64>,
}

impl<'a> Desk<'a> {
    fn new(output: &'a Output, runtime: &'a Runtime, questions: &'a [Question], record: Shared) -> Self {
        let target = if output.watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(questions.len() as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} questions  {bar:20}  {per_sec}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            output,
            runtime,
            questions,
            record,
            order: Order::Input,
            silent: false,
            bar,
            places: BTreeMap::new(),
            next: 0,
            known: 0,
            answered: 0,
            failed: 0,
            usage: Usage { input_tokens: Some(0), output_tokens: Some(0) },
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
        let (place, kept) = match event {
            BatchEvent::Answered { place, answer, known } => {
                self.answered += 1;
                self.known += u64::from(known);
                if !known {
                    self.pay(
                        &answer.model,
                        Usage { input_tokens: answer.usage.input_tokens, output_tokens: answer.usage.output_tokens },
                    );
                }
                if in_order {
                    (place, Some(Kept::Answered(answer.key)))
                } else {
                    self.print(&answer);
                    (place, None)
                }
            }
            BatchEvent::Failed { place, stage, error } => {
                self.failed += 1;
                let id = self.questions.get(place).map_or("", |question| question.id.as_str());
                let told = format!("error: {}: {}\n", one_line(id), one_line(&error));
                self.bar.suspend(|| self.output.complain(&told));
                let line = json!({"type": "failed", "id": id, "stage": stage, "error": error});
                if in_order {
                    (place, Some(Kept::Failed(line)))
                } else {
                    self.print(&line);
                    (place, None)
                }
            }
        };
        self.places.insert(place, kept);
        self.bar.set_position(self.places.len() as u64);
        if self.failed > 0 {
            self.bar.set_message(format!("{} failed", self.failed));
        }
        while in_order && self.places.contains_key(&self.next) {
            self.print_next().await?;
        }
        Ok(())
    }

    /// Prints what is decided, also behind questions that were not asked.
    async fn flush(&mut self) -> anyhow::Result<()> {
        while self.next < self.questions.len() {
            self.print_next().await?;
        }
        Ok(())
    }

    async fn print_next(&mut self) -> anyhow::Result<()> {
        match self.places.get_mut(&self.next).and_then(Option::take) {
            Some(Kept::Answered(key)) => {
                let id = self.questions.get(self.next).map(|question| question.id.clone()).unwrap_or_default();
                let record = Arc::clone(&self.record);
                let read = move || record.lock().unwrap_or_else(PoisonError::into_inner).find(&key, &id);
                if let Some(answer) = tokio::task::spawn_blocking(read).await?? {
                    self.print(&answer);
                }
            }
            Some(Kept::Failed(line)) => self.print(&line),
            None => {}
        }
        self.next += 1;
        Ok(())
    }

    fn pay(&mut self, model: &str, usage: Usage) {
        let add = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        self.usage.input_tokens = add(self.usage.input_tokens, usage.input_tokens);
        self.usage.output_tokens = add(self.usage.output_tokens, usage.output_tokens);
        let cost = prices::chat_cost(&self.runtime.plan.providers, model, &usage);
        self.cost = self.cost.and_then(|sum| Some(sum + cost?));
    }

    /// Says how it went.
    fn summarise(&mut self, left: usize, took: Duration) {
        let Usage { input_tokens, output_tokens } = self.usage;
        if self.output.json {
            self.output.event(&json!({
                "type": "summary", "questions": self.questions.len(), "answered": self.answered, "known": self.known,
                "failed": self.failed, "not_asked": left, "cost_usd": self.cost,
                "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
                "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
            }));
        }
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
        self.output.note(&format!("{text} · {:.1} s · {}", took.as_secs_f64(), price(self.cost)));
    }
}
