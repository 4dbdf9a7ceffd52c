//! From a name to a running payload. What can fail by configuration fails before anything is made; what was made
//! before a later failure is removed again.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::time::Instant;

use crate::config::settings::Readiness;
use crate::error::{Context, Result};
use crate::name::MachineName;
use crate::network::setup::Made;
use crate::network::site::site;
use crate::paths::Root;
use crate::preparation::{Prepared, Purpose};
use crate::runtime::cgroup::Cgroup;
use crate::runtime::directory::Runtime;
use crate::runtime::state::{self, State, start_time};
use crate::runtime::state_file::StateFile;
use crate::runtime::{control, execution};
use crate::sandbox::plan::Plan;
use crate::storage::host_path::HostPaths;
use crate::supervisor::console::ring::Ring;
use crate::supervisor::event_loop::{self, boottime};
use crate::supervisor::host::{HostParts, HostSetup, Trace, prepare_with_ids};
use crate::supervisor::intercept::outside::{self, Outside};
use crate::supervisor::spawn::{self, Running, SpawnContext, Spawned, Terminals};
use crate::supervisor::stored_fds::StoredFds;
use crate::supervisor::{end, links};
use crate::sys::seccomp::{Filters, Listening};
use crate::sys::tty;
use crate::systemd::block_on;
use crate::systemd::journal::Journal;
use crate::systemd::notify;
use crate::systemd::payload::{self, Payload, Registration};

/// Measures the stages of a start.
struct Stages {
    began: Instant,
    done: Vec<(&'static str, u128)>,
}

impl Stages {
    fn new() -> Stages {
        Stages { began: Instant::now(), done: Vec::new() }
    }

    /// Ends a stage; the next one begins.
    fn end(&mut self, stage: &'static str) {
        self.done.push((stage, self.began.elapsed().as_micros()));
        self.began = Instant::now();
    }
}

/// Starts the container, and continues as its supervisor.
pub fn start(root: &Root, name: &MachineName, journal: &Journal) -> Result<Infallible> {
    let stages = Stages::new();
    let runtime = Runtime::open(root, name)?;
    state::refuse_running(root, name)?;
    let (state, trace) = (State::default(), Trace::default());
    let mut start = Start { root, name, runtime: &runtime, journal, state, stages, trace };
    match start.run() {
        Ok(stored) => {
            if start.state.readiness == Readiness::Started {
                notify::ready(event_loop::STATUS);
            }
            runtime.write_timings(&start.stages.done);
            runtime.write_trace(start.trace.operations());
            stored.hand_over()
        }
        Err(error) => {
            start.undo();
            Err(error)
        }
    }
}

/// A start that is decided, with what it takes beside the plan.
struct Decided {
    prepared: Prepared,
    filters: Filters,
    network: Option<OwnedFd>,
}

/// A start under way.
struct Start<'a> {
    root: &'a Root,
    name: &'a MachineName,
    runtime: &'a Runtime,
    journal: &'a Journal,
    state: State,
    stages: Stages,
    trace: Trace,
}

impl<'a> Start<'a> {
    fn run(&mut self) -> Result<StoredFds> {
        let decided = self.decide()?;
        self.stages.end("plan");
        self.state = first_state(&decided.prepared);
        block_on(self.bring_up(decided))
    }

    /// Prepares the start, and refuses what cannot be had on this host. Nothing is made but the entry of ids.
    fn decide(&self) -> Result<Decided> {
        let Start { root, name, .. } = self;
        let purpose = execution::asked(root, name).map_or(Purpose::Boot, Purpose::Execute);
        let prepared = prepare_with_ids(root, name, purpose)?;
        prepared.warnings.iter().for_each(|warning| self.journal.warning(warning));
        outside::check(&prepared.definition, prepared.profile.as_ref())?;
        let network = links::namespace(root, &prepared.plan.network)?;
        let filters = prepared.filters(root)?;
        Ok(Decided { prepared, filters, network })
    }

    /// Carries the plan out. The payload is cloned before the bus is connected to, which is in the same process.
    async fn bring_up(&mut self, mut decided: Decided) -> Result<StoredFds> {
        let host = self.set_up_host(&mut decided)?;
        let Decided { prepared: Prepared { definition, plan, facts, .. }, filters, network } = &decided;
        let control = control::listen(self.runtime)?;
        let ring = Ring::new(definition.settings.console.buffer_bytes)?;
        let file = StateFile::new()?;
        self.stages.end("prepare");
        let paths = HostPaths::new(self.root);
        let context = SpawnContext {
            plan,
            tree: &facts.tree,
            paths: &paths,
            ids: facts.ids,
            runtime: self.runtime,
            filters,
            network: network.as_ref(),
        };
        let spawned = spawn::spawn(&context)?;
        self.note_leader(&spawned);
        apply_limits(&spawned, plan)?;
        self.stages.end("spawn");
        let mut outside = self.outside(filters)?;
        let site = site(self.root, self.name, definition);
        let begun = links::begin(&site, &plan.network)?;
        let namespace = begun.is_some().then(|| spawned.network()).transpose()?;
        self.stages.end("lease");
        let payload = Payload {
            name: self.name,
            leader: self.state.leader as u32,
            id: id_bytes(&plan.machine_id),
            root: &facts.rootfs,
            stop_signal: plan.stop_signal,
            devices: &plan.devices,
        };
        let asked = payload::ask(&payload).await?;
        self.stages.end("ask");
        let make =
            |(begun, namespace)| links::make(begun, &site, &plan.network.ports, &facts.tree, &namespace);
        let links = begun.zip(namespace).map(make).transpose();
        self.stages.end("network");
        // Links that could not be made are reported only now: there is a scope by then, which the clean-up removes.
        let placed = asked.wait().await?;
        let links = links?;
        self.stages.end("scope");
        self.enter_cgroup(&file, facts.ids.map_or(0, |ids| ids.base))?;
        let registering = placed.register(outer_ends(links.as_ref())).await;
        let running = self.execute(spawned, links, &mut outside, plan);
        let registration = registering.wait().await;
        let running = running?;
        self.stages.end("register");
        self.report(registration);
        let Running { leader, terminals: Terminals { console, ttys } } = running;
        let peer = tty::peer(&console).context(|| "failed to open the console")?;
        let (ring, state, notifications) = (ring.into_fd(), file.into_fd(), host.notifications);
        let interception = outside.map(Outside::into_stored);
        let stored =
            StoredFds { leader, console, peer, ttys, ring, notifications, control, state, interception };
        self.keep(&stored)?;
        self.stages.end("keep");
        Ok(stored)
    }

    /// Carries out the operations on the host; the mount of a directory that could not be made leaves the plan.
    fn set_up_host(&mut self, decided: &mut Decided) -> Result<HostParts> {
        let Decided { prepared, filters, .. } = decided;
        let Start { root, name, runtime, journal, trace, .. } = self;
        let parts = HostSetup { root, name, runtime, prepared, filters, journal }.carry_out(trace)?;
        if let Some(missing) = &parts.missing {
            prepared.plan.leave_out(missing);
        }
        Ok(parts)
    }

    fn note_leader(&mut self, spawned: &Spawned) {
        self.state.leader = spawned.leader().as_raw();
        self.state.leader_start = start_time(self.state.leader).unwrap_or_default();
    }

    /// The half of a start that has system calls answered, where a filter asks for it.
    fn outside(&self, filters: &Filters) -> Result<Option<Outside<'a>>> {
        let is_asked = filters.iter().any(|filter| filter.listening == Listening::Yes);
        is_asked.then(|| Outside::new(&self.state, self.journal)).transpose()
    }

    /// The leader sits in its scope: records the cgroup for whoever comes after a start that was cut short, and delegates
    /// it to the container's root.
    fn enter_cgroup(&mut self, file: &StateFile, owner: u32) -> Result<()> {
        let leader = self.state.leader;
        // A leader that has ended already reports why when it is led on.
        let Some((cgroup, path)) = Cgroup::of_placed(leader, &self.name.scope())? else { return Ok(()) };
        self.state.cgroup = path;
        file.write(&self.state)?;
        self.runtime.write_state(&self.state)?;
        StoredFds::store_state(file.fd())?;
        cgroup.delegate(leader, owner)
    }

    /// Leads the children to exec; packets pass the links from before that.
    fn execute(
        &mut self,
        spawned: Spawned,
        links: Option<Made>,
        outside: &mut Option<Outside>,
        plan: &Plan,
    ) -> Result<Running> {
        let assembled = spawned.placed()?;
        plan.outside.iter().for_each(|operation| self.trace.note(operation));
        self.stages.end("mount");
        links.map(Made::open).transpose()?;
        let running = assembled.enter(outside)?;
        plan.inside.iter().for_each(|operation| self.trace.note(operation));
        self.stages.end("exec");
        Ok(running)
    }

    fn report(&self, registration: Registration) {
        if let Registration::Refused(why) = registration {
            self.journal.warning(&format!("machined does not list '{}': {why}", self.name));
        }
    }

    /// Puts everything into the store before the state says that the payload was started: a start that is cut short in
    /// between is ended and begun anew.
    fn keep(&mut self, stored: &StoredFds) -> Result<()> {
        stored.store()?;
        self.state.started = true;
        self.state.started_usec = boottime().as_micros() as u64;
        StateFile::write_to(&stored.state, &self.state)?;
        self.runtime.write_state(&self.state)
    }

    /// Removes what was made. A payload that was executed already is killed, as it would have no supervisor.
    fn undo(&self) {
        let Start { root, name, state, journal, .. } = self;
        let Some(cgroup) = Cgroup::of(state) else {
            if state.leader != 0
                && let Err(error) = payload::put_away(name)
            {
                journal.warning(&format!("{error}, ignoring"));
            }
            return end::forget(root, name);
        };
        if let Err(error) = cgroup.kill() {
            journal.warning(&format!("{error}, ignoring"));
        }
        if let Err(error) = end::clear_away(root, name, state, journal) {
            journal.warning(&format!("{error}, ignoring"));
        }
    }
}

/// Indices of the links' ends on the host.
fn outer_ends(links: Option<&Made>) -> Vec<i32> {
    links.map_or(&[][..], Made::outside).iter().filter_map(|index| i32::try_from(*index).ok()).collect()
}

fn first_state(prepared: &Prepared) -> State {
    let Prepared { definition, plan, facts, .. } = prepared;
    let console = &definition.settings.console;
    let mut state = State {
        machine_id: plan.machine_id.clone(),
        root: facts.rootfs.to_string_lossy().into_owned(),
        ids: facts.ids,
        stop_signal: plan.stop_signal,
        init: plan.init.is_some(),
        execution: plan.own_init,
        readiness: plan.readiness,
        confinement: Some(prepared.confinement()),
        ..State::default()
    };
    state.ttys = console.ttys;
    state.take_console(console);
    state.take_proxy(&definition.settings.exec);
    state
}

/// Resource limits and the OOM score are set from here: raising them takes rights that the leader lacks.
fn apply_limits(spawned: &Spawned, plan: &Plan) -> Result<()> {
    let pid = spawned.leader();
    for limit in &plan.limits {
        crate::sys::limits::prlimit(pid, limit.resource, limit.soft, limit.hard)
            .context(|| format!("failed to set resource limit {}", limit.resource))?;
    }
    let path = format!("/proc/{pid}/oom_score_adj");
    std::fs::write(&path, plan.oom_score_adjust.to_string()).context(|| format!("failed to write '{path}'"))
}

fn id_bytes(id: &str) -> [u8; 16] {
    u128::from_str_radix(id, 16).unwrap_or_default().to_be_bytes()
}
