//! From a name to a running payload. What can fail by configuration fails before anything is made; what was made
//! before a later failure is taken away again.

use std::cell::RefCell;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::time::Instant;

use crate::config::settings::{PrivateUsers, Readiness};
use crate::config::{self, Definition};
use crate::error::{Context, Error, Result};
use crate::image::defaults;
use crate::name::MachineName;
use crate::network::setup::Made;
use crate::network::site::site;
use crate::paths::Root;
use crate::runtime::cgroup::Cgroup;
use crate::runtime::control;
use crate::runtime::directory::{self, Runtime};
use crate::runtime::execution;
use crate::runtime::state::{self, State, start_time};
use crate::runtime::state_file::StateFile;
use crate::sandbox::lsm;
use crate::sandbox::plan::{Plan, plan};
use crate::sandbox::seccomp::{self, Policy, ProfileFile};
use crate::sandbox::survey::{Facts, survey};
use crate::storage::host_path::HostPaths;
use crate::storage::{ids, image_entry as images};
use crate::supervisor::console::ring::Ring;
use crate::supervisor::intercept::outside::{self, Outside};
use crate::supervisor::kept::Kept;
use crate::supervisor::spawn::{self, Means, Spawned, Terminals};
use crate::supervisor::watch::{self, boottime};
use crate::supervisor::{end, journal_link, links};
use crate::sys::idmap::IdRange;
use crate::sys::seccomp::{Filters, Listening};
use crate::sys::tty;
use crate::systemd::journal::Journal;
use crate::systemd::notify;
use crate::systemd::payload::{self, Payload, Registration, place_and_register};

/// Measures the stages of a start.
struct Stages {
    began: Instant,
    done: Vec<(&'static str, u128)>,
}

impl Stages {
    fn new() -> Stages {
        Stages { began: Instant::now(), done: Vec::new() }
    }

    /// The stage that has just ended.
    fn end(&mut self, stage: &'static str) {
        self.done.push((stage, self.began.elapsed().as_micros()));
        self.began = Instant::now();
    }
}

/// Starts the container, and goes on as the one who watches over it.
pub fn start(root: &Root, name: &MachineName, journal: &Journal) -> Result<Infallible> {
    let mut stages = Stages::new();
    let runtime = Runtime::open(root, name)?;
    state::refuse_running(root, name)?;
    let mut state = State::default();
    let result = prepare(root, name, journal).and_then(|prepared| {
        stages.end("plan");
        state = first_state(&prepared);
        bring_up(root, name, &runtime, &prepared, &mut state, journal, &mut stages)
    });
    match result {
        Ok(kept) => {
            if state.readiness == Readiness::Started {
                notify::ready(watch::STATUS);
            }
            runtime.write_timings(&stages.done);
            kept.hand_over()
        }
        Err(error) => {
            undo(root, name, &state, journal);
            Err(error)
        }
    }
}

/// Takes back what was made; what was executed already is ended, as nobody would watch over it.
fn undo(root: &Root, name: &MachineName, state: &State, journal: &Journal) {
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

/// Everything that was decided.
struct Prepared {
    definition: Definition,
    network: Option<OwnedFd>,
    plan: Plan,
    facts: Facts,
    filters: Filters,
    console: config::settings::Console,
}

/// Reads the definition, looks at the root file system, plans, and builds the filter.
fn prepare(root: &Root, name: &MachineName, journal: &Journal) -> Result<Prepared> {
    let mut definition = defaults::load(root, name)?;
    if let Some(life) = execution::asked(root, name) {
        life.adapt(&mut definition.settings);
    }
    for warning in &definition.warnings {
        journal.warning(&warning.to_string());
    }
    let profile = ProfileFile::of(&definition, &HostPaths::new(root))?;
    outside::check(&definition, profile.as_ref())?;
    let mut settings = definition.settings.clone();
    seccomp::check_rules(&definition)?;
    claim_ids(root, name, &definition)?;
    let facts = survey(root, name, &definition, || ids::range_of(root, name))?;
    lsm::check(&definition, &facts.lsm)?;
    if let Some(failed) = journal_link::link(&mut settings, &facts)? {
        journal.warning(&format!("the guest's journal is not linked: {failed}"));
    }
    let plan = plan(&settings, &facts);
    links::validate(root, name, &definition, &plan.network)?;
    let network = links::namespace(root, &plan.network)?;
    let policy = Policy {
        capabilities: plan.capability_mask,
        rules: &settings.exec.system_call_filter,
        profile: profile.as_ref(),
    };
    let filters = policy.filters(&root.seccomp_cache())?;
    Ok(Prepared { definition, network, plan, facts, filters, console: settings.console })
}

/// Ids that the definition names are nobody else's, as those that are picked.
fn claim_ids(root: &Root, name: &MachineName, definition: &Definition) -> Result<()> {
    let PrivateUsers::Range { base, size } = definition.settings.exec.private_users else { return Ok(()) };
    ids::claim(root, name, IdRange { base, size }).map_err(|error| {
        Error::new(error.kind(), format!("{} {error}", definition.named("Exec", "PrivateUsers")))
    })
}

/// Makes everything.
fn bring_up(
    root: &Root,
    name: &MachineName,
    runtime: &Runtime,
    prepared: &Prepared,
    state: &mut State,
    journal: &Journal,
    stages: &mut Stages,
) -> Result<Kept> {
    let Prepared { definition, network, plan, facts, filters, console } = prepared;
    // machinectl finds an image only by name; a link that cannot be made costs no more than that.
    if let Err(error) = images::make_to(root, name, &facts.rootfs) {
        journal.warning(&format!("{error}, ignoring"));
    }
    let notifications = runtime.prepare(&plan.machine_id)?;
    runtime.write_rights(&plan.rights(filters))?;
    if let (Some(text), Some(parser)) = (&plan.labels.profile, &facts.lsm.apparmor.parser) {
        lsm::apparmor::load(parser, &runtime.path(directory::PROFILE), text)?;
    }
    let control = control::listen(runtime)?;
    let ring = Ring::new(console.buffer_bytes)?;
    let file = StateFile::new()?;
    stages.end("prepare");
    let paths = HostPaths::new(root);
    let spawned = spawn::spawn(&Means {
        plan,
        tree: &facts.tree,
        paths: &paths,
        ids: facts.ids,
        runtime,
        filters,
        network: network.as_ref(),
    })?;
    state.leader = spawned.leader().as_raw();
    state.leader_start = start_time(state.leader).unwrap_or_default();
    apply_limits(&spawned, plan)?;
    stages.end("spawn");
    let leader = state.leader;
    let payload = Payload {
        name,
        leader: leader as u32,
        id: id_bytes(&plan.machine_id),
        root: &facts.rootfs,
        stop_signal: plan.stop_signal,
        devices: &plan.devices,
    };
    let mut outside = match filters.iter().any(|filter| filter.listening == Listening::Yes) {
        true => Some(Outside::new(state, journal)?),
        false => None,
    };
    let site = site(root, name, definition);
    let begun = links::begin(&site, &plan.network)?;
    let namespace = begun.is_some().then(|| spawned.network()).transpose()?;
    stages.end("lease");
    let (mut running, made, stages_in) = (None, RefCell::new(None), RefCell::new(&mut *stages));
    let registration = place_and_register(
        &payload,
        || {
            let mut stages = stages_in.borrow_mut();
            stages.end("ask");
            let Some((begun, namespace)) = begun.zip(namespace) else { return Ok(Vec::new()) };
            let links = links::make(begun, &site, &plan.network.ports, &facts.tree, &namespace)?;
            stages.end("network");
            let numbers = links.outside().iter().filter_map(|index| i32::try_from(*index).ok()).collect();
            made.replace(Some(links));
            Ok(numbers)
        },
        || {
            stages_in.borrow_mut().end("scope");
            // One that has ended already says why when it is led on.
            let Some((cgroup, path)) = Cgroup::of_placed(leader, &name.scope())? else { return Ok(()) };
            state.cgroup = path;
            file.write(state)?;
            runtime.write_state(state)?;
            Kept::store_state(file.fd())?;
            cgroup.delegate(leader, facts.ids.map_or(0, |ids| ids.base))
        },
        || {
            let assembled = spawned.placed()?;
            stages_in.borrow_mut().end("mount");
            made.take().map(Made::open).transpose()?;
            running = Some(assembled.enter(&mut outside)?);
            stages_in.borrow_mut().end("exec");
            Ok(())
        },
    )?;
    stages.end("register");
    if let Registration::Refused(why) = registration {
        journal.warning(&format!("machined does not list '{name}': {why}"));
    }
    let running = running.ok_or_else(|| Error::failed("the payload was not executed"))?;
    let Terminals { console, ttys } = running.terminals;
    let peer = tty::peer(&console).context(|| "failed to open the console")?;
    let kept = Kept {
        leader: running.leader,
        console,
        peer,
        ttys,
        ring: ring.into_fd(),
        notifications,
        control,
        state: file.into_fd(),
        interception: outside.map(Outside::into_kept),
    };
    // All is kept before it is called started: one that was cut short in between is ended and begun anew.
    kept.store()?;
    state.started = true;
    state.started_usec = boottime().as_micros() as u64;
    StateFile::write_to(&kept.state, state)?;
    runtime.write_state(state)?;
    stages.end("keep");
    Ok(kept)
}

fn first_state(prepared: &Prepared) -> State {
    let Prepared { definition, plan, facts, console, .. } = prepared;
    let mut state = State {
        machine_id: plan.machine_id.clone(),
        root: facts.rootfs.to_string_lossy().into_owned(),
        ids: facts.ids,
        stop_signal: plan.stop_signal,
        init: plan.init.is_some(),
        execution: plan.own_init,
        readiness: plan.readiness,
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
