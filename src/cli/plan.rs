//! `plan`: what an ingest would do, and what it would cost.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::{Common, PlanCommand};
use super::ingest::{options, runtime};
use super::output::{Output, counted, grouped};
use super::progress::{Progress, Reading, downloads};
use super::signals::unless_stopped;
use super::{cluster, exit};
use crate::ingest::report::Report;
use crate::ingest::{Forecast, ForecastChange, ForecastContexts};
use crate::source::SourcePlan;

pub(super) async fn run(
    PlanCommand { ingest: args, cluster: together }: &PlanCommand,
    common: &Common,
    output: &Output,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let together = together.url()?;
    if together.is_some() {
        cluster::check(args, common)?;
    }
    let written = (args.clone(), common.clone());
    let Some(runtime) = unless_stopped(&stop, move || runtime(&written.0, &written.1)).await? else {
        return Ok(exit::INTERRUPTED);
    };
    let _fetching = downloads(output, runtime.providers.downloads());
    let report = Arc::new(Report::default());
    let progress = Progress::start(output.clone(), Arc::clone(&report), Reading::of(&runtime.plan.sources));
    let options = options(args, output.clone(), progress.lines());
    let forecast = async {
        match together {
            Some(url) => cluster::forecast(&runtime, url, options, report, stop.child_token()).await,
            None => Ok(runtime.forecast(options, report, stop.child_token()).await?),
        }
    };
    let forecast = tokio::select! {
        forecast = forecast => forecast,
        // Nothing is lost by leaving it: it changes nothing.
        () = stop.cancelled() => return Ok(exit::INTERRUPTED),
    };
    progress.finish();
    let Some(forecast) = forecast? else { return Ok(super::INTERRUPTED) };
    if output.json {
        output.event(&forecast);
    } else {
        output.print(&show(&forecast));
        if runtime.plan.sources.iter().any(|source| matches!(source, SourcePlan::Web(_))) {
            output.print("sites      only what earlier runs have seen is counted: a plan fetches no page\n");
        }
    }
    Ok(if forecast.documents.failed > 0 { exit::SOME_FAILED } else { exit::OK })
}

/// What it would take to say where chunks stand.
fn situated(contexts: &ForecastContexts) -> String {
    let ForecastContexts { model, requests, cached, input_tokens, output_tokens, prompt_cache, .. } = contexts;
    let mut text = format!(
        "\ncontext    {} to {model}, about {} read and {} written",
        counted(*requests, "request"),
        counted(*input_tokens, "token"),
        grouped(*output_tokens),
    );
    if prompt_cache.read_tokens > 0 {
        text.push_str(&format!(" ({} of those read from the provider's cache)", grouped(prompt_cache.read_tokens)));
    }
    if *cached > 0 {
        text.push_str(&format!("; {} known", grouped(*cached)));
    }
    text.push_str(&match (contexts.cost_usd, contexts.prices_as_of) {
        _ if *requests == 0 => String::new(),
        (Some(cost), Some(date)) => format!(": ${cost:.4} (prices of {date})"),
        (Some(cost), None) => format!(": ${cost:.4} (by the prices in the pipeline file)"),
        (None, _) => ": price not known".to_owned(),
    });
    if let Some(minutes) = contexts.minutes.filter(|_| *requests > 0) {
        text.push_str(&format!(", {minutes:.1} minutes at quota"));
    }
    text
}

fn show(forecast: &Forecast) -> String {
    let Forecast { documents, chunks, .. } = forecast;
    let mut text = match &forecast.change {
        Some(ForecastChange::Change { from, to, percent }) => {
            let done = if *percent > 0 { format!("; {percent} % are there") } else { String::new() };
            format!("model      {from} becomes {to}: until that is complete, the old vectors answer{done}\n")
        }
        Some(ForecastChange::TakenBack { to }) => {
            format!("model      as it is: the change to {to} that was begun is taken back, and its vectors are removed\n")
        }
        None => String::new(),
    };
    text.push_str(&format!("documents  {} seen", grouped(documents.seen)));
    for (count, what) in [
        (documents.added, "new"),
        (documents.changed, "changed"),
        (documents.unchanged, "unchanged"),
        (documents.removed, "to be removed"),
        (documents.failed, "cannot be read"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    text.push_str(&format!("\nchunks     {} new", grouped(chunks.new)));
    for (count, what) in [(chunks.moved, "moved"), (chunks.kept, "kept"), (chunks.deleted, "to be deleted")] {
        if count > 0 {
            text.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    if let Some(contexts) = &forecast.contexts {
        text.push_str(&situated(contexts));
    }
    text.push_str(&format!(
        "\nembed      {} with {} in {}, about {}\n",
        counted(forecast.embeddings, "text"),
        forecast.model,
        counted(forecast.requests, "request"),
        counted(forecast.tokens, "token"),
    ));
    if forecast.cached > 0 {
        text.push_str(&format!("cached     {}\n", counted(forecast.cached, "text")));
    }
    text.push_str(&match (forecast.total_cost_usd, forecast.prices_as_of) {
        (Some(cost), _) if forecast.contexts.is_some() => format!("price      ${cost:.4}, contexts included\n"),
        (Some(cost), Some(date)) => format!("price      ${cost:.4} (prices of {date})\n"),
        (Some(cost), None) => format!("price      ${cost:.4} (by the prices in the pipeline file)\n"),
        (None, _) if forecast.cost_usd.is_some() => {
            "price      not known in all: that of the contexts' model is not\n".to_owned()
        }
        (None, _) => {
            "price      not known for this model; `prices` of its provider in the pipeline file can say it\n".to_owned()
        }
    });
    if let Some(minutes) = forecast.minutes {
        text.push_str(&format!("at quota   {minutes:.1} minutes\n"));
    }
    if forecast.kept_although_gone > 0 {
        let gone = counted(forecast.kept_although_gone, "document");
        text.push_str(&format!(
            "gone       {gone}, more than half of the index or of another home: kept unless --prune is given\n"
        ));
    }
    text
}
