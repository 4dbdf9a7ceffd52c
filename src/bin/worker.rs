//! containerctl-worker: does one piece of work in a process of its own; executed by other programs of ours.

use std::process::ExitCode;

use containerctl::error::{Error, Result};
use containerctl::image::tar;
use containerctl::machine::inspect::audit;
use containerctl::worker::helper::Helper;

fn main() -> ExitCode {
    containerctl::warning::print();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("{error}");
            error.kind().exit_code().into()
        }
    }
}

fn run(words: &[&str]) -> Result<u8> {
    let usage =
        || Error::config("usage: containerctl-worker HELPER …").hint("it is executed by other programs");
    let (name, arguments) = words.split_first().ok_or_else(usage)?;
    match (Helper::of(name), arguments) {
        (Some(Helper::Audit), [root, name]) => audit::help(root, name).map(|()| 0),
        (Some(Helper::Call), []) => containerctl::dbus::work().map(|()| 0),
        (Some(Helper::Unpack), [work]) => tar::unpack(work),
        _ => Err(usage()),
    }
}
