//! The integration tests: one binary, a module a subject.
mod data;
mod local;
