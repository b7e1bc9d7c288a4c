//! From files to points in the store.

pub mod chunk;
