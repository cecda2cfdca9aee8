//! Routers between nodes: RIP around a cut, access lists, translation, DHCP from the console.
//!
//! Cables between nodes of different namespaces can only be laid by root.

// A test says what failed by panicking, and what it skipped by printing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{Node, PATIENCE, possible};
use node::Client;
use node::config::{Address, Config, Kind, Link, Route};
use node::request::{LinkAction, LinkStatus, Output, Request, Status};
use serde_json::{Value, json};

fn run(test: impl AsyncFnOnce()) {
    if !possible() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "cables between namespaces need root");
        println!("SKIPPED: cables between namespaces need root");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE * 4, test()).await.expect("in time");
    });
}

/// A link named like its network, with its address.
fn link(node: u8, number: u8, name: &str, address: &str) -> Link {
    Link {
        network: name.into(),
        name: name.into(),
        mac: format!("02:00:00:00:{node:02x}:{number:02x}"),
        address: match address {
            "dhcp" => Address::Dhcp,
            address => Address::Static(address.parse().unwrap()),
        },
        transport: None,
    }
}

fn host(node: u8, name: &str, address: &str, gateway: &str) -> Config {
    let mut config = Config {
        node: format!("pc{node}"),
        links: vec![link(node, 0, name, address)],
        ..Config::default()
    };
    if !gateway.is_empty() {
        let (to, via) = ("0.0.0.0/0".parse().unwrap(), gateway.parse().unwrap());
        config.routes.push(Route { to, via, metric: 1 });
    }
    config
}

fn router(node: u8, links: &[(&str, &str)], text: &str) -> Config {
    let names: Vec<&str> = links.iter().map(|(name, _)| *name).collect();
    let mut said = ios::parse_for(text, &names).unwrap();
    said.complete(&ios::Names::new(&names));
    said.hostname = format!("R{node}");
    let numbered = links.iter().zip(0u8..);
    let links: Vec<Link> =
        numbered.map(|((name, address), at)| link(node, at, name, address)).collect();
    for link in &links {
        let Address::Static(address) = link.address else { continue };
        said.interfaces.iter_mut().find(|i| i.name == link.name).unwrap().address = Some(address);
    }
    Config {
        node: format!("r{node}"),
        kind: Kind::Router,
        forwarding: true,
        links,
        router: Some(serde_json::to_value(said).unwrap()),
        ..Config::default()
    }
}

/// Lays a cable of that network between two nodes.
fn plug(network: &str, a: &Node, b: &Node) {
    let status = Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", a.pid))
        .args(["ip", "link", "add", "name", network, "type", "veth", "peer", "name", network])
        .args(["netns", &b.pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

async fn ready(client: &Client) -> Status {
    client.call(&Request::Ready { timeout_ms: 20_000 }).await.unwrap()
}

async fn pings(client: &Client, to: &str) -> bool {
    let probe = json!({"ping": {"to": to, "timeout_ms": 300}});
    let answer: Value = client.call(&Request::Probe(probe)).await.unwrap();
    // Someone answered, and not to say that it cannot be reached.
    answer["ok"]["received"] == 1
}

/// Pings until it works; how long that took.
async fn pings_within(client: &Client, to: &str, limit: Duration) -> Duration {
    let started = Instant::now();
    while !pings(client, to).await {
        assert!(started.elapsed() < limit, "{to} is not reached within {limit:?}");
    }
    started.elapsed()
}

async fn console(client: &Client, lines: &str) -> String {
    let output: Output = client.call(&Request::Console { line: lines.into() }).await.unwrap();
    assert_eq!(output.code, 0, "{}", output.stdout);
    output.stdout
}

#[test]
fn rip_finds_the_way_and_another_one_when_a_cable_is_cut() {
    run(async || {
        let rip = "router rip\n version 2\n no auto-summary\n network 10.0.0.0\n network 192.168.1.0\n network 192.168.3.0\n";
        let one = [("lan1", "192.168.1.1/24"), ("a", "10.0.1.1/30"), ("c", "10.0.3.1/30")];
        let two = [("a", "10.0.1.2/30"), ("b", "10.0.2.1/30")];
        let three = [("lan3", "192.168.3.1/24"), ("b", "10.0.2.2/30"), ("c", "10.0.3.2/30")];
        let r1 = Node::start(&router(1, &one, rip), "");
        let r2 = Node::start(&router(2, &two, rip), "");
        let r3 = Node::start(&router(3, &three, rip), "");
        let pc1 = Node::start(&host(11, "lan1", "192.168.1.10/24", "192.168.1.1"), "");
        let pc3 = Node::start(&host(13, "lan3", "192.168.3.10/24", "192.168.3.1"), "");
        plug("lan1", &r1, &pc1);
        plug("lan3", &r3, &pc3);
        plug("a", &r1, &r2);
        plug("b", &r2, &r3);
        plug("c", &r1, &r3);
        let (client, pc) = (r1.client(), pc1.client());
        for node in [&r1, &r2, &r3, &pc1, &pc3] {
            ready(&node.client()).await;
        }
        let found = pings_within(&pc, "192.168.3.10", Duration::from_secs(20)).await;
        let shown = console(&client, "show ip route").await;
        assert!(shown.contains("R    192.168.3.0/24 [120/1] via 10.0.3.2"), "{shown}");
        let down = Request::Link { network: "c".into(), action: LinkAction::Down };
        let _: LinkStatus = client.call(&down).await.unwrap();
        let around = pings_within(&pc, "192.168.3.10", Duration::from_secs(20)).await;
        let shown = console(&client, "show ip route").await;
        assert!(shown.contains("R    192.168.3.0/24 [120/2] via 10.0.1.2"), "{shown}");
        let up = Request::Link { network: "c".into(), action: LinkAction::Up };
        let _: LinkStatus = client.call(&up).await.unwrap();
        let started = Instant::now();
        while !console(&client, "show ip route").await.contains("[120/1] via 10.0.3.2") {
            assert!(started.elapsed() < Duration::from_secs(20));
        }
        println!(
            "RIP: found in {found:.0?}, around a cut in {around:.0?}, back in {:.0?}",
            started.elapsed()
        );
        assert!(pings(&pc, "192.168.3.10").await);
    });
}

#[test]
fn lists_deny_and_count_and_translation_hides_the_inside() {
    run(async || {
        let text = "access-list 1 permit 192.168.1.0 0.0.0.255\n\
            access-list 100 deny icmp any host 10.0.0.3\n\
            access-list 100 permit ip any any\n\
            ip nat inside source list 1 interface FastEthernet0/1 overload\n\
            ip nat inside source static tcp 192.168.1.10 7 10.0.0.1 7007\n\
            interface FastEthernet0/0\n ip nat inside\n ip access-group 100 in\n\
            interface FastEthernet0/1\n ip nat outside\n";
        let r1 =
            Node::start(&router(1, &[("lan", "192.168.1.1/24"), ("wan", "10.0.0.1/24")], text), "");
        let inside = Node::start(&host(2, "lan", "192.168.1.10/24", "192.168.1.1"), "");
        // The outside knows no way to the inside.
        let outside = Node::start(&host(3, "wan", "10.0.0.2/24", ""), "");
        plug("lan", &r1, &inside);
        plug("wan", &r1, &outside);
        let (client, pc, far) = (r1.client(), inside.client(), outside.client());
        for client in [&client, &pc, &far] {
            ready(client).await;
        }
        assert!(pings(&pc, "10.0.0.2").await);
        assert!(!pings(&pc, "10.0.0.3").await);
        let lists = console(&client, "show access-lists").await;
        assert!(lists.contains("10 deny icmp any host 10.0.0.3 (1 match"), "{lists}");
        let translations = console(&client, "show ip nat translations").await;
        assert!(
            translations.contains("192.168.1.10") && translations.contains("10.0.0.1"),
            "{translations}"
        );
        // The forwarded port leads to a program of the inside.
        let serve = "nohup python3 -c 'import socket; s=socket.create_server((\"\",7)); \
            s.accept()[0].sendall(b\"hello\")' >/dev/null 2>&1 &";
        let exec = |line: &str| Request::Exec {
            command: ["sh", "-c", line].map(str::to_owned).to_vec(),
            timeout_ms: 10_000,
        };
        let _: Output = pc.call(&exec(serve)).await.unwrap();
        let ask = "while ! read -r -n 5 word < /dev/tcp/10.0.0.1/7007; do :; done; echo $word";
        let asked: Output =
            far.call(&exec(&format!("timeout 10 bash -c '{ask}' 2>/dev/null"))).await.unwrap();
        assert_eq!(asked.stdout, "hello\n");
        // Without its list the interface lets everything through.
        console(
            &client,
            "configure terminal\ninterface FastEthernet0/0\nno ip access-group 100 in",
        )
        .await;
        assert!(pings(&pc, "10.0.0.2").await);
        assert!(!console(&client, "show access-lists").await.contains("match"));
    });
}

#[test]
fn a_pool_typed_at_the_console_serves_and_stays_over_a_restart() {
    run(async || {
        let mut r1 = Node::start(&router(1, &[("lan", "192.168.10.1/24")], ""), "");
        let pc = Node::start(&host(2, "lan", "dhcp", ""), "");
        plug("lan", &r1, &pc);
        let (client, hers) = (r1.client(), pc.client());
        ready(&client).await;
        console(
            &client,
            "configure terminal\n\
             ip dhcp excluded-address 192.168.10.1 192.168.10.50\n\
             ip dhcp pool BACKEND\n network 192.168.10.0 255.255.255.0\n\
             \x20default-router 192.168.10.1\n dns-server 192.168.30.53\nend",
        )
        .await;
        let status = ready(&hers).await;
        assert_eq!(status.links[0].address.as_deref(), Some("192.168.10.51/24"));
        assert_eq!(pc.read("/etc/resolv.conf"), "nameserver 192.168.30.53\n");
        let bindings = console(&client, "show ip dhcp binding").await;
        assert!(bindings.contains("192.168.10.51"), "{bindings}");
        // A session keeps its mode, and its prompt says which.
        let line = |line: &str| Request::Admin {
            service: "console".into(),
            request: json!({"op": "line", "session": "s", "line": line}),
        };
        let prompts =
            [("enable", "R1#"), ("conf t", "R1(config)#"), ("int fa0/0", "R1(config-if)#")];
        for (typed, prompt) in prompts {
            let done: Value = client.call(&line(typed)).await.unwrap();
            assert_eq!(
                (&done["prompt"], &done["failed"]),
                (&json!(prompt), &json!(false)),
                "{done}"
            );
        }
        let _: Value = client.call(&line("ip address 192.168.10.2 255.255.255.0")).await.unwrap();
        let moved = console(&client, "show ip interface brief").await;
        assert!(moved.contains("192.168.10.2"), "{moved}");
        r1.restart();
        // The kernel takes the old cable away when it comes to it.
        let gone = "while ip link show lan; do sleep 0.01; done >/dev/null 2>&1";
        let command = ["sh", "-c", gone].map(str::to_owned).to_vec();
        let _: Output = hers.call(&Request::Exec { command, timeout_ms: 10_000 }).await.unwrap();
        plug("lan", &r1, &pc);
        let client = r1.client();
        let status = ready(&client).await;
        assert_eq!(status.links[0].address.as_deref(), Some("192.168.10.2/24"));
        assert!(status.services[0].running, "{status:?}");
        let kept = console(&client, "show running-config").await;
        assert!(kept.contains("ip dhcp pool BACKEND"), "{kept}");
        // Shut down, the interface is nobody's fault; the node is ready.
        console(&client, "configure terminal\ninterface fa0/0\nshutdown").await;
        assert!(!ready(&client).await.links[0].up);
        let shown = console(&client, "show ip interface brief").await;
        assert!(shown.contains("administratively down"), "{shown}");
    });
}
