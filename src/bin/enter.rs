//! containerctl-enter: enters a running container; executed by whoever attaches to one, with a socket as its input.

use std::process::ExitCode;

fn main() -> ExitCode {
    containerctl::worker::entrant::run().into()
}
