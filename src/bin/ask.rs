//! `ask`: the same as `ragstream ask`.

#[path = "../allocator.rs"]
mod allocator;

fn main() -> std::process::ExitCode {
    ragstream::cli::main(std::env::args_os().collect(), Some("ask"))
}
