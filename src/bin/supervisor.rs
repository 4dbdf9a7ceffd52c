//! containerctl-supervisor: one per container, started by `container@NAME.service`.

use std::process::ExitCode;

use containerctl::error::{Error, Result};
use containerctl::name::MachineName;
use containerctl::supervisor;

fn main() -> ExitCode {
    containerctl::warning::print();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(code) => code.into(),
        Err(error) => {
            supervisor::report_failure(&error.to_string());
            eprintln!("{error}");
            error.kind().exit_code().into()
        }
    }
}

fn command(words: &[&str]) -> Result<u8> {
    match words {
        ["run", name] => supervisor::run(&MachineName::new(name)?),
        ["reap", name] => supervisor::reap(&MachineName::new(name)?),
        ["cleanup", name] => supervisor::cleanup(&MachineName::new(name)?),
        ["check", name] => supervisor::check(&MachineName::new(name)?),
        _ => Err(Error::config("usage: containerctl-supervisor run|check|cleanup|reap NAME")
            .hint("it is started by systemd: use 'containerctl start NAME'")),
    }
}
