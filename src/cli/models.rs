//! The models that a command asks.

use std::sync::Arc;

use super::args::{AskArgs, Invalid, JoinArg};
/// What has a running service answer questions, if one has the index open.
#[cfg(all(unix, feature = "serve"))]
pub(super) use super::owner::answerer as through_a_service;
use crate::answer::{Answerer, Ensemble, EnsembleMode, ModelChoice};
use crate::error::Error;
use crate::pipeline::{Plan, Purpose};
use crate::providers::ModelRef;
use crate::runtime::Runtime;
use crate::tokenizer::{Tokenizer, TokenizerName};

/// The models named on the command line.
#[derive(Debug)]
pub(super) struct Named {
    /// The one that answers.
    pub model: ModelChoice,
    /// Those that stand by, where any are named.
    pub fallback: Option<Vec<ModelChoice>>,
    /// Those that answer at once, where several are named.
    pub ensemble: Option<Ensemble>,
}

impl Named {
    /// Reads the names.
    pub fn parse(args: &AskArgs, plan: &Plan, others: &[Arc<Runtime>]) -> anyhow::Result<Self> {
        let parse = |name: &String| named(name, plan, others);
        let models = args.models.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let judge = args.judge.as_ref().map(parse).transpose()?;
        let fallback = args.fallback.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if let Some((_, twice)) =
            models.iter().enumerate().find(|(n, model)| models.iter().take(*n).any(|other| other == *model))
        {
            anyhow::bail!("--model {twice} is given twice; name each model once");
        }
        if models.len() > 1 && args.batch.is_some() {
            anyhow::bail!("--batch asks one model; its lines may name others with \"model\"");
        }
        if models.len() < 2 && args.join.is_some() {
            anyhow::bail!("--join is for several models: give --model more than once");
        }
        if models.len() > 1 && !fallback.is_empty() {
            anyhow::bail!("--fallback is for one model: give --model once, or name it with --model among the others");
        }
        let models: Vec<ModelChoice> = models.into_iter().map(ModelChoice::Named).collect();
        let fallback: Vec<ModelChoice> = fallback.into_iter().map(ModelChoice::Named).collect();
        let mode = args.join.map_or(EnsembleMode::All, EnsembleMode::from);
        let judge = judge.map(ModelChoice::Named);
        Ok(Self {
            model: models.first().cloned().unwrap_or_default(),
            fallback: Some(fallback).filter(|fallback| !fallback.is_empty()),
            ensemble: (models.len() > 1).then_some(Ensemble { models, mode, judge }),
        })
    }
}

impl From<JoinArg> for EnsembleMode {
    fn from(join: JoinArg) -> Self {
        match join {
            JoinArg::All => Self::All,
            JoinArg::First => Self::First,
            JoinArg::Vote => Self::Vote,
            JoinArg::Best => Self::Best,
            JoinArg::Merge => Self::Merge,
        }
    }
}

/// A model of the first pipeline by its name, with the same errors as in a pipeline file, which know of those that are asked with it.
pub(super) fn named(name: &str, plan: &Plan, others: &[Arc<Runtime>]) -> Result<ModelRef, Invalid> {
    ModelRef::parse(name, plan, Purpose::Answer).map_err(|mut wrong| {
        if !others.is_empty() && !plan.providers.contains_key(&ModelRef::named(name).provider) {
            wrong.hint = Some(instead(name, plan, others));
        }
        Invalid::from(wrong)
    })
}

/// What to do about a model of which the first of several pipelines has no provider.
fn instead(name: &str, plan: &Plan, others: &[Arc<Runtime>]) -> String {
    let first = &plan.name;
    let declares = |other: &&Arc<Runtime>| ModelRef::parse(name, &other.plan, Purpose::Answer).is_ok();
    if let Some(other) = others.iter().find(declares) {
        let other = &other.plan.name;
        return format!(
            "the pipeline `{other}` has it, and models are those of the first, `{first}`: declare it under `providers` there, too, or name \
             `{other}` first"
        );
    }
    let of = |plan: &Plan| {
        let able = plan.providers.values().filter(|provider| provider.kind.can_chat());
        format!("`{}` has {}", plan.name, able.map(|provider| &*provider.name).collect::<Vec<_>>().join(", "))
    };
    let all: Vec<String> = std::iter::once(plan).chain(others.iter().map(|other| &other.plan)).map(of).collect();
    format!("models are those of the first pipeline, `{first}`: {}; others are declared under `providers`", all.join("; "))
}

#[cfg(not(all(unix, feature = "serve")))]
pub(super) async fn through_a_service(_: &Arc<Runtime>, _: &[Arc<Runtime>]) -> Option<Answerer> {
    None
}

/// Opens what answers questions, unless a running service has it open.
pub(super) async fn open(runtime: &Arc<Runtime>, others: &[Arc<Runtime>]) -> Result<Answerer, Error> {
    if let Some(answerer) = through_a_service(runtime, others).await {
        return Ok(answerer);
    }
    if !others.is_empty() {
        return Ok(Answerer::open_together(runtime, others));
    }
    // The table takes a fifth of a second to build: while the index is opened and the question embedded.
    tokio::task::spawn_blocking(|| Tokenizer::get(TokenizerName::O200kBase));
    Answerer::open(runtime).await
}
