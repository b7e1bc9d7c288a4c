//! The integration tests: one binary, a module a subject.

mod answer;
mod chat;
mod embedders;
mod local;
mod qdrant_server;
mod stand_in;
mod store;
