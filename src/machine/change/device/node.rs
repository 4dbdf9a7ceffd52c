//! Device nodes. The device policy of the container's scope, which systemd keeps, permits the use of a device; the node
//! in the container's `/dev` only gives it a name.

use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Given, Keep, define, kept, not_given, require_running};
use crate::config::resources::{Property, Value};
use crate::error::{Cause, Context, Error, Kind, Result};
use crate::machine::Machine;
use crate::machine::change::configuration::Key;
use crate::name::MachineName;
use crate::runtime::state::State;
use crate::sandbox::device::Dev;
use crate::sandbox::survey::{self, Device};
use crate::storage::tree::Tree;
use crate::systemd::manager::Lasting;

/// Rules of every scope, beside those of devices that were given.
const TERMINALS: &str = "char-pts";

/// A node, and its path inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// On the host, below `/dev`.
    pub device: String,
    /// Inside, below `/dev`.
    pub path: String,
    /// Of `r`, `w` and `m`.
    pub access: String,
}

impl Request {
    /// Checks what was asked for; without `path` the device has the same one inside.
    pub fn new(device: &str, path: Option<&str>, access: &str) -> Result<Request> {
        let path = path.unwrap_or(device);
        for one in [device, path] {
            require_below_dev(one)?;
        }
        if access.is_empty() || access.contains(|c| !"rwm".contains(c)) {
            return Err(Error::config(format!("'{}' is not made of r, w and m", access.escape_debug()))
                .hint("read, write, and make nodes"));
        }
        let [device, path, access] = [device, path, access].map(str::to_string);
        Ok(Request { device, path, access })
    }
}

fn require_below_dev(path: &str) -> Result<()> {
    let parts: Vec<Component> = Path::new(path).components().collect();
    let plain = parts.iter().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let below =
        path.starts_with("/dev/") && parts.len() > 2 && plain && !path.ends_with('/') && !path.contains("//");
    match below {
        true => Ok(()),
        false => Err(Error::config(format!("'{}' is not a path below /dev", path.escape_debug()))
            .hint("name a device node, such as /dev/fuse")),
    }
}

/// Devices that the container may use beyond the standard ones.
pub fn list(machine: &Machine) -> Result<Vec<Given>> {
    let given = rules(machine)?.into_iter().filter(|(device, _)| device != TERMINALS);
    Ok(given.map(|(device, access)| Given { device, access: Some(access), inside: None }).collect())
}

/// Gives the device to the container.
pub fn add(machine: &Machine, request: &Request, keep: Keep) -> Result<Vec<String>> {
    let device = survey::device_at(machine.root(), Path::new(&request.device), &request.access)?;
    refuse_moved(request, keep)?;
    match require_running(machine) {
        Err(_) if keep == Keep::Persistent => {}
        state => give(machine, &state?, request, &device)?,
    }
    if keep == Keep::UntilStop {
        return Ok(Vec::new());
    }
    let mut kept = kept(machine, &key())?;
    kept.retain(|value| device_of(value) != request.device);
    kept.push(format!("{} {}", request.device, request.access));
    write(machine, &kept)
}

/// Takes the device from the container.
pub fn remove(machine: &Machine, request: &Request, keep: Keep) -> Result<Vec<String>> {
    let kept = if keep == Keep::Persistent { kept(machine, &key())? } else { Vec::new() };
    let rest: Vec<String> = kept.iter().filter(|value| device_of(value) != request.device).cloned().collect();
    let mut warnings = match require_running(machine) {
        Err(_) if rest.len() < kept.len() => Vec::new(),
        state => take_back(machine, &state?, request)?.into_iter().collect(),
    };
    if rest.len() < kept.len() {
        warnings.extend(write(machine, &rest)?);
    }
    Ok(warnings)
}

fn write(machine: &Machine, values: &[String]) -> Result<Vec<String>> {
    Ok(machine.change(&define(&key(), values))?.warnings)
}

/// A definition knows one path of a device.
fn refuse_moved(request: &Request, keep: Keep) -> Result<()> {
    if keep == Keep::UntilStop || request.device == request.path {
        return Ok(());
    }
    Err(Error::config(format!("'{}' cannot be kept as '{}'", request.device, request.path))
        .hint("a definition gives devices under their own names"))
}

/// The rule first: a node that cannot be used is of no use.
fn give(machine: &Machine, state: &State, request: &Request, device: &Device) -> Result<()> {
    let dev = dev(&machine.name, state)?;
    let before = rules(machine)?;
    set_rules(machine, vec![Value::Rules(vec![(request.device.clone(), request.access.clone())])])?;
    let added = dev.add(&request.path, device);
    if let Err(errno) = added {
        let reverted = set_rules(machine, vec![Value::Rules(Vec::new()), Value::Rules(before)]);
        return Err(refused(&machine.name, request, errno)).or_else(|error| reverted.and(Err(error)));
    }
    Ok(())
}

fn refused(name: &MachineName, request: &Request, errno: Errno) -> Error {
    let told = format!("failed to make '{}' in '{name}': {}", request.path, errno.cause());
    match errno {
        Errno::PERM => Error::new(Kind::Denied, told).hint("this host itself may make no such device"),
        Errno::EXIST => Error::new(Kind::Busy, told).hint("choose another path for it"),
        _ => Error::failed(told),
    }
}

/// The rule first again: the container could keep a node of another name. Returns why the node is left, if so.
fn take_back(machine: &Machine, state: &State, request: &Request) -> Result<Option<String>> {
    let (name, before) = (&machine.name, rules(machine)?);
    let rest: Vec<_> = before.iter().filter(|(device, _)| *device != request.device).cloned().collect();
    if rest.len() == before.len() || request.device == TERMINALS {
        return Err(not_given(name, &request.device));
    }
    set_rules(machine, vec![Value::Rules(Vec::new()), Value::Rules(rest)])?;
    // A device that is gone from the host has left nothing to compare with; its node leads nowhere.
    let Ok(device) = survey::device_at(machine.root(), Path::new(&request.device), &request.access) else {
        return Ok(None);
    };
    let failed = || format!("failed to remove '{}' from '{name}'", request.path);
    let removed = dev(name, state).and_then(|dev| dev.remove(&request.path, &device).context(failed));
    Ok(removed.err().map(|error| format!("{}; it can no longer be used", error.message())))
}

/// The container's `/dev`, as its leader sees it.
fn dev(name: &MachineName, state: &State) -> Result<Dev> {
    let failed = || format!("failed to look into '{name}'");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(format!("/proc/{}/root", state.leader), flags, Mode::empty()).context(failed)?;
    // What was opened is the leader's as long as the leader is there.
    if state.open_leader().is_none() {
        return Err(Error::new(Kind::NotFound, format!("container '{name}' has ended")));
    }
    Dev::of(&Tree::from_fd(root), state.ids.map_or(0, |ids| ids.base)).map_err(|errno| {
        Error::new(
            Kind::Denied,
            format!("'/dev' in '{name}' is not the one it was started with: {}", errno.cause()),
        )
        .hint("it has mounted over it, or put something in its place")
    })
}

/// The device policy of the container's scope: device or class, and access.
fn rules(machine: &Machine) -> Result<Vec<(String, String)>> {
    let scope = machine.name.scope();
    let scope = machine.host().systemd(async |manager| manager.properties(&scope, "Scope").await)?;
    Ok(scope.pairs("DeviceAllow"))
}

/// Several values of the property in one call: an empty one takes back all before it, without a moment between.
fn set_rules(machine: &Machine, values: Vec<Value>) -> Result<()> {
    let property = |value| Property { name: "DeviceAllow".to_string(), value };
    let properties: Vec<Property> = values.into_iter().map(property).collect();
    let scope = machine.name.scope();
    machine
        .host()
        .systemd(async |manager| manager.set_unit_properties(&scope, Lasting::Runtime, &properties).await)
}

fn key() -> Key {
    Key { section: "Files".to_string(), name: "DeviceAllow".to_string() }
}

fn device_of(value: &str) -> &str {
    value.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_dev_are_devices() {
        let request = Request::new("/dev/net/tun", None, "rw").unwrap();
        assert_eq!((request.path.as_str(), request.access.as_str()), ("/dev/net/tun", "rw"));
        assert_eq!(Request::new("/dev/fuse", Some("/dev/x/y"), "rwm").unwrap().path, "/dev/x/y");
        for path in
            ["", "eth0", "/dev", "/dev/", "/etc/passwd", "/dev/../etc/x", "/dev//x", "/devil/x", "/dev/x/"]
        {
            assert_eq!(Request::new(path, None, "rw").unwrap_err().kind(), Kind::Config, "{path}");
            assert!(Request::new("/dev/fuse", Some(path), "rw").is_err(), "{path}");
        }
        assert!(
            Request::new("/dev/fuse", None, "rx").is_err() && Request::new("/dev/fuse", None, "").is_err()
        );
    }
}
