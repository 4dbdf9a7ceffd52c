//! Messages between the service and the process of a call: values in D-Bus' own format, with descriptors, one
//! packet each way.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::Type;
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{NATIVE_ENDIAN, to_bytes};

use crate::dbus::fault::Fault;
use crate::worker::message;

/// Values in their bytes.
pub type Values = Data<'static, 'static>;

/// A call on its way to its process: path, interface, member, the containers that it is about, and arguments.
pub type Request = (String, String, String, Vec<String>, Vec<u8>);
/// A reply: the name of an error or nothing, its sentence, and the results.
pub type Response = (String, String, Vec<u8>);

fn context() -> Context {
    Context::new(NATIVE_ENDIAN, 0)
}

/// Packs values.
pub fn pack<T: Serialize + Type>(values: &T) -> zbus::Result<Values> {
    to_bytes(context(), values)
}

/// Unpacks values; descriptors among them are new ones.
pub fn unpack<T: DeserializeOwned + Type>(values: &Values) -> zbus::Result<T> {
    values.deserialize().map(|(values, _)| values)
}

/// Values that were bytes of a packet, with the packet's descriptors.
pub fn inner(bytes: Vec<u8>, outer: &Values) -> Result<Values> {
    let fds: Result<Vec<OwnedFd>> = outer
        .fds()
        .iter()
        .map(|fd| fd.try_clone().and_then(OwnedFd::try_from).map_err(Error::other))
        .collect();
    Ok(Data::new_fds(bytes, context(), fds?))
}

/// The reply of a successful call.
pub fn success(values: &Values) -> Response {
    (String::new(), String::new(), values.bytes().to_vec())
}

/// The reply of a failed call.
pub fn failure(fault: Fault) -> Response {
    (fault.name, fault.text, Vec::new())
}

/// Sends a packet with the descriptors of `values`.
pub fn send<T: Serialize + Type>(stream: &UnixStream, packet: &T, values: Option<&Values>) -> Result<()> {
    let packet = pack(packet).map_err(Error::other)?;
    let fds: Vec<RawFd> =
        values.map(|values| values.fds().iter().map(AsRawFd::as_raw_fd).collect()).unwrap_or_default();
    message::send(stream, packet.bytes(), &fds)
}

/// Receives a packet. An end of the stream before it is an error.
pub fn receive<T: DeserializeOwned + Type>(stream: &UnixStream) -> Result<(T, Values)> {
    let (bytes, fds) = message::receive(stream)?;
    let packet = Data::new_fds(bytes, context(), fds);
    Ok((unpack(&packet).map_err(Error::other)?, packet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_sent_arrives_with_its_descriptors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let values = pack(&(7u32, zbus::OwnedFd::from(OwnedFd::from(file)))).unwrap();
        let long = "x".repeat(1 << 20);
        let sender = std::thread::spawn(move || {
            let request: Request = ("/".into(), "i".into(), "m".into(), vec![long], values.bytes().to_vec());
            send(&ours, &request, Some(&values)).unwrap();
        });
        let (request, packet): (Request, Values) = receive(&theirs).unwrap();
        sender.join().unwrap();
        let (number, fd): (u32, zbus::OwnedFd) = unpack(&inner(request.4, &packet).unwrap()).unwrap();
        assert_eq!((number, request.3[0].len()), (7, 1 << 20));
        assert!(rustix::fs::fstat(fd.as_fd()).is_ok());
        assert!(receive::<Request>(&theirs).is_err());
    }
}
