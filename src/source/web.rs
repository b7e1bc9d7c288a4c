//! Whole sites.

mod address;
mod body;
mod client;
mod failure;
#[cfg(test)]
mod stand_in;
