//! Tables of real databases: Postgres, Postgres behind pgbouncer, MariaDB and SQLite.

mod errors;
mod listing;
mod servers;
mod types;
mod walk;
