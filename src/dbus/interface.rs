//! Interfaces as tables: what introspection shows, what is checked and what is called are one row.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::message::{Body, Header, Message};
use zbus::{OwnedVariant, Signature, Type};

use super::caller::Action;
use super::fault::Fault;
use crate::dbus::packet::{Values, pack, unpack};
use crate::error::{Context, Error};
use crate::machine::{Host, Machine};
use crate::name::MachineName;

/// An argument or a result.
pub struct Argument {
    /// As in the interface's XML.
    pub name: &'static str,
    /// The D-Bus signature.
    pub signature: String,
}

/// Work that remains after the reply was sent.
pub type FollowUp = Box<dyn FnOnce()>;

/// The implementation of a method for the containers of a call, on packed values.
type Work = dyn Fn(&Host, &[String], &Values) -> Result<(Values, Option<FollowUp>), Fault> + Send + Sync;

/// The place in which a method runs.
pub enum Run {
    /// In a process of its own.
    Process(Box<Work>),
    /// In the service: it is about who is told of changes.
    Subscription(Subscription),
}

/// A change of who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// The caller is, from now on.
    Begin,
    /// The caller is not any more.
    End,
}

/// Which containers a call is about: for each of them the caller must have the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// That of the object's path; none in particular where the path has none.
    Path,
    /// The one that the first argument names.
    Argument,
    /// Containers that the first argument selects ([`super::selection`]).
    Selection,
}

/// A method.
pub struct Method {
    /// The name.
    pub name: &'static str,
    /// Actions that the caller must be allowed, all of them.
    pub actions: Vec<Action>,
    /// To which containers.
    pub about: About,
    /// The arguments.
    pub takes: Vec<Argument>,
    /// The results.
    pub gives: Vec<Argument>,
    /// The implementation.
    pub run: Run,
    read: fn(&Body) -> Result<Values, Fault>,
    write: fn(&Header<'_>, &Values) -> zbus::Result<Message>,
}

impl Method {
    /// A row: the names belong to the members of the tuples that `run` takes and gives.
    pub fn new<I, O, E: Into<Fault>>(
        name: &'static str,
        action: Action,
        takes: &[&'static str],
        gives: &[&'static str],
        run: impl Fn(&Host, &str, I) -> Result<O, E> + Send + Sync + 'static,
    ) -> Method
    where
        I: Type + Serialize + DeserializeOwned,
        O: Type + Serialize + DeserializeOwned,
    {
        let ends = move |host: &Host, name: &str, values| run(host, name, values).map(|done| (done, None));
        Method::lasting(name, action, takes, gives, ends)
    }

    /// A row of a method that goes on after its answer.
    pub fn lasting<I, O, E: Into<Fault>>(
        name: &'static str,
        action: Action,
        takes: &[&'static str],
        gives: &[&'static str],
        run: impl Fn(&Host, &str, I) -> Result<(O, Option<FollowUp>), E> + Send + Sync + 'static,
    ) -> Method
    where
        I: Type + Serialize + DeserializeOwned,
        O: Type + Serialize + DeserializeOwned,
    {
        let packed = move |host: &Host, names: &[String], values: &Values| {
            let name = names.first().map_or("", String::as_str);
            let (results, follow_up) = run(host, name, unpack(values).map_err(lost)?).map_err(Into::into)?;
            Ok((pack(&results).map_err(lost)?, follow_up))
        };
        Method::with::<I, O>(name, action, takes, gives, Run::Process(Box::new(packed)))
    }

    /// A row of a method about several containers, which its first argument selects.
    pub fn many<I, O>(
        name: &'static str,
        action: Action,
        takes: &[&'static str],
        gives: &[&'static str],
        run: impl Fn(&Host, &[Machine], I) -> Result<O, Error> + Send + Sync + 'static,
    ) -> Method
    where
        I: Type + Serialize + DeserializeOwned,
        O: Type + Serialize + DeserializeOwned,
    {
        let packed = move |host: &Host, names: &[String], values: &Values| {
            let names = names.iter().map(|name| MachineName::new(name)).collect::<Result<Vec<_>, _>>()?;
            let results = run(host, &host.handles(&names), unpack(values).map_err(lost)?)?;
            Ok((pack(&results).map_err(lost)?, None))
        };
        Method::with::<I, O>(name, action, takes, gives, Run::Process(Box::new(packed)))
            .about(About::Selection)
    }

    /// A row of the service's own.
    pub fn subscription(name: &'static str, what: Subscription) -> Method {
        Method::with::<(), ()>(name, Action::Look, &[], &[], Run::Subscription(what))
    }

    fn with<I, O>(
        name: &'static str,
        action: Action,
        takes: &[&'static str],
        gives: &[&'static str],
        run: Run,
    ) -> Method
    where
        I: Type + Serialize + DeserializeOwned,
        O: Type + Serialize + DeserializeOwned,
    {
        let (takes, gives) = (arguments(takes, I::SIGNATURE), arguments(gives, O::SIGNATURE));
        Method {
            name,
            actions: vec![action],
            about: About::Path,
            takes,
            gives,
            run,
            read: read::<I>,
            write: write::<O>,
        }
    }

    /// The same about other containers.
    pub fn about(self, about: About) -> Method {
        Method { about, ..self }
    }

    /// The same for those who are allowed another thing, too.
    pub fn and(mut self, action: Action) -> Method {
        self.actions.push(action);
        self
    }

    /// The arguments of a call, checked.
    pub fn read(&self, body: &Body) -> Result<Values, Fault> {
        (self.read)(body)
    }

    /// The reply to a call.
    pub fn write(&self, call: &Header<'_>, values: &Values) -> zbus::Result<Message> {
        (self.write)(call, values)
    }
}

fn lost(error: zbus::Error) -> Fault {
    Fault::standard("Failed", format!("failed to pass values on: {error}"))
}

fn arguments(names: &[&'static str], signature: &Signature) -> Vec<Argument> {
    let fields: Vec<String> = match signature {
        Signature::Structure(fields) => fields.iter().map(Signature::to_string).collect(),
        _ => Vec::new(),
    };
    assert_eq!(names.len(), fields.len(), "a row of a table names each argument: {names:?}");
    names.iter().copied().zip(fields).map(|(name, signature)| Argument { name, signature }).collect()
}

fn read<I: Type + Serialize + DeserializeOwned>(body: &Body) -> Result<Values, Fault> {
    let refused = |text: String| Fault::standard("InvalidArgs", text);
    let (found, wanted) = (body.signature().to_string_no_parens(), I::SIGNATURE.to_string_no_parens());
    if found != wanted {
        return Err(refused(format!("the arguments are of type '{found}', not '{wanted}'")));
    }
    let values: zbus::Result<I> = body.deserialize_ignore_signature();
    values.and_then(|values| pack(&values)).map_err(|error| refused(format!("wrong arguments: {error}")))
}

fn write<O: Type + Serialize + DeserializeOwned>(
    call: &Header<'_>,
    values: &Values,
) -> zbus::Result<Message> {
    Message::method_return(call).build(&unpack::<O>(values)?)
}

/// The change signal of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Never.
    Never,
    /// It is told, with its new value.
    Told,
    /// It is not told: ask again.
    Untold,
}

/// The text of a verb's `--json`.
pub fn json(value: &impl Serialize) -> Result<(String,), Error> {
    let text = serde_json::to_string(value).map_err(std::io::Error::from);
    text.context(|| "failed to write JSON").map(|text| (text,))
}

/// A property; all of them are read-only.
pub struct Property {
    /// The name.
    pub name: &'static str,
    /// The D-Bus signature.
    pub signature: &'static str,
    /// Whether its changes are told.
    pub changes: Changes,
}

/// A signal.
pub struct Signal {
    /// The name.
    pub name: &'static str,
    /// Names and types of what it tells.
    pub tells: &'static [(&'static str, &'static str)],
}

/// Values of properties by name.
pub type PropertyValues = HashMap<String, OwnedVariant>;

/// An interface of an object.
pub struct Interface {
    /// `org.containerctl1.Manager`.
    pub name: &'static str,
    /// The methods.
    pub methods: Vec<Method>,
    /// The properties.
    pub properties: Vec<Property>,
    /// The signals.
    pub signals: Vec<Signal>,
}

/// `org.freedesktop.DBus.Properties`, of an object whose one interface with properties is called `owner`.
pub fn properties(
    owner: &'static str,
    values: fn(&Host, &str) -> Result<PropertyValues, Error>,
) -> Interface {
    let all = move |host: &Host, name: &str, interface: &str| match interface == owner || interface.is_empty()
    {
        true => values(host, name).map_err(Fault::from),
        false => {
            Err(Fault::standard("UnknownInterface", format!("no properties of interface '{interface}'")))
        }
    };
    let get = move |host: &Host, name: &str, (interface, property): (String, String)| {
        let found = all(host, name, &interface)?.remove(&property).map(|value| (value,));
        found.ok_or_else(|| Fault::standard("UnknownProperty", format!("unknown property '{property}'")))
    };
    let get_all = move |host: &Host, name: &str, (interface,): (String,)| {
        all(host, name, &interface).map(|values| (values,))
    };
    let set = |_: &Host, _: &str, (_, property, _): (String, String, OwnedVariant)| {
        Err::<(), _>(Fault::standard("PropertyReadOnly", format!("property '{property}' cannot be set")))
    };
    let look = Action::Look;
    Interface {
        name: "org.freedesktop.DBus.Properties",
        methods: vec![
            Method::new("Get", look, &["interface_name", "property_name"], &["value"], get),
            Method::new("GetAll", look, &["interface_name"], &["props"], get_all),
            Method::new("Set", look, &["interface_name", "property_name", "value"], &[], set),
        ],
        properties: Vec::new(),
        signals: vec![Signal {
            name: "PropertiesChanged",
            tells: &[
                ("interface_name", "s"),
                ("changed_properties", "a{sv}"),
                ("invalidated_properties", "as"),
            ],
        }],
    }
}
