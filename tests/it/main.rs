//! The integration tests: one binary, a module a subject.
mod chat;
mod embedders;
mod local;
mod stand_in;
