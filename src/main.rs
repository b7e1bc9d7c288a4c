//! `ragstream`: see [`ragstream::cli`].

fn main() -> std::process::ExitCode {
    ragstream::cli::main(std::env::args_os(), None)
}
