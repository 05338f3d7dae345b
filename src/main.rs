//! `endcap`: parse, call, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    endcap::cli::main(std::env::args_os())
}
