//! ragstream (map to be written when the rooms stand).
pub mod document;
pub mod error;
pub mod ingest;
pub mod pipeline;
pub mod providers;
pub mod tokenizer;
pub mod vectordb;
