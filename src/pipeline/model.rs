//! `provider/model`.

use std::collections::BTreeMap;
use std::path::Path;

use super::diagnose::{Diagnostic, printable};
use super::meaning::Problem;
use super::plan::Plan;
use crate::providers::local;
use crate::providers::{ModelRef, ProviderKind, ProviderPlan};
use crate::suggest::did_you_mean;

/// What a model is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To turn texts into vectors.
    Embed,
    /// To answer questions.
    Answer,
    /// To rank passages.
    Rerank,
    /// To decide.
    Decide,
}

impl Purpose {
    fn example(self) -> &'static str {
        match self {
            Self::Embed => "openai/text-embedding-3-small",
            Self::Answer => "anthropic/claude-sonnet-4-5",
            Self::Rerank => "cohere/rerank-v3.5",
            Self::Decide => "openai/gpt-6-luna",
        }
    }

    fn is_served_by(self, provider: &ProviderPlan) -> bool {
        match self {
            Self::Embed => provider.kind.can_embed(),
            Self::Answer => provider.kind.can_chat(),
            Self::Rerank => provider.kind.can_rerank(),
            Self::Decide => provider.kind.can_decide(),
        }
    }
}

impl ModelRef {
    /// Reads `provider/model` as given on the command line, with the same errors as in a pipeline file.
    pub fn parse(text: &str, plan: &Plan, purpose: Purpose) -> Result<Self, Diagnostic> {
        let model = split(text, &printable(text), purpose).map_err(diagnostic)?;
        check(&model, &printable(text), &plan.providers, purpose).map_err(diagnostic)?;
        Ok(model)
    }
}

fn diagnostic(problem: Problem) -> Diagnostic {
    Diagnostic::error(problem.message, problem.hint)
}

/// Cuts at the first `/`. `shown` is what messages may call it.
pub(super) fn split(text: &str, shown: &str, purpose: Purpose) -> Result<ModelRef, Problem> {
    match text.trim().split_once('/') {
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
            Ok(ModelRef { provider: provider.to_owned(), model: model.to_owned() })
        }
        _ => {
            let problem = Problem::new(format!("`{shown}` is not `provider/model`"));
            let example = format!("such as `{}`", purpose.example());
            Err(problem.hint(if text.contains('／') {
                format!("its `／` is full-width: write `/`, {example}")
            } else {
                example
            }))
        }
    }
}

/// Whether the provider is there and serves the purpose.
pub(super) fn check(
    model: &ModelRef,
    shown: &str,
    providers: &BTreeMap<String, ProviderPlan>,
    purpose: Purpose,
) -> Result<(), Problem> {
    let able: Vec<&str> =
        providers.values().filter(|provider| purpose.is_served_by(provider)).map(|provider| provider.name.as_str()).collect();
    let Some(provider) = providers.get(&model.provider) else {
        let one_of = format!("one of: {}; others are declared under `providers`", able.join(", "));
        let hint = match did_you_mean(&model.provider, able.iter().copied()) {
            Some(guess) => format!("{guess} {one_of}"),
            None => one_of,
        };
        return Err(Problem::new(format!("no provider of this name: `{shown}`")).hint(hint));
    };
    if let Some(misled) = &provider.misled {
        return Err(Problem::new(format!("`{shown}`: {misled}")));
    }
    if purpose.is_served_by(provider) {
        return match (provider.kind, purpose) {
            (ProviderKind::Local, Purpose::Rerank) => check_local_reranker(&model.model, shown),
            (ProviderKind::Local, _) => check_local(&model.model, shown),
            _ => Ok(()),
        };
    }
    let (kind, cannot) = match purpose {
        Purpose::Embed => (provider.kind.name(), "has no embeddings"),
        Purpose::Answer => (provider.kind.name(), "has no models here that answer"),
        Purpose::Rerank => (provider.kind.name(), "has no models here that rerank"),
        Purpose::Decide => (provider.kind.name(), "has no models here that decide"),
    };
    Err(Problem::new(format!("`{shown}`: {kind} {cannot}")).hint(format!("these have: {}", able.join(", "))))
}

/// The models that run in process are known by name.
fn check_local(model: &str, shown: &str) -> Result<(), Problem> {
    if local::MODELS.iter().chain([&local::AUTO]).any(|known| known.eq_ignore_ascii_case(model)) {
        return Ok(());
    }
    let one_of =
        format!("the local models are {}; `{}` is the one that suits the documents", local::MODELS.join(", "), local::AUTO);
    let hint = match did_you_mean(model, local::MODELS) {
        Some(guess) => format!("{guess} {one_of}"),
        None => one_of,
    };
    Err(Problem::new(format!("there is no such local model: `{shown}`")).hint(hint))
}

/// Rerankers that run in process are known by name, or named by their folders.
fn check_local_reranker(model: &str, shown: &str) -> Result<(), Problem> {
    if local::is_folder(model) || local::RERANKERS.iter().any(|known| known.eq_ignore_ascii_case(model)) {
        return Ok(());
    }
    let one_of = format!(
        "the local rerankers are {}; any other cross-encoder is named by its folder, such as `local/./{}`",
        local::RERANKERS.join(", "),
        printable(model)
    );
    let hint = match did_you_mean(model, local::RERANKERS) {
        Some(guess) => format!("{guess} {one_of}"),
        None => one_of,
    };
    Err(Problem::new(format!("there is no such local reranker: `{shown}`")).hint(hint))
}

/// What a folder lacks to be a reranker's.
pub(super) fn lacking(folder: &Path, shown: &str) -> Option<Problem> {
    let hint = format!(
        "the folder of a reranker holds {}, as a Hugging Face hub has them; a relative path is relative to the pipeline's file",
        local::FOLDER.join(", ")
    );
    let folder_shown = printable(&folder.display().to_string());
    let message = match &*local::lacking(folder) {
        [] => return None,
        _ if !folder.is_dir() => format!("`{shown}`: there is no folder {folder_shown}"),
        missing => format!("`{shown}`: {} is not in {folder_shown}", missing.join(", ")),
    };
    Some(Problem::new(message).hint(hint))
}
