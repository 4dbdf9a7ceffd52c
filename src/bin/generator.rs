//! containerctl-generator: a systemd.generator(7).

use std::process::ExitCode;

fn main() -> ExitCode {
    containerctl::generator::program::run(std::env::args_os().skip(1)).into()
}
