//! Several workers on one index: queue, ledger, quota and leadership in one Postgres database.

mod error;
mod session;

pub use self::error::ClusterError;
