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
//! 3. [`document`]: what flows: documents, chunks, points, passages.
//! 4. [`language`]: what a text is written in.
//! 5. [`tokenizer`]: tokens, as models count them.
//! 6. [`limits`]: requests and tokens a minute, requests in flight: told, or learned.
//! 7. [`providers`]: a file a wire format; one HTTP layer owns timeouts and retries. Models in process live here too.
//! 8. [`cache`]: vectors that were paid for once.
//! 9. [`vectordb`]: the embedded engine or a Qdrant server behind one trait.
//! 10. [`parse`]: bytes of some format become text.
//! 11. [`source`]: where documents come from, behind one trait.
//! 12. [`chunk`]: text becomes chunks for the embedding model.
//! 13. [`ingest`]: one stream from sources to an index; its page shows the stages and what is promised when.
//! 14. [`answer`]: retrieval, the prompt, and the answer's stream with its citations checked.
//! 15. [`pipeline`]: what the user wrote becomes what will run. Only a checked [`pipeline::Plan`] can be run.
//! 16. [`runtime`]: the composition root: a plan with its connections, on which ingest and answers run.
//! 17. [`eval`]: retrieval measured on a labelled set.
//! 18. [`cli`]: the commands, and the only module that prints.
//!
//! # Invariants
//!
//! - A document is recorded as done after the store has acknowledged its points and its stale ones are gone.
//! - Point ids follow from a document's uri and a chunk's text: writing twice is writing once.
//! - What is under way is bounded: in items by each stage's concurrency, in bytes by the run's memory budget.
//! - No work for a core runs on a runtime worker; no task outlives the run that started it.
//! - Secrets print as `***`.
//!
//! Absent on purpose: global state, feature flags, a registry of plugins, retries outside of [`providers::http`] and of the
//! one loop around the store.

pub mod answer;
pub mod cache;
pub mod chunk;
#[cfg(feature = "cli")]
pub mod cli;
pub mod document;
pub mod error;
pub mod eval;
pub mod ingest;
pub mod language;
pub mod limits;
pub mod parse;
pub mod pipeline;
pub mod providers;
pub mod runtime;
pub mod source;
mod suggest;
pub mod tokenizer;
pub mod vectordb;
