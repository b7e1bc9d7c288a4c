//! The integration tests: one binary.


//! The integration tests: one binary, a module a subject.

mod answer;
mod chat;
mod local;
mod qdrant_server;
mod store;
