//! A container's properties: all of one look at it.

use std::path::PathBuf;

use zbus::{OwnedVariant, Variant};

use crate::dbus::interface::{Changes, Property, PropertyValues};
use crate::error::{Context, Result};
use crate::machine::Host;
use crate::machine::inspect::info::Info;
use crate::name::MachineName;

/// A property and where its value is.
struct Field {
    property: Property,
    value: fn(Info) -> Variant<'static>,
}

/// As introspection shows them.
pub fn all() -> Vec<Property> {
    fields().into_iter().map(|field| field.property).collect()
}

/// Their values now.
pub fn values(host: &Host, name: &str) -> Result<PropertyValues> {
    let info = host.machine(&MachineName::new(name)?)?.info()?;
    let value = |field: &Field| {
        let value = OwnedVariant::try_from((field.value)(info.clone()));
        Ok((field.property.name.to_string(), value.context(|| "failed to pack a value")?))
    };
    fields().iter().map(value).collect()
}

/// Strings are empty, ids 0 and counters the largest number, as systemd has it, where there is nothing to tell.
fn fields() -> Vec<Field> {
    use Changes::{Never, Told, Untold};
    let field =
        |name, signature, changes, value| Field { property: Property { name, signature, changes }, value };
    vec![
        field("Name", "s", Never, |info| info.name.into()),
        field("State", "s", Told, |info| info.state.as_str().into()),
        field("Status", "s", Untold, |info| info.status.unwrap_or_default().into()),
        field("Problem", "s", Untold, |info| info.problem.unwrap_or_default().into()),
        field("AutoStart", "b", Untold, |info| info.autostart.into()),
        field("Leader", "u", Untold, |info| info.leader.unwrap_or_default().into()),
        field("Addresses", "as", Untold, |info| strings(&info.addresses).into()),
        field("UptimeUSec", "t", Untold, |info| counter(info.uptime_seconds.map(|s| s * 1_000_000))),
        field("MemoryCurrent", "t", Untold, |info| counter(info.usage.memory_bytes)),
        field("MemorySwapCurrent", "t", Untold, |info| counter(info.usage.swap_bytes)),
        field("IOReadBytes", "t", Untold, |info| counter(info.usage.io_read_bytes)),
        field("IOWriteBytes", "t", Untold, |info| counter(info.usage.io_written_bytes)),
        field("CPUUsageUSec", "t", Untold, |info| counter(info.usage.cpu_usec)),
        field("TasksCurrent", "t", Untold, |info| counter(info.usage.tasks)),
        field("UIDBase", "u", Untold, |info| info.uids.map_or(0, |(base, _)| base).into()),
        field("UIDCount", "u", Untold, |info| info.uids.map_or(0, |(_, count)| count).into()),
        field("RootDirectory", "s", Untold, |info| path(info.root.unwrap_or_default()).into()),
        field("Definition", "s", Untold, |info| path(info.definition).into()),
        field("Unit", "s", Never, |info| info.unit.into()),
        field("Slice", "s", Never, |info| info.slice.into()),
        field("Scope", "s", Never, |info| info.scope.into()),
    ]
}

fn counter(count: Option<u64>) -> Variant<'static> {
    count.unwrap_or(u64::MAX).into()
}

fn strings(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn path(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Root;

    #[test]
    fn every_property_is_of_its_type() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let name = MachineName::new("p1").unwrap();
        std::fs::create_dir_all(root.path("/etc/containerctl")).unwrap();
        std::fs::write(root.definition(&name), "[Exec]\n").unwrap();
        let info = Host::new(root).machine(&name).unwrap().info().unwrap();
        for Field { property, value } in fields() {
            let value = value(info.clone());
            assert_eq!(value.value_signature().to_string(), property.signature, "{}", property.name);
        }
    }
}
