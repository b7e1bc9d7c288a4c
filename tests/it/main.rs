//! x
mod parse;
