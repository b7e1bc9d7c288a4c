//! x
mod chat;
mod embedders;
mod stand_in;
