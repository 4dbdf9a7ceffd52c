//! Devices given to a container that runs: nodes, and network interfaces.

use super::row;
use crate::dbus::caller::Action;
use crate::dbus::interface::Method;
use crate::error::Result;
use crate::machine::Machine;
use crate::machine::change::device::{Keep, Request};

/// The methods.
pub fn methods() -> Vec<Method> {
    let (add, remove) = (&["device", "path", "access", "persist"], &["device", "path", "persist"]);
    vec![
        row("AddDevice", Action::Change, add, &["warnings"], |machine, (device, path, access, persist)| {
            let request = request(device, path, access)?;
            machine.add_device(&request, keep(persist)).map(|warnings| (warnings,))
        }),
        row("RemoveDevice", Action::Change, remove, &["warnings"], |machine, (device, path, persist)| {
            let request = request(device, path, String::new())?;
            machine.remove_device(&request, keep(persist)).map(|warnings| (warnings,))
        }),
        row("ListDevices", Action::Look, &[], &["devices"], list),
    ]
}

/// An empty path is the one that the device has on the host, an empty access all there is.
fn request(device: String, path: String, access: String) -> Result<Request> {
    let given = |text: &'_ str| Some(text.to_string()).filter(|text| !text.is_empty());
    Request::new(&device, given(&path).as_deref(), given(&access).as_deref())
}

fn keep(persist: bool) -> Keep {
    if persist { Keep::Persistent } else { Keep::UntilStop }
}

/// Device, and a node's access, of each.
type Devices = Vec<(String, String)>;

fn list(machine: &Machine, (): ()) -> Result<(Devices,)> {
    let given = machine.devices()?.into_iter();
    Ok((given.map(|one| (one.device, one.access.unwrap_or_default())).collect(),))
}
