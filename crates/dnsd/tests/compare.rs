//! The same zones beside NSD and BIND: every field of every answer, and every difference explained.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use common::{Ask, Running, ask, free_port, start, texts, tool};
use dnswire::{Flags, Message};

fn nsd(folder: &Path) -> Option<Running> {
    let program = tool("nsd")?;
    let port = free_port();
    let config = folder.join("nsd.conf");
    let folder = folder.display();
    std::fs::write(
        &config,
        format!(
            "server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: \"\"
  chroot: \"\"
  zonesdir: \"{folder}\"
  database: \"\"
  pidfile: \"\"
  xfrdfile: \"{folder}/xfrd.state\"
  zonelistfile: \"{folder}/zone.list\"
  xfrdir: \"{folder}\"
  logfile: \"{folder}/nsd.log\"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: lab.test
  zonefile: lab.zone
zone:
  name: other.test
  zonefile: other.zone
"
        ),
    )
    .unwrap();
    let mut command = Command::new(program);
    command.arg("-d").arg("-c").arg(&config);
    Some(start(command, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn bind(folder: &Path) -> Option<Running> {
    let program = tool("named")?;
    let port = free_port();
    let config = folder.join("named.conf");
    let folder = folder.display();
    std::fs::write(
        &config,
        format!(
            "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; pid-file none; session-keyfile none; dnssec-validation no; empty-zones-enable no;
  minimal-responses no-auth; max-udp-size 1232; minimal-any yes; check-names primary ignore; rate-limit {{ responses-per-second 0; }}; }};
controls {{ }};
zone \"lab.test\" {{ type primary; file \"lab.zone\"; check-integrity no; }};
zone \"other.test\" {{ type primary; file \"other.zone\"; }};
"
        ),
    )
    .unwrap();
    let mut command = Command::new(program);
    command.arg("-g").arg("-n").arg("1").arg("-c").arg(&config);
    Some(start(command, SocketAddr::from(([127, 0, 0, 1], port))))
}

fn questions() -> Vec<Ask> {
    let mut all: Vec<Ask> = [
        "lab.test SOA", "lab.test NS", "lab.test MX", "lab.test TXT", "lab.test CAA", "lab.test A", "lab.test SRV",
        "ns1.lab.test A", "mail.lab.test A", "mail.lab.test AAAA", "mail.lab.test TXT", "web.lab.test A",
        "WWW.Lab.TEST A", "www.lab.test CNAME", "www.lab.test AAAA", "www.lab.test MX", "deep.lab.test A",
        "dead.lab.test A", "far.lab.test A", "loop.lab.test A", "_dmarc.lab.test TXT", "sel._domainkey.lab.test TXT",
        "_imap._tcp.lab.test SRV", "_tcp.lab.test A", "_domainkey.lab.test TXT", "nope.lab.test A",
        "nope.nope.lab.test MX", "x.web.lab.test A", "y.wild.lab.test A", "y.wild.lab.test MX", "y.wild.lab.test TXT",
        "a.y.wild.lab.test A", "x.wild.lab.test A", "x.wild.lab.test TXT", "a.x.wild.lab.test A", "wild.lab.test A",
        "*.wild.lab.test A", "y.alias.lab.test A", "y.alias.lab.test CNAME", "ent.lab.test A", "b.ent.lab.test A",
        "a.b.ent.lab.test A", "x.b.ent.lab.test A", "sub.lab.test A", "sub.lab.test NS", "sub.lab.test DS",
        "www.sub.lab.test A", "ns.sub.lab.test A", "signed.lab.test DS", "www.signed.lab.test A", "dn.lab.test DNAME",
        "www.dn.lab.test DNAME", "dn.lab.test A", "unknown.lab.test TYPE65280", "info.lab.test HINFO",
        "big.lab.test TXT", "other.test SOA", "www.other.test A", "nowhere.example A", "test A", "lab.test DS",
        "lab.test ANY", "web.lab.test ANY",
    ]
    .iter()
    .map(|line| {
        let (name, kind) = line.split_once(' ').unwrap();
        Ask::new(name, kind)
    })
    .collect();
    for (name, kind, size) in [("big.lab.test", "TXT", None), ("big.lab.test", "TXT", Some(512)), ("web.lab.test", "A", None)] {
        all.push(Ask { size, ..Ask::new(name, kind) });
    }
    all.push(Ask { dnssec: true, ..Ask::new("nope.lab.test", "A") });
    all.push(Ask { dnssec: true, ..Ask::new("www.signed.lab.test", "A") });
    all.push(Ask { class: 3, ..Ask::new("web.lab.test", "A") });
    all.push(Ask { recursion: true, ..Ask::new("web.lab.test", "A") });
    all.push(Ask { recursion: true, ..Ask::new("www.sub.lab.test", "A") });
    all
}

/// The fields of an answer that must agree. Left out, as each server is free in them: the
/// authority's NS of a positive answer and additional records other than glue.
fn fields(message: &Message) -> Vec<(&'static str, String)> {
    let referral = message.answers.is_empty() && message.authority.iter().any(|r| r.kind.to_string() == "NS");
    let negative = message.answers.is_empty() || message.rcode != 0;
    let truncated = message.flags.has(Flags::TC);
    let list = |records: &[dnswire::Record]| if truncated { String::new() } else { texts(records).join(" | ") };
    vec![
        ("rcode", message.rcode_word()),
        ("aa", message.flags.has(Flags::AA).to_string()),
        ("tc", truncated.to_string()),
        ("rd", message.flags.has(Flags::RD).to_string()),
        ("ra", message.flags.has(Flags::RA).to_string()),
        ("question", format!("{:?}", message.questions)),
        ("edns", message.edns.as_ref().map(|edns| (edns.version, edns.dnssec)).map(|e| format!("{e:?}")).unwrap_or_default()),
        ("answer", list(&message.answers)),
        ("authority", if referral || negative { list(&message.authority) } else { String::new() }),
        ("glue", if referral { list(&message.additional) } else { String::new() }),
    ]
}

/// Differences that are meant: server, question, field, why.
const EXPLAINED: &[(&str, &str, &str, &str)] = &[
    (
        "nsd",
        "WWW.Lab.TEST A",
        "answer",
        "NSD compresses the alias' target against the question, so that it comes in the client's case; ours keeps the zone's",
    ),
    (
        "bind",
        "loop.lab.test A",
        "rcode",
        "BIND 9.18 turns a circle of aliases into SERVFAIL; NSD and ours give the circle (RFC 1034 section 5.2.2 leaves the error to the resolver)",
    ),
];

fn compare(name: &str, theirs: SocketAddr, ours: SocketAddr) -> Vec<String> {
    let mut found = Vec::new();
    for question in questions() {
        let (a, b) = (ask(ours, &question), ask(theirs, &question));
        for ((field, our), (_, their)) in fields(&a).into_iter().zip(fields(&b)) {
            let asked = format!("{} {}", question.name, question.kind);
            let explained = EXPLAINED.iter().any(|(who, what, which, _)| *who == name && *what == asked && *which == field);
            if our != their && !explained {
                found.push(format!("{name}: {asked} {:?}: {field}\n   ours   {our}\n   theirs {their}", (question.size, question.dnssec, question.class)));
            }
        }
    }
    found
}

#[test]
fn answers_agree_with_nsd_and_bind_field_by_field() {
    assert!(questions().len() >= 40);
    let folder = common::folder();
    let ours = common::lab(folder.path());
    let mut found = Vec::new();
    if let Some(nsd) = nsd(folder.path()) {
        found.extend(compare("nsd", nsd.address, ours.address));
    }
    if let Some(bind) = bind(folder.path()) {
        found.extend(compare("bind", bind.address, ours.address));
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
