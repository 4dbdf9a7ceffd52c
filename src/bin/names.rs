//! containerctl-names: answers guests of the managed network: DNS, DHCP and router solicitations.

use std::process::ExitCode;

fn main() -> ExitCode {
    containerctl::warning::print();
    match containerctl::network::service::serve(&containerctl::paths::Root::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("containerctl-names: {error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}
