//! containerctld: the bus service `org.containerctl1`, started by the bus when it is called.

use std::process::ExitCode;
use std::time::Duration;

use containerctl::dbus;
use containerctl::error::{Error, Result};
use containerctl::paths::Root;

fn main() -> ExitCode {
    containerctl::warning::print();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            error.kind().exit_code().into()
        }
    }
}

fn command(words: &[&str]) -> Result<()> {
    match words {
        ["serve", seconds] => dbus::serve(Root::system(), idle(seconds)?),
        _ => Err(usage()),
    }
}

fn idle(seconds: &str) -> Result<Duration> {
    seconds.parse().map(Duration::from_secs).map_err(|_| usage())
}

fn usage() -> Error {
    Error::config("usage: containerctld serve SECONDS-WITHOUT-CALLS").hint(
        "it is started by the bus: call it, as 'busctl introspect org.containerctl1 /org/containerctl1' does",
    )
}
