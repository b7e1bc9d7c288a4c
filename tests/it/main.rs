//! The integration tests: one binary.

mod chat;
mod qdrant_server;
mod store;
