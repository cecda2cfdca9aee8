//! Signed zones, validated by delv.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Ask, Running, admin, ask, folder, free_port, tool};
use dnswire::{Flags, RecordType};
use serde_json::json;

fn start(folder: &Path, denial: &str) -> Running {
    std::fs::write(folder.join("lab.zone"), common::LAB).unwrap();
    let config = format!(
        "state: {0}/state\nadmin: {0}/dns.sock\nzones: [{{ name: lab.test, file: lab.zone, dnssec: true, denial: {denial}, allow_transfer: [127.0.0.1/32] }}]\n",
        folder.display()
    );
    common::dnsd(folder, "signed", "127.0.0.1", free_port(), &config)
}

/// What delv says of a question, with the zone's own key as the anchor.
fn delv(folder: &Path, server: &Running, question: &str) -> Option<String> {
    let program = tool("delv")?;
    let keys =
        admin(&folder.join("dns.sock"), json!({ "op": "keys", "zone": "lab.test" })).unwrap();
    let key = keys["keys"][0]["dnskey"].as_str().unwrap();
    let (numbers, key) = key.rsplit_once(' ').unwrap();
    let anchor = folder.join("anchor");
    std::fs::write(
        &anchor,
        format!("trust-anchors {{ \"lab.test.\" static-key {numbers} \"{key}\"; }};\n"),
    )
    .unwrap();
    let output = Command::new(program)
        .args(["@127.0.0.1", "-p", &server.address.port().to_string(), "-a"])
        .arg(&anchor)
        .args(["+root=lab.test"])
        .args(question.split(' '))
        .output()
        .unwrap();
    Some(
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr),
    )
}

fn judge(denial: &str) {
    let folder = folder();
    let server = start(folder.path(), denial);
    for (question, expected) in [
        ("lab.test SOA", "; fully validated"),
        ("lab.test MX", "; fully validated"),
        ("lab.test DNSKEY", "; fully validated"),
        ("www.lab.test A", "; fully validated"),
        ("WWW.lab.TEST AAAA", "; fully validated"),
        ("y.wild.lab.test A", "; fully validated"),
        ("a.y.wild.lab.test MX", "; fully validated"),
        ("unknown.lab.test TYPE65280", "; fully validated"),
        ("signed.lab.test DS", "; fully validated"),
        ("nope.lab.test A", "; negative response, fully validated"),
        ("x.nope.lab.test A", "; negative response, fully validated"),
        ("web.lab.test MX", "; negative response, fully validated"),
        ("y.wild.lab.test TXT", "; negative response, fully validated"),
        ("b.ent.lab.test A", "; negative response, fully validated"),
        ("x.wild.lab.test A", "; negative response, fully validated"),
        ("a.x.wild.lab.test A", "; negative response, fully validated"),
        ("sub.lab.test DS", "; negative response, fully validated"),
    ] {
        let Some(text) = delv(folder.path(), &server, question) else { return };
        assert!(text.contains(expected), "{denial}: {question}: {text}");
    }
    // After a change everything is signed again.
    let socket = folder.path().join("dns.sock");
    admin(&socket, json!({ "op": "add", "zone": "lab.test", "record": "new A 10.0.0.77" }))
        .unwrap();
    let text = delv(folder.path(), &server, "new.lab.test A").unwrap();
    assert!(text.contains("; fully validated") && text.contains("10.0.0.77"), "{text}");
}

#[test]
fn rfc4035_3_1_signed_answers_and_denials_by_nsec_are_validated() {
    judge("nsec");
}

#[test]
fn rfc5155_7_2_denials_by_nsec3_are_validated() {
    judge("nsec3");
}

#[test]
fn rfc4035_3_1_referrals_from_a_signed_zone_prove_ds_or_its_absence() {
    for denial in ["nsec", "nsec3"] {
        let folder = folder();
        let server = start(folder.path(), denial);
        let dnssec = |name: &str| ask(server.address, &Ask { dnssec: true, ..Ask::new(name, "A") });
        let signed = dnssec("www.signed.lab.test");
        assert!(!signed.flags.has(Flags::AA));
        assert!(signed.authority.iter().any(|r| r.kind == RecordType::DS), "{signed:?}");
        assert!(signed.authority.iter().any(|r| r.kind == RecordType::RRSIG));
        let plain = dnssec("www.sub.lab.test");
        let kind = if denial == "nsec" { RecordType::NSEC } else { RecordType::NSEC3 };
        assert!(plain.authority.iter().any(|r| r.kind == kind), "{plain:?}");
        assert!(!plain.authority.iter().any(|r| r.kind == RecordType::DS));
    }
}

#[test]
fn rfc4035_3_1_who_does_not_ask_for_dnssec_gets_none() {
    let folder = folder();
    let server = start(folder.path(), "nsec");
    let message = ask(server.address, &Ask::new("nope.lab.test", "A"));
    assert_eq!(message.authority.len(), 1);
    let message = ask(server.address, &Ask::new("web.lab.test", "A"));
    assert!(message.answers.iter().all(|r| r.kind == RecordType::A));
}

#[test]
fn a_signed_zone_satisfies_dnssec_verify() {
    for denial in ["nsec", "nsec3"] {
        let folder = folder();
        let server = start(folder.path(), denial);
        let (Some(program), Some(text)) =
            (tool("dnssec-verify"), common::dig(server.address, "lab.test AXFR +onesoa"))
        else {
            return;
        };
        let file = folder.path().join("signed.zone");
        std::fs::write(&file, text).unwrap();
        let output =
            Command::new(program).args(["-z", "-o", "lab.test"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{denial}: {said}");
    }
}

#[test]
fn the_key_stays_over_a_restart() {
    let folder = folder();
    let key = |folder: &Path| admin(&folder.join("dns.sock"), json!({ "op": "keys" })).unwrap();
    let server = start(folder.path(), "nsec");
    let first = key(folder.path());
    assert!(first["keys"][0]["ds"].as_str().unwrap().contains(" 13 2 "));
    drop(server);
    let _server = start(folder.path(), "nsec");
    assert_eq!(key(folder.path()), first);
}
