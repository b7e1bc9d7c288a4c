//! `ingest`: the same as `ragstream ingest`.

fn main() -> std::process::ExitCode {
    ragstream::cli::main(std::env::args_os(), Some("ingest"))
}
