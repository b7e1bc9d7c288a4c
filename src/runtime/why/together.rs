//! The same of several pipelines whose indexes are asked together.

use std::path::Path;
use std::sync::Arc;

use super::{Meant, Why};
use crate::answer::{Answerer, Cause, Question};
use crate::error::{Error, Origin};
use crate::runtime::Runtime;

impl Runtime {
    /// As [`Self::why`], of whichever of these pipelines has the document; `answerer` asks them [together](Answerer::open_together).
    /// Where no index has it, what the first pipeline says whose sources know it.
    ///
    /// # Errors
    /// As [`Self::why`], where none of them knows it.
    pub async fn why_together(
        pipelines: (&Arc<Self>, &[Arc<Self>]),
        answerer: &Answerer,
        file: &str,
        cwd: Option<&Path>,
        question: &Question,
    ) -> Result<Why, Error> {
        let (mut meant, mut failed) = (Vec::new(), None);
        let (first, others) = pipelines;
        for runtime in std::iter::once(first).chain(others) {
            match runtime.meant(file, cwd).await {
                Ok(document) => meant.push((runtime, document)),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        // One that knows the document goes before one that takes it for a new one.
        meant.sort_by_key(|(_, document)| !document.known);
        let mut uris: Vec<String> = meant.iter().map(|(_, document)| document.uri.clone()).collect();
        uris.dedup();
        for uri in uris {
            let Some(trace) = answerer.trace(question, &uri).await? else { continue };
            let named = |(runtime, _): &(&Arc<Self>, Meant)| trace.pipeline.as_deref() == Some(&*runtime.plan.name);
            // It may be called otherwise by that pipeline's own files.
            if let Some(at) = meant.iter().position(named) {
                let (runtime, document) = meant.swap_remove(at);
                return runtime.explained(Meant { uri, ..document }, question, Some(trace)).await;
            }
        }
        let mut absent = None;
        for (runtime, document) in meant {
            let why = runtime.explained(document, question, None).await?;
            if !matches!(why.cause, Cause::Missing { .. } | Cause::NotMet | Cause::OutsideSources | Cause::OtherPipeline { .. })
            {
                return Ok(why);
            }
            absent.get_or_insert(why);
        }
        match (absent, failed) {
            // It is called so more than once in one of them.
            (_, Some(error)) if error.origin() == Origin::Question => Err(error),
            (Some(why), _) => Ok(why),
            (None, Some(error)) => Err(error),
            (None, None) => first.why(answerer, file, cwd, question).await,
        }
    }
}
