//! For agents: a server of the Model Context Protocol, over HTTP at `/mcp` and over stdin and stdout.
//!
//! ```text
//!  POST /mcp ─▶ [http] ─┐                        ┌─▶ [search] [get]     within the bound of tokens: [pages]
//!                       ├─▶ [handler] ─▶ a tool ─┼─▶ [ask]
//!  stdin ────▶ [stdio] ─┘                        └─▶ [status] [ingest]  ─▶ [told]: text, and the objects of `--json`
//! ```
//!
//! Both eras of the protocol are spoken (rmcp does): 2025-11-25 and older, which begin with `initialize`, and 2026-07-28, where each
//! request stands alone. No session is kept of either over HTTP.
//!
//! Invariants:
//! - What a tool tells is exact slices of documents with their path, lines and bytes, and where the next page begins; no page is above
//!   the tokens that were asked for, as text or as JSON.
//! - What went wrong in a tool is told as its result, with what to do: an agent reads that, and not the protocol's errors.
//! - A call lives as long as its request: who leaves cancels it, and with it the request upstream. An ingest lives on.

mod ask;
mod get;
mod handler;
mod http;
mod ingest;
mod pages;
mod search;
mod status;
mod stdio;
mod told;
mod tool;

pub(super) use self::http::routes;
pub(super) use self::stdio::serve;
