//! Independent clients, relays and scanners judge the server, on the real ports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use common::{Lan, Node, SHEET, Server, able, cable, hook, until};
use serde_json::json;

fn text(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn udhcpc_gets_the_sheets_first_address_with_and_without_broadcast() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let server = lan.serve(SHEET);
    let (one, two) = (lan.pc("pc1"), lan.pc("pc2"));
    let first = text(&lan.udhcpc(&one, "-x hostname:pc1"));
    assert!(first.contains("bound ip=192.168.0.51 mask=24 router=192.168.0.1 dns=192.168.0.1 domain=mt.com lease=86400 server=192.168.0.1"), "{first}");
    let second = text(&lan.udhcpc(&two, "-B"));
    assert!(second.contains("bound ip=192.168.0.52"), "{second}");
    let again = text(&lan.udhcpc(&one, "-r 192.168.0.51"));
    assert!(again.contains("ip=192.168.0.51"), "{again}");
    let binding = server.binding("192.168.0.51").unwrap();
    assert_eq!((&binding["hostname"], &binding["state"]), (&json!("pc1"), &json!("bound")));
    assert_eq!(binding["mac"], json!(one.mac("eth0")));
    one.run("ping -c 1 -W 2 192.168.0.52");
}

#[test]
fn udhcpc_declines_what_is_taken_and_the_servers_probe_saves_it_the_trouble() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let squatter = lan.pc("squatter");
    squatter.ip(&["addr add 192.168.0.51/24 dev eth0"]);
    let server = lan.serve(&format!("probe_ms: 0\n{SHEET}"));
    let one = lan.pc("pc1");
    // After its DECLINE udhcpc begins again; with -n it gives up, so it is started anew.
    until("an address past the taken one", || {
        text(&lan.udhcpc(&one, "-a200 -A 1")).contains("bound ip=192.168.0.52").then_some(())
    });
    assert_eq!(server.binding("192.168.0.51").unwrap()["state"], "quarantined");
    server.kill();

    std::fs::remove_dir_all(lan.folder.path().join("server")).unwrap();
    let server = lan.serve(&format!("probe_ms: 300\n{SHEET}"));
    let two = lan.pc("pc2");
    let got = text(&lan.udhcpc(&two, "-a200"));
    assert!(
        got.contains("bound ip=192.168.0.53") || got.contains("bound ip=192.168.0.52"),
        "{got}"
    );
    assert_eq!(server.binding("192.168.0.51").unwrap()["state"], "quarantined");
    assert!(server.log().contains("192.168.0.51 answers already"), "{}", server.log());
}

#[test]
fn udhcpc_renews_and_gives_back() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let server = lan.serve(SHEET);
    let mut pc = lan.pc("pc1");
    let log = lan.folder.path().join("udhcpc.log");
    let pid = lan.folder.path().join("udhcpc.pid");
    pc.start(&format!("udhcpc -i eth0 -f -R -p {} -s {}", pid.display(), lan.hook.display()), &log);
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    until("a lease", || read().contains("bound ip=192.168.0.51").then_some(()));
    let pid = std::fs::read_to_string(pid).unwrap();
    pc.run(&format!("kill -USR1 {}", pid.trim()));
    until("a renewal", || read().contains("renew ip=192.168.0.51").then_some(()));
    pc.run(&format!("kill -TERM {}", pid.trim()));
    until("the release", || (server.binding("192.168.0.51")?["state"] == "released").then_some(()));
    assert!(server.log().contains("kept by"), "{}", server.log());
}

#[test]
fn two_servers_share_a_link_and_only_one_is_taken() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let second = lan.pc("second");
    second.ip(&["addr add 192.168.0.2/24 dev eth0"]);
    let pool = |from: u8, to: u8| {
        format!(
            "probe_ms: 0\npools:\n  - {{name: P, subnet: 192.168.0.0/24, ranges: [192.168.0.{from}-192.168.0.{to}]}}\n"
        )
    };
    let one = lan.serve(&pool(51, 60));
    let two = Server::start(&second, &lan.folder.path().join("two"), &pool(101, 110));
    for (name, at) in [("pc1", 0), ("pc2", 1), ("pc3", 2)] {
        let pc = lan.pc(name);
        let got = text(&lan.udhcpc(&pc, ""));
        assert!(got.contains("bound ip=192.168.0."), "{got}");
        let states = |server: &Server| {
            let all = server.ask(json!({"op": "bindings"}))["bindings"].clone();
            all.as_array()
                .unwrap()
                .iter()
                .map(|b| b["state"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        // The one that was not taken has dropped its offer.
        until("one binding for each client", || {
            let all = [states(&one), states(&two)].concat();
            (all.len() == at + 1 && all.iter().all(|state| state == "bound")).then_some(())
        });
    }
}

#[test]
fn an_exhausted_pool_says_so_and_serves_again_after_a_release() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let server =
        lan.serve("pools:\n  - {name: TINY, subnet: 192.168.0.0/24, ranges: [192.168.0.51]}\n");
    let (one, two) = (lan.pc("pc1"), lan.pc("pc2"));
    assert!(lan.udhcpc(&one, "").status.success());
    assert!(!lan.udhcpc(&two, "").status.success());
    let pool = server.ask(json!({"op": "pools"}))["pools"][0].clone();
    assert_eq!((&pool["exhausted"], &pool["leased"]), (&json!(true), &json!(1)));
    assert!(pool["refused"].as_u64().unwrap() >= 1);
    assert!(
        server.log().contains("pool TINY is exhausted: all 1 addresses are taken"),
        "{}",
        server.log()
    );
    server.ask(json!({"op": "release", "address": "192.168.0.51"}));
    one.ip(&["addr flush dev eth0"]);
    assert!(text(&lan.udhcpc(&two, "")).contains("bound ip=192.168.0.51"));
}

#[test]
fn leases_survive_kill_9_and_the_switch_survives_a_restart() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let server = lan.serve(SHEET);
    let (one, two) = (lan.pc("pc1"), lan.pc("pc2"));
    assert!(text(&lan.udhcpc(&one, "")).contains("192.168.0.51"));
    server.kill();
    let server = lan.serve(SHEET);
    assert_eq!(server.binding("192.168.0.51").unwrap()["state"], "bound");
    assert!(text(&lan.udhcpc(&two, "")).contains("bound ip=192.168.0.52"));
    assert!(text(&lan.udhcpc(&one, "")).contains("bound ip=192.168.0.51"));
    let off = server.ask(json!({"op": "switch", "protocol": "dhcp", "on": false}));
    assert_eq!(off, json!({"protocols": [{"protocol": "dhcp", "on": false}]}));
    server.kill();
    let server = lan.serve(SHEET);
    assert!(!lan.udhcpc(&lan.pc("pc3"), "").status.success());
    server.ask(json!({"op": "switch", "protocol": null, "on": true}));
    assert!(text(&lan.udhcpc(&lan.pc("pc4"), "")).contains("bound ip=192.168.0.53"));
}

/// client - relay - server; the relay is started by `run`.
fn relayed(run: impl FnOnce(&mut Node, &std::path::Path)) {
    let folder = tempfile::tempdir().unwrap();
    let hook = hook(folder.path());
    let (client, mut relay, host) = (Node::new("client"), Node::new("relay"), Node::new("server"));
    cable((&client, "eth0"), (&relay, "lan"));
    cable((&relay, "wan"), (&host, "eth0"));
    relay.ip(&["addr add 10.1.0.1/24 dev lan", "addr add 10.9.0.1/24 dev wan"]);
    relay.run("sysctl -q -w net.ipv4.ip_forward=1");
    host.ip(&["addr add 10.9.0.2/24 dev eth0", "route add default via 10.9.0.1"]);
    let server = Server::start(
        &host,
        &folder.path().join("server"),
        "pools:\n  - {name: NEAR, subnet: 10.9.0.0/24}\n  - {name: FAR, subnet: 10.1.0.0/24, router: 10.1.0.1, lease: 6, t1: 2, t2: 5}\n",
    );
    run(&mut relay, folder.path());
    for broadcast in ["", "-B"] {
        let got = text(&client.try_run(&format!(
            "udhcpc -i eth0 -f -n -q -t 5 -T 1 {broadcast} -s {}",
            hook.display()
        )));
        assert!(
            got.contains("bound ip=10.1.0.2 mask=24 router=10.1.0.1"),
            "{broadcast} {got}\n{}",
            server.log()
        );
    }
    assert_eq!(server.binding("10.1.0.2").unwrap()["pool"], "FAR");
    // A client that asks for an address of another network is refused through the relay.
    let got = text(&client.try_run(&format!(
        "udhcpc -i eth0 -f -n -q -t 5 -T 1 -r 172.16.0.1 -s {}",
        hook.display()
    )));
    assert!(got.contains("bound ip=10.1.0.2"), "{got}");
}

#[test]
fn dhcrelay_brings_clients_of_another_network_with_option_82() {
    if able(&["udhcpc", "dhcrelay"]) {
        relayed(|relay, folder| {
            relay.start("dhcrelay -4 -d -a -id lan -iu wan 10.9.0.2", &folder.join("relay.log"));
            let log = folder.join("relay.log");
            until("dhcrelay", || {
                std::fs::read_to_string(&log).ok()?.contains("Sending on").then_some(())
            });
        });
    }
}

#[test]
fn our_own_relay_does_the_same() {
    if able(&["udhcpc"]) {
        relayed(|relay, folder| {
            let shown = folder.display();
            let config = format!(
                "state: {shown}/relay\nadmin: {shown}/relay.sock\nrelay:\n  - {{interface: lan, servers: [10.9.0.2], option82: true}}\n"
            );
            std::fs::write(folder.join("relay.yaml"), config).unwrap();
            relay.start(
                &format!("{} --config {shown}/relay.yaml", env!("CARGO_BIN_EXE_dhcpd")),
                &folder.join("relay.log"),
            );
            until("the relay", || {
                std::os::unix::net::UnixStream::connect(folder.join("relay.sock")).ok()
            });
        });
    }
}

#[test]
fn nmap_finds_the_server() {
    if !able(&["nmap"]) {
        return;
    }
    let lan = Lan::new();
    let _server = lan.serve(SHEET);
    let pc = lan.pc("pc1");
    pc.ip(&["addr add 192.168.0.40/24 dev eth0"]);
    let found = pc.run("nmap --script broadcast-dhcp-discover -e eth0");
    assert!(found.contains("DHCP Message Type: DHCPOFFER"), "{found}");
    assert!(
        found.contains("IP Offered: 192.168.0.51") && found.contains("Router: 192.168.0.1"),
        "{found}"
    );
}

#[test]
fn garbage_on_port_67_stops_nothing() {
    if !able(&["udhcpc"]) {
        return;
    }
    let lan = Lan::new();
    let server = lan.serve(SHEET);
    let pc = lan.pc("pc1");
    pc.ip(&["addr add 192.168.0.40/24 dev eth0"]);
    pc.run("bash -c 'for n in $(seq 200); do head -c $((RANDOM % 600)) /dev/urandom > /dev/udp/192.168.0.1/67; done'");
    let counters = until("the garbage", || {
        let counters = server.ask(json!({"op": "counters"}));
        (counters["malformed"].as_u64()? >= 190).then_some(counters)
    });
    assert_eq!(counters["replies"], 0);
    assert!(text(&lan.udhcpc(&lan.pc("pc2"), "")).contains("bound ip=192.168.0.51"));
}
