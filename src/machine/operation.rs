//! Operations as data: the name and documentation of each, of which front-ends make their help. Tests hold that the verb's
//! help and the methods of the bus say and take the same.

/// An operation of the core.
#[derive(Debug)]
pub struct Operation {
    /// The verb: `create`.
    pub verb: &'static str,
    /// The methods of the bus that offer it: `Manager.CreateContainer`.
    pub methods: &'static [&'static str],
    /// Documentation: a sentence in the imperative, without a full stop.
    pub summary: &'static str,
    /// Parameters beside the containers.
    pub parameters: &'static [Parameter],
}

/// A parameter of an operation.
#[derive(Debug)]
pub struct Parameter {
    /// The name: `from_tar`.
    pub name: &'static str,
    /// The name on the bus, as an option or an argument; empty where another parameter has its function.
    pub bus: &'static str,
    /// Documentation: a sentence in the imperative, or a noun phrase, without a full stop.
    pub help: &'static str,
}

impl Operation {
    /// The documentation of a parameter; empty for one that there is not.
    pub fn help(&self, parameter: &str) -> &'static str {
        self.parameters.iter().find(|known| known.name == parameter).map_or("", |known| known.help)
    }
}

const fn parameter(name: &'static str, bus: &'static str, help: &'static str) -> Parameter {
    Parameter { name, bus, help }
}

/// Creates a container: [`crate::machine::Host::create`].
pub const CREATE: Operation = Operation {
    verb: "create",
    methods: &["Manager.CreateContainer"],
    summary: "Create a container from a template, a tree or an archive",
    parameters: &[
        parameter(
            "template",
            "Template",
            "Build the root file system: busybox from the host's binary; debian by mmdebstrap or debootstrap",
        ),
        parameter(
            "rootfs",
            "RootDirectory",
            "Use the root file system at PATH in place; 'destroy' does not delete it",
        ),
        parameter(
            "from_tar",
            "Archive",
            "Unpack a tar archive, uncompressed or compressed by gzip, bzip2, xz or zstd; '-' reads standard input",
        ),
        parameter("release", "Release", "Release of Debian; trixie by default"),
        parameter("mirror", "Mirror", "Mirror of Debian; chosen by the tool by default"),
        parameter("packages", "Packages", "Additional packages of Debian, separated by commas"),
        parameter(
            "as_is",
            "AsIs",
            "Leave host name, hosts, resolv.conf and machine-id of the tree or archive as they are",
        ),
        parameter("command", "Command", "Run this command instead of an init"),
    ],
};

/// Destroys a container: [`crate::machine::Host::destroy`].
pub const DESTROY: Operation = Operation {
    verb: "destroy",
    methods: &["Manager.DestroyContainer"],
    summary: "Delete a container, its root file system and its definition",
    parameters: &[parameter("force", "if_running", "Stop the container first if it is running")],
};

/// Renames a container: [`crate::machine::Machine::rename`].
pub const RENAME: Operation = Operation {
    verb: "rename",
    methods: &["Manager.RenameContainer"],
    summary: "Rename a stopped container",
    parameters: &[parameter("new", "new_name", "New name")],
};

/// Starts containers: [`crate::machine::Host::start`].
pub const START: Operation = Operation {
    verb: "start",
    methods: &["Container.Start", "Manager.StartContainers"],
    summary: "Start containers and wait until they have started",
    parameters: &[],
};

/// Restarts containers: [`crate::machine::Host::restart`].
pub const RESTART: Operation = Operation {
    verb: "restart",
    methods: &["Container.Restart", "Manager.RestartContainers"],
    summary: "Shut containers down and start them again; start stopped ones",
    parameters: &[],
};

/// Stops containers: [`crate::machine::Host::stop`].
pub const STOP: Operation = Operation {
    verb: "stop",
    methods: &["Manager.StopContainers"],
    summary: "Shut containers down and wait for their end",
    parameters: &[
        parameter("timeout", "TimeoutUSec", "Kill containers that have not shut down after this time"),
        // On the bus a timeout of 0.
        parameter("kill", "", "Kill immediately instead of requesting a shutdown"),
        parameter("no_wait", "NoWait", "Request the shutdown and do not wait for it"),
    ],
};

/// Changes limits: [`crate::machine::Machine::set_limits`].
pub const LIMIT: Operation = Operation {
    verb: "limit",
    methods: &["Container.SetLimits"],
    summary: "Show the resource limits of a container and their usage, or change them",
    parameters: &[
        parameter(
            "changes",
            "changes",
            "Set a limit of systemd.resource-control(5) at once and permanently; reset it without a value",
        ),
        parameter("runtime", "runtime", "Change the limits only until the next boot"),
    ],
};

/// All operations that are described here.
pub const OPERATIONS: [&Operation; 7] = [&CREATE, &DESTROY, &RENAME, &START, &RESTART, &STOP, &LIMIT];

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract of an interface.
    fn contract(interface: &str) -> &'static str {
        match interface {
            "Manager" => include_str!("../../dbus-interfaces/org.containerctl1.Manager.xml"),
            "Container" => include_str!("../../dbus-interfaces/org.containerctl1.Container.xml"),
            other => panic!("no interface '{other}'"),
        }
    }

    #[test]
    fn the_bus_takes_every_parameter_of_an_operation() {
        for operation in OPERATIONS {
            for method in operation.methods {
                let (interface, name) = method.split_once('.').expect("INTERFACE.METHOD");
                let head = format!("<method name=\"{name}\"");
                let (before, after) =
                    contract(interface).split_once(&head).expect("a method of the contract");
                let comment = before.rsplit_once("<!--").expect("a comment").1;
                let arguments = after.split_once("<method").map_or(after, |(own, _)| own);
                for parameter in operation.parameters.iter().filter(|parameter| !parameter.bus.is_empty()) {
                    let argument = format!("name=\"{}\" type", parameter.bus);
                    let is_option =
                        comment.split(|c: char| !c.is_alphanumeric()).any(|word| word == parameter.bus);
                    assert!(arguments.contains(&argument) || is_option, "{method}: {}", parameter.bus);
                }
            }
        }
    }
}
