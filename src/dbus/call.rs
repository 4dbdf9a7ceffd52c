//! One method call, from its message to its reply.
//!
//! What is refused by the look of it (a path, an interface, a method that cannot be) is refused for everyone. Then
//! the caller is judged, then the arguments, and only then, elsewhere, whether there is such a container.

use std::sync::Arc;

use zbus::message::{Flags, Header, Message};

use super::caller::{Action, Occasion, authorize};
use super::fault::Fault;
use super::interface::{Interface, Method, Run};
use super::introspect;
use super::node::Node;
use super::packet::Values;
use super::service::Service;
use super::work::{self, Worker};
use crate::config;
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
    let here = |reply| Ok((reply, None));
    match (interface, member) {
        (Some("org.freedesktop.DBus.Peer"), "Ping") => {
            return here(Message::method_return(header).build(&()));
        }
        (Some("org.freedesktop.DBus.Peer"), "GetMachineId") => {
            let id = std::fs::read_to_string(service.root.path("/etc/machine-id")).unwrap_or_default();
            return here(Message::method_return(header).build(&id.trim()));
        }
        _ => {}
    }
    let nowhere = || Fault::standard("UnknownObject", format!("unknown object '{path}'"));
    let node = Node::of(path).ok_or_else(nowhere)?;
    let interfaces = service.interfaces(&node);
    if let (None | Some("org.freedesktop.DBus.Introspectable"), "Introspect") = (interface, member) {
        let children = children(service, &node, header).await;
        return here(Message::method_return(header).build(&introspect::node(interfaces, &children)));
    }
    let (interface, method) = find(interfaces, interface, member)?;
    let occasion = Occasion { container: node.container(), method: method.name };
    authorize(&service.bus, header, method.action, &occasion).await?;
    let values = method.read(&message.body())?;
    match &method.run {
        Run::Subscription(what) => {
            service.watch.clone().change(service, header, *what).await?;
            here(method.write(header, &values))
        }
        Run::Process(_) => {
            let (results, worker) = delegate(interface.name, method.name, node.container(), values).await?;
            Ok((method.write(header, &results), Some(worker)))
        }
    }
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

async fn delegate(
    interface: &str,
    method: &str,
    container: &str,
    values: Values,
) -> Result<(Values, Worker), Fault> {
    let [interface, method, container] = [interface, method, container].map(String::from);
    zruntime::unblock(move || work::delegate(interface, method, container, &values)).await
}

/// The nodes below one. Containers are shown to those who may see them, and nobody is asked for a password.
async fn children(service: &Service, node: &Node, header: &Header<'_>) -> Vec<String> {
    match node {
        Node::Above(below) => vec![below.to_string()],
        Node::Manager => vec!["container".to_string()],
        Node::Container(_) => Vec::new(),
        Node::Containers => {
            let occasion = Occasion { container: "", method: "Introspect" };
            match authorize(&service.bus, header, Action::Look, &occasion).await {
                Ok(()) => {
                    config::names(&service.root).iter().map(|name| label::encode(name.as_str())).collect()
                }
                Err(_) => Vec::new(),
            }
        }
    }
}
