//! Our messages as hickory-proto writes and reads them: an independent judge of the wire format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use common::{ask, exchange, folder, lab, questions};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};

#[test]
fn rfc1035_4_1_hickory_asks_and_understands_every_answer() {
    let folder = folder();
    let server = lab(folder.path());
    for question in questions() {
        let kind: dnswire::RecordType = question.kind.parse().unwrap();
        let name = Name::from_ascii(format!("{}.", question.name)).unwrap();
        let mut query = Query::query(name.clone(), RecordType::from(kind.0));
        query.set_query_class(DNSClass::from(question.class));
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = question.recursion;
        message.add_query(query.clone());
        if let Some(size) = question.size {
            let mut edns = Edns::new();
            edns.set_max_payload(size).set_dnssec_ok(question.dnssec);
            message.set_edns(edns);
        }
        let reply = exchange(server.address, &message.to_vec().unwrap()).unwrap();
        let theirs =
            Message::from_vec(&reply).unwrap_or_else(|error| panic!("{question:?}: {error}"));
        let ours = ask(server.address, &question);
        assert_eq!(theirs.queries, [query], "{question:?}");
        assert_eq!(u16::from(theirs.metadata.response_code), ours.rcode, "{question:?}");
        assert_eq!(
            theirs.metadata.authoritative,
            ours.flags.has(dnswire::Flags::AA),
            "{question:?}"
        );
        for (theirs, ours) in [
            (&theirs.answers, &ours.answers),
            (&theirs.authorities, &ours.authority),
            (&theirs.additionals, &ours.additional),
        ] {
            let list = |n: &str, t: u32, k: u16| format!("{} {t} {k}", n.to_ascii_lowercase());
            let a: Vec<_> = theirs
                .iter()
                .map(|r| list(&r.name.to_string(), r.ttl, r.record_type().into()))
                .collect();
            let b: Vec<_> =
                ours.iter().map(|r| list(&r.name.to_string(), r.ttl, r.kind.0)).collect();
            assert_eq!(a, b, "{question:?}");
        }
    }
}
