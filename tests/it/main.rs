//! The integration tests: one binary.
mod qdrant_server;
mod store;
