//! `containerctl check`.

use std::process::ExitCode;

use super::output::{self, Format};
use crate::error::{Kind, Result};
use crate::machine::Host;
use crate::machine::host::requirements::{Feature, Found};

/// Check whether this host can run containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only missing requirements
    #[arg(long)]
    missing: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(host: &Host, args: &Args) -> Result<ExitCode> {
    let mut features = host.check();
    let prevented = features.iter().any(Feature::prevents);
    if args.missing {
        features.retain(|feature| !matches!(feature.found, Found::Ok(_)));
    }
    match Format::new(args.json) {
        Format::Json => output::print_json(&features)?,
        Format::Table => {
            let head = ["FEATURE", "STATE", "FOUND", "NEEDED FOR", "HINT"];
            output::print(&output::table(head, features.into_iter().map(row)))?;
        }
    }
    Ok(if prevented { ExitCode::from(Kind::Unsupported.exit_code()) } else { ExitCode::SUCCESS })
}

fn row(feature: Feature) -> [String; 5] {
    let (state, found) = match feature.found {
        Found::Ok(found) => ("ok", found),
        Found::Missing(found) => ("missing", found),
        Found::Unknown => ("unknown", String::new()),
    };
    let hint = match state {
        "ok" => "",
        "missing" => &feature.hint,
        _ => "try it as root",
    }
    .to_string();
    let needed_for = feature.only_for.unwrap_or("all");
    [feature.what, state.to_string(), found, needed_for.to_string(), hint]
}
