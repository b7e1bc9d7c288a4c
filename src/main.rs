//! `ragstream`: see [`ragstream::cli`].

mod allocator;

fn main() -> std::process::ExitCode {
    ragstream::cli::main(std::env::args_os().collect(), None)
}
