//! The confinement of a running machine, checked: the tries of [`posture`], made inside it with its payload's own
//! rights, and what the kernel reports about its first process. The promise is what the payload was given when it was
//! started, whatever its definition says by now.

use std::ffi::CStr;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::paths::Root;
use crate::preparation::{Purpose, prepare};
use crate::runtime::cgroup::Cgroup;
use crate::runtime::execution::Changes;
use crate::runtime::namespaces::{self, Namespace};
use crate::runtime::rights::{self, Rights};
use crate::runtime::state::{self, Confinement, State};
use crate::sandbox::lsm::apparmor;
use crate::sandbox::posture::{self, Check, Finding, checks};
use crate::sys::clone::{spawn_into, wait};
use crate::sys::memory::Memory;
use crate::sys::seccomp::Filters;
use crate::worker::attached::{self, Entry};
use crate::worker::helper::{Helper, Program};
use crate::worker::probe;

/// One line of an audit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The property that was examined or tried.
    pub what: String,
    /// The value found.
    pub found: String,
    /// The value promised.
    pub promised: String,
    /// Whether the promise is kept.
    pub holds: bool,
}

/// The leaf of the container's cgroup in which the audit runs.
const LEAF: &CStr = c"audit";
/// Exit statuses of a probe, by what it found.
const STATUSES: [(i32, Finding); 3] = [(10, Finding::Allowed), (11, Finding::Refused), (12, Finding::Absent)];

impl Machine {
    /// Audits the running container, by a helper: from a sealed copy of its program, where the container's root may write
    /// to files of the host's root.
    pub fn audit(&self) -> Result<Vec<Row>> {
        let state = state::read(self.root(), &self.name);
        let exposed = state.is_some_and(|state| Memory::of(state.ids) == Memory::Own);
        let program = if exposed { Program::Sealed } else { Program::Installed };
        let (root, name) = (self.root().path("/"), self.name.as_str());
        let rows = Helper::Audit.output(self.root(), &[root.as_os_str(), name.as_ref()], program)?;
        serde_json::from_slice(&rows).map_err(std::io::Error::from).context(|| "failed to read the audit")
    }
}

/// The helper: audits the container, and writes the rows to standard output.
pub fn help(root: &str, name: &str) -> Result<()> {
    let machine = Host::new(Root::at(root)).machine(&MachineName::new(name)?)?;
    let rows = serde_json::to_string(&audit(&machine)?).map_err(std::io::Error::from);
    let rows = rows.context(|| "failed to write the audit")?;
    std::io::stdout().write_all(rows.as_bytes()).context(|| "failed to write the audit")
}

/// Audits a running container.
fn audit(machine: &Machine) -> Result<Vec<Row>> {
    let (root, name) = (machine.root(), &machine.name);
    let (state, leader) = state::require_running(root, name)?;
    let promised = Promised::of(root, name, &state)?;
    let mut rows = kernel_rows(&state, &promised)?;
    let cgroup = Cgroup::require(&state, name)?;
    let leaf = cgroup.leaf(LEAF)?;
    let filters = promised.rights.programs();
    let namespaces = namespaces::flags(&Namespace::ALL, &leader)?;
    let inside = Inside {
        leader,
        leaf,
        namespaces,
        rights: &promised.rights,
        filters: &filters,
        memory: Memory::of(state.ids),
    };
    let checks = checks(state.ids.is_some(), promised.confinement.nesting);
    let made: Result<Vec<Row>> = checks.iter().map(|check| inside.make(check)).collect();
    // Even after a failure nothing of ours stays in the container's cgroup.
    cgroup.remove_leaf(LEAF);
    rows.extend(made?);
    Ok(rows)
}

/// The confinement that the running payload was given.
struct Promised {
    rights: Rights,
    confinement: Confinement,
}

impl Promised {
    /// As it was recorded at the start. A release before this one recorded only the rights; the rest is then as the
    /// definition has it now.
    fn of(root: &Root, name: &MachineName, state: &State) -> Result<Promised> {
        let rights = rights::of(root, name)?;
        if let Some(confinement) = state.confinement.clone() {
            return Ok(Promised { rights, confinement });
        }
        let purpose = if state.execution { Purpose::Execute(Changes::Kept) } else { Purpose::Boot };
        Ok(Promised { rights, confinement: prepare(root, name, purpose)?.confinement() })
    }
}

/// The means to try something inside.
struct Inside<'a> {
    leader: OwnedFd,
    leaf: OwnedFd,
    namespaces: libc::c_int,
    rights: &'a Rights,
    filters: &'a Filters,
    memory: Memory,
}

impl Inside<'_> {
    /// Makes one check, in a process that ends with it.
    fn make(&self, check: &Check) -> Result<Row> {
        let entry = Entry {
            leader: self.leader.as_fd(),
            namespaces: self.namespaces,
            capabilities: self.rights.capabilities,
            no_new_privileges: self.rights.no_new_privileges,
            filters: self.filters,
            memory: self.memory,
        };
        let status =
            |finding| STATUSES.iter().find(|(_, known)| *known == finding).map_or(0, |(code, _)| *code);
        let work = || status(probe::run(check.probe));
        let (_, child) = spawn_into(Some(self.leaf.as_fd()), 0, || attached::run(&entry, &work))?;
        let code = wait(&child).context(|| "failed to wait for the audit's process")?;
        let found = STATUSES.iter().find(|(known, _)| Some(*known) == code).map(|(_, finding)| *finding);
        let found = found.ok_or_else(|| {
            Error::failed(format!(
                "failed to try '{}' in the container: the process ended with {code:?}",
                check.what
            ))
        })?;
        Ok(Row {
            what: check.what.clone(),
            found: word(found),
            promised: word(check.promised),
            holds: posture::holds(check.promised, found),
        })
    }
}

fn word(finding: Finding) -> String {
    match finding {
        Finding::Allowed => "allowed",
        Finding::Refused => "refused",
        Finding::Absent => "absent",
    }
    .to_string()
}

/// The rows that are read from `/proc`: ids, rights, namespaces.
fn kernel_rows(state: &State, promised: &Promised) -> Result<Vec<Row>> {
    let read = |file: &str| {
        let path = format!("/proc/{}/{file}", state.leader);
        std::fs::read_to_string(&path).context(|| format!("failed to read '{path}'"))
    };
    let row = |what: &str, found: String, promised: String| Row {
        what: what.to_string(),
        holds: found == promised,
        found,
        promised,
    };
    let status = read("status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("?").trim().to_string()
    };
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let hosts = "0 0 4294967295".to_string();
    let ids = state.ids.map_or(hosts, |ids| ids.to_string());
    let Promised { rights, confinement: Confinement { ambient, namespaces, .. } } = promised;
    let mask = |mask: u64| format!("{mask:016x}");
    let mut rows = vec![
        row("user ids", words(read("uid_map")?), ids.clone()),
        row("group ids", words(read("gid_map")?), ids),
        row("capabilities that can be had", field("CapBnd"), mask(rights.capabilities)),
        row("capabilities passed on", field("CapInh"), mask(*ambient)),
        row("capabilities without being root", field("CapAmb"), mask(*ambient)),
        row("no new privileges", field("NoNewPrivs"), u8::from(rights.no_new_privileges).to_string()),
        row("system call filters", field("Seccomp_filters"), rights.filters.len().to_string()),
    ];
    let attribute = |file: &str| read(&format!("attr/{file}")).unwrap_or_default();
    rows.extend(labelled(rights, attribute).map(|(what, found, promised)| row(what, found, promised)));
    for namespace in Namespace::ALL {
        let owner = |own: bool| if own { "its own" } else { "the host's" }.to_string();
        let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).ok();
        let own = link(&state.leader.to_string()) != link("self");
        rows.push(row(
            &format!("namespace: {namespace}"),
            owner(own),
            owner(namespaces.contains(&namespace)),
        ));
    }
    Ok(rows)
}

/// The labels of the first process, and those that it was given; `attribute` reads a file of its `/proc/PID/attr`. None
/// for a security module that gives no label.
fn labelled(
    rights: &Rights,
    attribute: impl Fn(&str) -> String,
) -> impl Iterator<Item = (&'static str, String, String)> {
    // Where there are several modules, the common file is the first one's.
    let own = |text: String| if text.is_empty() { attribute("current") } else { text };
    let apparmor = rights.apparmor.clone().map(|promised| {
        let current = own(attribute("apparmor/current"));
        let found = apparmor::name_of(current.trim()).unwrap_or("none").to_string();
        ("label: AppArmor", found, promised)
    });
    let selinux = rights.selinux.clone().map(|promised| {
        let found = attribute("current").trim_end_matches(['\0', '\n']).to_string();
        ("label: SELinux", found, promised)
    });
    apparmor.into_iter().chain(selinux)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_shown_as_the_kernel_reports_it() {
        let rights = Rights { apparmor: Some("containerctl_p1".to_string()), ..Rights::default() };
        let shown = |common: &'static str, own: &'static str| {
            let read = |file: &str| if file == "current" { common } else { own }.to_string();
            labelled(&rights, read).next().expect("a row").1
        };
        assert_eq!(shown("containerctl_p1 (enforce)\n", ""), "containerctl_p1");
        assert_eq!(shown("system_u:x:y", "unconfined\n"), "unconfined");
        assert_eq!(shown("", ""), "none");
        let rights = Rights { selinux: Some("u:r:t:s0:c1,c2".to_string()), ..Rights::default() };
        let rows: Vec<_> = labelled(&rights, |_| "u:r:t:s0:c1,c2\0".to_string()).collect();
        assert_eq!(rows, [("label: SELinux", "u:r:t:s0:c1,c2".to_string(), "u:r:t:s0:c1,c2".to_string())]);
        assert_eq!(labelled(&Rights::default(), |_| "unconfined".to_string()).count(), 0);
    }
}
