//! Everything that a start decides, before anything is made: definition, image's defaults, root file system and host
//! become a [`Plan`]. Reads, and makes nothing.
//!
//! The supervisor carries the plan out, `containerctl plan` prints it, and `containerctl audit` compares with it.

use crate::config::Definition;
use crate::error::Result;
use crate::image::defaults;
use crate::name::MachineName;
use crate::network::links;
use crate::paths::Root;
use crate::runtime::execution::Changes;
use crate::runtime::namespaces::Namespace;
use crate::runtime::state::Confinement;
use crate::sandbox::lsm;
use crate::sandbox::plan::{Plan, plan};
use crate::sandbox::seccomp::{self, Policy, ProfileFile};
use crate::sandbox::survey::{Facts, survey};
use crate::storage::host_path::HostPaths;
use crate::storage::ids;
use crate::sys::seccomp::Filters;

/// The payload that a start is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The one of the definition.
    Boot,
    /// Commands of `containerctl execute`, below an init of our own.
    Execute(Changes),
}

/// A start that is decided.
pub struct Prepared {
    /// The definition with its image's defaults, adapted to the purpose.
    pub definition: Definition,
    /// The root file system and the host as they were found.
    pub facts: Facts,
    /// The operations of the start.
    pub plan: Plan,
    /// The file of `SeccompProfile=`.
    pub profile: Option<ProfileFile>,
    /// Sentences about what is ignored or left out.
    pub warnings: Vec<String>,
}

impl Prepared {
    /// The confinement of the payload, as it is recorded for a running container.
    pub fn confinement(&self) -> Confinement {
        let mut namespaces = self.plan.namespaces.clone();
        // A network namespace that the container joins is not new, and not the host's.
        let joined =
            matches!(self.plan.network.namespace, links::Namespace::Path(_) | links::Namespace::Machine(_));
        namespaces.extend(joined.then_some(Namespace::Net));
        Confinement {
            namespaces,
            ambient: self.plan.ambient_mask,
            nesting: self.definition.settings.exec.nesting,
        }
    }

    /// The system call filters. Those that were not built since the boot are built, and kept for the next start.
    pub fn filters(&self, root: &Root) -> Result<Filters> {
        let policy = Policy {
            capabilities: self.plan.capability_mask,
            rules: &self.definition.settings.exec.system_call_filter,
            profile: self.profile.as_ref(),
        };
        policy.filters(&root.seccomp_cache())
    }
}

/// Plans a start of `name`. A range of ids that is still to be picked is the one that would be picked now.
pub fn prepare(root: &Root, name: &MachineName, purpose: Purpose) -> Result<Prepared> {
    let mut definition = defaults::load(root, name)?;
    if let Purpose::Execute(changes) = purpose {
        changes.adapt(&mut definition.settings);
    }
    let profile = ProfileFile::of(&definition, &HostPaths::new(root))?;
    seccomp::check_rules(&definition)?;
    let facts = survey(root, name, &definition, || ids::would_be(root, name))?;
    lsm::check(&definition, &facts.lsm)?;
    let plan = plan(&definition.settings, &facts);
    let mut warnings: Vec<String> = definition.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(facts.warnings.iter().cloned());
    warnings.extend(lsm::warning(&definition.settings, &plan.labels, facts.ids, facts.init_kind()));
    Ok(Prepared { definition, facts, plan, profile, warnings })
}
