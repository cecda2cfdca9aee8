//! The client against this server and an independent one, through cables that come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::time::Duration;

use common::{Node, SHEET, Server, able, cable, until};
use dhcpd::client::{self, Command, Event, Lease, Options};
use nix::sched::{CloneFlags, setns};
use serde_json::json;
use tokio::sync::mpsc;

struct Client {
    events: mpsc::Receiver<Event>,
    commands: mpsc::Sender<Command>,
}

/// Starts a client in a node's namespace; a namespace is a thread's own.
fn start(node: &Node, options: Options) -> Client {
    let (event_sender, events) = mpsc::channel(16);
    let (commands, command_receiver) = mpsc::channel(16);
    let mac = dhcpd::config::parse_mac(&node.mac("eth0")).unwrap();
    let namespace = std::fs::File::open(format!("/proc/{}/ns/net", node.pid())).unwrap();
    std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(client::run("eth0".into(), mac, options, event_sender, command_receiver))
            .unwrap();
    });
    Client { events, commands }
}

impl Client {
    async fn event(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(15), self.events.recv())
            .await
            .expect("an event in 15 s")
            .unwrap()
    }

    async fn bound(&mut self) -> Lease {
        match self.event().await {
            Event::Bound(lease) => lease,
            other => panic!("not bound: {other:?}"),
        }
    }
}

fn set(node: &Node, lease: &Lease) {
    node.ip(&["addr flush dev eth0", &format!("addr add {} dev eth0", lease.address)]);
}

fn pair() -> (tempfile::TempDir, Node, Node) {
    let (pc, router) = (Node::new("pc"), Node::new("router"));
    cable((&pc, "eth0"), (&router, "lan"));
    router.ip(&["addr add 192.168.0.1/24 dev lan"]);
    (tempfile::tempdir().unwrap(), pc, router)
}

#[tokio::test]
async fn it_is_bound_renews_releases_and_begins_again() {
    if !able(&[]) {
        return;
    }
    let (folder, pc, router) = pair();
    let server = Server::start(&router, folder.path(), &format!("probe_ms: 0\n{SHEET}"));
    let begun = std::time::Instant::now();
    let mut client = start(&pc, Options { hostname: Some("pc1".into()), ..Options::default() });
    let lease = client.bound().await;
    println!("a lease after {:?}", begun.elapsed());
    assert_eq!(lease.address.to_string(), "192.168.0.51/24");
    assert_eq!(lease.router, Some("192.168.0.1".parse().unwrap()));
    assert_eq!(
        (lease.domain.as_deref(), lease.option_text(6).as_deref()),
        (Some("mt.com"), Some("192.168.0.1"))
    );
    set(&pc, &lease);
    assert_eq!(server.binding("192.168.0.51").unwrap()["hostname"], "pc1");
    client.commands.send(Command::Renew).await.unwrap();
    assert!(matches!(client.event().await, Event::Renewed(_)));
    client.commands.send(Command::Release).await.unwrap();
    assert_eq!(client.event().await, Event::Lost("released".into()));
    until("the release", || (server.binding("192.168.0.51")?["state"] == "released").then_some(()));
    client.commands.send(Command::Renew).await.unwrap();
    assert_eq!(client.bound().await.address.to_string(), "192.168.0.51/24");
}

#[tokio::test]
async fn it_renews_by_itself_and_falls_to_init_when_refused() {
    if !able(&[]) {
        return;
    }
    let (folder, pc, router) = pair();
    let config =
        format!("probe_ms: 0\n{}", SHEET.replace("domain: mt.com", "lease: 4, t1: 1, t2: 3"));
    let server = Server::start(&router, folder.path(), &config);
    let mut client = start(&pc, Options::default());
    let lease = client.bound().await;
    set(&pc, &lease);
    assert!(matches!(client.event().await, Event::Renewed(_)));
    // The address becomes another client's: the next renewal is refused.
    server.ask(json!({"op": "reserve", "address": "192.168.0.51", "mac": "02:00:00:00:00:99"}));
    loop {
        match client.event().await {
            Event::Renewed(_) => {}
            Event::Lost(why) => {
                assert!(why.contains("refused"), "{why}");
                break;
            }
            Event::Bound(_) => panic!("it must be lost first"),
        }
    }
    assert_eq!(client.bound().await.address.to_string(), "192.168.0.52/24");
    server.kill();
    assert!(matches!(client.event().await, Event::Lost(why) if why.contains("ended")));
    let _server = Server::start(&router, folder.path(), &config);
    client.bound().await;
}

#[tokio::test]
async fn a_cable_that_was_pulled_is_plugged_into_another_network() {
    if !able(&[]) {
        return;
    }
    let (folder, pc, router) = pair();
    let server = Server::start(&router, folder.path(), &format!("probe_ms: 0\n{SHEET}"));
    let mut client = start(&pc, Options::default());
    let lease = client.bound().await;
    set(&pc, &lease);
    pc.ip(&["link set eth0 down"]);
    client.commands.send(Command::LinkDown).await.unwrap();
    server.kill();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    router.ip(&["addr flush dev lan", "addr add 10.7.0.1/24 dev lan"]);
    let _server = Server::start(
        &router,
        folder.path(),
        "probe_ms: 0\npools:\n  - {name: NEW, subnet: 10.7.0.0/24}\n",
    );
    pc.ip(&["link set eth0 up"]);
    client.commands.send(Command::LinkUp).await.unwrap();
    assert!(matches!(client.event().await, Event::Lost(why) if why.contains("refused")));
    assert_eq!(client.bound().await.address.to_string(), "10.7.0.2/24");
}

#[tokio::test]
async fn a_taken_address_is_declined() {
    if !able(&[]) {
        return;
    }
    let lan = common::Lan::new();
    let squatter = lan.pc("squatter");
    squatter.ip(&["addr add 192.168.0.51/24 dev eth0"]);
    let server = lan.serve(&format!("probe_ms: 0\n{SHEET}"));
    let pc = lan.pc("pc1");
    let mut client = start(&pc, Options { probe: true, ..Options::default() });
    assert_eq!(client.bound().await.address.to_string(), "192.168.0.52/24");
    assert_eq!(server.binding("192.168.0.51").unwrap()["state"], "quarantined");
}

#[tokio::test]
async fn an_independent_server_serves_it() {
    if !able(&["udhcpd"]) {
        return;
    }
    let (folder, pc, mut router) = pair();
    let shown = folder.path().display();
    let config = format!(
        "start 192.168.0.20\nend 192.168.0.29\ninterface lan\nlease_file {shown}/leases\npidfile {shown}/pid\noption subnet 255.255.255.0\noption router 192.168.0.1\noption dns 192.168.0.1 192.168.0.2\noption domain example.test\noption lease 600\n"
    );
    std::fs::write(folder.path().join("udhcpd.conf"), config).unwrap();
    std::fs::write(folder.path().join("leases"), "").unwrap();
    router.start(&format!("udhcpd -f -S {shown}/udhcpd.conf"), &folder.path().join("log"));
    let mut client = start(&pc, Options::default());
    let lease = client.bound().await;
    assert!(lease.address.to_string().starts_with("192.168.0.2"), "{lease:?}");
    assert_eq!(
        (lease.dns.len(), lease.domain.as_deref(), lease.seconds),
        (2, Some("example.test"), 600)
    );
    set(&pc, &lease);
    client.commands.send(Command::Renew).await.unwrap();
    assert!(matches!(client.event().await, Event::Renewed(_)));
}
