//! An agent as process 1 of a node, driven over its socket as labctl drives it.

// A test says what failed by panicking, and what it skipped by printing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::time::Duration;

use common::{Node, PATIENCE, possible};
use node::client::Event;
use node::config::{Address, Config, Kind, Link, Port, Route, Service, Transport};
use node::request::{LinkAction, LinkStatus, Output, Request, Status, Switch};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// As Docker leaves it: an address and a default route of the engine's on `eth0`.
const LINKS: &str = "
ip link add eth0 type veth peer name peer0
ip link set peer0 up
ip addr add 198.18.0.2/28 dev eth0
ip link set eth0 up
ip route add default via 198.18.0.1
";

/// Puts the other end of the cable into another namespace, as 192.168.1.1; the number of a process
/// there is in `/other`.
const OTHER: &str = r#"
unshare -n sleep 1000 &
echo $! > "$R/other"
other="$R/proc/$!/ns/net"
while [ "$(readlink $other)" = "$(readlink $R/proc/self/ns/net)" ]; do :; done
ip link set peer0 netns $!
nsenter --net=$other ip addr add 192.168.1.1/24 dev peer0
nsenter --net=$other ip link set peer0 up
"#;

fn config() -> Config {
    let port =
        |protocol: &str, port| Port { protocol: protocol.into(), transport: Transport::Tcp, port };
    Config {
        lab: "test".into(),
        node: "mail".into(),
        kind: Kind::Server,
        links: vec![Link {
            network: "lan".into(),
            name: "lan".into(),
            mac: "02:00:00:00:00:02".into(),
            address: Address::Static("192.168.1.2/24".parse().unwrap()),
            transport: Some([198, 18, 0, 2].into()),
        }],
        routes: vec![
            Route { to: "0.0.0.0/0".parse().unwrap(), via: [192, 168, 1, 1].into(), metric: 1 },
            // A mistake of the lab's, which the node must survive.
            Route { to: "10.0.0.0/8".parse().unwrap(), via: [172, 16, 0, 1].into(), metric: 1 },
        ],
        resolver: node::config::Resolver {
            servers: vec![[192, 168, 1, 5].into()],
            search: vec!["mail.com".into()],
            hosts: vec![([192, 168, 1, 5].into(), vec!["dns".into()])],
        },
        services: vec![Service {
            name: "mail".into(),
            program: "testd".into(),
            config: "testd.json".into(),
            enabled: true,
            ports: vec![port("smtp", 25), port("pop3", 110)],
        }],
        files: [(
            "/etc/labctl/testd.json".to_owned(),
            json!({
                "admin": "/run/labctl/mail.sock",
                "tcp": {"smtp": 25, "pop3": 110},
                "crash": "/tmp/crash",
            })
            .to_string(),
        )]
        .into(),
        ..Config::default()
    }
}

fn run(test: impl AsyncFnOnce(Node)) {
    if !possible() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::start(&config(), LINKS);
        tokio::time::timeout(PATIENCE * 3, test(node)).await.expect("in time");
    });
}

async fn ready(client: &node::Client) -> Status {
    client.call(&Request::Ready { timeout_ms: 20_000 }).await.unwrap()
}

fn link(action: LinkAction) -> Request {
    Request::Link { network: "lan".into(), action }
}

/// Runs a command at the other end of the cable.
fn other(line: &str) -> String {
    format!("nsenter -t $(cat /other) -n {line}")
}

async fn exec(client: &node::Client, line: &str) -> Output {
    let command = ["sh", "-c", line].map(str::to_owned).to_vec();
    client.call(&Request::Exec { command, timeout_ms: 20_000 }).await.unwrap()
}

#[test]
fn a_node_gets_ready_with_its_link_route_names_and_service_and_ends_at_once() {
    run(async |mut node| {
        let client = node.client();
        let status = ready(&client).await;
        assert!(status.ready && status.waiting_for.is_empty());
        let lan = &status.links[0];
        assert_eq!(
            (lan.name.as_str(), lan.mac.as_str(), lan.up),
            ("lan", "02:00:00:00:00:02", true)
        );
        assert_eq!(
            (lan.address.as_deref(), lan.method.as_str()),
            (Some("192.168.1.2/24"), "static")
        );
        let on = |protocol: &str| Switch { protocol: protocol.into(), on: true };
        assert_eq!(status.services[0].protocols, [on("pop3"), on("smtp")]);
        assert_eq!(node.read("/etc/resolv.conf"), "search mail.com\nnameserver 192.168.1.5\n");
        assert_eq!(node.read("/etc/hostname"), "mail\n");
        assert!(node.read("/etc/hosts").contains("192.168.1.2\tmail\n192.168.1.5\tdns\n"));
        let seen = exec(&client, "ip -4 addr; ip route; ls /sys/class/net 2>/dev/null; ip link")
            .await
            .stdout;
        assert!(!seen.contains("198.18.0") && !seen.contains("eth0@"), "{seen}");
        assert!(seen.contains("default via 192.168.1.1 dev lan proto static metric 1"), "{seen}");
        assert!(node.stop() < Duration::from_secs(1));
    });
}

#[test]
fn a_whole_service_and_one_protocol_are_switched_and_stay_so_over_a_restart() {
    run(async |mut node| {
        let client = node.client();
        ready(&client).await;
        let switch = |protocol: Option<&str>, on| Request::Service {
            service: "mail".into(),
            protocol: protocol.map(Into::into),
            on,
        };
        let smtp: Switch = client.call(&switch(Some("smtp"), Some(false))).await.unwrap();
        assert!(!smtp.on);
        assert_eq!(client.connect("127.0.0.1", 25).await.unwrap_err().code, "connect");
        client.connect("127.0.0.1", 110).await.unwrap();
        let all: Switch = client.call(&switch(None, Some(false))).await.unwrap();
        assert_eq!((all.protocol.as_str(), all.on), ("mail", false));
        assert_eq!(client.connect("127.0.0.1", 110).await.unwrap_err().code, "connect");
        let asked = Request::Admin { service: "mail".into(), request: json!({"op": "status"}) };
        assert_eq!(client.call::<Value>(&asked).await.unwrap_err().code, "service-off");
        node.restart();
        let client = node.client();
        let status = ready(&client).await;
        assert!(!status.services[0].running, "{status:?}");
        let on: Switch = client.call(&switch(Some("smtp"), Some(true))).await.unwrap();
        assert!(on.on);
        client.connect("127.0.0.1", 25).await.unwrap();
        let unknown: node::Error =
            client.call::<Switch>(&switch(Some("gopher"), None)).await.unwrap_err();
        assert_eq!(unknown.help.as_deref(), Some("it has: pop3, smtp"));
    });
}

#[test]
fn a_crashed_service_comes_back_and_says_why_it_went() {
    run(async |node| {
        let client = node.client();
        ready(&client).await;
        std::fs::write(node.path("/tmp/crash"), "").unwrap();
        let kill =
            "for p in /proc/[0-9]*; do grep -q ^testd $p/cmdline && kill -9 ${p#/proc/}; done";
        exec(&client, kill).await;
        let late = loop {
            // The agent may not have heard of the end yet.
            match client.call::<Status>(&Request::Ready { timeout_ms: 50 }).await {
                Err(error) if error.message.contains("this is why") => break error,
                _ => {}
            }
        };
        assert_eq!(late.code, "not-ready");
        assert!(late.message.contains("service mail does not run"), "{late}");
        std::fs::remove_file(node.path("/tmp/crash")).unwrap();
        let status = ready(&client).await;
        assert!(status.services[0].running && status.services[0].restarts > 0, "{status:?}");
        assert_eq!(status.services[0].error, None);
    });
}

#[test]
fn a_cable_is_pulled_and_plugged_in_and_an_address_changed() {
    run(async |mut node| {
        let client = node.client();
        ready(&client).await;
        let down: LinkStatus = client.call(&link(LinkAction::Down)).await.unwrap();
        assert!(!down.up);
        assert!(exec(&client, "ip link show peer0").await.stdout.contains("NO-CARRIER"));
        node.restart();
        let client = node.client();
        assert!(!ready(&client).await.links[0].up);
        let up: LinkStatus = client.call(&link(LinkAction::Up)).await.unwrap();
        assert!(up.up);
        assert!(exec(&client, "ip route").await.stdout.contains("default via 192.168.1.1"));
        let address = Address::Static("192.168.1.9/24".parse().unwrap());
        let moved: LinkStatus = client.call(&link(LinkAction::Address(address))).await.unwrap();
        assert_eq!(moved.address.as_deref(), Some("192.168.1.9/24"));
        assert!(exec(&client, "ip route").await.stdout.contains("default via 192.168.1.1"));
        assert!(node.read("/etc/hosts").contains("192.168.1.9\tmail"));
        let wrong = Request::Link { network: "wan".into(), action: LinkAction::Show };
        let wrong = client.call::<LinkStatus>(&wrong).await.unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("it is on: lan"));
    });
}

#[test]
fn commands_run_orphans_are_buried_and_bytes_go_through() {
    run(async |node| {
        let client = node.client();
        ready(&client).await;
        let output = exec(&client, "echo hello; (sleep 0.05 & ) ; exit 5").await;
        assert_eq!((output.code, output.stdout.as_str()), (5, "hello\n"));
        // An orphan that ended is gone from the table of processes.
        let orphan = exec(&client, "(sh -c 'echo $$; exec sleep 0.1' &)").await.stdout;
        let orphan = orphan.trim();
        assert!(!orphan.is_empty());
        let gone = format!(
            "i=0; while [ -e /proc/{orphan} ] && [ $i -lt 2000 ]; do i=$((i+1)); sleep 0.01; done; \
             [ ! -e /proc/{orphan} ]"
        );
        assert_eq!(exec(&client, &gone).await.code, 0);
        let mut stream = client.connect("127.0.0.1", 25).await.unwrap();
        stream.write_all(b"echo").await.unwrap();
        let mut back = [0; 4];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"echo");
        let count = Request::Admin { service: "mail".into(), request: json!({"op": "count"}) };
        let mut replies = client.stream(&count).await.unwrap();
        let mut items = 0;
        while let Event::Item(_) = replies.next().await.unwrap() {
            items += 1;
        }
        assert_eq!(items, 3);
        let console = client.call::<Output>(&Request::Console { line: "show".into() }).await;
        assert_eq!(console.unwrap_err().code, "no-console");
        let facts: Value = client.call(&Request::Probe(json!({"facts": {}}))).await.unwrap();
        assert!(facts.to_string().contains("192.168.1.2/24"), "{facts}");
    });
}

#[test]
fn a_snapshot_brings_the_state_back() {
    run(async |node| {
        let client = node.client();
        ready(&client).await;
        exec(&client, "mkdir -p /var/lib/labctl/mail; echo one > /var/lib/labctl/mail/box").await;
        let snapshot: Value = client.call(&Request::Snapshot).await.unwrap();
        let _: LinkStatus = client.call(&link(LinkAction::Down)).await.unwrap();
        exec(&client, "echo two > /var/lib/labctl/mail/box; touch /var/lib/labctl/mail/more").await;
        let archive = snapshot["archive"].as_str().unwrap().to_owned();
        let _: Value = client.call(&Request::Restore { archive }).await.unwrap();
        assert_eq!(node.read("/var/lib/labctl/mail/box"), "one\n");
        assert!(!node.path("/var/lib/labctl/mail/more").exists());
        let status = ready(&client).await;
        assert!(status.links[0].up && status.services[0].running);
        let damaged = Request::Restore { archive: "AAAA".into() };
        assert_eq!(client.call::<Value>(&damaged).await.unwrap_err().code, "bad-request");
    });
}

#[test]
fn a_firewall_drops_or_refuses_what_its_lines_say_and_counts() {
    if !possible() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config();
        config.firewall = ["deny in icmp", "reject in tcp 25", "allow in tcp 1-200", "deny in"]
            .map(str::to_owned)
            .to_vec();
        let node = Node::start(&config, &format!("{LINKS}{OTHER}"));
        let client = node.client();
        ready(&client).await;
        let nc = |port: u16| other(&format!("bash -c 'exec 3<>/dev/tcp/192.168.1.2/{port}' 2>&1"));
        assert_eq!(exec(&client, &other("ping -c 1 -W 1 192.168.1.2")).await.code, 1);
        assert_eq!(exec(&client, "ping -c 1 -W 5 192.168.1.1").await.code, 0);
        assert_eq!(exec(&client, &nc(110)).await.code, 0);
        let refused = exec(&client, &nc(25)).await;
        assert!(refused.code == 1 && refused.stdout.contains("refused"), "{refused:?}");
        let counters = Request::Admin { service: "firewall".into(), request: Value::Null };
        let counters: Vec<Value> = client.call(&counters).await.unwrap();
        assert_eq!(counters[0], json!({"id": "deny in icmp", "packets": 1, "bytes": 84}));
        assert_eq!(counters[1]["packets"], 1);
        assert_eq!(counters[2]["packets"], 1);
    });
}

#[test]
fn a_link_is_made_bad_and_good_again_and_stays_so_over_a_restart() {
    run(async |mut node| {
        let client = node.client();
        ready(&client).await;
        let impair = |loss, delay_ms| link(LinkAction::Impair { loss, delay_ms, rate_bps: None });
        let _: LinkStatus = client.call(&impair(Some(1.0), None)).await.unwrap();
        let table = exec(&client, "nft list ruleset").await.stdout;
        assert!(table.contains("numgen random mod 1000000 < 1000000"), "{table}");
        node.restart();
        let client = node.client();
        ready(&client).await;
        assert!(exec(&client, "nft list ruleset").await.stdout.contains("impair-lan"));
        let _: LinkStatus = client.call(&impair(None, None)).await.unwrap();
        assert_eq!(exec(&client, "nft list ruleset").await.stdout, "");
        let wrong = client.call::<LinkStatus>(&impair(Some(1.5), None)).await.unwrap_err();
        assert_eq!(wrong.code, "bad-request");
        if let Err(error) = client.call::<LinkStatus>(&impair(None, Some(10))).await {
            assert_eq!(error.code, "unsupported", "{error}");
            assert!(error.help.unwrap().contains("netem"));
        }
    });
}

#[test]
fn a_lease_becomes_address_route_and_resolver_and_is_renewed_released_and_asked_for_again() {
    if !possible() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config();
        config.links[0].address = Address::Dhcp;
        config.routes.clear();
        config.resolver = node::config::Resolver::default();
        config.services.clear();
        let server = "state: /tmp/dhcp\ninterfaces: [peer0]\nprobe_ms: 0\npools:\n  \
            - name: LAN\n    subnet: 192.168.1.0/24\n    excluded: [192.168.1.1-192.168.1.50]\n    \
            router: 192.168.1.1\n    dns: [192.168.1.5]\n    domain: mail.com\n";
        config.files = [("dhcpd.yaml".to_owned(), server.to_owned())].into();
        let serve = other("setsid sh -c 'exec /bin/labctl dhcpd --config /etc/labctl/dhcpd.yaml' >/dev/null 2>&1 &");
        let mut node = Node::start(&config, &format!("{LINKS}{OTHER}"));
        let client = node.client();
        let late = client.call::<Status>(&Request::Ready { timeout_ms: 100 }).await.unwrap_err();
        assert!(late.message.contains("interface lan has no DHCP lease yet"), "{late}");
        exec(&client, &serve).await;
        let status = ready(&client).await;
        let lan = &status.links[0];
        assert_eq!((lan.address.as_deref(), lan.method.as_str()), (Some("192.168.1.51/24"), "dhcp"));
        let lease = lan.lease.as_ref().unwrap();
        assert_eq!((lease.server, lease.router), ([192, 168, 1, 1].into(), Some([192, 168, 1, 1].into())));
        assert_eq!(lease.options[&6], "192.168.1.5");
        assert_eq!(node.read("/etc/resolv.conf"), "search mail.com\nnameserver 192.168.1.5\n");
        let routes = exec(&client, "ip route").await.stdout;
        assert!(routes.contains("default via 192.168.1.1 dev lan proto dhcp metric 100"), "{routes}");
        let ask = |op: &str| Request::Admin {
            service: "dhcp-client".into(),
            request: json!({"op": op, "interface": "lan"}),
        };
        let renewed: Value = client.call(&ask("renew")).await.unwrap();
        assert_eq!(renewed[0]["lease"]["address"], "192.168.1.51/24");
        let released: Value = client.call(&ask("release")).await.unwrap();
        assert_eq!(released[0]["lease"], Value::Null);
        assert_eq!(exec(&client, "ip -4 addr show lan; ip route; cat /etc/resolv.conf").await.stdout, "");
        let again: Value = client.call(&ask("renew")).await.unwrap();
        assert_eq!(again[0]["lease"]["address"], "192.168.1.51/24");
        // Given an address by hand, the client is silent; then it leases again.
        let address = Address::Static("192.168.1.9/24".parse().unwrap());
        let moved: LinkStatus = client.call(&link(LinkAction::Address(address))).await.unwrap();
        assert_eq!((moved.address.as_deref(), moved.lease), (Some("192.168.1.9/24"), None));
        assert_eq!(client.call::<Value>(&ask("show")).await.unwrap_err().code, "no-dhcp");
        let _: LinkStatus = client.call(&link(LinkAction::Address(Address::Dhcp))).await.unwrap();
        assert_eq!(ready(&client).await.links[0].address.as_deref(), Some("192.168.1.51/24"));
        // Pulled and plugged in again, the lease still holds, and so do its routes.
        let _: LinkStatus = client.call(&link(LinkAction::Down)).await.unwrap();
        let _: LinkStatus = client.call(&link(LinkAction::Up)).await.unwrap();
        ready(&client).await;
        assert!(exec(&client, "ip route").await.stdout.contains("default via 192.168.1.1"));
        node.restart();
        let client = node.client();
        exec(&client, &serve).await;
        assert_eq!(ready(&client).await.links[0].address.as_deref(), Some("192.168.1.51/24"));
    });
}
