//! ragstream (map to be written when the rooms stand).
pub mod answer;
pub mod cli;
pub mod document;
pub mod error;
pub mod pipeline;
pub mod providers;
pub mod vectordb;
