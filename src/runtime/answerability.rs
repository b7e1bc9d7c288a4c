//! What an index teaches of which questions its documents answer: learned at the end of an ingest, when it is another corpus.

use tokio_util::sync::CancellationToken;

use super::Runtime;
use crate::answer::answerability::Known;
use crate::answer::answerability::calibrate::{FEWEST_PASSAGES, calibrate};
use crate::error::{Error, reason};
use crate::ingest::report::IngestSummary;
use crate::providers::ProviderKind;

impl Runtime {
    /// Learns it anew where nothing is known yet, or much has changed. Worth no error: without it, every question is asked.
    pub(super) async fn calibrate(&self, summary: &IngestSummary, stop: &CancellationToken) {
        let changed = summary.chunks.upserted + summary.chunks.deleted;
        if let Err(error) = self.calibrated(changed, stop).await {
            tracing::warn!(error = reason(&error), "which questions the documents answer is not learned");
        }
    }

    async fn calibrated(&self, changed: u64, stop: &CancellationToken) -> Result<(), Error> {
        let (path, store) = (self.settings.answerability(&self.plan.name), self.store().await?);
        if store.count().await? < FEWEST_PASSAGES {
            return Ok(());
        }
        let Some(meta) = store.meta().await? else { return Ok(()) };
        let (reading, model) = (path.clone(), meta.model.as_str().to_owned());
        let read = move || Known::read(&reading, &model);
        let read = tokio::task::spawn_blocking(read).await.map_err(|source| Error::worker("read what is known", source))?;
        let known = match read {
            Some(_) if changed == 0 => return Ok(()),
            known => known.and_then(|known| known.after(changed)),
        };
        let known = match known {
            Some(known) => Some(known),
            None => calibrate(&self.retriever().await?, self.bm25(), &self.plan.query, self.embeds_for_nothing(), stop).await?,
        };
        let Some(known) = known else { return Ok(()) };
        let keep = move || known.keep(&path).map_err(|source| Error::io("write", path, source));
        tokio::task::spawn_blocking(keep).await.map_err(|source| Error::worker("keep what is known", source))?
    }

    /// Whether a question's vector costs nothing but a core's time. What a program's own model costs is not known.
    fn embeds_for_nothing(&self) -> bool {
        let provider = self.plan.providers.get(&self.plan.embed.model.provider);
        !self.own_embedder && provider.is_some_and(|provider| provider.kind == ProviderKind::Local)
    }
}
