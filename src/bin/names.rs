//! containerctl-names: answers for the names of containers, and passes other questions on.

use std::process::ExitCode;

fn main() -> ExitCode {
    match containerctl::network::names::serve(&containerctl::paths::Root::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("containerctl-names: {error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}
