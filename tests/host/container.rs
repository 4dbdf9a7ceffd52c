//! A container on a host: made, entered, and looked for when it should be gone.

use std::fs;
use std::time::Duration;

use crate::harness::{Failure, Host, Result};

/// What waits for something that takes a moment; a second would do, were the machine ours alone.
pub const SOON: Duration = Duration::from_secs(10);

/// A container by name, whether or not it exists.
#[derive(Clone, Copy)]
pub struct Container<'a> {
    /// Where it is.
    pub host: &'a Host,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Container<'a> {
    /// Created from the busybox template, not started.
    pub fn busybox(host: &'a Host, name: &'a str) -> Result<Container<'a>> {
        host.ok(&format!("containerctl create {name} --template busybox"))?;
        Ok(Container { host, name })
    }

    /// Of the busybox template, with this definition.
    pub fn defined(host: &'a Host, name: &'a str, definition: &str) -> Result<Container<'a>> {
        let container = Container::busybox(host, name)?;
        container.define(definition)?;
        Ok(container)
    }

    /// Of the busybox template, with this script as its first process.
    pub fn running(host: &'a Host, name: &'a str, script: &str) -> Result<Container<'a>> {
        let definition = "[Exec]\nBoot=no\nParameters=/bin/sh /script\n";
        let container = Container::defined(host, name, definition)?;
        container.write("/script", script)?;
        Ok(container)
    }

    /// Writes the definition and has systemd read it.
    pub fn define(&self, definition: &str) -> Result<()> {
        fs::write(self.host.path(format!("/etc/containerctl/{}.conf", self.name))?, definition)?;
        self.host.ok("systemctl daemon-reload").map(drop)
    }

    /// Writes a file of the container, which need not run.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.host.path(self.root() + path)?, text)?)
    }

    /// Reads a file of the container.
    pub fn read(&self, path: &str) -> Result<String> {
        Ok(fs::read_to_string(self.host.path(self.root() + path)?)?)
    }

    /// Its root file system on the host.
    pub fn root(&self) -> String {
        format!("/var/lib/containerctl/{}/rootfs", self.name)
    }

    /// Its service.
    pub fn unit(&self) -> String {
        format!("container@{}.service", self.name)
    }

    /// Its payload's scope.
    pub fn scope(&self) -> Result<String> {
        Ok(format!("machine-{}.scope", self.host.ok(&format!("systemd-escape {}", self.name))?.trim()))
    }

    /// Starts the service.
    pub fn start(&self) -> Result<()> {
        self.host.ok(&format!("systemctl start {}", self.unit())).map(drop)
    }

    /// Stops the service.
    pub fn stop(&self) -> Result<()> {
        self.host.ok(&format!("systemctl stop {}", self.unit())).map(drop)
    }

    /// Kills the supervisor and waits for its successor.
    pub fn kill_supervisor(&self) -> Result<()> {
        let pid = self.property("MainPID")?;
        self.host.ok(&format!("kill -KILL {pid}"))?;
        let next = format!(
            "test \"$(systemctl show -p ActiveState --value {0})\" = active &&
                test \"$(systemctl show -p MainPID --value {0})\" -ne {pid}",
            self.unit()
        );
        self.host.wait_until(SOON, &next)
    }

    /// A property of the service.
    pub fn property(&self, name: &str) -> Result<String> {
        Ok(self.host.ok(&format!("systemctl show --value -p {name} {}", self.unit()))?.trim().to_owned())
    }

    /// The leader's pid on the host, as machined knows it.
    pub fn leader(&self) -> Result<i32> {
        let text = self.host.ok(&format!("machinectl show --value -p Leader {}", self.name))?;
        text.trim().parse().map_err(|_| Failure::new(format!("leader of '{}' is '{text}'", self.name)))
    }

    /// Runs a shell command line in all namespaces of the container, with rights that its own processes lack.
    pub fn inside(&self, command_line: &str) -> Result<String> {
        let quoted = command_line.replace('\'', "'\\''");
        self.host.ok(&format!("nsenter -t {} -a -r -w /bin/sh -c '{quoted}'", self.leader()?))
    }

    /// Waits until the service has this `ActiveState`.
    pub fn becomes(&self, state: &str) -> Result<()> {
        self.host.wait_until(
            SOON,
            &format!("systemctl show -p ActiveState {} | grep -x ActiveState={state}", self.unit()),
        )
    }

    /// Waits until the journal has a console line that holds `text`.
    pub fn says(&self, text: &str) -> Result<()> {
        let journal = format!("journalctl -q CONTAINER_NAME={} -o cat | grep -F -- '{text}'", self.name);
        self.host.wait_until(SOON, &journal)
    }

    /// Fails if anything of a running container is left: machine, scope, processes, mounts, run-time directory.
    pub fn is_gone(&self) -> Result<()> {
        let (name, scope) = (self.name, self.scope()?);
        for (what, left) in [
            ("machine", format!("machinectl show {name}")),
            (
                "scope",
                format!(
                    "systemctl list-units --all --plain --no-legend '{}' | grep .",
                    scope.replace('\\', "\\\\")
                ),
            ),
            ("process", format!("pgrep -af 'containerctl-supervisor run {name}$'")),
            ("cgroup", format!("find /sys/fs/cgroup -name '{}' | grep .", scope.replace('\\', "\\\\"))),
            ("mount", format!("findmnt -rno TARGET,SOURCE | grep -E 'containerctl/{name}(/|$)'")),
            ("link", format!("grep -l '^containerctl:{name}:' /sys/class/net/*/ifalias")),
            ("run-time directory", format!("ls -d /run/containerctl/{name}")),
        ] {
            let output = self.host.run(&left)?;
            if output.code == 0 {
                return Err(Failure::new(format!("{what} of '{name}' is left: {output}")));
            }
        }
        Ok(())
    }
}

/// The line `PrivateUsers=` of a definition, with the second word that the host's ids need.
pub fn private_users(users: &str) -> String {
    let word = if users == "no" { "Privileged=yes\n" } else { "" };
    format!("PrivateUsers={users}\n{word}")
}
