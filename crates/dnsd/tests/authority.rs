//! Authoritative answers, judged by dig and named-checkzone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use common::{Ask, ask, brief, dig, exchange, folder, lab, query, texts};
use dnswire::{Flags, Message, Name, RecordType};

#[test]
fn rfc1034_4_2_1_a_delegation_is_answered_with_glue_and_without_authority() {
    let folder = folder();
    let server = lab(folder.path());
    let Some(text) =
        dig(server.address, "www.sub.lab.test A +norec +noall +comments +authority +additional")
    else {
        return;
    };
    assert!(text.contains("status: NOERROR") && text.contains(";; flags: qr; QUERY"), "{text}");
    assert!(text.contains("sub.lab.test.\t\t300\tIN\tNS\tns.sub.lab.test."), "{text}");
    assert!(text.contains("ns.sub.lab.test.\t300\tIN\tA\t10.0.1.1"), "{text}");
}

#[test]
fn rfc1034_3_6_2_aliases_are_followed_across_the_servers_zones() {
    let folder = folder();
    let server = lab(folder.path());
    let Some(text) = dig(server.address, "out.lab.test A +norec +noall +comments +answer") else {
        return;
    };
    assert!(text.contains("flags: qr aa") && text.contains("10.9.0.2"), "{text}");
    let (code, aa, data) = brief(&query(server.address, "deep.lab.test", "A"));
    assert_eq!((code.as_str(), aa, data.len()), ("NOERROR", true, 4));
    // RFC 6604 section 3: the code is about the end of the chain.
    let (code, _, data) = brief(&query(server.address, "dead.lab.test", "A"));
    assert_eq!((code.as_str(), data.len()), ("NXDOMAIN", 1));
    let message = query(server.address, "loop.lab.test", "A");
    assert_eq!(message.answers.len(), 2);
}

#[test]
fn rfc4592_2_2_wildcards_do_not_cover_names_that_exist() {
    let folder = folder();
    let server = lab(folder.path());
    let data = |name, kind| brief(&query(server.address, name, kind));
    assert_eq!(data("y.wild.lab.test", "A").2, ["A 10.0.0.5"]);
    assert_eq!(data("a.b.c.wild.lab.test", "A").2, ["A 10.0.0.5"]);
    assert_eq!(data("x.wild.lab.test", "A").2, [""; 0]);
    assert_eq!(data("a.x.wild.lab.test", "A").0, "NXDOMAIN");
    assert_eq!(data("y.wild.lab.test", "TXT"), ("NOERROR".into(), true, vec![]));
    let (_, _, data) = data("y.alias.lab.test", "A");
    assert_eq!(data, ["A 10.0.0.14", "A 10.0.0.4", "CNAME web.lab.test."]);
}

#[test]
fn rfc4592_2_2_2_empty_names_exist() {
    let folder = folder();
    let server = lab(folder.path());
    for name in ["ent.lab.test", "b.ent.lab.test", "_tcp.lab.test"] {
        assert_eq!(
            brief(&query(server.address, name, "A")),
            ("NOERROR".into(), true, vec![]),
            "{name}"
        );
    }
    assert_eq!(brief(&query(server.address, "x.ent.lab.test", "A")).0, "NXDOMAIN");
}

#[test]
fn rfc2308_2_denials_carry_the_soa_with_the_negative_ttl() {
    let folder = folder();
    let server = lab(folder.path());
    for (name, kind) in [("nope.lab.test", "A"), ("web.lab.test", "MX")] {
        let message = query(server.address, name, kind);
        assert_eq!(message.authority.len(), 1);
        assert_eq!((message.authority[0].kind, message.authority[0].ttl), (RecordType::SOA, 60));
    }
}

#[test]
fn rfc4035_3_1_4_1_ds_is_the_parents() {
    let folder = folder();
    let server = lab(folder.path());
    let message = query(server.address, "signed.lab.test", "DS");
    assert_eq!((message.answers.len(), message.flags.has(Flags::AA)), (1, true));
    let message = query(server.address, "sub.lab.test", "DS");
    assert!(
        message.answers.is_empty()
            && message.flags.has(Flags::AA)
            && message.authority[0].kind == RecordType::SOA
    );
}

#[test]
fn rfc6672_3_1_a_dname_makes_aliases() {
    let folder = folder();
    let server = lab(folder.path());
    let (code, aa, data) = brief(&query(server.address, "www.dn.lab.test", "A"));
    assert_eq!((code.as_str(), aa), ("NOERROR", true));
    assert_eq!(data, ["A 10.9.0.2", "CNAME www.other.test.", "DNAME other.test."]);
    let long = format!("{0}.{0}.{0}.{1}.dx.lab.test", "x".repeat(60), "y".repeat(55));
    assert_eq!(query(server.address, &long, "A").rcode_word(), "YXDOMAIN");
}

#[test]
fn rfc1035_4_1_1_classes_and_operations_that_are_not_served() {
    let folder = folder();
    let server = lab(folder.path());
    let chaos = Ask { class: 3, ..Ask::new("lab.test", "A") };
    assert_eq!(ask(server.address, &chaos).rcode_word(), "REFUSED");
    assert_eq!(query(server.address, "elsewhere.example", "A").rcode_word(), "REFUSED");
    let mut bytes = Ask::new("lab.test", "A").message().write(512);
    for (opcode, code) in [(1, "NOTIMP"), (2, "NOTIMP"), (5, "NOTIMP"), (15, "NOTIMP")] {
        bytes[2] = opcode << 3;
        let reply = Message::read(&exchange(server.address, &bytes).unwrap()).unwrap();
        assert_eq!((reply.rcode_word().as_str(), reply.id), (code, 4711));
        assert_eq!(reply.flags.opcode(), opcode);
    }
    bytes[2] = 0;
    bytes.truncate(20);
    let reply = Message::read(&exchange(server.address, &bytes).unwrap()).unwrap();
    assert_eq!(reply.rcode_word(), "FORMERR");
}

#[test]
fn rfc6891_6_edns_versions_sizes_and_its_absence() {
    let folder = folder();
    let server = lab(folder.path());
    if let Some(text) = dig(server.address, "lab.test SOA +edns=1 +noednsnegotiation +norec") {
        assert!(text.contains("BADVERS"), "{text}");
    }
    let plain = Ask { size: None, ..Ask::new("lab.test", "SOA") };
    assert!(ask(server.address, &plain).edns.is_none());
    let message =
        ask(server.address, &Ask { size: Some(4096), dnssec: true, ..Ask::new("lab.test", "SOA") });
    let edns = message.edns.unwrap();
    assert_eq!((edns.size, edns.dnssec, edns.version), (1232, true, 0));
}

#[test]
fn rfc2181_9_what_does_not_fit_is_truncated_and_tcp_has_it() {
    let folder = folder();
    let server = lab(folder.path());
    for size in [None, Some(512), Some(100)] {
        let message = ask(server.address, &Ask { size, ..Ask::new("big.lab.test", "TXT") });
        assert!(message.flags.has(Flags::TC), "{size:?}");
        assert!(message.answers.is_empty());
    }
    let Some(text) = dig(server.address, "big.lab.test TXT +bufsize=512 +norec") else { return };
    assert!(
        text.contains("Truncated, retrying in TCP mode") && text.contains("ANSWER: 6"),
        "{text}"
    );
}

#[test]
fn rfc7766_6_2_1_1_several_questions_on_one_tcp_connection() {
    let folder = folder();
    let server = lab(folder.path());
    let mut stream = TcpStream::connect(server.address).unwrap();
    let mut all = Vec::new();
    for kind in ["SOA", "MX", "TXT"] {
        let bytes = Ask::new("lab.test", kind).message().write(512);
        all.extend((bytes.len() as u16).to_be_bytes());
        all.extend(bytes);
    }
    stream.write_all(&all).unwrap();
    for kind in [RecordType::SOA, RecordType::MX, RecordType::TXT] {
        let mut size = [0; 2];
        stream.read_exact(&mut size).unwrap();
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(Message::read(&bytes).unwrap().answers[0].kind, kind);
    }
}

#[test]
fn rfc4343_3_the_case_of_the_question_comes_back() {
    let folder = folder();
    let server = lab(folder.path());
    let reply =
        exchange(server.address, &Ask::new("wEb.LaB.tEsT", "A").message().write(512)).unwrap();
    let message = Message::read(&reply).unwrap();
    assert_eq!(message.questions[0].name.to_string(), "wEb.LaB.tEsT.");
    assert_eq!(message.answers[0].name.to_string(), "wEb.LaB.tEsT.");
    assert_eq!(message.answers.len(), 2);
}

#[test]
fn rfc8482_4_1_any_is_answered_with_one_set() {
    let folder = folder();
    let server = lab(folder.path());
    let message = query(server.address, "lab.test", "ANY");
    assert_eq!(message.answers.len(), 1);
}

#[test]
fn rfc1035_3_3_mx_ns_and_srv_bring_addresses_along() {
    let folder = folder();
    let server = lab(folder.path());
    let additional = texts(&query(server.address, "lab.test", "MX").additional);
    assert_eq!(
        additional,
        [
            "mail.lab.test. 300 A 10.0.0.3",
            "mail.lab.test. 300 AAAA 2001:db8::3",
            "mail.other.test. 300 A 10.9.0.3"
        ]
    );
    assert_eq!(query(server.address, "_imap._tcp.lab.test", "SRV").additional.len(), 2);
}

#[test]
fn rfc5936_2_the_whole_zone_for_those_who_may() {
    let folder = folder();
    let server = lab(folder.path());
    let (Some(whole), Some(refused)) =
        (dig(server.address, "lab.test AXFR"), dig(server.address, "other.test AXFR"))
    else {
        return;
    };
    assert!(refused.contains("Transfer failed"), "{refused}");
    let Some(checker) = common::tool("named-checkzone") else { return };
    // What was transferred is the zone, to the judge of zones.
    let copy = folder.path().join("copy.zone");
    let lines: Vec<_> =
        whole.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).collect();
    let (_, records) = lines.split_last().unwrap();
    std::fs::write(&copy, records.join("\n") + "\n").unwrap();
    let output = |file: &std::path::Path| {
        let run = Command::new(&checker)
            .args(["-i", "local", "-k", "ignore", "-D", "-o", "-", "lab.test"])
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.success(), "{text}");
        let mut lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains("\tIN ") || line.contains(" IN "))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let (ours, original) = (output(&copy), output(&folder.path().join("lab.zone")));
    assert!(ours.len() > 30);
    assert_eq!(ours, original);
}

#[test]
fn rfc1995_2_over_udp_a_transfer_says_only_the_version() {
    let folder = folder();
    let server = lab(folder.path());
    let message = query(server.address, "lab.test", "IXFR");
    assert_eq!(message.answers.len(), 1);
    assert_eq!(message.answers[0].kind, RecordType::SOA);
    assert_eq!(query(server.address, "lab.test", "AXFR").rcode_word(), "FORMERR");
}

#[test]
fn rfc1035_5_zones_that_named_checkzone_refuses_are_refused() {
    let Some(checker) = common::tool("named-checkzone") else { return };
    let head = "$TTL 60\n@ SOA ns a 1 1 1 1 1\n@ NS ns\nns A 10.0.0.1\n";
    let origin = Name::complete("z.test").unwrap();
    let folder = folder();
    let file = folder.path().join("z.zone");
    for (text, good) in [
        ("w A 10.0.0.2\n", true),
        ("w IN 5 A 10.0.0.2\nx 5 IN TXT a b \"c d\"\n", true),
        ("w A 10.0.0.2\nw CNAME ns\n", false),
        ("w CNAME a\nw CNAME b\n", false),
        ("w A 10.0.0\n", false),
        ("w.other. A 10.0.0.1\nw MX x\n", false),
        ("w MX 10\n", false),
        ("w AAAA 10.0.0.1\n", false),
        ("w TXT \"open\n", false),
        ("w SRV 1 2 ns\n", false),
        ("w TYPE65280 \\# 2 01\n", false),
        ("w XYZ 1\n", false),
        ("@ SOA ns a 2 1 1 1 1\n", false),
        ("w A 10.0.0.1 10.0.0.2\n", false),
        ("w TXT (\n", false),
        ("a..b A 10.0.0.1\n", false),
    ] {
        let whole = format!("{head}{text}");
        std::fs::write(&file, &whole).unwrap();
        let judge = Command::new(&checker)
            .args(["-i", "none", "-k", "ignore", "z.test"])
            .arg(&file)
            .output()
            .unwrap();
        let ours = dnsd::master::parse(&origin, &whole)
            .and_then(|entries| dnsd::zone::build(&origin, entries));
        assert_eq!(
            judge.status.success(),
            good,
            "{text}: {}",
            String::from_utf8_lossy(&judge.stdout)
        );
        assert_eq!(ours.is_ok(), good, "{text}: {ours:?}");
        if let Err(mistake) = ours {
            assert!(mistake.line >= 5, "{text}: {mistake}");
        }
    }
}

#[test]
fn an_own_zone_alone_is_served_from_the_command_line() {
    let folder = folder();
    common::zones(folder.path());
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], common::free_port()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnsd"));
    command.current_dir(folder.path()).args([
        "--zone",
        "other.test=other.zone",
        "--listen",
        &address.to_string(),
    ]);
    let server = common::start(command, address);
    assert_eq!(brief(&query(server.address, "www.other.test", "A")).2, ["A 10.9.0.2"]);
    let bad = folder.path().join("bad.zone");
    std::fs::write(&bad, "$TTL 1\n@ SOA a b 1 2 3 4 5\n@ NS a\nx A 1.2.3\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dnsd"))
        .args(["--zone", &format!("bad.test={}", bad.display()), "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains("line 4: `1.2.3` is not an IPv4 address"),
        "{text}"
    );
}
