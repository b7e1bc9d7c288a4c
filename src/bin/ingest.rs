//! `ingest`: the same as `ragstream ingest`.

#[path = "../allocator.rs"]
mod allocator;

fn main() -> std::process::ExitCode {
    ragstream::cli::main(std::env::args_os().collect(), Some("ingest"))
}
