//! Where a machine's words are in the journal: what to ask journalctl(1) for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::registry;
use crate::error::Result;
use crate::machine::change::journals;
use crate::name::MachineName;
use crate::paths::Root;
use crate::runtime::state;
use crate::runtime::state::State;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// systemd's, the supervisor's and the console's.
    All,
    /// The console's alone.
    Console,
    /// The guest's own journal.
    Guest,
}

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// As long as there is a journal.
    Ever,
    /// The container's last start.
    Start,
}

/// The arguments of journalctl that show it.
pub fn arguments(root: &Root, name: &MachineName, source: Source, since: Since) -> Result<Vec<String>> {
    registry::require(root, name)?;
    let running = state::read(root, name).filter(|state| state.open_leader().is_some());
    let mut arguments = match source {
        Source::All => vec![format!("--unit={}", name.service())],
        Source::Console => vec![format!("--unit={}", name.service()), "CONTAINER_ORIGIN=console".to_string()],
        // One that does not run has left what it wrote: on the host, or on its disk.
        Source::Guest if running.is_none() => vec![match journals::find(root, name) {
            Some(directory) => format!("--directory={}", directory.display()),
            None => format!("--root={}", registry::rootfs(root, name)?.display()),
        }],
        Source::Guest => vec![format!("--machine={name}")],
    };
    arguments.extend(match (source, since) {
        (_, Since::Ever) => None,
        (Source::Guest, Since::Start) => Some("--boot".to_string()),
        // A supervisor that came later has an invocation of its own, but the container has not started again.
        _ => running.as_ref().and_then(began).or_else(|| Some("--invocation=0".to_string())),
    });
    Ok(arguments)
}

/// When the payload was started, by the clock that the journal has; a little earlier, for what came before it.
fn began(state: &State) -> Option<String> {
    let began = SystemTime::now().checked_sub(state.uptime()? + Duration::from_secs(1))?;
    Some(format!("--since=@{}", began.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::fs;

    #[test]
    fn the_journal_is_asked_for_the_right_words() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let name = MachineName::new("p1").unwrap();
        assert_eq!(arguments(&root, &name, Source::All, Since::Ever).unwrap_err().kind(), Kind::NotFound);
        fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        fs::write(root.definition(&name), "").unwrap();
        let asked = |source, since| arguments(&root, &name, source, since).unwrap().join(" ");
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
