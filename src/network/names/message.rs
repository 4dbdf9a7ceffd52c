//! DNS messages (RFC 1035), as far as a responder for a few names needs them. Whatever comes in was written by a
//! container: nothing here trusts a length or follows a pointer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of a header.
const HEADER: usize = 12;
/// Seconds for which an answer may be kept.
const TTL: u32 = 30;
/// Class IN.
const IN: u16 = 1;
/// The types that we answer.
const A: u16 = 1;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const ANY: u16 = 255;
/// The pseudo record of EDNS.
const OPT: u8 = 41;
/// In the third byte: there is more than fits.
const TRUNCATED: u8 = 2;

/// Response code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Answered, be it with nothing.
    Done = 0,
    /// Nobody who knows could be asked.
    Failure = 2,
    /// There is no such name.
    NoName = 3,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in lower case, labels joined by dots, without the last one.
    pub name: String,
    kind: u16,
    class: u16,
    /// Offset of the question's end in the message.
    end: usize,
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
    let word = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let is_query = word(2)? & 0xf800 == 0 && word(4)? == 1;
    if !is_query {
        return None;
    }
    let (mut name, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*message.get(at)?);
        // What is longer is a pointer, which a lone question has no use for.
        if length > 63 || name.len() + length > 253 {
            return None;
        }
        at += 1;
        if length == 0 {
            break;
        }
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(message.get(at..at + length)?);
        at += length;
    }
    let name = String::from_utf8(name).ok()?.to_ascii_lowercase();
    Some(Question { name, kind: word(at)?, class: word(at + 2)?, end: at + 4 })
}

impl Question {
    /// Of `all`, what answers it.
    fn wanted<'a>(&self, all: &'a [Record]) -> Vec<&'a Record> {
        let fits = |record: &&Record| match record {
            _ if self.class != IN => false,
            Record::Address(IpAddr::V4(_)) => [A, ANY].contains(&self.kind),
            Record::Address(IpAddr::V6(_)) => [AAAA, ANY].contains(&self.kind),
            Record::Name(_) => [PTR, ANY].contains(&self.kind),
        };
        all.iter().filter(fits).collect()
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

/// The answer to a query with this question: of `records` those that were asked for.
pub fn answer(query: &[u8], question: &Question, code: Code, records: &[Record]) -> Vec<u8> {
    let records = question.wanted(records);
    let mut message = query.get(..question.end).unwrap_or_default().to_vec();
    // A response by who knows, recursion as it was desired and available.
    let desired = message[2] & 1;
    message[2] = 0x84 | desired;
    message[3] = 0x80 | code as u8;
    message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    message[8..HEADER].fill(0);
    for record in records {
        let (kind, data) = match record {
            Record::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
            Record::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
            Record::Name(name) => (PTR, encode(name)),
        };
        // The name is that of the question.
        message.extend_from_slice(&[0xc0, HEADER as u8]);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&IN.to_be_bytes());
        message.extend_from_slice(&TTL.to_be_bytes());
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(&data);
    }
    message
}

/// An answer as it goes into a datagram: what the asker has no room for is left out, and he is told to ask by TCP
/// (RFC 1035, TC; RFC 6891).
pub fn fit(query: &[u8], question: &Question, answer: Vec<u8>) -> Vec<u8> {
    if answer.len() <= room(query, question) {
        return answer;
    }
    let mut cut = answer;
    cut.truncate(question.end);
    cut[2] |= TRUNCATED;
    cut[6..8].fill(0);
    cut
}

/// Largest answer that the client accepts: 512 bytes, or the size in an EDNS record that follows the question.
fn room(query: &[u8], question: &Question) -> usize {
    const PLAIN: usize = 512;
    let told = || {
        let record = query.get(question.end..question.end + 5)?;
        let is_edns = query.get(10..12)? != [0, 0] && record[..3] == [0, 0, OPT];
        is_edns.then(|| usize::from(u16::from_be_bytes([record[3], record[4]])))
    };
    told().unwrap_or(PLAIN).clamp(PLAIN, super::responder::LARGEST)
}

fn encode(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| (1..64).contains(&label.len())) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&encode(name));
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&IN.to_be_bytes());
        message
    }

    #[test]
    fn a_question_gets_the_records_of_its_kind() {
        let message = query("P1", A);
        let question = parse(&message).expect("question");
        assert_eq!(question.name, "p1");
        let all = ["10.0.0.1", "fd00::1"].map(|text| Record::Address(text.parse().expect("address")));
        let told = answer(&message, &question, Code::Done, &all);
        assert_eq!((&told[..2], told[2], told[3], told[7]), (&[0x12, 0x34][..], 0x85, 0x80, 1));
        assert!(told.ends_with(&[0, 4, 10, 0, 0, 1]));
        let none = answer(&message, &question, Code::NoName, &[]);
        assert_eq!((none[3] & 15, none[7], none.len()), (3, 0, message.len()));
    }

    #[test]
    fn what_does_not_fit_is_to_be_asked_for_by_tcp() {
        let many: Vec<Record> = (0..40).map(|i| Record::Address(IpAddr::from([10, 0, 0, i]))).collect();
        let mut message = query("p1", A);
        let question = parse(&message).expect("question");
        let told = answer(&message, &question, Code::Done, &many);
        let cut = fit(&message, &question, told.clone());
        assert_eq!((cut.len(), cut[2] & TRUNCATED, cut[7]), (message.len(), TRUNCATED, 0));
        message[11] = 1;
        message.extend_from_slice(&[0, 0, OPT, 4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fit(&message, &question, told.clone()), told);
        let few = answer(&message, &question, Code::Done, &many[..3]);
        assert_eq!(fit(&query("p1", A), &question, few.clone()), few);
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
                let told = answer(&message, &question, Code::Done, &[Record::Name("p1".into())]);
                prop_assert!(told.len() >= HEADER);
            }
        }
    }
}
