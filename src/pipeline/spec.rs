//! The pipeline file as written. The doc comments are the descriptions in the JSON Schema (`ragstream schema`).
//!
//! Everything is optional, and nothing is more than typed here: defaults and meaning are [`super::resolve`]'s.

mod context;
mod s3;
mod sql;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::context::ContextSpec;
pub(super) use self::s3::S3Spec;
pub(super) use self::sql::{ColumnsSpec, SqlSpec};
use super::units::{Pause, Period, Size, Threshold};
use crate::answer::{Duplicates, RetrieveMode, WholeMode};
use crate::chunk::ChunkBy;
use crate::limits::Limits;
use crate::providers::{Price, ProviderKind};
use crate::tokenizer::TokenizerName;
use crate::vectordb::Ordering;

/// A ragstream pipeline: where documents come from, how they are cut and embedded, where the vectors go, and how
/// questions are answered. Everything has a default.
///
/// In every value, `${NAME}` is the variable of that name, `${NAME:-default}` has a default, `${NAME:?message}` fails
/// with a message, and `$$` is a dollar sign. Relative paths are relative to the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ragstream pipeline")]
pub(super) struct Spec {
    /// The version of this format. The only one is 1.
    #[schemars(extend("enum" = [1, null], "default" = 1))]
    #[expect(dead_code, reason = "the schema admits one version, so there is nothing to ask it for yet")]
    pub(super) version: Option<u32>,
    /// The pipeline's name, which names its index. Letters and digits of any script, `-`, `_` and `.`; by default the file's name.
    #[schemars(length(min = 1, max = 64), example = &"docs")]
    pub(super) name: Option<String>,
    /// Named connections that `provider/model` refers to. One named after each kind exists without being declared, with its usual
    /// environment variables.
    pub(super) providers: Option<BTreeMap<String, Option<ProviderSpec>>>,
    /// Where documents come from.
    pub(super) sources: Option<Vec<Option<SourceSpec>>>,
    /// How documents are read.
    pub(super) parse: Option<ParseSpec>,
    /// How documents are cut into chunks.
    pub(super) chunk: Option<ChunkSpec>,
    /// What turns chunks into vectors.
    pub(super) embed: Option<EmbedSpec>,
    /// Where the vectors go: one of `embedded` and `qdrant`.
    pub(super) store: Option<StoreSpec>,
    /// How questions are answered.
    pub(super) query: Option<QuerySpec>,
}

/// A connection to a provider of models.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "provider")]
pub(super) struct ProviderSpec {
    /// The API that it speaks. By default its name, where that is one of these.
    pub(super) kind: Option<ProviderKind>,
    /// The root of its API. By default the vendor's own.
    #[schemars(length(min = 1), example = &"https://api.openai.com/v1")]
    pub(super) base_url: Option<String>,
    /// Whose vectors it makes, in an index and in the cache. By default those of its address (host, port and path), since a
    /// model's name means the same at its vendor only. Say another server's address where the same models answer at both: after
    /// a move, or behind a proxy (`api.openai.com/v1`).
    #[schemars(length(min = 1, max = 255), example = &"api.openai.com/v1")]
    pub(super) identity: Option<String>,
    /// Its key, best as a variable: `${OPENAI_API_KEY}`.
    #[schemars(example = &"${OPENAI_API_KEY}")]
    pub(super) api_key: Option<String>,
    /// The quota. What is not given is learned from the answers' headers.
    pub(super) limits: Option<Limits>,
    /// How long a request may take; for streamed answers, how long the next piece may take.
    #[schemars(extend("default" = "60s"))]
    pub(super) timeout: Option<Period>,
    /// How refusals and failures are retried.
    pub(super) retry: Option<RetrySpec>,
    /// What its models cost, by their names. By default what is known of the vendor's own.
    pub(super) prices: Option<BTreeMap<String, Price>>,
}

/// How refusals and failures are retried.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "retry")]
pub(super) struct RetrySpec {
    /// Attempts in all, the first included.
    #[schemars(range(min = 1, max = 100), extend("default" = 6))]
    pub(super) attempts: Option<u32>,
    /// Time in all, from the first attempt on.
    #[schemars(extend("default" = "5m"))]
    pub(super) budget: Option<Period>,
}

/// A source of documents: a path, a glob or a site's address on its own, or one of `files`, `web`, `sql` and `s3` with more to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "source")]
pub(super) enum SourceSpec {
    /// A file, a folder, a glob, or the address of a site.
    #[schemars(example = &"./docs")]
    Path(#[schemars(length(min = 1))] String),
    /// A kind of source.
    Kind(Box<SourceKindSpec>),
}

/// A kind of source: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "source kind", extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct SourceKindSpec {
    /// Files and folders.
    pub(super) files: Option<FilesSpec>,
    /// Whole sites.
    pub(super) web: Option<WebSpec>,
    /// Rows of a database.
    pub(super) sql: Option<SqlSpec>,
    /// Objects of a bucket.
    pub(super) s3: Option<S3Spec>,
}

/// Files and folders. `.gitignore` is respected; hidden and binary files are skipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "files")]
pub(super) struct FilesSpec {
    /// Files, folders and globs.
    #[schemars(length(min = 1), inner(length(min = 1)), example = ["./docs"])]
    pub(super) paths: Vec<Option<String>>,
    /// When given: only files that match. A pattern without `/` matches at any depth.
    #[schemars(inner(length(min = 1)), example = ["**/*.md"])]
    pub(super) include: Option<Vec<Option<String>>>,
    /// Never files that match, nor what is below a folder that matches.
    #[schemars(inner(length(min = 1)), example = ["**/draft/**"])]
    pub(super) exclude: Option<Vec<Option<String>>>,
    /// Larger files are skipped.
    #[schemars(extend("default" = "50MB"))]
    pub(super) max_bytes: Option<Size>,
    /// Whether every machine reaches them under the same paths, by a mount or by copies that are kept alike. Several machines work
    /// on files together only where they do (`--cluster`).
    #[schemars(extend("default" = false))]
    pub(super) shared: Option<bool>,
}

/// Whole sites: every page that can be reached from these by links and sitemaps, as far as robots.txt lets us.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "web")]
pub(super) struct WebSpec {
    /// Where to begin. What lies at and below such a page belongs to its site.
    #[schemars(length(min = 1), inner(length(min = 1)), example = ["https://docs.example.org/"])]
    pub(super) urls: Vec<Option<String>>,
    /// When given: only pages whose path matches become documents. The others are followed all the same. A pattern without `/`
    /// matches at any depth.
    #[schemars(inner(length(min = 1)), example = ["/guides/**"])]
    pub(super) include: Option<Vec<Option<String>>>,
    /// Pages whose path matches are not visited, nor what is below them.
    #[schemars(inner(length(min = 1)), example = ["/blog/**"])]
    pub(super) exclude: Option<Vec<Option<String>>>,
    /// Pages that are visited in one run. What lies beyond is left as it is.
    #[schemars(range(min = 1, max = 100_000_000), extend("default" = 10_000))]
    pub(super) max_pages: Option<u64>,
    /// Links from the first page to another.
    #[schemars(range(min = 0, max = 10_000), extend("default" = 100))]
    pub(super) max_depth: Option<u32>,
    /// Between two requests to a host, at least. By default `250ms`, and nothing on this machine. `0s`: as robots.txt and the host's
    /// own answers have it, which may ask for more in any case.
    #[schemars(example = &"1s")]
    pub(super) delay: Option<Pause>,
    /// Requests to a host at once. By default 2, and 8 on this machine.
    #[schemars(range(min = 1, max = 64))]
    pub(super) concurrency: Option<usize>,
    /// Sent to the hosts of `urls` and to no other. Best as variables: `Authorization: "Bearer ${DOCS_TOKEN}"`.
    #[schemars(example = BTreeMap::from([("Authorization", "Bearer ${DOCS_TOKEN}")]))]
    pub(super) headers: Option<BTreeMap<String, Option<String>>>,
    /// Whether sitemaps are looked for.
    #[schemars(extend("default" = true))]
    pub(super) sitemap: Option<bool>,
    /// Whether to believe a sitemap that a page is no newer than the last visit. Many sitemaps are wrong.
    #[schemars(extend("default" = false))]
    pub(super) trust_lastmod: Option<bool>,
    /// What the crawler calls itself. The first word is what robots.txt is asked about.
    #[schemars(length(min = 1, max = 200), example = &"ragstream/1.0 (+https://example.org/bot)")]
    pub(super) user_agent: Option<String>,
    /// Larger pages and files are skipped.
    #[schemars(extend("default" = "50MB"))]
    pub(super) max_bytes: Option<Size>,
}

/// How documents are cut into chunks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "chunk")]
pub(super) struct ChunkSpec {
    /// What cuts are chosen by.
    #[schemars(extend("default" = "auto"))]
    pub(super) by: Option<ChunkBy>,
    /// A chunk's tokens, at most.
    #[schemars(range(min = 1, max = 32_768), extend("default" = 400))]
    pub(super) max_tokens: Option<usize>,
    /// Tokens that a chunk repeats of the one before. Less than `max_tokens`. By default 40, or a tenth of `max_tokens`
    /// where that is less.
    #[schemars(range(min = 0, max = 32_767), extend("default" = 40))]
    pub(super) overlap: Option<usize>,
    /// What counts tokens.
    #[schemars(extend("default" = "o200k_base"))]
    pub(super) tokenizer: Option<TokenizerName>,
    /// Has a model say in a sentence or two where each chunk stands in its document, for search alone. By default none does.
    pub(super) context: Option<ContextSpec>,
}

/// How documents are read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "parse")]
pub(super) struct ParseSpec {
    /// Tried one after the other on PDF files that open with a password only. Best as variables: `${PDF_PASSWORD}`.
    #[schemars(example = ["${PDF_PASSWORD}"])]
    pub(super) passwords: Option<Vec<Option<String>>>,
    /// Reads scanned pages, which have pictures and no text, by Tesseract, which has to be installed. By default they are counted,
    /// and said.
    pub(super) ocr: Option<OcrSpec>,
}

/// How scanned pages are read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ocr")]
pub(super) struct OcrSpec {
    /// The program: a path, or a name that is looked for on the `PATH`.
    #[schemars(length(min = 1), extend("default" = "tesseract"))]
    pub(super) program: Option<String>,
    /// The languages, by Tesseract's names: `eng`, `chi_sim`, `deu`.
    #[schemars(length(min = 1), inner(length(min = 1, max = 64)), extend("default" = ["eng", "chi_sim"]))]
    pub(super) languages: Option<Vec<Option<String>>>,
    /// How long one page may take.
    #[schemars(extend("default" = "60s"))]
    pub(super) timeout: Option<Period>,
}

/// What turns chunks into vectors.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "embed")]
pub(super) struct EmbedSpec {
    /// `provider/model`. `local/auto` is the local model that suits the documents, or that the index has already.
    #[schemars(length(min = 1), extend("default" = "local/auto", "examples" = ["openai/text-embedding-3-small"]))]
    pub(super) model: Option<String>,
    /// The width of the vectors, for models that have several. By default the model's own.
    #[schemars(range(min = 1, max = 65_536))]
    pub(super) dimensions: Option<usize>,
    /// How much goes into one request. By default as much as the provider takes.
    pub(super) batch: Option<BatchSpec>,
    /// Put before each question, for models that want it, such as `query: `. Empty: nothing, also where that is usual.
    #[schemars(length(max = 4096))]
    pub(super) query_prefix: Option<String>,
    /// Put before each passage, for models that want it, such as `passage: `. Empty: nothing, also where that is usual.
    #[schemars(length(max = 4096))]
    pub(super) passage_prefix: Option<String>,
}

/// How much goes into one request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "batch")]
pub(super) struct BatchSpec {
    /// Texts, at most.
    #[schemars(range(min = 1, max = 100_000), example = 256)]
    pub(super) items: Option<usize>,
    /// Tokens over all texts, at most.
    #[schemars(range(min = 1, max = 10_000_000), example = 100_000)]
    pub(super) tokens: Option<usize>,
}

/// Where the vectors go: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "store", extend("maxProperties" = 1))]
pub(super) struct StoreSpec {
    /// An index in a folder, in process. The default.
    pub(super) embedded: Option<EmbeddedSpec>,
    /// Another word for `embedded`, its name in earlier versions.
    pub(super) edge: Option<EmbeddedSpec>,
    /// A Qdrant server or cluster.
    pub(super) qdrant: Option<QdrantSpec>,
}

/// An index in a folder, in process.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "embedded")]
pub(super) struct EmbeddedSpec {
    /// Its folder. By default one of the pipeline's name in the home folder.
    #[schemars(length(min = 1), example = &".ragstream/docs")]
    pub(super) path: Option<String>,
}

/// A Qdrant server or cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "qdrant")]
pub(super) struct QdrantSpec {
    /// Its gRPC address (port 6334 unless given).
    #[schemars(length(min = 1), extend("default" = "http://localhost:6334"))]
    pub(super) url: Option<String>,
    /// Its key, best as a variable.
    #[schemars(example = &"${QDRANT_API_KEY:-}")]
    pub(super) api_key: Option<String>,
    /// The collection. By default the pipeline's name.
    #[schemars(length(min = 1, max = 255))]
    pub(super) collection: Option<String>,
    /// How long one call may take.
    #[schemars(extend("default" = "60s"))]
    pub(super) timeout: Option<Period>,
    /// Of a cluster: parts of the collection, when it is made. By default as many as there are nodes.
    #[schemars(range(min = 1, max = 65_536), example = 6)]
    pub(super) shard_number: Option<u32>,
    /// Of a cluster: copies of each part, when it is made, each on another node. By default the server's own, which is 1: what is on
    /// a node is away with it.
    #[schemars(range(min = 1, max = 1000), example = 2)]
    pub(super) replication_factor: Option<u32>,
    /// Of a cluster: copies that must have a write before it counts. By default the server's own, which is 1; the other copies get it
    /// as well, or are known to be behind.
    #[schemars(range(min = 1, max = 1000), example = 1)]
    pub(super) write_consistency_factor: Option<u32>,
    /// Of a cluster: in which order the writes of several workers are applied.
    #[schemars(extend("default" = "strong"))]
    pub(super) ordering: Option<Ordering>,
}

/// How questions are answered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "query")]
pub(super) struct QuerySpec {
    /// How passages are found.
    pub(super) retrieve: Option<RetrieveSpec>,
    /// When no model is asked, since the passages do not hold the answer.
    pub(super) answerability: Option<AnswerabilitySpec>,
    /// What is done about questions that are about all documents, such as "list every incident".
    pub(super) whole: Option<WholeSpec>,
    /// How the answer is written.
    pub(super) answer: Option<AnswerSpec>,
    /// A model that decides whether passages say what the answer says of them. Without one, only numbers, dates, names, quotes and
    /// negations are looked up; what is found out so stays, whatever it decides, save a name that is put otherwise.
    pub(super) decide: Option<DecideSpec>,
}

/// A decision model.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "decide")]
pub(super) struct DecideSpec {
    /// `provider/model`, of OpenAI, TypeSafe, or a server that decides as one of them does.
    #[schemars(length(min = 1), example = &"openai/gpt-6-luna")]
    pub(super) model: Option<String>,
    /// How long each decision may take, retries included. Then what is said without it stands.
    #[schemars(extend("default" = "2s"))]
    pub(super) deadline: Option<Period>,
}

/// How passages are found.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "retrieve")]
pub(super) struct RetrieveSpec {
    /// How many.
    #[schemars(range(min = 1, max = 1000), extend("default" = 8))]
    pub(super) limit: Option<usize>,
    /// How they are ranked.
    #[schemars(extend("default" = "hybrid"))]
    pub(super) mode: Option<RetrieveMode>,
    /// How the two rankings of `hybrid` become one. By default as suits the embedding model.
    pub(super) fusion: Option<FusionSpec>,
    /// Which documents are searched; all terms must hold. `path=docs/api/**` and `path!=…` as in `include`, `lang=zh` and
    /// `lang!=…` by ISO 639-1, `modified>=2026-01-31` with `<`, `<=`, `>`, `>=` and a date (its beginning, in UTC) or RFC 3339;
    /// a document without a date meets none of them.
    #[schemars(inner(length(min = 1)), example = ["path=docs/api/**", "modified>=2026-01-31"])]
    pub(super) r#where: Option<Vec<Option<String>>>,
    /// What becomes of passages that say nearly the same as a better one.
    #[schemars(extend("default" = "drop"))]
    pub(super) duplicates: Option<Duplicates>,
    /// A model that ranks the best passages again.
    pub(super) rerank: Option<RerankSpec>,
    /// How many tokens the passages may have together: the best 20 (or `limit`, if that is more) are trimmed to the sentences that
    /// fit the question. What fits far worse than the best is left out, less of it with every doubling beyond 800. By default they
    /// come whole.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) trim: Option<usize>,
}

/// A model that ranks the best passages again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "rerank")]
pub(super) struct RerankSpec {
    /// `provider/model`, of Cohere, Voyage, Jina, or a server that reranks as Jina does; a cross-encoder in process, by name
    /// (`local/ms-marco-MiniLM-L-6-v2`, English; `local/mmarco-mMiniLMv2-L12-H384-v1`, many languages) or by its folder
    /// (`local/./models/mine`); or a decision model of OpenAI, TypeSafe, or a server that decides as one of them does.
    #[schemars(length(min = 1), example = &"cohere/rerank-v3.5")]
    pub(super) model: Option<String>,
    /// How many passages it ranks; those that are asked for if they are more. By default 50, and 20 by a decision model or one in process.
    #[schemars(range(min = 1, max = 1000), extend("default" = 50))]
    pub(super) candidates: Option<usize>,
    /// How long it may take, retries included. Then the ranking stays as it is.
    #[schemars(extend("default" = "2s"))]
    pub(super) deadline: Option<Period>,
    /// Another word for `deadline`, its name in earlier versions.
    pub(super) timeout: Option<Period>,
}

/// How the ranking by meaning and the one by words become one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "fusion")]
pub(super) struct FusionSpec {
    /// What counts: scores or places.
    #[schemars(extend("default" = "weighted"))]
    pub(super) method: Option<FusionMethodSpec>,
    /// The share of words (BM25), from 0 (meaning alone) to 1 (words alone). By default as suits the embedding model: 0.7 for a
    /// static one, 0.5 for a small one, 0.4 for large ones.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) weight: Option<f32>,
    /// Only for `rrf`: the smaller, the more the first places count.
    #[schemars(range(min = 1.0, max = 10_000.0), extend("default" = 2))]
    pub(super) k: Option<f32>,
}

/// What counts when two rankings become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "method")]
pub(super) enum FusionMethodSpec {
    /// Scores, each ranking's scaled to 0 to 1, and their weighted sum.
    Weighted,
    /// Places alone (reciprocal rank fusion).
    Rrf,
}

/// Before a model is asked, a probability is known that the passages hold the answer, where the corpus is large enough to have
/// taught what its rankings mean.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "answerability")]
pub(super) struct AnswerabilitySpec {
    /// Below this probability no model is asked, and the nearest passages are shown. By default 0.15, and only where questions made of
    /// the corpus's own passages could be told apart.
    pub(super) threshold: Option<Threshold>,
}

/// A question about all documents ("how many reports mention fire?", "summarise everything") is answered by a pass over all of them, which
/// costs a request for each part of the index.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "whole")]
pub(super) struct WholeSpec {
    /// `ask`: it is answered from the best passages, and told what it would cost to read all; a person at a terminal is asked. `auto`: all
    /// are read. `off`: it is a question like any other.
    #[schemars(extend("default" = "ask"))]
    pub(super) mode: Option<WholeMode>,
    /// Tokens of the documents that one request reads. By default 24,000, or `context_tokens` where the model runs at home.
    #[schemars(range(min = 256, max = 10_000_000), extend("default" = 24_000))]
    pub(super) part_tokens: Option<usize>,
}

/// How the answer is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "answer")]
pub(super) struct AnswerSpec {
    /// `provider/model`. By default the first that is there of OpenAI, Anthropic and a running Ollama.
    #[schemars(length(min = 1), example = &"anthropic/claude-sonnet-4-5")]
    pub(super) model: Option<String>,
    /// Models that stand by, as `provider/model`: when one refuses, fails or stays silent, the next one answers.
    #[schemars(inner(length(min = 1)), example = ["openai/gpt-5.4-mini"])]
    pub(super) fallback: Option<Vec<Option<String>>>,
    /// How long a model may say nothing before the next one of `fallback` takes over.
    #[schemars(extend("default" = "30s"))]
    pub(super) fallback_after: Option<Period>,
    /// Tokens the answer may have.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1024))]
    pub(super) max_tokens: Option<u32>,
    /// 0 is the most repeatable. By default the provider's own.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub(super) temperature: Option<f32>,
    /// `default`, or instructions that replace the built-in ones.
    #[schemars(length(max = 65_536), extend("default" = "default"))]
    pub(super) prompt: Option<String>,
    /// Tokens that instructions, passages and question may have together.
    #[schemars(range(min = 256, max = 10_000_000), extend("default" = 6000))]
    pub(super) context_tokens: Option<usize>,
}
