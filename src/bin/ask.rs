//! `ask`: the same as `ragstream ask`.

fn main() -> std::process::ExitCode {
    ragstream::cli::main(std::env::args_os(), Some("ask"))
}
