//! Messages of a container in the journal: the arguments of journalctl(1) that select them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Result;
use crate::machine::Machine;
use crate::machine::change::journals;
use crate::runtime::state::{self, State};

/// The messages' source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// systemd, the supervisor and the console.
    All,
    /// The console alone.
    Console,
    /// The guest's own journal.
    Guest,
}

/// The time from which messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// All that the journal has.
    Ever,
    /// The container's last start.
    Start,
}

impl Machine {
    /// The arguments of journalctl(1) that show the container's messages.
    pub fn journal_arguments(&self, source: Source, since: Since) -> Result<Vec<String>> {
        let unit = || format!("--unit={}", self.name.service());
        let running = state::read(self.root(), &self.name).filter(|state| state.open_leader().is_some());
        let mut arguments = match source {
            Source::All => vec![unit()],
            Source::Console => vec![unit(), "CONTAINER_ORIGIN=console".to_string()],
            // The journal of one that does not run is on the host, or on its disk.
            Source::Guest if running.is_none() => vec![match journals::find(self.root(), &self.name) {
                Some(directory) => format!("--directory={}", directory.display()),
                None => format!("--root={}", self.rootfs()?.display()),
            }],
            Source::Guest => vec![format!("--machine={}", self.name)],
        };
        arguments.extend(match (source, since) {
            (_, Since::Ever) => None,
            (Source::Guest, Since::Start) => Some("--boot".to_string()),
            // A supervisor that came later has an invocation of its own, but the container has not started again.
            _ => running.as_ref().and_then(began).or_else(|| Some("--invocation=0".to_string())),
        });
        Ok(arguments)
    }
}

/// The option for messages since the payload was started, by the journal's clock; a second earlier, for those of the
/// start itself.
fn began(state: &State) -> Option<String> {
    let began = SystemTime::now().checked_sub(state.uptime()? + Duration::from_secs(1))?;
    Some(format!("--since=@{}", began.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::machine::Host;
    use crate::name::MachineName;
    use crate::paths::Root;
    use std::fs;

    #[test]
    fn the_journal_is_asked_for_the_right_words() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let name = MachineName::new("p1").unwrap();
        let host = Host::new(root.clone());
        assert_eq!(host.machine(&name).err().unwrap().kind(), Kind::NotFound);
        fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        fs::write(root.definition(&name), "").unwrap();
        let machine = host.machine(&name).unwrap();
        let asked = |source, since| machine.journal_arguments(source, since).unwrap().join(" ");
        assert_eq!(asked(Source::All, Since::Start), "--unit=container@p1.service --invocation=0");
        let rootfs = format!("--root={}", root.rootfs(&name).display());
        assert_eq!(asked(Source::Guest, Since::Start), format!("{rootfs} --boot"));
        fs::create_dir_all(root.runtime_of(&name)).unwrap();
        let leader = std::process::id() as i32;
        let leader_start = state::start_time(leader).unwrap();
        let state = State { leader, leader_start, started_usec: 1, ..State::default() };
        fs::write(root.runtime_of(&name).join(state::FILE), state.to_text().unwrap()).unwrap();
        assert_eq!(asked(Source::Guest, Since::Ever), "--machine=p1");
        assert!(
            asked(Source::Console, Since::Start)
                .starts_with("--unit=container@p1.service CONTAINER_ORIGIN=console --since=@")
        );
    }
}
