//! The tables as introspection data (the D-Bus specification, "Introspection Data Format").

use std::fmt::Write;

use super::interface::{Argument, Changes, Interface, Method, Property, Signal};

const HEAD: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n\
    \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>\n";

/// Standard interfaces of every object.
const STANDARD: &str = r#" <interface name="org.freedesktop.DBus.Peer">
  <method name="Ping"/>
  <method name="GetMachineId">
   <arg type="s" name="machine_uuid" direction="out"/>
  </method>
 </interface>
 <interface name="org.freedesktop.DBus.Introspectable">
  <method name="Introspect">
   <arg name="xml_data" type="s" direction="out"/>
  </method>
 </interface>
"#;

/// A node with its interfaces and the names of the nodes below it.
pub fn node(interfaces: &[Interface], children: &[String]) -> String {
    let mut xml = format!("{HEAD}{STANDARD}");
    interfaces.iter().for_each(|interface| xml.push_str(&self::interface(interface)));
    for child in children {
        let _ = writeln!(xml, " <node name=\"{child}\"/>");
    }
    xml + "</node>\n"
}

/// One interface.
pub fn interface(interface: &Interface) -> String {
    let mut xml = format!(" <interface name=\"{}\">\n", interface.name);
    interface.methods.iter().for_each(|row| method(&mut xml, row));
    interface.properties.iter().for_each(|row| property(&mut xml, row));
    interface.signals.iter().for_each(|row| signal(&mut xml, row));
    xml + " </interface>\n"
}

fn method(xml: &mut String, method: &Method) {
    let Method { name, takes, gives, .. } = method;
    if takes.is_empty() && gives.is_empty() {
        let _ = writeln!(xml, "  <method name=\"{name}\"/>");
        return;
    }
    let _ = writeln!(xml, "  <method name=\"{name}\">");
    for (arguments, direction) in [(takes, "in"), (gives, "out")] {
        for Argument { name, signature } in arguments {
            let _ = writeln!(xml, "   <arg name=\"{name}\" type=\"{signature}\" direction=\"{direction}\"/>");
        }
    }
    xml.push_str("  </method>\n");
}

fn property(xml: &mut String, property: &Property) {
    let Property { name, signature, changes } = property;
    let changes = match changes {
        Changes::Never => "const",
        Changes::Told => "true",
        Changes::Untold => "false",
    };
    let _ = writeln!(xml, "  <property name=\"{name}\" type=\"{signature}\" access=\"read\">");
    let _ = writeln!(
        xml,
        "   <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=\"{changes}\"/>"
    );
    xml.push_str("  </property>\n");
}

fn signal(xml: &mut String, signal: &Signal) {
    let _ = writeln!(xml, "  <signal name=\"{}\">", signal.name);
    for (name, signature) in signal.tells {
        let _ = writeln!(xml, "   <arg name=\"{name}\" type=\"{signature}\"/>");
    }
    xml.push_str("  </signal>\n");
}

#[cfg(test)]
mod tests {
    use super::super::node::Node;
    use super::*;

    /// Comments, indentation and empty lines are for people.
    fn bare(xml: &str) -> Vec<String> {
        let mut rest = xml;
        let mut text = String::new();
        while let Some((before, comment)) = rest.split_once("<!--") {
            text.push_str(before);
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        }
        text.push_str(rest);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()
    }

    /// Each interface of ours, and its contract.
    fn contracts() -> [(Vec<Interface>, &'static str); 3] {
        [
            (Node::Manager, include_str!("../../dbus-interfaces/org.containerctl1.Manager.xml")),
            (
                Node::Container("p1".to_string()),
                include_str!("../../dbus-interfaces/org.containerctl1.Container.xml"),
            ),
            (Node::Network, include_str!("../../dbus-interfaces/org.containerctl1.Network.xml")),
        ]
        .map(|(node, contract)| (node.interfaces(), contract))
    }

    fn ours(interfaces: &[Interface]) -> &Interface {
        interfaces.iter().find(|interface| interface.name.starts_with(super::super::NAME)).unwrap()
    }

    #[test]
    fn the_contract_is_what_the_tables_say() {
        for (interfaces, contract) in contracts() {
            let ours = ours(&interfaces);
            let table = format!("{HEAD}{}</node>\n", super::interface(ours));
            assert_eq!(bare(&table), bare(contract), "dbus-interfaces/{}.xml", ours.name);
        }
    }

    #[test]
    fn the_contract_names_the_right_that_each_method_takes() {
        for (interfaces, contract) in contracts() {
            for method in &ours(&interfaces).methods {
                let head = format!("<method name=\"{}\"", method.name);
                let before = contract.split_once(&head).unwrap().0;
                let comment = before.rsplit_once("<!--").unwrap().1;
                let comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
                let words: Vec<&str> = method.actions.iter().map(|action| action.word()).collect();
                let told = format!("Action: {}.", words.join(" and "));
                assert!(comment.contains(&told), "{}: '{told}' is not in: {comment}", method.name);
            }
        }
    }
}
