//! The integration tests: one binary, a module a subject.
mod chat;
mod embedders;
mod http;
mod local;
mod stand_in;
