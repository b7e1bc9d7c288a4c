//! x
mod chat;
