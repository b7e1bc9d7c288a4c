//! The models that a command asks: named on the command line, planned, or found.

use std::sync::Arc;

use super::args::{AskArgs, Invalid, JoinArg, variable};
use crate::answer::fallback::or_failing;
use crate::answer::{Join, OLLAMA_PROBE_TIMEOUT, default_model};
use crate::error::Error;
use crate::pipeline::{Plan, Purpose};
use crate::providers::ChatModel;
use crate::providers::{ModelRef, ProviderPlan};
use crate::runtime::Runtime;

/// The models named on the command line.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub models: Vec<ModelRef>,
    pub judge: Option<ModelRef>,
}

impl Named {
    /// Reads the names, and has the plan answer with them.
    pub fn parse(args: &AskArgs, plan: &mut Plan) -> anyhow::Result<Self> {
        let parse = |name: &String| ModelRef::parse(name, plan, Purpose::Answer).map_err(Invalid::from);
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
        if let Some(first) = models.first() {
            plan.query.model = Some(first.clone());
        }
        if !fallback.is_empty() {
            plan.query.fallback = fallback;
        }
        Ok(Self { models, judge })
    }
}

impl From<JoinArg> for Join {
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

/// A model among several: one that cannot be had fails when it is asked.
pub(super) fn answerer(runtime: &Runtime, model: &ModelRef) -> Arc<dyn ChatModel> {
    or_failing(model.to_string(), runtime.providers.chat_model(model))
}

/// The model that the plan answers with, if there is one, and those that stand by.
pub(super) async fn plans_own(runtime: &Runtime) -> Result<(Option<Arc<dyn ChatModel>>, Vec<Arc<dyn ChatModel>>), Error> {
    let tags = |ollama: ProviderPlan| async move {
        runtime.providers.connection(&ollama.name).ok()?.get("/api/tags", OLLAMA_PROBE_TIMEOUT).await.ok().map(Vec::from)
    };
    let mut models: Vec<ModelRef> =
        default_model(&runtime.plan.query, &runtime.plan.providers, variable, tags).await.into_iter().collect();
    for model in &runtime.plan.query.fallback {
        if !models.contains(model) {
            models.push(model.clone());
        }
    }
    Ok(match models.as_slice() {
        [] => (None, Vec::new()),
        // Without another one, what is wrong with it is better said before anything is shown.
        [only] => (Some(runtime.providers.chat_model(only)?), Vec::new()),
        [first, others @ ..] => (Some(answerer(runtime, first)), others.iter().map(|model| answerer(runtime, model)).collect()),
    })
}
