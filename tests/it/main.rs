//! The integration tests: one binary, a module a subject.
mod chat;
mod data;
mod embedders;
mod http;
mod local;
mod stand_in;
