//! From files to points in the store.

pub mod parse;
pub mod read;
