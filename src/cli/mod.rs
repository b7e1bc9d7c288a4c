//! The command line.

pub mod ask;
pub mod search;
pub mod style;
