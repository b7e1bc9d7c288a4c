//! Spec → plan: defaults filled in, names looked up, values that only make sense together compared.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::address::server_url;
use super::connections::{Connections, warn_of_key, warn_of_plain_sight};
use super::instructions;
use super::meaning::{File, Problem};
use super::model::{self, Purpose};
use super::name::{OwnName, check_name, composed};
use super::plan::Plan;
use super::sources;
use super::spec::{
    ChunkSpec, ContextSpec, EmbedSpec, FusionMethodSpec, FusionSpec, ParseSpec, ProviderSpec, QdrantSpec, QuerySpec,
    RetrieveSpec, Spec, StoreSpec,
};
use super::units::Threshold;
use crate::answer::{AnswerabilityPlan, DecidePlan, FusionPlan, QueryPlan, RerankPlan, SelectPlan, WholePlan};
use crate::answer::{Filter, Term};
use crate::chunk::ChunkPlan;
use crate::ingest::context::ContextPlan;
use crate::parse::{Ocr, ParseOptions, Password};
use crate::providers::{EmbedPlan, ModelRef, ProviderKind, Secret, local};
use crate::vectordb::{Spread, StorePlan};

/// Small, so that the top of the better list counts: the 60 of the paper drags a strong list down to the level of a weak one.
const RRF_K: f32 = 2.0;
const QDRANT_URL: &str = "http://localhost:6334";
/// Qdrant's gRPC port.
const QDRANT_PORT: u16 = 6334;
const QDRANT_TIMEOUT: Duration = Duration::from_mins(1);
const EMBED_PROVIDER: &str = "local";
const EMBED_MODEL: &str = local::AUTO;

/// The plan of someone who has no pipeline file: local embeddings, the embedded store, hybrid retrieval, no sources.
pub fn default_plan(env: &dyn Fn(&str) -> Option<String>) -> Plan {
    Plan {
        name: "default".to_owned(),
        former_name: None,
        providers: Connections::implicit(env).usable,
        sources: Vec::new(),
        parse: ParseOptions::default(),
        chunk: ChunkPlan::default(),
        context: None,
        embed: EmbedPlan {
            model: ModelRef { provider: EMBED_PROVIDER.to_owned(), model: EMBED_MODEL.to_owned() },
            dimensions: None,
            batch_items: None,
            batch_tokens: None,
            query_prefix: None,
            passage_prefix: None,
        },
        store: StorePlan::Embedded { path: None },
        query: QueryPlan { fusion: FusionPlan::default_for(Some(ProviderKind::Local), EMBED_MODEL), ..QueryPlan::default() },
    }
}

/// The plan that the file means; of use only if nothing was reported. `own`: what the file's name gives.
pub(super) fn resolve(file: &mut File<'_>, spec: &Spec, own: OwnName) -> Plan {
    let mut plan = default_plan(file.env);
    (plan.name, plan.former_name) = match &spec.name {
        Some(name) => {
            if let Err(problem) = check_name(name) {
                let message = format!("`{}`: {}", file.shown(&["name"], name), problem.message);
                file.error(&["name"], Problem { message, ..problem });
            }
            (composed(name), None)
        }
        None => (own.name, own.former),
    };
    let mut connections = Connections::implicit(file.env);
    for (name, provider) in spec.providers.iter().flatten() {
        connections.declare(file, name, provider.as_ref().unwrap_or(&ProviderSpec::default()));
    }
    plan.sources = sources::resolve(file, spec.sources.as_deref().unwrap_or_default());
    if let Some(parse) = &spec.parse {
        plan.parse = parsing(file, parse);
    }
    if let Some(chunk) = &spec.chunk {
        plan.chunk = chunking(file, chunk);
        plan.context = chunk.context.as_ref().and_then(|context| situating(file, context, &connections));
    }
    if let Some(embed) = &spec.embed {
        embedding(file, embed, &connections, &mut plan.embed);
    }
    if let Some(store) = &spec.store {
        plan.store = storing(file, store, &plan.name);
    }
    let kind = connections.usable.get(&plan.embed.model.provider).map(|provider| provider.kind);
    plan.query.fusion = FusionPlan::default_for(kind, &plan.embed.model.model);
    if let Some(query) = &spec.query {
        querying(file, query, &connections, &mut plan.query);
    }
    plan.providers = connections.usable;
    plan
}

fn parsing(file: &mut File<'_>, spec: &ParseSpec) -> ParseOptions {
    let mut options = ParseOptions::default();
    for (position, password) in spec.passwords.iter().flatten().enumerate() {
        let position = position.to_string();
        warn_of_plain_sight(file, &["parse", "passwords", &position], "a password");
        options.passwords.extend(password.as_deref().filter(|password| !password.is_empty()).map(Password::new));
    }
    options.ocr = spec.ocr.as_ref().map(|spec| {
        let default = Ocr::default();
        let mut languages = Vec::new();
        for (position, language) in spec.languages.iter().flatten().enumerate() {
            let Some(language) = language else { continue };
            // It becomes a part of an argument.
            if language.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/')) && !language.starts_with('-')
            {
                languages.push(language.as_str());
            } else {
                let path = ["parse", "ocr", "languages", &position.to_string()];
                let message = format!("`{}` is no name of a language", file.shown(&path, language));
                file.error(&path, Problem::new(message).hint("by Tesseract's names, such as `eng`, `chi_sim`, `deu`"));
            }
        }
        Ocr {
            program: spec.program.clone().unwrap_or(default.program),
            languages: if languages.is_empty() { default.languages } else { languages.join("+") },
            timeout: spec.timeout.map_or(default.timeout, |timeout| timeout.0),
        }
    });
    options
}

fn chunking(file: &mut File<'_>, spec: &ChunkSpec) -> ChunkPlan {
    let default = ChunkPlan::default();
    let max_tokens = spec.max_tokens.and_then(NonZeroUsize::new).unwrap_or(default.max_tokens);
    let overlap = spec.overlap.unwrap_or(default.overlap.min(max_tokens.get() / 10));
    // A `max_tokens` that was left out as wrong, or is misspelt, is not known.
    let known = spec.max_tokens.is_some() || !file.tainted(&["chunk"]);
    if known && overlap >= max_tokens.get() {
        let path: &[&str] = &["chunk", "overlap"];
        let problem = Problem::new(format!("an overlap of {overlap} does not fit into chunks of {max_tokens} tokens"));
        file.error(path, problem.hint("a tenth of `max_tokens` is usual"));
    }
    ChunkPlan { by: spec.by.unwrap_or_default(), max_tokens, overlap, tokenizer: spec.tokenizer.unwrap_or_default() }
}

fn situating(file: &mut File<'_>, spec: &ContextSpec, connections: &Connections) -> Option<ContextPlan> {
    let path = ["chunk", "context", "model"];
    if spec.model.is_none() && !file.tainted(&["chunk", "context"]) {
        let problem = Problem::new("`model` is missing: what is to say where chunks stand?");
        file.error(&path, problem.hint("such as `openai/gpt-5.4-mini`"));
    }
    let model = model_at(file, &path, spec.model.as_deref(), connections, Purpose::Answer);
    let mut fallback = Vec::new();
    for (index, model) in spec.fallback.iter().flatten().enumerate() {
        let index = index.to_string();
        let path = ["chunk", "context", "fallback", &index];
        fallback.extend(model_at(file, &path, model.as_deref(), connections, Purpose::Answer));
    }
    Some(ContextPlan {
        fallback,
        window: spec.window.and_then(NonZeroUsize::new).unwrap_or(ContextPlan::WINDOW),
        ..ContextPlan::new(model?)
    })
}

fn embedding(file: &mut File<'_>, spec: &EmbedSpec, connections: &Connections, plan: &mut EmbedPlan) {
    let model = model_at(file, &["embed", "model"], spec.model.as_deref(), connections, Purpose::Embed);
    // A model that was left out as wrong, or whose key is misspelt, is not known to be the default.
    let known = model.is_some() || (spec.model.is_none() && !file.tainted(&["embed"]));
    if let Some(model) = model {
        plan.model = model;
    }
    let provider = connections.usable.get(&plan.model.provider).filter(|_| known);
    plan.dimensions = spec.dimensions;
    if provider.is_some_and(|provider| provider.kind == ProviderKind::Local) && plan.dimensions.is_some() {
        let problem = Problem::new("local models have one width each: `dimensions` has no effect");
        file.warning(&["embed", "dimensions"], problem.hint("remove it"));
    }
    plan.query_prefix.clone_from(&spec.query_prefix);
    plan.passage_prefix.clone_from(&spec.passage_prefix);
    let Some(batch) = &spec.batch else { return };
    plan.batch_items = batch.items.and_then(NonZeroUsize::new);
    plan.batch_tokens = batch.tokens.and_then(NonZeroUsize::new);
    // Compatible servers have limits of their own; only the vendor's are known.
    let Some(provider) = provider.filter(|provider| provider.is_vendors_own()) else {
        return;
    };
    let (items, tokens) = provider.kind.max_batch();
    for (key, given, most, what) in
        [("items", batch.items, items, "texts a request"), ("tokens", batch.tokens, tokens, "tokens a request")]
    {
        if let (Some(given), Some(most)) = (given, most)
            && given > most
        {
            let problem = Problem::new(format!("`{}` takes at most {most} {what}, not {given}", provider.kind.name()));
            file.error(&["embed", "batch", key], problem);
        }
    }
}

/// The model at the path; `None` if there is none or it has been reported.
fn model_at(
    file: &mut File<'_>,
    path: &[&str],
    text: Option<&str>,
    connections: &Connections,
    purpose: Purpose,
) -> Option<ModelRef> {
    let text = text?;
    let shown = file.shown(path, text);
    let checked = model::split(text, &shown, purpose).and_then(|model| {
        if !connections.broken.contains(&model.provider) {
            model::check(&model, &shown, &connections.usable, purpose)?;
        }
        Ok(model)
    });
    checked.map_err(|problem| file.error(path, problem)).ok()
}

fn storing(file: &mut File<'_>, spec: &StoreSpec, name: &str) -> StorePlan {
    match spec {
        StoreSpec { qdrant: Some(qdrant), .. } => qdrant_server(file, qdrant, name),
        StoreSpec { embedded, edge, qdrant: None } => {
            let path = embedded.as_ref().or(edge.as_ref()).and_then(|embedded| embedded.path.as_deref());
            StorePlan::Embedded { path: path.map(|path| sources::resolve_path(file.base, path)) }
        }
    }
}

fn qdrant_server(file: &mut File<'_>, spec: &QdrantSpec, name: &str) -> StorePlan {
    let path = ["store", "qdrant", "url"];
    let text = spec.url.as_deref().unwrap_or(QDRANT_URL);
    let url = server_url(text).and_then(|mut url| {
        if url.port().is_none() && url.set_port(Some(QDRANT_PORT)).is_err() {
            return Err(Problem::new("is not an address"));
        }
        Ok(url)
    });
    let url = match url {
        Ok(url) => url,
        Err(problem) => {
            let message = format!("`{}` {}", file.shown(&path, "url"), problem.message);
            file.error(&path, Problem { message, ..problem });
            return StorePlan::Embedded { path: None };
        }
    };
    if url.port() == Some(6333) {
        file.warning(
            &path,
            Problem::new("6333 is Qdrant's REST port").hint("ragstream speaks gRPC, on 6334 unless set up otherwise"),
        );
    }
    let api_key = spec.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty()).map(Secret::new);
    if api_key.is_some() {
        warn_of_key(file, &["store", "qdrant", "api_key"], &url);
    }
    let collection = spec.collection.clone().unwrap_or_else(|| name.to_owned());
    if collection.contains(['/', '\\']) || collection.chars().any(char::is_control) {
        let path = ["store", "qdrant", "collection"];
        let shown = file.shown(&path, &collection);
        file.error(&path, Problem::new(format!("`{shown}` cannot be the name of a collection")));
    }
    let copies = spec.replication_factor.unwrap_or(1);
    // A factor that was left out as wrong, or is misspelt, is not known.
    let known = spec.replication_factor.is_some() || !file.tainted(&["store", "qdrant"]);
    if let Some(written) = spec.write_consistency_factor.filter(|written| known && *written > copies) {
        let problem = Problem::new(format!(
            "{written} copies are to have a write before it counts, and `replication_factor` is {copies}"
        ));
        file.error(&["store", "qdrant", "write_consistency_factor"], problem.hint("at most the `replication_factor`"));
    }
    let timeout = spec.timeout.map_or(QDRANT_TIMEOUT, |timeout| timeout.0);
    let spread = Spread {
        shard_number: spec.shard_number,
        replication_factor: spec.replication_factor,
        write_consistency_factor: spec.write_consistency_factor,
        ordering: spec.ordering.unwrap_or_default(),
    };
    StorePlan::Qdrant { url, api_key, collection, timeout, spread }
}

fn selecting(file: &mut File<'_>, spec: &RetrieveSpec, connections: &Connections) -> SelectPlan {
    let mut terms = Vec::new();
    for (position, text) in spec.r#where.iter().flatten().enumerate() {
        let Some(text) = text else { continue };
        let position = position.to_string();
        let place = ["query", "retrieve", "where", position.as_str()];
        match text.parse::<Term>() {
            Ok(term) => terms.push(term),
            Err(error) => {
                let message = format!("`{}` {}", file.shown(&place, text), error.problem);
                file.error(&place, Problem::new(message).hint(error.hint));
            }
        }
    }
    let path = ["query", "retrieve", "rerank", "model"];
    let rerank = spec.rerank.as_ref().and_then(|spec| {
        if spec.model.is_none() && !file.tainted(&["query", "retrieve", "rerank"]) {
            let problem = Problem::new("`model` is missing: what is to rerank?");
            file.error(&path, problem.hint("such as `cohere/rerank-v3.5`"));
        }
        if spec.deadline.is_some() && spec.timeout.is_some() {
            let problem = Problem::new("`timeout` is another word for `deadline`");
            file.error(&["query", "retrieve", "rerank", "timeout"], problem.hint("keep one of them"));
        }
        let model = model_at(file, &path, spec.model.as_deref(), connections, Purpose::Rerank)?;
        let kind = connections.usable.get(&model.provider).map(|provider| provider.kind);
        let (model, usual) = match kind {
            Some(ProviderKind::Local) if local::is_folder(&model.model) => {
                let folder = sources::resolve_path(file.base, &model.model);
                if let Some(problem) = model::lacking(&folder, &file.shown(&path, &model.to_string())) {
                    file.error(&path, problem);
                }
                (ModelRef { model: folder.display().to_string(), ..model }, RerankPlan::IN_PROCESS)
            }
            Some(ProviderKind::Local) => (model, RerankPlan::IN_PROCESS),
            Some(kind) if kind.can_decide() => (model, RerankPlan::DECIDED),
            _ => (model, RerankPlan::CANDIDATES),
        };
        Some(RerankPlan {
            model,
            candidates: spec.candidates.and_then(NonZeroUsize::new).unwrap_or(usual),
            timeout: spec.deadline.or(spec.timeout).map_or(RerankPlan::DEADLINE, |deadline| deadline.0),
        })
    });
    let duplicates = spec.duplicates.unwrap_or_default();
    let trim = spec.trim.and_then(NonZeroUsize::new);
    SelectPlan { filter: Filter::from(terms), duplicates, rerank, rerank_at_most: None, trim }
}

fn fusing(file: &mut File<'_>, spec: &FusionSpec, default: FusionPlan) -> FusionPlan {
    if spec.method == Some(FusionMethodSpec::Rrf) {
        // Places do not tell how much better one is than the next: the models' shares of scores are not those of places.
        return FusionPlan::Rrf { k: spec.k.unwrap_or(RRF_K), weight: spec.weight.unwrap_or(0.5) };
    }
    if spec.k.is_some() {
        let problem = Problem::new("`k` has a meaning for `method: rrf` only");
        file.error(&["query", "retrieve", "fusion", "k"], problem.hint("remove it, or say `method: rrf`"));
    }
    spec.weight.map_or(default, |weight| FusionPlan::Weighted { weight })
}

fn querying(file: &mut File<'_>, spec: &QuerySpec, connections: &Connections, plan: &mut QueryPlan) {
    if let Some(retrieve) = &spec.retrieve {
        plan.limit = retrieve.limit.and_then(NonZeroUsize::new).unwrap_or(plan.limit);
        plan.mode = retrieve.mode.unwrap_or_default();
        plan.select = selecting(file, retrieve, connections);
        if let Some(spec) = &retrieve.fusion {
            plan.fusion = fusing(file, spec, plan.fusion);
        }
    }
    if let Some(spec) = &spec.decide {
        let path = ["query", "decide", "model"];
        if spec.model.is_none() && !file.tainted(&["query", "decide"]) {
            let problem = Problem::new("`model` is missing: what is to decide?");
            file.error(&path, problem.hint("such as `openai/gpt-6-luna`"));
        }
        let model = model_at(file, &path, spec.model.as_deref(), connections, Purpose::Decide);
        let deadline = spec.deadline.map_or(DecidePlan::DEADLINE, |deadline| deadline.0);
        plan.decide = model.map(|model| DecidePlan { model, deadline });
    }
    plan.answerability = match spec.answerability.as_ref().and_then(|spec| spec.threshold) {
        None => plan.answerability,
        Some(Threshold::Below(threshold)) => AnswerabilityPlan::Below(threshold),
        Some(Threshold::Off) => AnswerabilityPlan::Off,
    };
    if let Some(whole) = &spec.whole {
        plan.whole = WholePlan { mode: whole.mode.unwrap_or_default(), part_tokens: whole.part_tokens };
    }
    let Some(answer) = &spec.answer else { return };
    plan.model = model_at(file, &["query", "answer", "model"], answer.model.as_deref(), connections, Purpose::Answer);
    for (index, model) in answer.fallback.iter().flatten().enumerate() {
        let index = index.to_string();
        let path = ["query", "answer", "fallback", &index];
        plan.fallback.extend(model_at(file, &path, model.as_deref(), connections, Purpose::Answer));
    }
    plan.fallback_after = answer.fallback_after.map_or(plan.fallback_after, |period| period.0);
    plan.max_tokens = answer.max_tokens.unwrap_or(plan.max_tokens);
    plan.temperature = answer.temperature;
    plan.context_tokens = answer.context_tokens.unwrap_or(plan.context_tokens);
    plan.prompt = answer.prompt.clone().filter(|prompt| !prompt.trim().is_empty() && prompt != "default");
    if let Some(problem) = plan.prompt.as_deref().and_then(|prompt| instructions::unlike(file, prompt)) {
        file.warning(&["query", "answer", "prompt"], problem);
    }
    let provider = plan.model.as_ref().and_then(|model| connections.usable.get(&model.provider));
    if let Some(provider) = provider
        && let (Some(most), Some(temperature)) = (provider.kind.max_temperature(), plan.temperature)
        && temperature > most
    {
        let problem = Problem::new(format!("{} takes temperatures from 0 to {most}", provider.kind.name()));
        file.error(&["query", "answer", "temperature"], problem);
    }
    if let (Some(tokens), Some(tpm)) = (answer.max_tokens, provider.and_then(|provider| provider.limits.tpm))
        && tokens > tpm
    {
        let problem =
            Problem::new(format!("an answer of {tokens} tokens is more than `limits.tpm` ({tpm}) allows in a minute"));
        let hint = "every question would wait for a minute, and so would all that come after it";
        file.warning(&["query", "answer", "max_tokens"], problem.hint(hint));
    }
}
