//! A lab with its own root, top-level domain and company servers, each on its own loopback
//! address; forwarding; loops and dead servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Ask, Running, admin, ask, brief, dig, dnsd, folder, free_port};
use dnswire::Flags;
use serde_json::json;

/// Root (127.77.0.1), .corp (127.77.0.2), acme.corp (127.77.0.3), and a zone of dead servers.
fn tree(folder: &Path, port: u16) -> Vec<Running> {
    let zone = |name: &str, text: &str| {
        let head = "$TTL 300\n@ SOA ns.root.lab. admin 1 3600 900 604800 60\n";
        std::fs::write(folder.join(name), format!("{head}{text}")).unwrap();
    };
    zone(
        "root.zone",
        "@ NS a.root.lab.\na.root.lab. A 127.77.0.1\ncorp. NS ns.nic.corp.\nns.nic.corp. A 127.77.0.2\nlab. NS a.root.lab.\n",
    );
    zone(
        "corp.zone",
        "@ NS ns.nic\nns.nic A 127.77.0.2\nacme NS ns1.acme\nns1.acme A 127.77.0.3\nplain NS ns1.acme.corp.\ndead NS ns.dead\nns.dead A 127.77.0.99\nlost NS ns.lost2\nlost2 NS ns.lost\n",
    );
    zone(
        "acme.zone",
        "@ NS ns1\nns1 A 127.77.0.3\nwww A 10.0.0.80\nalias CNAME www.plain.corp.\nloop CNAME loop2\nloop2 CNAME loop\nbig TXT \"x\"\n",
    );
    zone("plain.zone", "@ NS ns1.acme.corp.\nwww A 10.0.0.81\n");
    vec![
        dnsd(folder, "root", "127.77.0.1", port, "zones: [{ name: ., file: root.zone }]"),
        dnsd(folder, "corp", "127.77.0.2", port, "zones: [{ name: corp, file: corp.zone }]"),
        dnsd(
            folder,
            "acme",
            "127.77.0.3",
            port,
            "zones: [{ name: acme.corp, file: acme.zone }, { name: plain.corp, file: plain.zone }]",
        ),
    ]
}

fn resolver(folder: &Path, port: u16, more: &str) -> (Running, std::path::PathBuf) {
    let socket = folder.join("resolver.sock");
    let config = format!("admin: {}\n{more}\n", socket.display());
    (dnsd(folder, "resolver", "127.77.0.53", port, &config), socket)
}

fn wanted(name: &str, kind: &str) -> Ask {
    Ask { recursion: true, ..Ask::new(name, kind) }
}

#[test]
fn rfc1034_5_3_3_from_the_labs_root_down_with_a_cache() {
    let folder = folder();
    let port = free_port();
    let _tree = tree(folder.path(), port);
    let (server, socket) = resolver(
        folder.path(),
        port,
        &format!("recursion: {{ root_hints: {{ a.root.lab: [127.77.0.1] }}, port: {port} }}"),
    );
    let message = ask(server.address, &wanted("www.acme.corp", "A"));
    assert_eq!(brief(&message), ("NOERROR".into(), false, vec!["A 10.0.0.80".into()]));
    assert!(message.flags.has(Flags::RA) && message.flags.has(Flags::RD));
    // An alias into a zone of the same servers, delegated without glue.
    let (code, _, data) = brief(&ask(server.address, &wanted("alias.acme.corp", "A")));
    assert_eq!(
        (code.as_str(), data),
        ("NOERROR", vec!["A 10.0.0.81".to_owned(), "CNAME www.plain.corp.".to_owned()])
    );
    for (name, kind, code) in [
        ("nope.acme.corp", "A", "NXDOMAIN"),
        ("www.acme.corp", "MX", "NOERROR"),
        ("nothing.example", "A", "NXDOMAIN"),
    ] {
        let message = ask(server.address, &wanted(name, kind));
        assert_eq!(brief(&message), (code.into(), false, vec![]), "{name}");
        assert_eq!(message.authority.len(), 1, "{name}");
    }
    // A circle of aliases ends.
    assert!(ask(server.address, &wanted("loop.acme.corp", "A")).answers.len() <= 20);
    let cached = admin(&socket, json!({ "op": "cache", "name": "acme.corp" })).unwrap();
    let entries = cached["entries"].as_array().unwrap();
    assert!(
        entries.iter().any(|e| e["name"] == "www.acme.corp." && e["data"][0] == "10.0.0.80"),
        "{cached}"
    );
    assert!(
        entries.iter().any(|e| e["name"] == "nope.acme.corp." && e["known"] == "no-name"),
        "{cached}"
    );
    // From the cache the servers are not needed; flushed, they are.
    drop(_tree);
    assert_eq!(brief(&ask(server.address, &wanted("www.acme.corp", "A"))).2, ["A 10.0.0.80"]);
    assert!(admin(&socket, json!({ "op": "flush" })).unwrap()["flushed"].as_u64().unwrap() > 3);
    assert_eq!(ask(server.address, &wanted("www.acme.corp", "A")).rcode_word(), "SERVFAIL");
    // Without recursion desired nothing is resolved.
    assert_eq!(ask(server.address, &Ask::new("www.acme.corp", "A")).rcode_word(), "REFUSED");
}

#[test]
fn rfc1034_5_3_3_dead_servers_and_circles_of_delegations_end_in_time() {
    let folder = folder();
    let port = free_port();
    let _tree = tree(folder.path(), port);
    let (server, _) = resolver(
        folder.path(),
        port,
        &format!(
            "limits: {{ seconds: 2 }}\nrecursion: {{ root_hints: {{ a.root.lab: [127.77.0.1] }}, port: {port} }}"
        ),
    );
    for name in ["www.dead.corp", "www.lost.corp"] {
        let started = Instant::now();
        assert_eq!(ask(server.address, &wanted(name, "A")).rcode_word(), "SERVFAIL", "{name}");
        assert!(started.elapsed() < Duration::from_millis(2900), "{name} {:?}", started.elapsed());
    }
    assert_eq!(brief(&ask(server.address, &wanted("www.acme.corp", "A"))).2, ["A 10.0.0.80"]);
}

#[test]
fn names_are_forwarded_by_zone_or_all_and_for_those_who_may() {
    let folder = folder();
    let port = free_port();
    let _tree = tree(folder.path(), port);
    common::zones(folder.path());
    let (server, _) = resolver(
        folder.path(),
        port,
        &format!(
            "zones: [{{ name: other.test, file: other.zone }}, {{ name: own.test, text: \"$TTL 60\\n@ SOA a b 1 2 3 4 5\\n@ NS a\\na A 10.0.0.1\\nfar CNAME www.acme.corp.\\nhere CNAME www.other.test.\\n\" }}]
forward: [{{ zone: acme.corp, servers: ['127.77.0.99:{port}', '127.77.0.3:{port}'] }}]"
        ),
    );
    // The first server is dead: the second answers.
    assert_eq!(brief(&ask(server.address, &wanted("www.acme.corp", "A"))).2, ["A 10.0.0.80"]);
    // An alias of an own zone goes on at the forwarder; the first name is ours, so AA.
    let message = ask(server.address, &wanted("far.own.test", "A"));
    assert_eq!(
        brief(&message),
        ("NOERROR".into(), true, vec!["A 10.0.0.80".into(), "CNAME www.acme.corp.".into()])
    );
    assert_eq!(brief(&ask(server.address, &wanted("here.own.test", "A"))).2.len(), 2);
    assert_eq!(ask(server.address, &wanted("www.example", "A")).rcode_word(), "REFUSED");
    if let Some(text) = dig(server.address, "www.acme.corp A +tcp") {
        assert!(text.contains("10.0.0.80") && text.contains("flags: qr rd ra"), "{text}");
    }
    let config = format!(
        "allow_recursion: [10.0.0.0/8]\nforward: [{{ zone: ., servers: ['127.77.0.3:{port}'] }}]"
    );
    let closed = dnsd(folder.path(), "closed", "127.77.0.54", port, &config);
    let message = ask(closed.address, &wanted("www.acme.corp", "A"));
    assert!(message.rcode_word() == "REFUSED" && !message.flags.has(Flags::RA));
}
