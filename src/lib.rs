//! ragstream reads, chunks, embeds and indexes documents as one stream, exactly as fast as the AI API allows, and answers
//! questions with streamed, cited answers.
//!
//! # The way of the data
//!
//! ```text
//!              pipelines/docs.yaml                      "how do I rotate keys?"
//!                      │                                          │
//!                  [pipeline]  spec ─▶ plan ─▶ running         [answer]
//!                      │                                          │
//!  files ─▶ [ingest]  read ─▶ parse ─▶ chunk ─▶ embed ─▶ store    retrieve ─▶ prompt ─▶ stream ─▶ a cited answer
//!                                       │         │        │      │                      │
//!                               [tokenizer]  [cache]       │      │                      │
//!                                            [providers] ◀─┼──────┼──────────────────────┘
//!                                            [limits]      ▼      ▼
//!                                                       [vectordb]
//! ```
//!
//! - [`pipeline`]: what the user wrote becomes what will run. Only a checked [`pipeline::Plan`] can be run.
//! - [`ingest`]: one stream from files to an index; its module page shows the stages and what is promised when.
//! - [`providers`]: a file a wire format; one HTTP layer owns timeouts, retries and [`limits`]. Models in process live here too.
//! - [`vectordb`]: the embedded engine or a Qdrant server behind one trait.
//! - [`answer`]: retrieval, the prompt, and the answer's stream with its citations checked.
//! - [`cli`]: the commands, and the only module that prints.
//! - [`document`]: what flows: found files, documents, chunks, points, passages. [`language`]: what a document is written in.
//!
//! To add a source, parser, provider or store: write one file and add one line to the `match` in [`ingest::read`],
//! [`ingest::parse::parse`], [`providers::Providers`] or [`vectordb::open`].
//!
//! # Invariants
//!
//! - A document is recorded as done after the store has acknowledged its points and its stale ones are gone.
//! - Point ids follow from a document's uri and a chunk's text: writing twice is writing once.
//! - What is under way is bounded: in items by each stage's places, in bytes by the run's room.
//! - No work for a core runs on a runtime worker; no task outlives the run that started it.
//! - Secrets print as `***`.
//!
//! Absent on purpose: global state, feature flags, a registry of plugins, retries outside of [`providers::http`] and of the
//! one loop around the store.

pub mod answer;
pub mod cache;
pub mod cli;
pub mod document;
pub mod error;
pub mod ingest;
pub mod language;
pub mod limits;
pub mod pipeline;
pub mod providers;
pub mod tokenizer;
pub mod vectordb;
