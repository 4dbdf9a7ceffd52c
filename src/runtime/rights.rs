//! The rights of a running container's processes: recorded at its start, so that a process that enters later has
//! just what its own processes are, whatever its definition says by then.
//!
//! The capabilities of the leader would not do: a payload may lower its own. A definition that has changed would not
//! do either: an attached process with more rights than the rest is a way out for all of them.

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::state::RIGHTS;
use crate::sys::capabilities::Mask;
use crate::sys::seccomp::{Filter, Filters};
use crate::sys::seccomp::{Listening, from_word};

/// The rights of a container's processes. A field that a reader does not know is an error: it may be a restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// Capabilities that can be had, as bits.
    pub capabilities: Mask,
    /// `no_new_privs` is set.
    pub no_new_privileges: bool,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// SELinux context.
    pub selinux: Option<String>,
    /// System call filters in the order in which they are loaded, a word for each instruction.
    pub filters: Vec<Vec<u64>>,
    /// Which of them asks a program outside, by its place among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<usize>,
}

/// The rights that a machine's supervisor recorded when it started the payload.
pub fn of(root: &Root, name: &MachineName) -> Result<Rights> {
    let path = root.runtime_of(name).join(RIGHTS);
    let text = std::fs::read_to_string(&path).context(|| format!("failed to read '{}'", path.display()));
    text.and_then(|text| Rights::parse(&text)).map_err(|error| {
        Error::failed(format!("it is not known what the processes of '{name}' may do: {error}"))
            .hint("another version of containerctl may have started it: restart it")
    })
}

impl Rights {
    /// As text.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::failed(format!("failed to write rights: {error}")))
    }

    /// From text; all of it or an error.
    pub fn parse(text: &str) -> Result<Rights> {
        serde_json::from_str(text).map_err(|error| Error::failed(format!("failed to read rights: {error}")))
    }

    /// The filters as the kernel takes them.
    pub fn programs(&self) -> Filters {
        let filter = |(index, words): (usize, &Vec<u64>)| Filter {
            program: words.iter().copied().map(from_word).collect(),
            listening: if self.listening == Some(index) { Listening::Yes } else { Listening::No },
        };
        self.filters.iter().enumerate().map(filter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::seccomp::to_word;

    fn sample() -> Rights {
        Rights {
            capabilities: 5,
            no_new_privileges: true,
            apparmor: Some("p".to_string()),
            selinux: None,
            filters: vec![vec![u64::MAX, 0], vec![]],
            listening: Some(1),
        }
    }

    #[test]
    fn rights_are_read_as_they_were_written() {
        assert_eq!(Rights::parse(&sample().to_text().expect("text")).expect("rights"), sample());
        let programs = sample().programs();
        assert_eq!(programs[0].program.iter().map(to_word).collect::<Vec<_>>(), [u64::MAX, 0]);
        let listening: Vec<_> = programs.iter().map(|filter| filter.listening).collect();
        assert_eq!(listening, [Listening::No, Listening::Yes]);
        // Nothing is written that a program of before would take for a restriction that it does not know.
        let silent = Rights { listening: None, ..sample() };
        let text = silent.to_text().expect("text");
        assert!(!text.contains("listening"));
        assert_eq!(Rights::parse(&text).expect("rights"), silent);
    }

    #[test]
    fn a_restriction_that_is_missing_or_unknown_is_an_error() {
        let text = sample().to_text().expect("text");
        assert!(Rights::parse(&text.replace("\"no_new_privileges\":true,", "")).is_err());
        assert!(Rights::parse(&text.replacen('{', "{\"newer\":1,", 1)).is_err());
        assert!(Rights::parse(&text[..text.len() - 9]).is_err());
    }
}
