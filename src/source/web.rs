//! Whole sites.

mod address;
