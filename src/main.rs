//! The executable: the allocator, and the exit code of [`tollgate::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(tollgate::cli::run(std::env::args_os()))
}
