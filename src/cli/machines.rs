//! Arguments and results of verbs that work on several containers at once.

use std::process::ExitCode;

use super::complain;
use crate::error::Result;
use crate::machine::lifecycle::unit::Done;
use crate::machine::select::Selection;
use crate::machine::{Host, Machine};
use crate::name::MachineName;

/// The machines of the command line.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Machines {
    /// Names of the containers
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// All members of this group; can be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// All containers
    #[arg(long)]
    all: bool,
}

impl Machines {
    /// All of them, checked, each once. A wrong name fails before anything is done to the others.
    pub fn choose(&self, host: &Host) -> Result<Vec<Machine>> {
        let names = self.names.iter().map(|name| MachineName::new(name)).collect::<Result<_>>()?;
        host.select(&Selection { names, groups: self.group.clone(), all: self.all })
    }
}

/// Prints each failure. The exit code is that of the first machine that failed, in the order they were named.
pub fn finish<T>(all: Vec<Done<T>>) -> ExitCode {
    let failures: Vec<_> = all.into_iter().filter_map(|done| done.result.err()).collect();
    failures.iter().for_each(complain);
    failures.first().map_or(ExitCode::SUCCESS, |error| error.kind().exit_code().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use crate::paths::Root;

    #[test]
    fn a_wrong_name_is_refused_before_the_others_are_looked_for() {
        let names = ["a", "b c"].map(String::from).to_vec();
        let machines = Machines { names, group: vec!["nosuch".to_string()], all: false };
        assert_eq!(
            machines.choose(&Host::new(Root::at("/nowhere"))).expect_err("refused").kind(),
            Kind::Config
        );
    }

    #[test]
    fn the_first_failure_decides_the_exit_code() {
        let done = |result| Done { name: MachineName::new("a").expect("valid"), result };
        let failed = |kind| done(Err(Error::new(kind, "failed to test")));
        let all = vec![done(Ok(())), failed(Kind::Busy), failed(Kind::NotFound)];
        assert_eq!(format!("{:?}", finish(all)), format!("{:?}", ExitCode::from(75)));
        assert_eq!(format!("{:?}", finish(vec![done(Ok(()))])), format!("{:?}", ExitCode::SUCCESS));
    }
}
