//! Secondary zones: whole and incremental copies, NOTIFY, expiry; beside BIND and NSD.
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

use common::{Running, admin, brief, dig, dnsd, folder, free_port, query, tool, wait_for};
use serde_json::json;

const ZONE: &str =
    "$TTL 300\n@ SOA ns admin 1 3600 900 604800 60\n@ NS ns\nns A 127.0.0.1\nwww A 10.0.0.2\n";

fn serial(server: SocketAddr, zone: &str) -> Option<u64> {
    let message = query(server, zone, "SOA");
    let text = message.answers.first()?.text();
    text.split(' ').nth(2)?.parse().ok()
}

fn primary(folder: &Path, ip: &str, port: u16, secondary: &str) -> (Running, std::path::PathBuf) {
    std::fs::write(folder.join("lab.zone"), ZONE).unwrap();
    let socket = folder.join("primary.sock");
    let config = format!(
        "admin: {}\nstate: {}\nzones: [{{ name: lab.test, file: lab.zone, allow_transfer: [127.0.0.0/8], notify: ['{secondary}'] }}]\n",
        socket.display(),
        folder.join("primary").display(),
    );
    (dnsd(folder, "primary", ip, port, &config), socket)
}

#[test]
fn rfc1996_3_a_secondary_follows_its_primary_and_answers_without_it() {
    let folder = folder();
    let port = free_port();
    let (primary, socket) = primary(folder.path(), "127.0.0.1", port, &format!("127.0.0.2:{port}"));
    let state = folder.path().join("secondary");
    let config = format!(
        "state: {}\nadmin: {}\nzones: [{{ name: lab.test, primaries: ['127.0.0.1:{port}'], allow_transfer: [127.0.0.0/8] }}]\n",
        state.display(),
        folder.path().join("secondary.sock").display(),
    );
    let secondary = dnsd(folder.path(), "secondary", "127.0.0.2", port, &config);
    wait_for("the first copy", || serial(secondary.address, "lab.test").filter(|n| *n == 1));
    // Told of a change, it takes the difference.
    for (record, name, expected) in [
        ("new A 10.0.0.3", "new.lab.test", "A 10.0.0.3"),
        ("x.y TXT z", "x.y.lab.test", "TXT \"z\""),
    ] {
        admin(&socket, json!({ "op": "add", "zone": "lab.test", "record": record })).unwrap();
        wait_for("the change", || {
            let (_, aa, data) =
                brief(&query(secondary.address, name, expected.split(' ').next().unwrap()));
            (aa && data == [expected]).then_some(())
        });
    }
    assert_eq!(serial(secondary.address, "lab.test"), Some(3));
    // RFC 1995 section 4: what an old copy lacks.
    if let Some(text) = dig(primary.address, "lab.test IXFR=1 +noall +answer +onesoa") {
        let records: Vec<_> = text.lines().filter(|line| line.contains("\tIN\t")).collect();
        assert!(
            records.iter().any(|line| line.contains("10.0.0.3")) && !text.contains("10.0.0.2"),
            "{text}"
        );
    }
    let refused = admin(
        &folder.path().join("secondary.sock"),
        json!({ "op": "add", "zone": "lab.test", "record": "a A 10.0.0.1" }),
    );
    assert_eq!(refused.unwrap_err().code, "secondary");
    // Restarted without its primary, it answers from its copy.
    drop(primary);
    drop(secondary);
    let secondary = dnsd(folder.path(), "secondary", "127.0.0.2", port, &config);
    assert_eq!(brief(&query(secondary.address, "new.lab.test", "A")).2, ["A 10.0.0.3"]);
    // Without any copy: no answer is better than a wrong one.
    drop(secondary);
    std::fs::remove_dir_all(&state).unwrap();
    let secondary = dnsd(folder.path(), "secondary", "127.0.0.2", port, &config);
    assert_eq!(query(secondary.address, "new.lab.test", "A").rcode_word(), "SERVFAIL");
}

fn named(folder: &Path, port: u16, zone: &str) -> Option<Running> {
    let program = tool("named")?;
    let config = folder.join("named.conf");
    let text = format!(
        "options {{ directory \"{}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; pid-file none; session-keyfile none; dnssec-validation no; notify yes;
  allow-transfer {{ any; }}; }};\ncontrols {{ }};\n{zone}\n",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(program);
    command.arg("-g").arg("-n").arg("1").arg("-c").arg(&config);
    Some(common::start(command, SocketAddr::from(([127, 0, 0, 1], port))))
}

#[test]
fn rfc5936_2_bind_copies_our_zone_and_follows_our_notices() {
    let folder = folder();
    let port = free_port();
    // BIND listens on addresses of interfaces alone, so that ours is the other loopback address.
    let (_primary, socket) =
        primary(folder.path(), "127.0.0.2", port, &format!("127.0.0.1:{port}"));
    let zone = format!(
        "zone \"lab.test\" {{ type secondary; primaries port {port} {{ 127.0.0.2; }}; file \"copy.zone\"; masterfile-format text; allow-notify {{ any; }}; }};"
    );
    let Some(bind) = named(folder.path(), port, &zone) else { return };
    wait_for("BIND's copy", || serial(bind.address, "lab.test").filter(|n| *n == 1));
    admin(&socket, json!({ "op": "add", "zone": "lab.test", "record": "new A 10.0.0.3" })).unwrap();
    wait_for("BIND's new copy", || {
        (brief(&query(bind.address, "new.lab.test", "A")).2 == ["A 10.0.0.3"]).then_some(())
    });
}

#[test]
fn rfc5936_2_we_copy_binds_zone() {
    let folder = folder();
    let port = free_port();
    std::fs::write(folder.path().join("lab.zone"), common::LAB).unwrap();
    let zone = "zone \"lab.test\" { type primary; file \"lab.zone\"; check-integrity no; check-names ignore; };";
    let Some(bind) = named(folder.path(), port, zone) else { return };
    let config = format!("zones: [{{ name: lab.test, primaries: ['127.0.0.1:{port}'] }}]\n");
    let ours = dnsd(folder.path(), "secondary", "127.0.0.2", port, &config);
    wait_for("our copy", || serial(ours.address, "lab.test"));
    for (name, kind) in [
        ("y.wild.lab.test", "A"),
        ("big.lab.test", "TXT"),
        ("www.sub.lab.test", "A"),
        ("unknown.lab.test", "TYPE65280"),
    ] {
        let (a, b) = (query(ours.address, name, kind), query(bind.address, name, kind));
        assert_eq!(common::texts(&a.answers), common::texts(&b.answers), "{name}");
    }
}
