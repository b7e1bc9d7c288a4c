//! ragstream reads, chunks, embeds and indexes documents as one stream, exactly as fast as the AI API allows, and answers
//! questions with streamed, cited answers.
//!
//! # The way of the data
//!
//! ```text
//!                    pipelines/docs.yaml                        "how do I rotate keys?"
//!                            │                                             │
//!             [pipeline] spec ─▶ plan ─▶ [runtime]                     [answer]
//!                            │                                             │
//!  [source] ─▶ [ingest] fetch ─▶ parse ─▶ chunk ─▶ embed ─▶ store      retrieve ─▶ prompt ─▶ stream ─▶ a cited answer
//!                                 │        │         │        │            │                    │
//!                              [parse]  [chunk]   [cache]     │            │                    │
//!                                                    │        │            │                    │
//!                                               [providers] ◀─┼────────────┼────────────────────┘
//!                                                [limits]     ▼            ▼
//!                                                          [vectordb]
//! ```
//!
//! # The rooms, from the ground up
//!
//! A room knows only those that are named before it; `tests/it/architecture.rs` holds the code to that.
//!
//! 1. [`error`]: what went wrong, caused by what, and what to do.
//! 2. [`suggest`]: "did you mean".
//! 3. [`priority`]: threads that yield to those that somebody waits for.
//! 4. [`dice`]: numbers that look drawn by chance and are the same each time.
//! 5. [`atomic`]: files that are there as a whole or not at all.
//! 6. [`unchanging`]: `SQLite` files that are read where nothing can be written.
//! 7. [`telemetry`]: the spans that tell what is under way, with all their attributes.
//! 8. [`document`]: what flows: documents, chunks, points, passages.
//! 9. [`language`]: what a text is written in.
//! 10. [`tokenizer`]: tokens, as models count them.
//! 11. [`limits`]: requests and tokens a minute, requests in flight: told, or learned.
//! 12. [`providers`]: a file a wire format; one HTTP layer owns timeouts and retries. Models in process live here too.
//! 13. [`cache`]: vectors that were paid for once.
//! 14. [`vectordb`]: the embedded store or a Qdrant server behind one trait.
//! 15. [`parse`]: bytes of some format become text.
//! 16. [`source`]: where documents come from, behind one trait.
//! 17. [`chunk`]: text becomes chunks for the embedding model.
//! 18. [`ingest`]: one stream from sources to an index, and copies of it; its page shows the stages and what is promised when.
//! 19. [`cluster`]: several workers on one index: the ledger, the queue and the quota that they share, in one Postgres.
//! 20. [`answer`]: retrieval, the prompt, and the answer's stream with its citations checked.
//! 21. [`pipeline`]: what the user wrote becomes what will run. Only a checked [`pipeline::Plan`] can be run.
//! 22. [`runtime`]: the composition root: a plan with its connections, on which ingest and answers run.
//! 23. [`eval`]: retrieval measured on a labelled set.
//! 24. [`serve`]: the service: what the commands do, over HTTP.
//! 25. [`cli`]: the commands, and the only module that prints.
//!
//! # As a library
//!
//! Index a folder, and search it:
//!
//! ```
//! use ragstream::{Answerer, Plan, Runtime, Settings};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let plan = Plan::from_env().with_sources(["data/lantern"])?;
//!     let runtime = Runtime::new(plan, Settings::at(std::env::temp_dir().join("lantern")));
//!     let summary = runtime.index().await?;
//!     println!("{} documents in {:.1} s", summary.documents.seen, summary.seconds);
//!
//!     let answerer = Answerer::open(&runtime).await?;
//!     for found in answerer.search(&"How do I rotate keys?".into()).await? {
//!         println!("{:.2} {}", found.hit.score, found.hit.passage.uri);
//!     }
//! #   assert!(summary.documents.seen > 10);
//! #   let best = answerer.search(&"How do I rotate keys?".into()).await?;
//! #   assert!(best[0].hit.passage.uri.ends_with("guides/rotating-keys.md"));
//!     Ok(())
//! }
//! ```
//!
//! A source and an embedding model of your own. A source lists what there is, each item with a version; what has not changed since
//! the last run is not fetched again, and what is gone leaves the index:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use futures_util::stream::{self, BoxStream, StreamExt as _};
//! use ragstream::document::Markup;
//! use ragstream::providers::{Embedded, InputType, ProviderError};
//! use ragstream::source::{Body, FetchError, Fetched, Item, Listed, SourceId, Version};
//! use ragstream::{Answerer, Embedder, Plan, Runtime, Settings, Source};
//!
//! /// Tickets: a number, how often each was edited, and its text.
//! #[derive(Debug)]
//! struct Tickets(SourceId, Vec<(u32, u64, &'static str)>);
//!
//! #[async_trait]
//! impl Source for Tickets {
//!     fn id(&self) -> &SourceId {
//!         &self.0
//!     }
//!
//!     fn list(&self) -> BoxStream<'_, Listed> {
//!         let item = |(n, edits, _): &(u32, u64, _)| Item::new(format!("tickets://{n}"), Version::new(edits.to_le_bytes()));
//!         stream::iter(self.1.iter().map(item).map(Listed::Item).chain([Listed::Complete])).boxed()
//!     }
//!
//!     async fn fetch(&self, items: &[Item]) -> Vec<Result<Fetched, FetchError>> {
//!         let found = |item: &Item| {
//!             let ticket = self.1.iter().find(|(n, ..)| item.uri == format!("tickets://{n}")).ok_or(FetchError::Gone)?;
//!             let body = Body::Text { text: ticket.2.into(), markup: Markup::Text, title: None };
//!             let mut fetched = Fetched::new(body, item.version);
//!             fetched.metadata.insert("edits".into(), (ticket.1 as i64).into());
//!             Ok(fetched)
//!         };
//!         items.iter().map(found).collect()
//!     }
//! }
//!
//! /// Counts letters: 26 numbers a text. (Yours will call a model.)
//! #[derive(Debug)]
//! struct Letters;
//!
//! #[async_trait]
//! impl Embedder for Letters {
//!     fn model(&self) -> &str {
//!         "own/letters"
//!     }
//!
//!     async fn dimensions(&self) -> Result<usize, ProviderError> {
//!         Ok(26)
//!     }
//!
//!     async fn embed(&self, inputs: &[String], _: InputType) -> Result<Embedded, ProviderError> {
//!         let count = |text: &String, letter| text.to_lowercase().matches(letter).count() as f32;
//!         Ok(Embedded::new(inputs.iter().map(|text| ('a'..='z').map(|letter| count(text, letter)).collect()).collect()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! let tickets = vec![(17, 1, "The pump leaks when it is cold."), (18, 4, "Please add a dark mode.")];
//! let runtime = Runtime::new(Plan::from_env(), Settings::at(&home))
//!     .with_source(Arc::new(Tickets("tickets".into(), tickets)))
//!     .with_embedder(Arc::new(Letters));
//! runtime.index().await?;
//! let again = runtime.index().await?;
//! assert_eq!((again.documents.unchanged, again.embeddings.embedded), (2, 0));
//!
//! let found = Answerer::open(&runtime).await?.search(&"leaking pumps".into()).await?;
//! assert_eq!(found[0].hit.passage.uri, "tickets://17");
//! # Ok(())
//! # }
//! ```
//!
//! Stream an answer with its sources. The model is the plan's, or the first that is there of `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`
//! and a running Ollama; here it is one of our own:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use futures_util::stream::{self, StreamExt as _};
//! use ragstream::providers::{ChatEvent, ChatRequest, ChatStream, ProviderError, StopReason, Usage};
//! use ragstream::source::documents;
//! use ragstream::{AnswerEvent, Answerer, ChatModel, ModelChoice, Plan, Question, Runtime, Settings};
//!
//! /// Has one answer. The prompt is in the request: instructions, the passages with their numbers, the question.
//! #[derive(Debug)]
//! struct Scripted;
//!
//! #[async_trait]
//! impl ChatModel for Scripted {
//!     fn model(&self) -> &str {
//!         "own/scripted"
//!     }
//!
//!     async fn chat(&self, _: ChatRequest) -> Result<ChatStream, ProviderError> {
//!         let pieces = ["Every Mon", "day [1]."].map(|piece| Ok(ChatEvent::Text(piece.into())));
//!         let end = ChatEvent::Done { stop: StopReason::End, usage: Usage::default() };
//!         Ok(stream::iter(pieces).chain(stream::iter([Ok(end)])).boxed())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! let notes = documents("notes", [("notes://keys", "Keys are rotated every Monday."), ("notes://lunch", "At noon.")]);
//! let runtime = Runtime::new(Plan::from_env(), Settings::at(&home)).with_source(Arc::new(notes));
//! runtime.index().await?;
//!
//! let question = Question { model: ModelChoice::Own(Arc::new(Scripted)), ..Question::from("When are keys rotated?") };
//! let mut answer = Answerer::open(&runtime).await?.ask(question);
//! # let mut shown = String::new();
//! while let Some(event) = answer.next().await {
//!     match event? {
//!         AnswerEvent::Sources { sources, .. } => sources.iter().for_each(|source| println!("[{}] {}", source.n, source.uri)),
//!         AnswerEvent::Token(text) | AnswerEvent::Citation { text, .. } => {
//!             print!("{text}");
//!             # shown.push_str(&text);
//!         }
//!         AnswerEvent::Done(summary) => assert_eq!(summary.citations, [1]),
//!         _ => {}
//!     }
//! }
//! # assert_eq!(shown, "Every Monday [1].");
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - A document is committed to the ledger after the store has acknowledged its points and its stale ones are gone.
//! - Point ids follow from a document's uri and a chunk's text: writing twice is writing once.
//! - What is under way is bounded: in items by each stage's concurrency, in bytes by the run's memory budget.
//! - No work for a core runs on a runtime worker; no task outlives the run that started it.
//! - Secrets print as `***`.
//!
//! Absent on purpose: global state, a registry of plugins, retries outside of [`providers::http`] and of the
//! one loop around the store.

pub mod answer;
mod atomic;
pub mod cache;
pub mod chunk;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "postgres")]
pub mod cluster;
mod dice;
pub mod document;
pub mod error;
pub mod eval;
pub mod ingest;
pub mod language;
pub mod limits;
pub mod parse;
pub mod pipeline;
mod priority;
pub mod providers;
pub mod runtime;
#[cfg(feature = "serve")]
pub mod serve;
pub mod source;
mod suggest;
pub mod telemetry;
pub mod tokenizer;
mod unchanging;
pub mod vectordb;

pub use answer::{AnswerEvent, Answerer, ModelChoice, Question};
pub use error::Error;
pub use ingest::Options as IngestOptions;
pub use ingest::report::{IngestSummary, Report};
pub use pipeline::Plan;
pub use providers::{ChatModel, Embedder, Reranker};
pub use runtime::{Runtime, Settings};
pub use source::Source;
pub use tokio_util::sync::CancellationToken;
pub use vectordb::VectorStore;

/// The example of the README is tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
