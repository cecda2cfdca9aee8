//! Three routers in a triangle, each in a network namespace: a cable is cut, packets keep
//! arriving by the other way. The kernel forwards; RIP installs the routes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use nix::sched::{CloneFlags, setns};
use ripd::{Interface, Route, RouteTable, Settings};
use tokio::sync::mpsc;

fn able() -> bool {
    let found = |tool: &&str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .any(|p| std::path::Path::new(p).join(tool).exists())
    };
    let missing: Vec<&str> =
        ["ip", "unshare", "nsenter", "ping"].into_iter().filter(|t| !found(t)).collect();
    if nix::unistd::geteuid().is_root() && missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("LABCTL_CI").is_none(), "root and {missing:?} are needed");
    println!("SKIPPED: root and {missing:?} are needed");
    false
}

struct Node(Child);

impl Node {
    fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && sysctl -q -w net.ipv4.ip_forward=1 && echo ready && exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(holder)
    }

    fn try_run(&self, line: &str) -> (bool, String) {
        let pid = self.0.id().to_string();
        let output =
            Command::new("nsenter").args(["-t", &pid, "-n", "sh", "-c", line]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn run(&self, line: &str) -> String {
        let (good, text) = self.try_run(line);
        assert!(good, "{line}: {text}");
        text
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The kernel's table, by `ip route` in the router's own namespace.
struct Kernel;

impl RouteTable for Kernel {
    async fn install(&mut self, route: Route) {
        let Route { to, via, interface, .. } = route;
        // One metric for all: another would leave the old route beside the new one.
        let arguments =
            format!("route replace {to} via {via} dev {interface} proto rip metric 120");
        let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
        if !done.status.success() {
            eprintln!("{arguments}: {}", String::from_utf8_lossy(&done.stderr));
        }
    }

    async fn remove(&mut self, to: Ipv4Net) {
        let _ = Command::new("ip")
            .args(["route", "del", &to.to_string(), "proto", "rip"])
            .output()
            .unwrap();
    }
}

fn cable(a: &Node, a_end: &str, b: &Node, b_end: &str) {
    a.run(&format!(
        "ip link add {a_end} type veth peer name {b_end} netns {} && ip link set {a_end} up",
        b.0.id()
    ));
    b.run(&format!("ip link set {b_end} up"));
}

/// Starts RIP in a router; it runs until the sender is dropped.
fn speak(node: &Node, addresses: &[(&str, &str)]) -> mpsc::Sender<ripd::Command> {
    let interfaces = addresses
        .iter()
        .map(|(name, address)| Interface {
            passive: *name == "lan",
            key: (*name != "lan").then(|| (1, "s3cret".to_owned())),
            ..Interface::new(name, address.parse().unwrap())
        })
        .collect();
    let settings = Settings { interfaces, ..Settings::default() };
    let namespace = std::fs::File::open(format!("/proc/{}/ns/net", node.0.id())).unwrap();
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ripd::run(settings, Kernel, receiver)).unwrap();
    });
    sender
}

fn until(what: &str, limit: Duration, mut test: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

#[test]
fn packets_go_round_a_cut_cable() {
    if !able() {
        return;
    }
    let routers = [Node::new(), Node::new(), Node::new()];
    let switch = Node::new();
    let addresses: [[(&str, &str); 3]; 3] = [
        [("lan", "10.0.0.1/24"), ("left", "172.16.0.1/30"), ("right", "172.16.2.2/30")],
        [("lan", "10.0.1.1/24"), ("left", "172.16.1.1/30"), ("right", "172.16.0.2/30")],
        [("lan", "10.0.2.1/24"), ("left", "172.16.2.1/30"), ("right", "172.16.1.2/30")],
    ];
    for at in 0..3 {
        if at == 0 {
            // The first two are joined by a switch: a port that fails there is seen by neither.
            cable(&routers[0], "left", &switch, "p0");
            cable(&routers[1], "right", &switch, "p1");
            switch.run("ip link add br0 type bridge && ip link set br0 up && ip link set p0 master br0 && ip link set p1 master br0");
        } else {
            cable(&routers[at], "left", &routers[(at + 1) % 3], "right");
        }
        routers[at].run("ip link add lan type bridge && ip link set lan up");
    }
    for (router, addresses) in routers.iter().zip(&addresses) {
        for (interface, address) in addresses {
            router.run(&format!("ip addr add {address} dev {interface}"));
        }
    }
    // A PC on two of the LANs.
    let pcs = [Node::new(), Node::new()];
    for (at, pc) in pcs.iter().enumerate() {
        cable(&routers[at], "port", pc, "eth0");
        routers[at].run("ip link set port master lan");
        pc.run(&format!(
            "ip addr add 10.0.{at}.9/24 dev eth0 && ip route add default via 10.0.{at}.1"
        ));
    }
    let speakers: Vec<_> = routers.iter().zip(&addresses).map(|(node, a)| speak(node, a)).collect();
    let pings = || pcs[0].try_run("ping -n -c 1 -W 1 10.0.1.9").0;
    let first = until("the first ping", Duration::from_secs(10), pings);
    let way = |needle: &str| routers[0].run("ip route get 10.0.1.9").contains(needle);
    until("the direct way", Duration::from_secs(10), || way("via 172.16.0.2"));

    // The cable between 0 and 1 is pulled: both ends lose the carrier.
    routers[0].run("ip link set left down");
    for (at, end) in [(0, "left"), (1, "right")] {
        speakers[at].blocking_send(ripd::Command::LinkDown(end.into())).unwrap();
    }
    let round = until("a ping the other way", Duration::from_secs(10), pings);
    assert!(way("via 172.16.2.1"));

    routers[0].run("ip link set left up");
    for (at, end) in [(0, "left"), (1, "right")] {
        speakers[at].blocking_send(ripd::Command::LinkUp(end.into())).unwrap();
    }
    let back = until("the direct way again", Duration::from_secs(10), || way("via 172.16.0.2"));
    assert!(pings());

    // Now a port of the switch fails, and neither router sees a carrier change: asking finds it.
    switch.run("ip link set p0 nomaster");
    let silent = until("a ping round the silent cable", Duration::from_secs(60), pings);
    println!(
        "first ping {first:?}; round a cut cable {round:?}; back {back:?}; round a silent one {silent:?}"
    );
    assert!(
        round < Duration::from_secs(3) && silent < Duration::from_secs(15),
        "{round:?} {silent:?}"
    );

    // RIP ends: its routes go.
    drop(speakers);
    until("no RIP routes", Duration::from_secs(5), || {
        routers.iter().all(|r| r.run("ip route show proto rip").is_empty())
    });
}
