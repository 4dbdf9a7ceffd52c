//! DNS messages (RFC 1035), as far as a responder for a few names needs them. Whatever comes in was written by a
//! container; the crate `domain` reads it, which was made for that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::{AnswerBuilder, MessageBuilder, PushError};
use domain::base::name::ToLabelIter;
use domain::base::{Message, Name, ParsedName, StaticCompressor, Ttl};
use domain::rdata::{A, Aaaa, Ptr};

/// The time for which an answer may be kept.
const TTL: Ttl = Ttl::from_secs(30);
/// The longest answer by TCP.
pub const STREAM: usize = 65_535;

/// The result of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Answered, be it with nothing.
    Done,
    /// Nobody who knows could be asked.
    Failure,
    /// There is no such name.
    NoName,
}

impl From<Code> for Rcode {
    fn from(code: Code) -> Rcode {
        match code {
            Code::Done => Rcode::NOERROR,
            Code::Failure => Rcode::SERVFAIL,
            Code::NoName => Rcode::NXDOMAIN,
        }
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in lower case, labels joined by dots, without the last one.
    pub name: String,
    kind: Rtype,
    class: Class,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(String),
}

/// Reads a query with one question; `None` is no query.
pub fn parse(message: &[u8]) -> Option<Question> {
    let message = Message::from_slice(message).ok()?;
    let is_query = !message.header().qr() && message.header().opcode() == Opcode::QUERY;
    let question = message.sole_question().ok().filter(|_| is_query)?;
    // A lone question has no use for a pointer.
    if question.qname().is_compressed() {
        return None;
    }
    let labels = question.qname().iter_labels().filter(|label| !label.is_root());
    let labels: Option<Vec<&str>> = labels.map(|label| std::str::from_utf8(label.as_slice()).ok()).collect();
    let name = labels?.join(".").to_ascii_lowercase();
    Some(Question { name, kind: question.qtype(), class: question.qclass() })
}

impl Question {
    /// Of `all`, what answers it.
    fn wanted<'a>(&self, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
        let kind = (self.class == Class::IN).then_some(self.kind);
        all.iter().filter(move |record| {
            let own = match record {
                Record::Address(IpAddr::V4(_)) => Rtype::A,
                Record::Address(IpAddr::V6(_)) => Rtype::AAAA,
                Record::Name(_) => Rtype::PTR,
            };
            kind.is_some_and(|kind| kind == own || kind == Rtype::ANY)
        })
    }

    /// The address whose name is asked for, of a name below `in-addr.arpa` or `ip6.arpa`.
    pub fn reversed(&self) -> Option<IpAddr> {
        if let Some(parts) = self.name.strip_suffix(".in-addr.arpa") {
            let bytes: Option<Vec<u8>> = parts.rsplit('.').map(|part| part.parse().ok()).collect();
            return <[u8; 4]>::try_from(bytes?).ok().map(|bytes| Ipv4Addr::from(bytes).into());
        }
        let digits = self.name.strip_suffix(".ip6.arpa")?.rsplit('.');
        let digits: Option<Vec<u32>> = digits.map(hexadecimal).collect();
        let digits = digits?;
        let bits = digits.iter().fold(0_u128, |bits, digit| bits << 4 | u128::from(*digit));
        (digits.len() == 32).then(|| Ipv6Addr::from_bits(bits).into())
    }
}

/// One hexadecimal digit.
fn hexadecimal(text: &str) -> Option<u32> {
    let mut chars = text.chars();
    chars.next()?.to_digit(16).filter(|_| chars.next().is_none())
}

/// The answer to a query with this question: of `records` those that were asked for. What is longer than `room` bytes is
/// left out, and the asker is told to ask by TCP (RFC 1035, TC). `None`: the query is none.
pub fn answer(
    query: &[u8],
    question: &Question,
    code: Code,
    records: &[Record],
    room: usize,
) -> Option<Vec<u8>> {
    let query = Message::from_slice(query).ok()?;
    let name = query.sole_question().ok()?.into_qname();
    let mut builder = MessageBuilder::from_target(StaticCompressor::new(Vec::new())).ok()?;
    builder.set_push_limit(room);
    let mut answer = builder.start_answer(query, code.into()).ok()?;
    // A response by who knows, recursion as available.
    answer.header_mut().set_aa(true);
    answer.header_mut().set_ra(true);
    if question.wanted(records).any(|record| push(&mut answer, &name, record).is_err()) {
        answer.rewind();
        answer.header_mut().set_tc(true);
    }
    Some(answer.finish().into_target())
}

/// Adds one record to an answer.
fn push(
    answer: &mut AnswerBuilder<StaticCompressor<Vec<u8>>>,
    name: &ParsedName<&[u8]>,
    record: &Record,
) -> Result<(), PushError> {
    match record {
        Record::Address(IpAddr::V4(address)) => answer.push((name, Class::IN, TTL, A::new(*address))),
        Record::Address(IpAddr::V6(address)) => answer.push((name, Class::IN, TTL, Aaaa::new(*address))),
        // Of a label that is too long there is no name in DNS.
        Record::Name(text) => match Name::vec_from_str(text) {
            Ok(target) => answer.push((name, Class::IN, TTL, Ptr::new(target))),
            Err(_) => Ok(()),
        },
    }
}

/// The longest answer that the asker takes by UDP: 512 bytes, or the length that it names (RFC 6891).
pub fn room(query: &[u8]) -> usize {
    const PLAIN: usize = 512;
    let told = Message::from_slice(query).ok().and_then(|query| query.opt());
    told.map_or(PLAIN, |opt| usize::from(opt.udp_payload_size())).clamp(PLAIN, super::responder::LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: usize = 12;
    const A: u16 = 1;
    const PTR: u16 = 12;
    const OPT: u8 = 41;
    const TRUNCATED: u8 = 2;

    fn encode(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes
    }

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&encode(name));
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&1_u16.to_be_bytes());
        message
    }

    #[test]
    fn a_question_gets_the_records_of_its_kind() {
        let message = query("P1", A);
        let question = parse(&message).expect("question");
        assert_eq!(question.name, "p1");
        let all = ["10.0.0.1", "fd00::1"].map(|text| Record::Address(text.parse().expect("address")));
        let told = answer(&message, &question, Code::Done, &all, STREAM).expect("answer");
        assert_eq!((&told[..2], told[2], told[3], told[7]), (&[0x12, 0x34][..], 0x85, 0x80, 1));
        assert!(told.ends_with(&[0, 4, 10, 0, 0, 1]));
        let none = answer(&message, &question, Code::NoName, &[], STREAM).expect("answer");
        assert_eq!((none[3] & 15, none[7], none.len()), (3, 0, message.len()));
    }

    #[test]
    fn what_does_not_fit_is_to_be_asked_for_by_tcp() {
        let many: Vec<Record> = (0..40).map(|i| Record::Address(IpAddr::from([10, 0, 0, i]))).collect();
        let mut message = query("p1", A);
        let question = parse(&message).expect("question");
        let told = answer(&message, &question, Code::Done, &many, STREAM).expect("answer");
        let fit = |message: &[u8], records: &[Record]| {
            answer(message, &question, Code::Done, records, room(message)).expect("answer")
        };
        let cut = fit(&message, &many);
        assert_eq!((cut.len(), cut[2] & TRUNCATED, cut[7]), (message.len(), TRUNCATED, 0));
        message[11] = 1;
        message.extend_from_slice(&[0, 0, OPT, 4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fit(&message, &many), told);
        let few = answer(&message, &question, Code::Done, &many[..3], STREAM).expect("answer");
        assert_eq!(fit(&query("p1", A), &many[..3]), few);
    }

    #[test]
    fn addresses_are_read_backwards() {
        let reversed = |name: &str| parse(&query(name, PTR)).expect("question").reversed();
        assert_eq!(reversed("1.0.2.10.in-addr.arpa"), Some("10.2.0.1".parse().expect("v4")));
        let digits = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reversed(digits), Some("fd00::1".parse().expect("v6")));
        for wrong in ["1.2.3.in-addr.arpa", "x.0.2.10.in-addr.arpa", "1.ip6.arpa", "p1"] {
            assert_eq!(reversed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_query_is_no_question() {
        let mut response = query("p1", A);
        response[2] |= 0x80;
        let mut pointer = query("p1", A);
        pointer[HEADER] = 0xc0;
        for wrong in [&response[..], &pointer, &[], &query("p1", A)[..14]] {
            assert_eq!(parse(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(mut message in prop::collection::vec(any::<u8>(), 0..80), header in any::<bool>()) {
            if header && message.len() > HEADER {
                message[2..6].copy_from_slice(&[1, 0, 0, 1]);
            }
            if let Some(question) = parse(&message) {
                let _ = question.reversed();
                let told = answer(&message, &question, Code::Done, &[Record::Name("p1".into())], room(&message));
                prop_assert!(told.is_some_and(|told| told.len() >= HEADER));
            }
        }
    }
}
