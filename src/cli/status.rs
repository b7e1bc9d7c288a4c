//! `status`: what the index holds.

use super::args::{Common, StatusArgs};
use super::output::{Output, counted, grouped};
#[cfg(all(unix, feature = "serve"))]
use super::owner::status as of_a_service;
use super::style::harmless;
use super::{cluster, exit};
use crate::runtime::{Status, StatusNext};
use crate::source::readable::readable;

pub(super) async fn run(args: StatusArgs, common: &Common, output: &Output) -> anyhow::Result<u8> {
    let runtime = args.pipeline.runtime(common, |_| Ok(()))?;
    if let Some(url) = args.cluster.url()? {
        return cluster::status(&runtime, url, output).await;
    }
    let status = match of_a_service(&runtime).await {
        Some(status) => status,
        None => runtime.status().await?,
    };
    if output.json {
        output.event(&status);
    } else {
        output.print(&shown(&status));
    }
    Ok(if status.index.is_none() || status.failed > 0 { exit::SOME_FAILED } else { exit::OK })
}

#[cfg(not(all(unix, feature = "serve")))]
async fn of_a_service(_: &crate::runtime::Runtime) -> Option<Status> {
    None
}

fn shown(status: &Status) -> String {
    let Status { pipeline, store, index, next, documents, chunks, failed, failures, cache } = status;
    let mut text = format!("pipeline   {pipeline}\nstore      {store}\n");
    match index {
        Some(meta) => {
            text.push_str(&format!("index      {}, {}\n", counted(*documents, "document"), counted(*chunks, "chunk")));
            text.push_str(&format!("model      {} ({} dimensions)\n", meta.model, meta.dimensions));
            text.push_str(&format!("chunking   {}\n", meta.chunking));
            if let Some(StatusNext { index, chunks, percent, failed }) = next {
                let of_them = if *failed == 0 { String::new() } else { format!(", {} failed", counted(*failed, "document")) };
                text.push_str(&format!(
                    "next       {} ({} dimensions): {}, {percent} %{of_them}; until all are there the others answer\n",
                    index.model,
                    index.dimensions,
                    counted(*chunks, "chunk"),
                ));
            }
        }
        None => text.push_str("index      none yet: `ingest ./docs` makes one\n"),
    }
    if *failed > 0 {
        text.push_str(&format!("failed     {}\n", counted(*failed, "document")));
        for failure in failures {
            let failed = format!("{}: {} (at {})", failure.uri, failure.error, failure.stage);
            text.push_str(&format!("  {}\n", harmless(&readable(&failed))));
        }
        if *failed > failures.len() as u64 {
            text.push_str(&format!("  and {} more\n", grouped(failed - failures.len() as u64)));
        }
    }
    if let Some(held) = cache {
        let bytes = indicatif::HumanBytes(held.bytes);
        text.push_str(&format!("cache      {}, {bytes} (shared by all projects)\n", counted(held.entries, "embedding")));
    }
    text
}
