//! Everything that needs more than one room of the crate.

mod answer;
