//! The integration tests: one binary, a module a subject.

mod answer;
mod chat;
mod chunk;
mod data;
mod embedders;
mod end_to_end;
mod http;
mod local;
mod parse;
mod pipeline;
mod project;
mod qdrant_server;
mod stand_in;
mod store;
