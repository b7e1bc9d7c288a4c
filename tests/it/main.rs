//! x
mod chunk;
