//! The caller of a method, and the actions that polkit allows them (polkit(8), org.freedesktop.PolicyKit1.Authority).

use std::collections::HashMap;

use serde::Serialize;
use zbus::message::{Flags, Header};
use zbus::names::BusName;
use zbus::{Connection, DynamicType, Variant};

use super::fault::Fault;

/// A kind of thing to do, by which rights are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See which containers there are, and all about them.
    Look,
    /// Start, stop, freeze, signal.
    Operate,
    /// Be root inside: a shell, a command, the console.
    Shell,
    /// Change the definition, limits, devices, autostart.
    Change,
    /// Create, destroy, rename.
    Create,
    /// Run commands inside with more rights than a container's own processes have.
    Elevate,
}

impl Action {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Action; 6] =
        [Action::Look, Action::Operate, Action::Shell, Action::Change, Action::Create, Action::Elevate];

    /// As polkit knows it.
    pub fn id(self) -> String {
        format!("{}.{}", super::NAME, self.word())
    }

    /// The last part of that.
    pub fn word(self) -> &'static str {
        match self {
            Action::Look => "look",
            Action::Operate => "operate",
            Action::Shell => "shell",
            Action::Change => "change",
            Action::Create => "create",
            Action::Elevate => "elevate",
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Action::Look => "look at containers",
            Action::Operate => "start and stop containers",
            Action::Shell => "enter containers",
            Action::Change => "change containers",
            Action::Create => "create and destroy containers",
            Action::Elevate => "enter containers with more rights than their own",
        }
    }
}

/// Details for polkit beside the action.
pub struct Details<'a> {
    /// The containers, none where it is about all or nothing. Nobody has looked yet whether they exist.
    pub containers: &'a [String],
    /// The method.
    pub method: &'a str,
}

/// The answer of `CheckAuthorization`: allowed, allowed after a password, details.
type Authorization = (bool, bool, HashMap<String, String>);

/// Fails unless the caller may, to each of the containers. The answer depends on who calls and on the action, and on nothing that exists.
pub async fn authorize(
    bus: &Connection,
    call: &Header<'_>,
    action: Action,
    details: &Details<'_>,
) -> Result<(), Fault> {
    let denied = || Fault::standard("AccessDenied", format!("not authorized to {}", action.phrase()));
    let interactive = call.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
    let sender = call.sender().ok_or_else(denied)?;
    let driver = zbus::fdo::DBusProxy::new(bus).await.map_err(|_| denied())?;
    let credentials =
        driver.get_connection_credentials(BusName::from(sender.clone())).await.map_err(|_| denied())?;
    let user = credentials.unix_user_id().ok_or_else(denied)?;
    if user == 0 {
        return Ok(());
    }
    // The process that connected, whatever has become of its number; an old bus knows only the connection, whose name
    // is not given out twice.
    let subject = match credentials.into_process_fd() {
        Some(process) => (
            "unix-process",
            HashMap::from([("pidfd", Variant::Fd(process.into())), ("uid", Variant::from(user as i32))]),
        ),
        None => ("system-bus-name", HashMap::from([("name", Variant::from(sender.as_str()))])),
    };
    let none = [String::new()];
    let containers = if details.containers.is_empty() { &none } else { details.containers };
    for container in containers {
        let details = HashMap::from([("container", container.as_str()), ("method", details.method)]);
        let question = (&subject, action.id(), details, u32::from(interactive), "");
        ask_polkit(bus, &question).await.map_err(|is_needed| match is_needed && !interactive {
            true => Fault::standard(
                "InteractiveAuthorizationRequired",
                format!("authentication is needed to {}", action.phrase()),
            ),
            false => denied(),
        })?;
    }
    Ok(())
}

/// Fails where polkit does not say yes, with whether a password might make it.
async fn ask_polkit(bus: &Connection, question: &(impl Serialize + DynamicType)) -> Result<(), bool> {
    let answer = bus
        .call_method(
            Some("org.freedesktop.PolicyKit1"),
            "/org/freedesktop/PolicyKit1/Authority",
            Some("org.freedesktop.PolicyKit1.Authority"),
            "CheckAuthorization",
            question,
        )
        .await;
    // Where there is no polkit, root alone may.
    match answer.map_err(|_| false)?.body().deserialize::<Authorization>() {
        Ok((true, ..)) => Ok(()),
        Ok((false, is_needed, _)) => Err(is_needed),
        Err(_) => Err(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polkit_is_told_of_every_action() {
        let policy = include_str!("../../dbus-interfaces/org.containerctl1.policy");
        for action in Action::ALL {
            assert!(policy.contains(&format!("<action id=\"{}\">", action.id())), "{action:?}");
        }
        assert_eq!(policy.matches("<action ").count(), Action::ALL.len());
    }
}
