//! The command `containerctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    containerctl::cli::run()
}
