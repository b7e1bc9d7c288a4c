//! `status`: what the index holds.

use anyhow::Context as _;
use serde_json::json;

use super::args::{Common, PipelineArg};
use super::exit;
use super::output::{Output, counted, grouped};
use super::style::harmless;
use crate::cache;
use crate::error::Error;
use crate::ingest::ledger::{Ledger as _, SqliteLedger, Totals};
use crate::source::readable::readable;

/// Failed documents that are shown.
const SHOWN: usize = 100;

pub(super) async fn run(args: PipelineArg, common: &Common, output: &Output) -> anyhow::Result<u8> {
    let runtime = args.runtime(common, |_| Ok(()))?;
    let store = runtime.store()?;
    let meta = store.meta().await.map_err(Error::from)?;
    let points = if meta.is_some() { store.count().await.map_err(Error::from)? } else { 0 };
    let path = runtime.settings.ledger(&runtime.plan.name);
    let folder = runtime.settings.cache.clone();
    let cached = tokio::task::spawn_blocking(move || cache::held(&folder)).await.context("the cache could not be read")?;
    let (totals, failures) = match SqliteLedger::open_to_read(&path).await.map_err(Error::from)? {
        Some(ledger) => (ledger.totals().await.map_err(Error::from)?, ledger.failures(SHOWN).await.map_err(Error::from)?),
        None => (Totals::default(), Vec::new()),
    };
    let Totals { documents, failed } = totals;
    if output.json {
        output.event(&json!({
            "type": "status",
            "pipeline": runtime.plan.name,
            "store": store.describe(),
            "index": meta,
            "documents": documents,
            "chunks": points,
            "failed": failed,
            "failures": failures.iter().map(|f| json!({"uri": f.uri, "stage": f.stage, "error": f.error})).collect::<Vec<_>>(),
            "cache": cached.map(|held| json!({"entries": held.entries, "bytes": held.bytes})),
        }));
    } else {
        let mut text = format!("pipeline   {}\nstore      {}\n", runtime.plan.name, store.describe());
        match &meta {
            Some(meta) => {
                text.push_str(&format!("index      {}, {}\n", counted(documents, "document"), counted(points, "chunk")));
                text.push_str(&format!("model      {} ({} dimensions)\n", meta.model, meta.dimensions));
                text.push_str(&format!("chunking   {}\n", meta.chunking));
            }
            None => text.push_str("index      none yet: `ingest ./docs` makes one\n"),
        }
        if failed > 0 {
            text.push_str(&format!("failed     {}\n", counted(failed, "document")));
            for failure in &failures {
                let failed = format!("{}: {} (at {})", failure.uri, failure.error, failure.stage);
                text.push_str(&format!("  {}\n", harmless(&readable(&failed))));
            }
            if failed > failures.len() as u64 {
                text.push_str(&format!("  and {} more\n", grouped(failed - failures.len() as u64)));
            }
        }
        if let Some(held) = cached {
            let bytes = indicatif::HumanBytes(held.bytes);
            text.push_str(&format!("cache      {}, {bytes} (shared by all projects)\n", counted(held.entries, "embedding")));
        }
        output.print(&text);
    }
    Ok(if meta.is_none() || failed > 0 { exit::SOME_FAILED } else { exit::OK })
}
