//! Whole sites.

mod access;
mod address;
mod body;
mod client;
mod escapes;
mod failure;
mod links;
mod robots;
mod signal;
#[cfg(test)]
mod stand_in;
mod traps;
