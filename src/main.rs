//! The command `containerctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    containerctl::warning::print();
    containerctl::cli::run()
}
