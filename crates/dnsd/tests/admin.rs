//! The admin socket: changes at run time, kept over a restart; the switch; the query log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{admin, brief, folder, free_port, query, wait_for};
use serde_json::json;

const ZONE: &str =
    "$TTL 300\n@ SOA ns admin 41 3600 900 604800 60\n@ NS ns\nns A 127.0.0.1\nwww A 10.0.0.2\n";

fn start(folder: &Path, port: u16) -> (common::Running, PathBuf) {
    let socket = folder.join("dns.sock");
    let config = format!(
        "state: {0}/state\nadmin: {0}/dns.sock\nzones: [{{ name: lab.test, file: lab.zone }}]\n",
        folder.display()
    );
    (common::dnsd(folder, "admin", "127.0.0.1", port, &config), socket)
}

#[test]
fn records_are_added_changed_and_removed_and_kept_over_a_restart() {
    let folder = folder();
    std::fs::write(folder.path().join("lab.zone"), ZONE).unwrap();
    let port = free_port();
    let (server, socket) = start(folder.path(), port);
    let added =
        admin(&socket, json!({ "op": "add", "record": "mail.lab.test A 10.0.0.3" })).unwrap();
    assert_eq!((added["zone"].as_str(), added["serial"].as_u64()), (Some("lab.test."), Some(42)));
    admin(&socket, json!({ "op": "add", "zone": "lab.test", "record": "@ MX 10 mail" })).unwrap();
    assert_eq!(brief(&query(server.address, "lab.test", "MX")).2, ["MX 10 mail.lab.test."]);
    admin(&socket, json!({ "op": "change", "zone": "lab.test", "record": "www A 10.0.0.9" }))
        .unwrap();
    admin(&socket, json!({ "op": "remove", "record": "mail.lab.test A" })).unwrap();
    assert_eq!(brief(&query(server.address, "www.lab.test", "A")).2, ["A 10.0.0.9"]);
    assert_eq!(brief(&query(server.address, "mail.lab.test", "A")).0, "NXDOMAIN");

    // A wrong one is refused with line and reason, and the zone stays.
    let refused =
        admin(&socket, json!({ "op": "add", "zone": "lab.test", "record": "www CNAME ns" }))
            .unwrap_err();
    assert_eq!(refused.code, "bad-record");
    assert!(refused.message.contains("RFC 1034 section 3.6.2"), "{refused}");
    let refused =
        admin(&socket, json!({ "op": "add", "zone": "lab.test", "record": "x A 10.0.0" }))
            .unwrap_err();
    assert!(refused.message.starts_with("line 1:"), "{refused}");
    assert_eq!(
        admin(&socket, json!({ "op": "add", "record": "a.example A 10.0.0.1" })).unwrap_err().code,
        "no-such-zone"
    );
    assert_eq!(admin(&socket, json!({ "op": "bogus" })).unwrap_err().code, "bad-request");
    let zones = admin(&socket, json!({ "op": "zones" })).unwrap();
    assert_eq!(zones["zones"][0]["serial"], 45);

    drop(server);
    let (server, socket) = start(folder.path(), port);
    assert_eq!(brief(&query(server.address, "www.lab.test", "A")).2, ["A 10.0.0.9"]);
    assert_eq!(admin(&socket, json!({ "op": "zones" })).unwrap()["zones"][0]["serial"], 45);
    let records =
        admin(&socket, json!({ "op": "records", "zone": "lab.test", "name": "www" })).unwrap();
    assert_eq!(records["records"][0]["data"], "10.0.0.9");
    let text = admin(&socket, json!({ "op": "zone", "zone": "lab.test" })).unwrap();
    assert!(text["text"].as_str().unwrap().contains("www.lab.test. 300 IN A 10.0.0.9"), "{text}");

    // Its author's new file holds, with a serial that goes on.
    drop(server);
    std::fs::write(folder.path().join("lab.zone"), ZONE.replace("10.0.0.2", "10.0.0.7")).unwrap();
    let (server, socket) = start(folder.path(), port);
    assert_eq!(brief(&query(server.address, "www.lab.test", "A")).2, ["A 10.0.0.7"]);
    assert_eq!(admin(&socket, json!({ "op": "zones" })).unwrap()["zones"][0]["serial"], 46);

    // Reading again takes a good file in and keeps the old zone for a bad one.
    std::fs::write(folder.path().join("lab.zone"), ZONE.replace("10.0.0.2", "10.0.0")).unwrap();
    let refused = admin(&socket, json!({ "op": "reload" })).unwrap_err();
    assert!(refused.message.contains("line 5"), "{refused}");
    assert_eq!(brief(&query(server.address, "www.lab.test", "A")).2, ["A 10.0.0.7"]);
    std::fs::write(folder.path().join("lab.zone"), ZONE.replace(" 41 ", " 99 ")).unwrap();
    admin(&socket, json!({ "op": "reload" })).unwrap();
    assert_eq!(brief(&query(server.address, "www.lab.test", "A")).2, ["A 10.0.0.2"]);
}

#[test]
fn off_closes_the_sockets_and_holds_over_a_restart() {
    let folder = folder();
    std::fs::write(folder.path().join("lab.zone"), ZONE).unwrap();
    let port = free_port();
    let (server, socket) = start(folder.path(), port);
    let status = admin(&socket, json!({ "op": "status" })).unwrap();
    assert_eq!(status["protocols"], json!([{ "protocol": "dns", "on": true }]));
    let status = admin(&socket, json!({ "op": "switch", "protocol": "dns", "on": false })).unwrap();
    assert_eq!(status["protocols"], json!([{ "protocol": "dns", "on": false }]));
    assert!(std::net::TcpStream::connect(server.address).is_err());
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(server.address).unwrap();
    udp.send(&common::Ask::new("lab.test", "A").message().write(512)).unwrap();
    assert_eq!(udp.recv(&mut [0; 512]).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);

    let address = server.address;
    drop(server);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dnsd"));
    command
        .arg("--config")
        .arg(folder.path().join("admin.yaml"))
        .stderr(std::process::Stdio::null());
    let _server = common::Running { child: command.spawn().unwrap(), address };
    let status = wait_for("the admin socket", || admin(&socket, json!({ "op": "status" })).ok());
    assert_eq!(status["protocols"][0]["on"], false);
    admin(&socket, json!({ "op": "switch", "protocol": null, "on": true })).unwrap();
    assert_eq!(brief(&query(address, "www.lab.test", "A")).2, ["A 10.0.0.2"]);
    assert_eq!(
        admin(&socket, json!({ "op": "switch", "protocol": "smtp", "on": true })).unwrap_err().code,
        "no-such-protocol"
    );
}

#[test]
fn the_query_log_tells_who_asked_what_and_is_followed_live() {
    let folder = folder();
    std::fs::write(folder.path().join("lab.zone"), ZONE).unwrap();
    let (server, socket) = start(folder.path(), free_port());
    query(server.address, "www.lab.test", "A");
    let log = admin(&socket, json!({ "op": "queries" })).unwrap();
    let line = &log["queries"][0];
    assert_eq!(
        (
            line["client"].as_str(),
            line["name"].as_str(),
            line["type"].as_str(),
            line["code"].as_str()
        ),
        (Some("127.0.0.1"), Some("www.lab.test."), Some("A"), Some("NOERROR"))
    );
    assert!(line["ms"].as_f64().is_some() && line["authoritative"] == true && line["answers"] == 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut seen = Vec::new();
    let follow = runtime.block_on(async {
        let address = server.address;
        node::admin::ask(
            &socket,
            &json!({ "op": "queries", "follow": true, "last": 1 }),
            async |item| {
                seen.push(item["name"].as_str().unwrap().to_owned());
                match seen.len() {
                    1 => {
                        // The past has come: what is asked now must come, too.
                        tokio::task::spawn_blocking(move || query(address, "new.lab.test", "A"))
                            .await
                            .unwrap();
                        Ok(())
                    }
                    _ => Err(node::Error::new("enough", "")),
                }
            },
        )
        .await
    });
    assert_eq!(follow.unwrap_err().code, "enough");
    assert_eq!(seen, ["www.lab.test.", "new.lab.test."]);
}

#[test]
fn one_client_may_not_take_more_than_its_share() {
    let folder = folder();
    std::fs::write(folder.path().join("lab.zone"), ZONE).unwrap();
    let socket = folder.path().join("dns.sock");
    let config = format!(
        "admin: {}\nlimits: {{ per_client: 5, connections: 1, seconds: 1 }}\nzones: [{{ name: lab.test, file: lab.zone }}]\n",
        socket.display()
    );
    let server = common::dnsd(folder.path(), "limits", "127.0.0.1", free_port(), &config);
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(server.address).unwrap();
    let bytes = common::Ask::new("lab.test", "SOA").message().write(512);
    let dropped = wait_for("a dropped question", || {
        for _ in 0..20 {
            udp.send(&bytes).unwrap();
        }
        let status = admin(&socket, json!({ "op": "status" })).unwrap();
        status["dropped"].as_u64().filter(|count| *count > 0)
    });
    assert!(dropped > 0);
    // A silent connection is closed after its time and makes room.
    let mut idle = std::net::TcpStream::connect(server.address).unwrap();
    idle.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    assert_eq!(std::io::Read::read(&mut idle, &mut [0; 1]).unwrap(), 0);
}
