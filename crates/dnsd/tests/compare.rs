//! The same zones beside NSD and BIND: every field of every answer, and every difference explained.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use common::{Running, ask, free_port, questions, start, texts, tool};
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

/// The fields of an answer that must agree. Left out, as each server is free in them: the
/// authority's NS of a positive answer and additional records other than glue.
fn fields(message: &Message) -> Vec<(&'static str, String)> {
    let referral =
        message.answers.is_empty() && message.authority.iter().any(|r| r.kind.to_string() == "NS");
    let negative = message.answers.is_empty() || message.rcode != 0;
    let truncated = message.flags.has(Flags::TC);
    let list = |records: &[dnswire::Record]| {
        if truncated { String::new() } else { texts(records).join(" | ") }
    };
    vec![
        ("rcode", message.rcode_word()),
        ("aa", message.flags.has(Flags::AA).to_string()),
        ("tc", truncated.to_string()),
        ("rd", message.flags.has(Flags::RD).to_string()),
        ("ra", message.flags.has(Flags::RA).to_string()),
        ("question", format!("{:?}", message.questions)),
        (
            "edns",
            message
                .edns
                .as_ref()
                .map(|edns| (edns.version, edns.dnssec))
                .map(|e| format!("{e:?}"))
                .unwrap_or_default(),
        ),
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
            let explained = EXPLAINED
                .iter()
                .any(|(who, what, which, _)| *who == name && *what == asked && *which == field);
            if our != their && !explained {
                found.push(format!(
                    "{name}: {asked} {:?}: {field}\n   ours   {our}\n   theirs {their}",
                    (question.size, question.dnssec, question.class)
                ));
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
