//! What the own message code is for: the time of one answer beside hickory-proto's, and the texts
//! that differ. `cargo run --release -p dnsd --example beside_hickory`; figures in docs/dnsd.md.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use dnsd::answer::{Asked, answer};
use dnsd::authority::{Authority, Held};
use dnsd::{master, zone};
use dnswire::{Message, Name, RecordType, rdata, text};
use hickory_proto::op::{Message as Theirs, MessageType, OpCode};
use hickory_proto::rr::{RData, RecordType as TheirType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

const ZONE: &str =
    "$TTL 300\n@ SOA ns a 1 2 3 4 5\n@ NS ns\nns A 10.0.0.1\n@ MX 10 mail\nmail A 10.0.0.2\n";
const TIMES: u32 = 200_000;

fn nanoseconds(mut work: impl FnMut()) -> f64 {
    (0..TIMES / 10).for_each(|_| work());
    let started = Instant::now();
    (0..TIMES).for_each(|_| work());
    started.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    let origin = Name::complete("lab.test")?;
    let mut authority = Authority::default();
    let zone = zone::build(&origin, master::parse(&origin, ZONE)?)?;
    authority.put(Held::new(origin.clone(), Arc::default(), Some(Arc::new(zone))));
    let query = Message::query(7, origin, RecordType::MX, false).write(512);
    let asked = Asked { tcp: false, recursion: false, udp_size: 1232 };
    let mut reply = Vec::new();
    answer(&authority, &query, asked, &mut reply);
    let expected = Theirs::from_vec(&reply)?;

    let ours = nanoseconds(|| {
        answer(&authority, black_box(&query), asked, &mut reply);
        black_box(&reply);
    });
    // Their share of the same work: read the query, take the records ready made, write the answer.
    let theirs = nanoseconds(|| {
        let Ok(query) = Theirs::from_vec(black_box(&query)) else { return };
        let mut message = Theirs::new(query.metadata.id, MessageType::Response, OpCode::Query);
        message.add_queries(query.queries.iter().cloned());
        message.add_answers(expected.answers.iter().cloned());
        message.add_additionals(expected.additionals.iter().cloned());
        message.edns = query.edns;
        let _ = black_box(message.to_vec());
    });
    writeln!(
        out,
        "one answer (MX with its address): ours {ours:.0} ns with look-up, hickory-proto {theirs:.0} ns without; ratio {:.1}",
        theirs / ours
    )?;

    let reading = nanoseconds(|| {
        let _ = black_box(Message::read(black_box(&reply)));
    });
    let their_reading = nanoseconds(|| {
        let _ = black_box(Theirs::from_vec(black_box(&reply)));
    });
    writeln!(
        out,
        "reading that answer: ours {reading:.0} ns, hickory-proto {their_reading:.0} ns; ratio {:.1}",
        their_reading / reading
    )?;

    for (word, line) in [
        ("TXT", r#""v=spf1 -all" "a\"b""#),
        ("HINFO", r#""PC" "Linux""#),
        ("CAA", r#"0 issue "ca.test""#),
        ("DS", "60485 13 2 2BB183AF5F22588179A53B0A98631FAD1A292118"),
        ("DNSKEY", "257 3 13 AAECAw=="),
        ("NSEC", "host.lab.test. A MX RRSIG"),
        ("NSEC3", "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG"),
        ("RRSIG", "A 13 2 300 20260101000000 20250101000000 7 lab.test. AAEC"),
        ("NAPTR", r#"1 2 "U" "E2U+sip" "!^.*$!sip:a@b!" ."#),
        ("SSHFP", "1 1 AABB"),
        ("TLSA", "3 1 1 AABB"),
        ("HTTPS", "1 . alpn=\"h2\" port=8443"),
        ("RP", "a.lab.test. b.lab.test."),
        ("KX", "10 a.lab.test."),
        ("URI", r#"10 1 "http://lab.test/""#),
        ("LOC", r"\# 16 0013162B8BBF5E8800956A8000989680"),
        ("TYPE65280", r"\# 3 010203"),
    ] {
        let kind: RecordType = word.parse()?;
        let data = rdata::parse(kind, &text::tokens(line)?, None)?;
        let ours = rdata::show(kind, &data);
        let size = u16::try_from(data.len())?;
        let mut bytes = vec![0];
        bytes.extend(kind.0.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 9]);
        bytes.extend(size.to_be_bytes());
        bytes.extend(&*data);
        let theirs = hickory_proto::rr::Record::<RData>::read(&mut BinDecoder::new(&bytes));
        let theirs =
            theirs.map_or_else(|error| format!("error: {error}"), |record| record.data.to_string());
        let read = RData::try_from_str(TheirType::from(kind.0), line);
        let reads = read.map_or_else(|error| format!("no ({error})"), |_| "yes".into());
        let verdict = if ours == theirs { "same" } else { "DIFFERENT" };
        writeln!(out, "{word}: {verdict}; hickory reads the master file's line: {reads}")?;
        if ours != theirs {
            writeln!(out, "    ours    {ours}\n    hickory {theirs}")?;
        }
    }
    Ok(())
}
