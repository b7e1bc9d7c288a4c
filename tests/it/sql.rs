//! Tables of real databases: Postgres, Postgres behind pgbouncer, `MariaDB` and SQLite.

mod adversary;
mod check;
mod errors;
mod ingest;
mod listing;
mod lists;
mod rows;
pub mod servers;
mod torture;
mod types;
mod walk;
mod why;
mod writers;
