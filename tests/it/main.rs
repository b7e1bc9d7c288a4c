//! The integration tests: one binary, a module a subject.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::naive_bytecount,
    reason = "a test may fail loudly"
)]

mod answer;
mod answerability;
mod architecture;
mod batch;
mod both;
mod cache;
mod change;
mod chat;
mod check;
mod choice;
mod chunk;
mod cluster;
mod cluster_quota;
mod context;
mod conversation;
mod data;
mod deciders;
mod embedders;
mod end_to_end;
mod eval;
mod faults;
mod federated;
mod figures;
mod hangup;
mod http;
mod installed;
mod ledger;
mod limits;
mod local;
mod mcp;
mod own_source;
mod owner;
mod page;
mod parse;
mod peers;
mod pipeline;
mod prices;
mod project;
mod push;
mod qdrant_server;
mod rerankers;
mod resume;
mod rig;
mod s3;
mod select;
mod serve;
mod serve_v1;
mod service;
mod several;
mod shared_cache;
mod sql;
mod stand_in;
mod store;
mod telemetry;
mod time;
mod together;
mod told;
mod watch;
mod web;
mod whole;
mod why;
