//! `eval`: retrieval measured on a labelled set, under one pipeline or two.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::{Common, EvalArgs, Invalid, PipelineArg};
use super::exit;
use super::output::{Output, counted};
use super::progress::{Progress, Reading, downloads};
use super::style::{one_line, trimmed};
use crate::answer::{Answerer, Question};
use crate::eval::answerability::Answerability;
use crate::eval::claims::{ClaimScore, ClaimScores, Told};
use crate::eval::compare::compare;
use crate::eval::kept::{Measurement, Run};
use crate::eval::pays::{Payoff, Ranked, Verdict};
use crate::eval::scores::{QueryScore, Scores, SpanScores, figures, values};
use crate::eval::set::LabelledSet;
use crate::eval::{self, Asked};
use crate::ingest::Options;
use crate::ingest::report::{Outcome, Report};
use crate::pipeline::{Diagnostic, Plan};

type AnswerabilityFigure = (&'static str, fn(&Answerability) -> f64);
/// What is shown of how well it is known which questions have an answer.
const ANSWERABILITY: [AnswerabilityFigure; 3] =
    [("AUROC", |known| known.auroc), ("ECE", |known| known.ece), ("refused@5%", |known| known.refused_at_5)];
/// Queries that are shown as the worst.
const WORST: usize = 10;
/// The width of the figures' names.
const NAME: usize = 15;

/// One run over the set.
struct Measured {
    /// The pipeline's name.
    pipeline: String,
    /// The embedding model.
    model: String,
    ranked: Ranked,
    queries: Vec<QueryScore>,
    /// How well it is known which questions have an answer, where some have none.
    answerability: Option<Answerability>,
    claims: Vec<ClaimScore>,
    /// Follow-ups that a model has put another way, where it was asked to, and what that took in US dollars.
    rewritten: Option<(usize, Option<f64>)>,
    /// Documents that could not be indexed.
    failed: u64,
}

pub(super) async fn run(args: EvalArgs, common: &Common, output: &Output, stop: CancellationToken) -> anyhow::Result<u8> {
    let directory = args.directory.clone();
    let set =
        tokio::task::spawn_blocking(move || LabelledSet::load(&directory)).await.context("the set could not be read")??;
    let mut runs = Vec::new();
    for plan in plans(&args, common)? {
        match measured(plan, &set, args.rewrite, common, output, &stop).await? {
            Some(run) => runs.push(run),
            None => return Ok(exit::INTERRUPTED),
        }
    }
    let measurement = kept(&set.name, &runs);
    let home = common.settings()?.home;
    let keeping = measurement.clone();
    let keeping =
        tokio::task::spawn_blocking(move || keeping.keep(&home)).await.context("what was measured could not be kept")?;
    if let Err(error) = keeping {
        tracing::warn!(%error, "what was measured could not be kept");
    }
    if output.json {
        events(&runs, &measurement, output);
    } else {
        output.print(&table(&args.directory, &runs));
        if output.verbose() {
            for run in &runs {
                output.print(&worst(run, output.style().width));
                output.print(&misjudged(run, output.style().width));
            }
        }
    }
    let failed = runs.iter().any(|run| run.failed > 0 || run.queries.iter().any(|query| query.failed.is_some()));
    Ok(if failed { exit::SOME_FAILED } else { exit::OK })
}

/// The plans to measure: of one that is compared with itself, the first is without its reranker.
fn plans(args: &EvalArgs, common: &Common) -> anyhow::Result<Vec<Plan>> {
    let cwd = common.settings()?.cwd;
    let named = |name: &String| PipelineArg { pipeline: Some(name.clone()) }.plan(&cwd);
    match args.compare.as_slice() {
        [] => Ok(vec![args.pipeline.plan(&cwd)?]),
        [name] => {
            let plan = named(name)?;
            if plan.query.select.rerank.is_none() {
                let problem = format!("`{}` has no reranker to compare it without", plan.name);
                let hint = "set `query.retrieve.rerank.model`, or name a second pipeline".to_owned();
                return Err(Invalid::from(Diagnostic::error(problem, Some(hint))).into());
            }
            let mut without = plan.clone();
            without.query.select.rerank = None;
            without.name = format!("{}, unranked", plan.name);
            Ok(vec![without, plan])
        }
        several => several.iter().map(named).collect(),
    }
}

/// Brings the set's own index up to date and asks it everything. `None`: interrupted.
async fn measured(
    plan: Plan,
    set: &LabelledSet,
    rewrite: bool,
    common: &Common,
    output: &Output,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Measured>> {
    let settings = common.settings()?;
    let ranked = Ranked::from(&plan);
    let (name, model) = (plan.name.clone(), plan.embed.model.to_string());
    let runtime = eval::index(plan, &settings, set).map_err(Invalid::from)?;
    let _fetching = downloads(output, runtime.providers.downloads());
    let report = Arc::new(Report::default());
    let progress = Progress::start(output.clone(), Arc::clone(&report), Reading::of(&[]));
    let (lines, told) = (progress.lines(), output.clone());
    let options = Options {
        prune: true,
        observer: Arc::new(move |failure| lines.above(&told, &format!("failed {}: {}", failure.uri, failure.error))),
        ..Options::default()
    };
    let summary = runtime.ingest(options, report, stop.clone()).await;
    progress.finish();
    let summary = summary?;
    if summary.outcome == Outcome::Interrupted {
        return Ok(None);
    }
    let answerer = Answerer::open(&runtime).await?;
    // The one that was chosen, where the pipeline leaves the choice.
    let model = answerer.embedding_model().await?.unwrap_or(model);
    let (mut set, mut rewritten) = (Cow::Borrowed(set), None);
    if rewrite {
        if answerer.models(&Question::default()).await?.is_empty() {
            let hint = "set `query.answer.model`, or leave `--rewrite` away";
            return Err(Invalid::from(Diagnostic::error("no model can rewrite follow-ups", Some(hint.to_owned()))).into());
        }
        let asking = Asking::start(output, "rewriting", set.follow_ups().count());
        let Some(alone) = eval::rewritten(&answerer, &set, || asking.note(), stop).await? else { return Ok(None) };
        asking.finish();
        (set, rewritten) = (Cow::Owned(alone.set), Some((alone.queries, alone.cost_usd)));
    }
    let asking = Asking::start(output, "asking", set.queries.len() + set.unanswerable.len());
    let measured = eval::measure(&answerer, &set, || asking.note(), stop).await?;
    asking.finish();
    Ok(measured.map(|Asked { queries, judged, claims }| {
        let (answerability, failed) = (Answerability::of(&judged), summary.documents.failed);
        Measured { pipeline: name, model, ranked, queries, answerability, claims, rewritten, failed }
    }))
}

/// How far the asking is.
struct Asking {
    asked: Arc<AtomicUsize>,
    progress: Progress,
}

impl Asking {
    fn start(output: &Output, what: &'static str, of: usize) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counted, shown) = (Arc::clone(&asked), Arc::clone(&asked));
        let event = move || json!({"type": what, "queries": counted.load(Ordering::Relaxed), "of": of});
        let line = move || Some(format!("{what} · {}/{of} queries", shown.load(Ordering::Relaxed)));
        Self { asked, progress: Progress::show(output.clone(), event, line) }
    }

    fn note(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    fn finish(self) {
        self.progress.finish();
    }
}

/// What the page shows later.
fn kept(set: &str, runs: &[Measured]) -> Measurement {
    let summed = runs.iter().map(|run| Run::new(&run.pipeline, &run.model, &run.queries)).collect();
    Measurement::new(set, summed, &runs.iter().map(|run| run.queries.as_slice()).collect::<Vec<_>>())
}

fn events(runs: &[Measured], measurement: &Measurement, output: &Output) {
    if output.verbose() {
        for run in runs {
            run.queries.iter().for_each(|query| output.event(&query_event(run, query)));
            run.claims.iter().for_each(|claim| output.event(&claim_event(run, claim)));
        }
    }
    if let [a, b] = runs {
        let compared = measurement.comparison.iter();
        let figures: serde_json::Map<_, _> =
            compared.map(|one| (one.name.clone(), json!({"difference": one.difference, "p": one.p}))).collect();
        output.event(&json!({"type": "comparison", "a": a.pipeline, "b": b.pipeline, "figures": figures}));
        if let Some(payoff) = payoff(a, b) {
            let Payoff { reranker, against, ndcg_10, p, added, cost_usd, unranked, queries } = &payoff;
            let ndcg = json!({"difference": ndcg_10.mean, "low": ndcg_10.low, "high": ndcg_10.high, "p": p});
            output.event(&json!({"type": "reranker", "model": reranker, "against": against, "ndcg@10": ndcg,
                                 "added_ms": added.as_secs_f64() * 1000.0, "cost_usd_per_query": cost_usd,
                                 "unranked": unranked, "queries": queries, "verdict": payoff.verdict().code()}));
        }
    }
    for (run, summed) in runs.iter().zip(&measurement.runs) {
        let mut event = json!({"type": "scores", "pipeline": run.pipeline});
        let intervals: serde_json::Map<_, _> =
            summed.figures.iter().map(|figure| (figure.name.clone(), json!([figure.low, figure.high]))).collect();
        if let (Some(event), Ok(serde_json::Value::Object(scores))) =
            (event.as_object_mut(), serde_json::to_value(Scores::of(&run.queries)))
        {
            event.extend(scores);
            if let Ok(serde_json::Value::Object(spans)) = serde_json::to_value(SpanScores::of(&run.queries)) {
                event.extend(spans);
            }
            event.insert("intervals".to_owned(), intervals.into());
            if let Some(answerability) = &run.answerability {
                event.insert("answerability".to_owned(), json!(answerability));
            }
            if let Some(claims) = ClaimScores::of(&run.claims) {
                event.insert("claims".to_owned(), claims_event(&claims));
            }
            if let Some((rewritten, cost_usd)) = run.rewritten {
                event.insert("rewritten".to_owned(), rewritten.into());
                event.insert("rewriting_cost_usd".to_owned(), cost_usd.into());
            }
        }
        output.event(&event);
    }
}

fn query_event(run: &Measured, query: &QueryScore) -> serde_json::Value {
    let found: Vec<&String> = query.found.iter().take(10).collect();
    let spans = query
        .spans
        .map(|spans| json!({"recall": spans.recall, "precision": spans.precision, "iou": spans.iou, "tokens": spans.tokens}));
    json!({"type": "query", "pipeline": run.pipeline, "query_id": query.id, "ndcg@10": query.ndcg_10, "first": query.first,
           "ms": query.time.as_secs_f64() * 1000.0, "found": found, "spans": spans, "error": query.failed})
}

fn claim_event(run: &Measured, claim: &ClaimScore) -> serde_json::Value {
    let ClaimScore { text, supported, doubts, doubted_unsharpened, altered, .. } = claim;
    json!({"type": "claim", "pipeline": run.pipeline, "claim": text, "supported": supported, "doubts": doubts,
           "doubted_without_model": doubted_unsharpened, "altered": altered.0, "altered_caught": altered.1})
}

fn claims_event(claims: &ClaimScores) -> serde_json::Value {
    let told = |told: &Told| {
        let Told { supported, doubted, unsupported, caught } = told;
        let (precision, recall) = (told.precision(), told.recall());
        let figures = json!({"supported": supported, "doubted": doubted, "unsupported": unsupported, "caught": caught,
                             "precision": precision, "recall": recall});
        figures.as_object().cloned().unwrap_or_default()
    };
    let ClaimScores { shown, without_model, altered, altered_caught, unfound, decided } = claims;
    let mut event = told(shown);
    event.extend(
        [("altered", altered), ("altered_caught", altered_caught), ("unfound", unfound)]
            .map(|(key, count)| (key.to_owned(), json!(count))),
    );
    if let Some(without) = without_model {
        event.insert("without_model".to_owned(), told(without).into());
        event.insert("decided".to_owned(), json!(decided));
    }
    event.into()
}

/// What is told of claims, as parts of how many; where a decision model has a say, beside what is without it.
fn claim_lines(claims: &ClaimScores) -> [(&'static str, String); 3] {
    let part = |part: usize, of: usize| if of == 0 { "-".to_owned() } else { format!("{part}/{of}") };
    let both = |of: fn(&Told) -> (usize, usize)| {
        let shown = of(&claims.shown);
        let without = claims.without_model.as_ref().map(of).filter(|without| *without != shown);
        let without = without.map_or_else(String::new, |(caught, _)| format!(" ({caught})"));
        format!("{}{without}", part(shown.0, shown.1))
    };
    [
        ("true doubted", both(|told| (told.doubted, told.supported))),
        ("false doubted", both(|told| (told.caught, told.unsupported))),
        ("altered doubted", part(claims.altered_caught, claims.altered)),
    ]
}

/// ```text
/// data/eval: 30 queries
///
///                 docs     exact  difference      p
/// nDCG@10       0.8731    0.8120     -0.0611  0.012
/// p50             3 ms      2 ms
/// ```
fn table(directory: &std::path::Path, runs: &[Measured]) -> String {
    let queries = runs.first().map_or(0, |run| run.queries.len() as u64);
    let mut text = format!("{}: {}\n\n{:<NAME$}", directory.display(), counted(queries, "query"), "");
    for run in runs {
        text.push_str(&format!("  {:>12}", trimmed(&one_line(&run.pipeline), 12)));
    }
    if let [_, _] = runs {
        text.push_str(&format!("  {:>10}  {:>6}", "difference", "p"));
    }
    for (name, figure) in figures(runs.first().map_or(&[], |run| &run.queries)) {
        text.push_str(&format!("\n{name:<NAME$}"));
        for run in runs {
            let values = values(&run.queries, figure);
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            text.push_str(&format!("  {mean:>12.4}"));
        }
        if let [a, b] = runs {
            let difference = compare(&a.queries, &b.queries, figure);
            text.push_str(&format!("  {:>+10.4}  {:>6.3}", difference.mean, difference.p));
        }
    }
    let spans: Vec<SpanScores> = runs.iter().filter_map(|run| SpanScores::of(&run.queries)).collect();
    if !spans.is_empty() {
        text.push_str(&format!("\n{:<NAME$}", "span tokens"));
        for spans in &spans {
            text.push_str(&format!("  {:>12.0}", spans.span_tokens));
        }
    }
    let scores: Vec<Scores> = runs.iter().map(|run| Scores::of(&run.queries)).collect();
    for (name, time) in [("p50", (|scores| scores.p50_ms) as fn(&Scores) -> f64), ("p99", |scores| scores.p99_ms)] {
        text.push_str(&format!("\n{name:<NAME$}"));
        for scores in &scores {
            text.push_str(&format!("  {:>9.1} ms", time(scores)));
        }
    }
    for (name, figure) in ANSWERABILITY.iter().filter(|_| runs.iter().any(|run| run.answerability.is_some())) {
        text.push_str(&format!("\n{name:<NAME$}"));
        for run in runs {
            let figure = run.answerability.as_ref().map_or_else(|| "-".to_owned(), |known| format!("{:.4}", figure(known)));
            text.push_str(&format!("  {figure:>12}"));
        }
    }
    let claims: Vec<_> = runs.iter().map(|run| ClaimScores::of(&run.claims).as_ref().map(claim_lines)).collect();
    for (n, (name, _)) in claims.iter().flatten().next().into_iter().flatten().enumerate() {
        text.push_str(&format!("\n{name:<NAME$}"));
        for lines in &claims {
            let figure = lines.as_ref().and_then(|lines| lines.get(n)).map_or("-", |(_, figure)| figure);
            text.push_str(&format!("  {figure:>12}"));
        }
    }
    if runs.iter().any(|run| run.rewritten.is_some()) {
        text.push_str(&format!("\n{:<NAME$}", "rewritten"));
        for run in runs {
            text.push_str(&format!("  {:>12}", run.rewritten.map_or(0, |(queries, _)| queries)));
        }
        text.push_str(&format!("\n{:<NAME$}", "cost of that"));
        for run in runs {
            let cost = run.rewritten.and_then(|(_, cost)| cost);
            text.push_str(&format!("  {:>12}", cost.map_or_else(|| "not known".to_owned(), |cost| format!("${cost:.5}"))));
        }
    }
    text.push('\n');
    if let [a, b] = runs
        && let Some(payoff) = payoff(a, b)
    {
        text.push_str(&format!("\n{}\n", sentence(&payoff)));
    }
    text
}

fn payoff(a: &Measured, b: &Measured) -> Option<Payoff> {
    Payoff::of((&a.ranked, &a.queries), (&b.ranked, &b.queries))
}

/// ```text
/// cohere/rerank-v3.5 ranks better than no reranker: nDCG@10 +0.0312 (95 %: +0.0101 to +0.0520, p 0.004), 312 ms more a question,
/// $0.0008 a question; it was late or failed for 2 of 30.
/// ```
fn sentence(payoff: &Payoff) -> String {
    let Payoff { reranker, against, ndcg_10, p, added, cost_usd, unranked, queries } = payoff;
    let (reranker, against) = (one_line(reranker), against.as_ref().map_or("no reranker".into(), |other| one_line(other)));
    let verdict = match payoff.verdict() {
        Verdict::Better => format!("{reranker} ranks better than {against}"),
        Verdict::Worse => format!("{reranker} ranks worse than {against}"),
        Verdict::Untold => format!("These questions do not tell {reranker} from {against}"),
    };
    let cost = cost_usd.map_or("its cost is not known".into(), |cost| format!("${cost:.6} a question"));
    let ms = added.as_secs_f64() * 1000.0;
    let late = if *unranked == 0 { String::new() } else { format!("; it was late or failed for {unranked} of {queries}") };
    format!(
        "{verdict}: nDCG@10 {:+.4} (95 %: {:+.4} to {:+.4}, p {p:.3}), {ms:.0} ms more a question, {cost}{late}.",
        ndcg_10.mean, ndcg_10.low, ndcg_10.high
    )
}

/// The queries that were answered worst, with what came first instead.
fn worst(run: &Measured, width: usize) -> String {
    let mut queries: Vec<&QueryScore> = run.queries.iter().filter(|query| query.ndcg_10 < 1.0).collect();
    queries.sort_by(|a, b| a.ndcg_10.total_cmp(&b.ndcg_10));
    let mut text = format!("\n{}: the worst of {}\n", one_line(&run.pipeline), counted(run.queries.len() as u64, "query"));
    for query in queries.into_iter().take(WORST) {
        let place = query.first.map_or_else(|| "  -".into(), |place| format!("{place:>3}"));
        let line = format!("{:.3}  first answer at {place}  {}  {}", query.ndcg_10, query.id, query.text);
        text.push_str(&format!("  {}\n", trimmed(&one_line(&line), width.saturating_sub(2))));
        let instead = match (&query.failed, query.found.first()) {
            (Some(error), _) => error,
            (None, Some(found)) if query.first != Some(1) => found,
            _ => continue,
        };
        text.push_str(&format!("         {}\n", trimmed(&one_line(instead), width.saturating_sub(9))));
    }
    text
}

/// The claims that were doubted though they are true, or were not though they are not.
fn misjudged(run: &Measured, width: usize) -> String {
    let mut text = String::new();
    for claim in &run.claims {
        let Some(doubts) = &claim.doubts else { continue };
        if claim.supported != doubts.is_empty() {
            let what =
                doubts.first().map_or("not doubted".to_owned(), |doubt| format!("doubted ({}: {})", doubt.kind, doubt.said));
            let line = format!("{what}: {}", claim.text);
            text.push_str(&format!("  {}\n", trimmed(&one_line(&line), width.saturating_sub(2))));
        }
    }
    if text.is_empty() { text } else { format!("\n{}: claims that were misjudged\n{text}", one_line(&run.pipeline)) }
}
