//! One method call, from its message to its reply.
//!
//! A malformed call (a path, an interface, a method, a type that cannot be) is refused for everyone.
//! Then the caller is judged, for each container that the call is about, and only then, elsewhere, whether there is such
//! a container.

use std::sync::Arc;

use zbus::message::{Flags, Header, Message};

use super::caller::{Action, Details, authorize};
use super::fault::Fault;
use super::interface::{About, Interface, Method, Run};
use super::introspect;
use super::node::Node;
use super::options::{Given, Options};
use super::selection;
use super::service::Service;
use super::work::{self, Job, Worker};
use crate::dbus::packet::{Values, unpack};
use crate::systemd::label;

/// A reply, and the process that may outlive it.
type Done = (zbus::Result<Message>, Option<Worker>);

/// Answers a call. What is returned is the process that made it, which need not have ended.
pub async fn answer(service: &Arc<Service>, message: Message) -> Option<Worker> {
    let header = message.header();
    let (reply, worker) = match judge(service, &message, &header).await {
        Ok(done) => done,
        Err(fault) => (Message::error(&header, fault.name).build(&fault.text), None),
    };
    if !header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) {
        // A caller who has gone has no use for it.
        let reply = reply.or_else(|error| {
            Message::error(&header, "org.freedesktop.DBus.Error.Failed").build(&error.to_string())
        });
        if let Ok(reply) = reply {
            let _ = service.bus.send(&reply).await;
        }
    }
    worker
}

async fn judge(service: &Arc<Service>, message: &Message, header: &Header<'_>) -> Result<Done, Fault> {
    let path = header.path().map(|path| path.as_str()).unwrap_or_default();
    let member = header.member().map(|member| member.as_str()).unwrap_or_default();
    let interface = header.interface().map(|interface| interface.as_str());
    let reply = || Message::method_return(header);
    let here = |reply| Ok((reply, None));
    match (interface, member) {
        (Some("org.freedesktop.DBus.Peer"), "Ping") => return here(reply().build(&())),
        (Some("org.freedesktop.DBus.Peer"), "GetMachineId") => {
            let id = std::fs::read_to_string(service.host.root().path("/etc/machine-id")).unwrap_or_default();
            return here(reply().build(&id.trim()));
        }
        _ => {}
    }
    let nowhere = || Fault::standard("UnknownObject", format!("unknown object '{path}'"));
    let node = Node::of(path).ok_or_else(nowhere)?;
    let interfaces = service.interfaces(&node);
    if let (None | Some("org.freedesktop.DBus.Introspectable"), "Introspect") = (interface, member) {
        let children = children(service, &node, header).await;
        return here(reply().build(&introspect::node(interfaces, &children)));
    }
    let (interface, method) = find(interfaces, interface, member)?;
    let values = method.read(&message.body())?;
    let names = about(service, header, &node, method, &values).await?;
    let details = Details { containers: &names, method: method.name };
    for action in &method.actions {
        authorize(&service.bus, header, *action, &details).await?;
    }
    if let Run::Subscription(what) = &method.run {
        service.subscribers.clone().change(service, header, *what).await?;
        return here(method.write(header, &values));
    }
    let (interface, path) = (interface.name, path.to_string());
    let job = Job { path, interface, method: method.name, names, values };
    let (results, worker) = zruntime::unblock(move || work::delegate(job)).await?;
    Ok((method.write(header, &results), Some(worker)))
}

/// A method by its name, on any interface where none is named.
fn find<'a>(
    interfaces: &'a [Interface],
    name: Option<&str>,
    member: &str,
) -> Result<(&'a Interface, &'a Method), Fault> {
    let mut named =
        interfaces.iter().filter(|interface| name.is_none_or(|name| name == interface.name)).peekable();
    if named.peek().is_none() {
        let name = name.unwrap_or_default();
        return Err(Fault::standard("UnknownInterface", format!("unknown interface '{name}'")));
    }
    named
        .find_map(|interface| {
            Some((interface, interface.methods.iter().find(|method| method.name == member)?))
        })
        .ok_or_else(|| Fault::standard("UnknownMethod", format!("unknown method '{member}'")))
}

/// The containers that a call is about. Who is in a group is told to those who may look.
async fn about(
    service: &Arc<Service>,
    header: &Header<'_>,
    node: &Node,
    method: &Method,
    values: &Values,
) -> Result<Vec<String>, Fault> {
    let wrong = |error: zbus::Error| Fault::standard("InvalidArgs", format!("wrong arguments: {error}"));
    match method.about {
        About::Path => Ok(node.container().map(String::from).into_iter().collect()),
        About::Argument => unpack::<(String,)>(values).map(|(name,)| vec![name]).map_err(wrong),
        About::Selection => {
            let (selection,) = unpack::<(Given,)>(values).map_err(wrong)?;
            let selection = selection::parse(Options::from(selection))?;
            if selection.all || !selection.groups.is_empty() {
                let details = Details { containers: &[], method: method.name };
                authorize(&service.bus, header, Action::Look, &details).await?;
            }
            let service = service.clone();
            let machines = zruntime::unblock(move || service.host.select(&selection)).await?;
            Ok(machines.iter().map(|machine| machine.name().to_string()).collect())
        }
    }
}

/// The nodes below one. Containers are shown to those who may see them, and nobody is asked for a password.
async fn children(service: &Service, node: &Node, header: &Header<'_>) -> Vec<String> {
    match node {
        Node::Above(below) => vec![below.to_string()],
        Node::Manager => ["container", "network"].map(String::from).to_vec(),
        Node::Container(_) | Node::Network => Vec::new(),
        Node::Containers => {
            let details = Details { containers: &[], method: "Introspect" };
            match authorize(&service.bus, header, Action::Look, &details).await {
                Ok(()) => service.host.names().iter().map(|name| label::encode(name.as_str())).collect(),
                Err(_) => Vec::new(),
            }
        }
    }
}
