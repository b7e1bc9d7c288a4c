//! The arguments of the command line.

mod answer;
mod invalid;
#[cfg(feature = "serve")]
mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::answer::WholeArgs;
pub(super) use self::answer::{JoinArg, Order};
pub(super) use self::invalid::Invalid;
#[cfg(feature = "serve")]
pub(super) use self::serve::{McpArgs, ServeArgs, TopArgs};
use crate::answer::{Filter, FilterError, Term};
use crate::pipeline::{self, Diagnostic, Plan};
use crate::providers::Secret;
use crate::runtime::{Runtime, Settings};

/// Index documents and ask questions about them.
#[derive(Debug, Parser)]
#[command(name = "ragstream", version, about, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Index folders and files; a second run does only what changed
    Ingest(IngestCommand),
    /// Tell what an ingest would do and cost; changes nothing
    Plan(PlanCommand),
    /// Answer a question from the index, with sources
    Ask(AskArgs),
    /// Show the passages that fit a query, without asking a model
    Search(SearchArgs),
    /// Say why a document is, or is not, among the sources of an answer
    Why(WhyArgs),
    /// Talk about what is in the index
    Chat(ChatArgs),
    /// Copy the index into another store, vectors included; nothing is embedded again
    Push(PushArgs),
    /// Measure retrieval on a labelled set
    Eval(EvalArgs),
    /// Answer over HTTP: for browsers, programs and agents
    ///
    /// While it runs, `ingest`, `ask`, `search`, `why`, `chat` and `status` on the same home have it do their work, with the same output and exit
    /// codes; what it does not serve, and what it would answer otherwise (another key, cache or version), they do themselves.
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Show what a running service ingests, and what holds it back, until Ctrl-C
    #[cfg(feature = "serve")]
    Top(TopArgs),
    /// Answer an agent over stdin and stdout, by the Model Context Protocol
    #[cfg(feature = "serve")]
    Mcp(McpArgs),
    /// Validate pipeline files without running anything
    Check(CheckArgs),
    /// Print what files are read as, before they are cut; indexes nothing
    Read(ReadArgs),
    /// Tell what claims say that the texts they rest on do not, line by line; asks no model
    Prove(ProveArgs),
    /// Show what the index holds
    Status(StatusArgs),
    /// Print the JSON Schema of a pipeline file
    Schema(SchemaArgs),
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// Where the index, the ledger and failed documents are kept
    #[arg(long, value_name = "DIR", env = "RAGSTREAM_HOME", default_value = "./.ragstream", global = true)]
    pub home: PathBuf,
    /// Where embeddings and models are kept, shared by all projects [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "RAGSTREAM_CACHE", global = true)]
    pub cache: Option<PathBuf>,
    /// Print one JSON object a line, and nothing else, on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log what happens to stderr; twice for more (`RUST_LOG` is honoured)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN", global = true)]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Args)]
pub(super) struct PipelineArg {
    /// A pipeline file, or the name of one in ./pipelines
    #[arg(short, long, value_name = "PIPELINE")]
    pub pipeline: Option<String>,
}

/// One pipeline or several.
#[derive(Debug, Args)]
pub(super) struct PipelinesArg {
    /// A pipeline file, or the name of one in ./pipelines; several are asked together, and the first says who answers
    #[arg(short, long = "pipeline", value_name = "PIPELINE")]
    pipelines: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// Files of any format that `ingest` reads
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub pipeline: PipelineArg,
}

#[derive(Debug, Args)]
pub(super) struct ProveArgs {
    /// A file with {"claim","sources"} a line, the sources being texts; `-` is stdin
    #[arg(default_value = "-", value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct IngestCommand {
    #[command(flatten)]
    pub ingest: IngestArgs,
    #[command(flatten)]
    pub watch: WatchArgs,
    #[command(flatten)]
    pub cluster: ClusterArg,
    /// How long a worker of a cluster may be silent before others take over what it has; from 5s
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = lease)]
    pub lease: Duration,
}

#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    #[command(flatten)]
    pub ingest: IngestArgs,
    #[command(flatten)]
    pub cluster: ClusterArg,
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = pipeline::period(text)?;
    let fits = Duration::from_secs(5)..=Duration::from_hours(1);
    if fits.contains(&lease) { Ok(lease) } else { Err("must be from 5s to 1h".to_owned()) }
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub pipeline: PipelineArg,
    #[command(flatten)]
    pub cluster: ClusterArg,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// The SQL that makes the tables of a cluster, for whoever may make them
    #[arg(long)]
    pub cluster: bool,
}

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Go on until Ctrl-C, and index what changes as it changes; --prune, --rebuild and --checksum hold for the first run
    #[arg(long)]
    pub watch: bool,
    /// How often sources are compared in whole, as 30s or 10m: sites and tables tell of no changes, and folders may miss
    /// one [default: 10m, of sites 1h]
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = every)]
    pub every: Option<Duration>,
}

fn every(text: &str) -> Result<Duration, String> {
    let period = pipeline::period(text)?;
    if period < Duration::from_secs(1) { Err("must be at least 1s".to_owned()) } else { Ok(period) }
}

#[derive(Debug, Clone, Args)]
pub(super) struct IngestArgs {
    /// Folders, files or globs; they replace the pipeline's sources
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub pipeline: PipelineArg,
    /// Remove documents that are gone even when they are more than half of the index
    #[arg(long)]
    pub prune: bool,
    /// Drop the index and make it anew
    #[arg(long)]
    pub rebuild: bool,
    /// Compare contents even where size and time say "unchanged"
    #[arg(long)]
    pub checksum: bool,
}

#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// The question; `-` reads it from stdin
    #[arg(required_unless_present = "batch")]
    pub question: Option<String>,
    #[command(flatten)]
    pub pipelines: PipelinesArg,
    /// The model that answers, as provider/model; several are asked at once
    #[arg(long = "model", value_name = "P/M")]
    pub models: Vec<String>,
    /// What becomes of several models' answers [default: all]
    #[arg(long, value_enum, value_name = "HOW")]
    pub join: Option<JoinArg>,
    /// Who picks (vote, best) or writes (merge) the joined answer [default: the first model that has answered]
    #[arg(long, value_name = "P/M", requires = "join")]
    pub judge: Option<String>,
    /// A model that stands by, for when the one before it fails; replaces the pipeline's; for one --model alone, since several
    /// stand by for each other
    #[arg(long = "fallback", value_name = "P/M")]
    pub fallback: Vec<String>,
    /// How many passages to retrieve
    #[arg(short = 'k', value_name = "N")]
    pub limit: Option<std::num::NonZeroUsize>,
    /// Say below the answer what is doubtful of the citations that are marked [2?]
    #[arg(long)]
    pub why: bool,
    /// Ask a model even where the passages do not seem to hold the answer
    #[arg(long)]
    pub anyway: bool,
    #[command(flatten)]
    pub whole: WholeArgs,
    /// Many questions: a file with {"id","text"} a line, and "priority" and "model" where wanted; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["question", "join", "judge"])]
    pub batch: Option<PathBuf>,
    /// How many questions are under way at once [default: the provider's concurrency, or 8]
    #[arg(long, value_name = "N", requires = "batch")]
    pub workers: Option<std::num::NonZeroUsize>,
    /// In which order answers are printed
    #[arg(long, value_enum, default_value_t = Order::Input, value_name = "ORDER", requires = "batch", conflicts_with = "out")]
    pub order: Order,
    /// Where answers go, as they are done; run again with the same file to go on
    #[arg(long, value_name = "FILE", requires = "batch")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// What to look for
    #[arg(required_unless_present = "queries")]
    pub query: Option<String>,
    #[command(flatten)]
    pub pipelines: PipelinesArg,
    /// How many passages to show
    #[arg(short = 'k', value_name = "N")]
    pub limit: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Show near-copies as hits of their own
    #[arg(long)]
    pub copies: bool,
    /// Many queries: a file with {"id","text"} a line
    #[arg(long, value_name = "FILE", conflicts_with = "query")]
    pub queries: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// The document: its path, its uri, or a name of it as sources show it
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The question
    pub question: String,
    #[command(flatten)]
    pub pipelines: PipelinesArg,
    /// How many passages are retrieved
    #[arg(short = 'k', value_name = "N")]
    pub limit: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Narrows the search.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Search only documents like 'path=docs/api/**', 'lang=zh' or 'modified>=2026-01-31'; all must hold
    #[arg(long = "where", value_name = "TERM")]
    terms: Vec<String>,
}

impl FilterArgs {
    /// The terms, with the same errors as in a pipeline file.
    pub fn parse(&self) -> Result<Filter, Invalid> {
        let invalid = |error: FilterError| Invalid::from(Diagnostic::error(error.to_string(), Some(error.hint)));
        let terms = self.terms.iter().map(|text| text.parse::<Term>().map_err(invalid));
        Ok(terms.collect::<Result<Vec<_>, _>>()?.into())
    }
}

#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    #[command(flatten)]
    pub pipelines: PipelinesArg,
    /// The model that answers, as provider/model
    #[arg(long, value_name = "P/M")]
    pub model: Option<String>,
    /// How many passages to retrieve for each question
    #[arg(short = 'k', value_name = "N")]
    pub limit: Option<std::num::NonZeroUsize>,
    /// Go on with the last session
    #[arg(short = 'c', long = "continue", conflicts_with = "session")]
    pub go_on: bool,
    /// Begin or go on with the session of this name
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// The set: a folder with corpus/, queries.jsonl ({"id","text"} a line) and qrels.tsv (query-id, corpus-id, score)
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    #[command(flatten)]
    pub pipeline: PipelineArg,
    /// Two pipelines, measured side by side, with the significance of the difference; or one that reranks, with and without its reranker
    #[arg(long, num_args = 1..=2, value_names = ["A", "B"], conflicts_with = "pipeline")]
    pub compare: Vec<String>,
    /// Have the pipeline's model put follow-ups (with "history" in queries.jsonl) so that they stand alone, as in a chat; it is asked
    /// once for each. Without it, the words of the questions before count
    #[arg(long)]
    pub rewrite: bool,
}

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// A pipeline file, or the name of one in ./pipelines: its index is copied
    #[arg(value_name = "PIPELINE", conflicts_with = "pipeline")]
    pub name: Option<String>,
    #[command(flatten)]
    pub pipeline: PipelineArg,
    /// Where the copy lives
    #[arg(long, value_enum, value_name = "STORE")]
    pub to: Destination,
    /// The gRPC address of the Qdrant server [default: `http://localhost:6334`]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The collection on the Qdrant server [default: the pipeline's name]
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
    /// The variable that holds the Qdrant server's key [default: `QDRANT_API_KEY`, if it is set]
    #[arg(long, value_name = "VAR")]
    pub api_key_env: Option<String>,
    /// The folder of the embedded index [default: where the pipeline's own would be]
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// Replace an index that was made with something else, or is another home's
    #[arg(long)]
    pub replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Destination {
    /// A collection on a Qdrant server
    Qdrant,
    /// An embedded index in a folder
    Embedded,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Pipeline files, or names of such in ./pipelines
    #[arg(required_unless_present = "named", value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// The same, as for the other commands
    #[arg(short = 'p', long = "pipeline", id = "named", value_name = "PIPELINE")]
    pub named: Vec<String>,
    #[command(flatten)]
    pub cluster: ClusterArg,
}

/// Where several machines agree on who does what.
#[derive(Debug, Args)]
pub(super) struct ClusterArg {
    /// Several machines work together: the Postgres database on which they agree (it shows in the list of processes: the variable
    /// does not)
    #[arg(long = "cluster", value_name = "URL", env = "RAGSTREAM_CLUSTER", hide_env_values = true)]
    cluster: Option<Secret>,
}

impl ClusterArg {
    /// The database's address, if machines are to work together. Holds a password: it is not to be shown.
    pub fn url(&self) -> Result<Option<&Secret>, Invalid> {
        // An empty variable is one that is not set.
        let Some(url) = self.cluster.as_ref().filter(|url| !url.expose().trim().is_empty()) else { return Ok(None) };
        let address = url.expose().trim();
        let known = ["postgres://", "postgresql://"].iter().any(|start| address.starts_with(start));
        // Not shown: a password stands in it, and may not be where it belongs.
        let refused = || {
            let hint = "it is `postgres://user:password@host:5432/database`; in a password, `/`, `?`, `#`, `@` and `%` are \
                        written `%2F`, `%3F`, `%23`, `%40` and `%25`";
            Diagnostic::error("`--cluster` is not the address of a Postgres database", Some(hint.to_owned()))
        };
        known.then_some(Some(url)).ok_or_else(|| refused().into())
    }
}

impl Common {
    /// Where things are kept, absolute.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let cwd = std::env::current_dir().context("cannot tell the working folder")?;
        let absolute = |path: &Path| std::path::absolute(path).with_context(|| format!("bad path {}", path.display()));
        let cache = match &self.cache {
            Some(cache) => absolute(cache)?,
            None => Settings::users_cache().unwrap_or_else(|| self.home.join("cache")),
        };
        let home = absolute(&self.home)?;
        // Without a cache all goes on.
        if home.is_file() {
            bail!("--home {}: this is a file, not a folder", home.display());
        }
        Ok(Settings { home, cache, cwd })
    }
}

impl PipelineArg {
    /// The plan of the file that was named, or the one without any file.
    pub fn plan(&self, cwd: &Path) -> anyhow::Result<Plan> {
        let Some(name) = &self.pipeline else { return Ok(pipeline::default_plan(&variable)) };
        let path = pipeline::find(name, cwd).map_err(Invalid::from)?;
        let loaded = pipeline::load(&path, &variable).map_err(Invalid)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(loaded.plan)
    }

    /// Says what of the file that was named several machines cannot work on together, each at its place.
    pub fn check_for_cluster(&self, common: &Common) -> anyhow::Result<()> {
        let Some(name) = &self.pipeline else { return Ok(()) };
        let path = pipeline::find(name, &common.settings()?.cwd).map_err(Invalid::from)?;
        pipeline::load_for_cluster(&path, &variable).map_err(Invalid)?;
        Ok(())
    }

    /// The plan with its connections; `change` may adjust the plan before.
    pub fn runtime(&self, common: &Common, change: impl FnOnce(&mut Plan) -> anyhow::Result<()>) -> anyhow::Result<Runtime> {
        let settings = common.settings()?;
        let mut plan = self.plan(&settings.cwd)?;
        change(&mut plan)?;
        Ok(Runtime::new(plan, settings))
    }
}

impl PipelinesArg {
    /// The plans with their connections, and the first of them apart.
    pub fn runtimes(&self, common: &Common) -> anyhow::Result<(Arc<Runtime>, Vec<Arc<Runtime>>)> {
        let runtime = |pipeline: Option<String>| Ok(Arc::new(PipelineArg { pipeline }.runtime(common, |_| Ok(()))?));
        let first = runtime(self.pipelines.first().cloned())?;
        let others = self.pipelines.iter().skip(1).map(|name| runtime(Some(name.clone())));
        let others = others.collect::<anyhow::Result<Vec<_>>>()?;
        let mut names: Vec<&str> = vec![&first.plan.name];
        for other in &others {
            if names.contains(&other.plan.name.as_str()) {
                anyhow::bail!("two of the pipelines are called {}; give one of them another `name`", other.plan.name);
            }
            names.push(&other.plan.name);
        }
        Ok((first, others))
    }
}

/// The environment, as the pipeline file sees it.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
