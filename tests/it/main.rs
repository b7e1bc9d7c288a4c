//! The integration tests: one binary, a module a subject.

mod answer;
mod chat;
mod data;
mod embedders;
mod end_to_end;
mod faults;
mod local;
mod project;
mod qdrant_server;
mod resume;
mod rig;
mod stand_in;
mod store;
