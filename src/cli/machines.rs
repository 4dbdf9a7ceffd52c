//! What verbs share that work on several containers at once.

use std::process::ExitCode;

use super::complain;
use crate::error::Result;
use crate::machine::unit::Done;
use crate::name::MachineName;

/// The machines of the command line.
#[derive(Debug, clap::Args)]
pub struct Machines {
    /// Names of the containers
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Machines {
    /// All of them, checked, each once. A wrong name fails before anything is done to the others.
    pub fn names(&self) -> Result<Vec<MachineName>> {
        let mut names = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let name = MachineName::new(name)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Tells each failure. The exit code is that of the first machine that failed, in the order they were named.
pub fn finish<T>(all: Vec<Done<T>>) -> ExitCode {
    let failures: Vec<_> = all.into_iter().filter_map(|done| done.result.err()).collect();
    failures.iter().for_each(complain);
    failures.first().map_or(ExitCode::SUCCESS, |error| error.kind().exit_code().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    fn names(names: &[&str]) -> Result<Vec<MachineName>> {
        Machines { names: names.iter().map(ToString::to_string).collect() }.names()
    }

    #[test]
    fn a_machine_that_is_named_twice_is_one() {
        let found = names(&["a", "b", "a"]).expect("valid");
        assert_eq!(found.iter().map(MachineName::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(names(&["a", "b c"]).expect_err("refused").kind(), Kind::Config);
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
