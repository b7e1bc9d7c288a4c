//! The integration tests: one binary, a module a subject.

mod answer;
mod chat;
mod data;
mod embedders;
mod end_to_end;
mod http;
mod limits;
mod local;
mod pipeline;
mod project;
mod qdrant_server;
mod stand_in;
mod store;
