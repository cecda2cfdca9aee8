//! Nodes in network namespaces of their own, joined by cables.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Whether the test can run here. Says so where it cannot; on CI that is a failure.
pub fn able(tools: &[&str]) -> bool {
    let root = nix::unistd::geteuid().is_root();
    let found = |tool: &&&str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths)
            .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
            .any(|p| p.join(tool).exists())
    };
    let missing: Vec<&str> =
        ["ip", "unshare", "nsenter"].iter().chain(tools).filter(|t| !found(t)).copied().collect();
    if root && missing.is_empty() {
        return true;
    }
    let why =
        if root { format!("{} missing", missing.join(", ")) } else { "root is needed".into() };
    assert!(std::env::var_os("LABCTL_CI").is_none(), "cannot run: {why}");
    println!("SKIPPED: {why}");
    false
}

/// Waits until something is so.
pub fn until<T>(what: &str, mut test: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = test() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited 20 s in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A network namespace, kept by a process of its own.
pub struct Node {
    holder: Child,
    pub name: String,
    children: Vec<Child>,
}

impl Node {
    pub fn new(name: &str) -> Self {
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && echo ready && exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { holder, name: name.into(), children: Vec::new() }
    }

    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid().to_string(), "-n", "sh", "-c", &format!("exec {line}")]);
        command
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        command
    }

    pub fn try_run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    pub fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{}: {line}: {text}", self.name);
        text
    }

    pub fn ip(&self, lines: &[&str]) {
        for line in lines {
            self.run(&format!("ip {line}"));
        }
    }

    pub fn start(&mut self, line: &str, log: &Path) {
        let file = std::fs::File::create(log).unwrap();
        let child = self
            .command(line)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.children.push(child);
    }

    pub fn mac(&self, interface: &str) -> String {
        let text = self.run(&format!("ip -br link show dev {interface}"));
        text.split_whitespace().nth(2).unwrap().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in self.children.iter_mut().chain([&mut self.holder]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Plugs a cable between two nodes.
pub fn cable(a: (&Node, &str), b: (&Node, &str)) {
    a.0.run(&format!("ip link add {} type veth peer name {} netns {}", a.1, b.1, b.0.pid()));
    a.0.run(&format!("ip link set {} up", a.1));
    b.0.run(&format!("ip link set {} up", b.1));
}

/// A switch: a node with a bridge `br0`.
pub fn switch() -> Node {
    let node = Node::new("switch");
    node.ip(&["link add br0 type bridge", "link set br0 up"]);
    node
}

/// Plugs a node's interface into a switch.
pub fn plug(switch: &Node, port: &str, node: &Node, interface: &str) {
    cable((switch, port), (node, interface));
    switch.run(&format!("ip link set {port} master br0"));
}

/// A running dhcpd.
pub struct Server {
    child: Child,
    pub folder: PathBuf,
}

impl Server {
    pub fn start(node: &Node, folder: &Path, config: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let shown = folder.display();
        let text = format!("state: {shown}/state\nadmin: {shown}/admin.sock\n{config}");
        std::fs::write(folder.join("config.yaml"), text).unwrap();
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let _ = std::fs::remove_file(folder.join("admin.sock"));
        let child = node
            .command(&format!("{} --config {shown}/config.yaml", env!("CARGO_BIN_EXE_dhcpd")))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { child, folder: folder.to_owned() };
        until("the admin socket", || UnixStream::connect(folder.join("admin.sock")).ok());
        server
    }

    pub fn ask(&self, request: Value) -> Value {
        let mut stream = UnixStream::connect(self.folder.join("admin.sock")).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        answer["ok"].clone()
    }

    pub fn binding(&self, address: &str) -> Option<Value> {
        let all = self.ask(serde_json::json!({"op": "bindings"}));
        all["bindings"].as_array().unwrap().iter().find(|b| b["address"] == address).cloned()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    pub fn rss_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hook for udhcpc that sets the address and prints what it was told.
pub fn hook(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("hook.sh");
    let text = "#!/bin/sh\ncase $1 in\nbound|renew)\n ip addr flush dev $interface\n ip addr add $ip/$mask dev $interface\n echo \"$1 ip=$ip mask=$mask router=$router dns=$dns domain=$domain lease=$lease server=$serverid\";;\ndeconfig) ip addr flush dev $interface;;\n*) echo $1;;\nesac\n";
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A switch with a server 192.168.0.1 on it.
pub struct Lan {
    pub folder: tempfile::TempDir,
    pub switch: Node,
    pub router: Node,
    pub hook: PathBuf,
}

impl Lan {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (switch, router) = (switch(), Node::new("router"));
        plug(&switch, "router", &router, "lan");
        router.ip(&["addr add 192.168.0.1/24 dev lan"]);
        let hook = hook(folder.path());
        Self { folder, switch, router, hook }
    }

    pub fn pc(&self, name: &str) -> Node {
        let node = Node::new(name);
        plug(&self.switch, name, &node, "eth0");
        node
    }

    pub fn serve(&self, config: &str) -> Server {
        Server::start(&self.router, &self.folder.path().join("server"), config)
    }

    pub fn udhcpc(&self, node: &Node, more: &str) -> Output {
        node.try_run(&format!(
            "udhcpc -i eth0 -f -n -q -t 3 -T 1 -s {} {more}",
            self.hook.display()
        ))
    }
}

pub const SHEET: &str = "pools:\n  - {name: R1_DHCP, subnet: 192.168.0.0/24, excluded: [192.168.0.1-192.168.0.50], router: 192.168.0.1, dns: [192.168.0.1], domain: mt.com}\n";
