//! The integration tests: one binary.


mod answer;
mod chat;
mod qdrant_server;
mod store;
