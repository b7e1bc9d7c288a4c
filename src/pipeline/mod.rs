//! The pipeline file: spec (as written) → plan (validated, defaults filled). Only a [`Plan`] can be run.
//!
//! One door, [`load()`]: text → [`tree`] (every value with its bytes) → [`interpolate`] (variables) → [`check`] (against the
//! schema of the types in [`spec`]) → [`resolve`] (meaning) → [`Plan`]. Each stage reports what is wrong and passes on what
//! is right, so that every error is told at once.

mod address;
mod check;
mod cluster;
mod connections;
mod diagnose;
mod find;
mod fullwidth;
mod instructions;
mod interpolate;
mod load;
mod meaning;
mod model;
mod name;
mod plan;
mod resolve;
mod schema;
mod secrets;
mod sources;
mod spec;
mod tree;
mod units;

pub use diagnose::{Diagnostic, Diagnostics, Level, Place};
pub use find::find;
#[cfg(feature = "cli")]
pub(crate) use fullwidth::comma as full_width_comma;
pub use load::{Loaded, load, load_for_cluster, parse, parse_for_cluster};
pub use model::Purpose;
pub use plan::Plan;
pub use resolve::default_plan;
pub use schema::schema;
pub(crate) use sources::MAX_BYTES;
#[cfg(feature = "cli")]
pub(crate) use sources::{instead_of_bucket, is_database};
#[cfg(feature = "cli")]
pub(crate) use units::period;
