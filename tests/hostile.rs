//! A student is root in a node and hostile. Two students have a copy of the same lab, with the same
//! addresses; one of them tries from inside, with a program of his own (`hostile/attack.c`), whatever
//! could hurt the other, the host or the grading. Nothing may, and the other's lab stays green.
//! `docs/security.md` says what holds where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Labctl, Ran, docker, root, usable};

const LAB: &str = "tests/hostile/siege.yaml";
/// Where the attacker keeps his program.
const ATTACK: &str = "/root/attack";
/// What stands in the environment of whoever starts the labs.
const MARK: (&str, &str) = ("LABCTL_SIEGE_MARK", "host-environment-5127");
/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_hostile_student_of_the_embedded_engine_gets_nowhere() {
    if usable("embedded") {
        besiege("embedded");
    }
}

#[test]
fn a_hostile_student_of_docker_nodes_gets_nowhere() {
    if usable("docker") {
        besiege("docker");
    }
}

#[test]
fn a_hostile_student_of_a_pod_gets_nowhere() {
    if usable("docker") {
        besiege("pod");
    }
}

/// A class of two on one engine.
struct Siege {
    engine: &'static str,
    victim: Labctl,
    attacker: Labctl,
    class: Labctl,
    program: PathBuf,
    _folder: tempfile::TempDir,
}

fn besiege(engine: &'static str) {
    let listeners = Listeners::open();
    let siege = Siege::begin(engine);
    let green = |when: &str| {
        let ran = siege.victim.run(&["verify"]);
        assert_eq!(ran.code, 0, "{engine}: the victim {when}:\n{}{}", ran.out, ran.err);
    };
    green("before");
    siege.own_lab_only();
    siege.escapes();
    siege.secrets();
    siege.host(&listeners);
    siege.forgeries();
    std::thread::scope(|scope| {
        let verifying = scope.spawn(|| green("during the exhaustion"));
        siege.exhaustion();
        verifying.join().unwrap();
    });
    siege.limits_of_the_lab_file();
    siege.floods();
    siege.logs();
    siege.silent_readers(&green);
    siege.half_open(&green);
    siege.false_agent();
    siege.false_programs();
    green("after");
    listeners.heard_nothing(engine);
}

/// What the host listens on while it is attacked.
struct Listeners {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    port: u16,
}

impl Listeners {
    fn open() -> Self {
        let first = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let mut tcp = vec![first];
        let mut udp = vec![UdpSocket::bind(("0.0.0.0", port)).unwrap()];
        // A machine without IPv6 has nothing to listen on.
        tcp.extend(TcpListener::bind(("::1", port)));
        udp.extend(UdpSocket::bind(("::1", port)));
        tcp.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
        udp.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
        Self { tcp, udp, port }
    }

    fn heard_nothing(&self, engine: &str) {
        for socket in &self.tcp {
            let error = socket.accept().expect_err("a connection reached the host");
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{engine}");
        }
        for socket in &self.udp {
            let error = socket.recv_from(&mut [0; 64]).expect_err("a datagram reached the host");
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{engine}");
        }
    }
}

/// The IPv4 addresses of the host, without its loopback.
fn host_addresses() -> Vec<String> {
    let interfaces = nix::ifaddrs::getifaddrs().unwrap();
    let mut all: Vec<String> = interfaces
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .filter(|ip| !ip.is_loopback())
        .map(|ip| ip.to_string())
        .collect();
    all.sort();
    all.dedup();
    all
}

/// A word as the attack takes it, so that its command line does not hold what it looks for.
fn reversed(word: &str) -> String {
    word.chars().rev().collect()
}

/// The names of attempts that got through, with what the attack says of them.
fn done(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains(": DONE")).collect()
}

/// A figure of the attack's: `name: 12`.
fn figure(text: &str, name: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let number = line.and_then(|line| line.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no figure {name} in: {text}"))
}

impl Siege {
    fn begin(engine: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("attack");
        let source = root().join("tests/hostile/attack.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-pthread", "-o"]).args([&program, &source]);
        let compiled = compiler.output().expect("a C compiler, which Rust needs as well");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let class = Labctl::new(engine, &format!("siege-{engine}"));
        let name = class.instance.clone();
        let student = |id: &str| {
            let mut lab = Labctl::new(engine, "siege");
            lab.instance = format!("{name}-{id}");
            lab
        };
        let siege = Self {
            engine,
            victim: student("victim"),
            attacker: student("attacker"),
            class,
            program,
            _folder: folder,
        };
        let mut up = vec!["class", "--class", &name, "up", LAB, "--students", "victim,attacker"];
        up.extend(["--memory", "288", "--processes", "150", "--cpu", "0.7", "--disk", "48"]);
        // The embedded engine knows no other way.
        up.extend(["--isolation", if engine == "docker" { "nodes" } else { "pod" }]);
        let output = siege.class.command(&up).env(MARK.0, MARK.1).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::scope(|scope| {
            let targets =
                [(&siege.attacker, "pc0"), (&siege.attacker, "pc1"), (&siege.victim, "pc1")];
            for (lab, node) in targets {
                let siege = &siege;
                scope.spawn(move || siege.carry(lab, node));
            }
        });
        siege
    }

    /// Brings the attack into a node with what a node has: `nc` serves it, `curl` takes it, and the
    /// loader runs it before it may be executed.
    fn carry(&self, lab: &Labctl, node: &str) {
        let bytes = std::fs::read(&self.program).unwrap();
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len()).into_bytes();
        answer.extend(bytes);
        let mut server = lab.command(&["exec", "-T", node, "--", "nc", "-l", "8001"]);
        let mut server = server.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut input = server.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // The server reads as soon as somebody has connected.
            scope.spawn(move || input.write_all(&answer));
            let end = Instant::now() + PATIENCE;
            let take = ["curl", "-s", "-o", ATTACK, "http://127.0.0.1:8001/"];
            while lab.exec(node, &take).code != 0 {
                assert!(Instant::now() < end, "{}: nc in {node} does not serve", self.engine);
            }
            server.kill().unwrap();
            server.wait().unwrap();
        });
        let loader = match cfg!(target_arch = "aarch64") {
            true => "/lib/ld-linux-aarch64.so.1",
            false => "/lib64/ld-linux-x86-64.so.2",
        };
        let ran = lab.exec(node, &[loader, ATTACK, "install", ATTACK]);
        assert_eq!(ran.code, 0, "{}: {ran:?}", self.engine);
    }

    /// The attack in one of the attacker's nodes, run to its end.
    fn attack(&self, node: &str, words: &[&str]) -> Ran {
        let mut command = vec![ATTACK];
        command.extend(words);
        self.attacker.exec(node, &command)
    }

    /// The attack's output, which must have come to its end.
    fn told(&self, node: &str, words: &[&str]) -> String {
        let ran = self.attack(node, words);
        assert_eq!(ran.code, 0, "{}: attack {words:?}: {ran:?}", self.engine);
        ran.out
    }

    /// The attack in the background, once it has said `word`.
    fn background(&self, lab: &Labctl, node: &str, words: &[&str], word: &str) -> Background {
        let mut command = vec!["exec", "-T", node, "--", ATTACK];
        command.extend(words);
        let mut command = lab.command(&command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with(word), "{}: attack {words:?}: {line}", self.engine);
        Background { child, output, first: line }
    }

    /// Both labs have a server at 10.66.0.1; each reaches its own.
    fn own_lab_only(&self) {
        let page = |lab: &Labctl| lab.exec("pc0", &["curl", "-s", "http://10.66.0.1/"]).out;
        assert!(page(&self.attacker).contains("the page of attacker"));
        assert!(page(&self.victim).contains("the page of victim"));
    }

    fn escapes(&self) {
        let out = self.told("pc0", &["escape"]);
        let blocked = out.lines().filter(|line| line.contains(": blocked")).count();
        let mut got = done(&out);
        // A container's devices are its own; on the embedded engine they are the host's.
        got.retain(|line| self.engine != "docker" || !line.starts_with("chmod /dev/null"));
        assert_eq!(got, [] as [&str; 0], "{}", self.engine);
        assert!(blocked >= 95, "{}: only {blocked} attempts were made: {out}", self.engine);
    }

    /// Expected answers, other students' and other nodes' passwords, the host's environment: nowhere
    /// in files, environments, command lines and memory. The search must find the node's own password,
    /// or it would not have found the others.
    fn secrets(&self) {
        let sought =
            ["pw-attacker-7351", "the-answer-is-8815", "bob-secret-9264", "pw-victim", MARK.1];
        let words: Vec<String> = sought.iter().map(|word| reversed(word)).collect();
        let mut command = vec!["search"];
        command.extend(words.iter().map(String::as_str));
        // Whatever labctl says to the node on the way to a verdict is in its memory by now.
        self.attacker.ok(&["verify"]);
        let out = self.told("pc0", &command);
        let found = |n: usize| out.contains(&format!("secret {n}: DONE"));
        assert!(found(0), "{}: the search finds nothing at all: {out}", self.engine);
        for (n, word) in sought.iter().enumerate().skip(1) {
            assert!(!found(n), "{}: {word} lies in the attacker's node: {out}", self.engine);
        }
    }

    /// The host, the networks of others, the network outside: by TCP, ARP, and frames of every kind.
    fn host(&self, listeners: &Listeners) {
        let port = listeners.port.to_string();
        let mut addresses = host_addresses();
        addresses.extend(
            ["169.254.169.254", "198.18.0.1", "198.19.255.254", "8.8.8.8"].map(String::from),
        );
        if self.engine == "docker" {
            addresses.extend(self.transport_addresses());
        }
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let mut arp = vec!["arp", "lan", "10.66.0.77"];
        // In its own lab the attacker is answered, or the attempts would prove nothing.
        arp.extend(["10.66.0.1"].iter().chain(&addresses));
        let out = self.told("pc0", &arp);
        let got = done(&out);
        assert_eq!(got.len(), 1, "{}: somebody else answers: {out}", self.engine);
        let targets: Vec<String> =
            addresses.iter().map(|address| format!("{address}:{port}")).collect();
        let mut reach = vec!["reach", "lan", "10.66.0.1:80"];
        reach.extend(targets.iter().map(String::as_str));
        let out = self.told("pc0", &reach);
        assert_eq!(done(&out), ["tcp 10.66.0.1:80: DONE connected"], "{}", self.engine);
        let loopback = self.told("pc0", &["reach", "lan", &format!("127.0.0.1:{port}")]);
        assert!(loopback.contains("DONE refused"), "the node's own loopback: {loopback}");
        let mut inject = vec!["inject", "lan", &port, "10.66.0.2"];
        inject.extend(&addresses);
        let out = self.told("pc0", &inject);
        assert!(figure(&out, "injected") > 0, "{out}");
        assert_eq!(done(&out), [] as [&str; 0], "{}: the host speaks IPv6", self.engine);
    }

    /// The addresses that Docker has given to the victim's nodes, and those of their gateway.
    fn transport_addresses(&self) -> Vec<String> {
        let filter = format!("label=labctl.instance={}", self.victim.instance);
        let networks = docker(&["network", "ls", "-q", "--filter", &filter]);
        let format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}{{range .Containers}}{{.IPv4Address}} {{end}}";
        let mut inspect = vec!["network", "inspect", "-f", format];
        inspect.extend(networks.lines());
        let out = docker(&inspect);
        out.split_whitespace().map(|net| net.split('/').next().unwrap().to_owned()).collect()
    }

    /// ARP and DHCP answers of the attacker's: in the own lab they are seen, in the other's not.
    fn forgeries(&self) {
        let own = self.background(&self.attacker, "pc1", &["watch", "lan"], "watching");
        let others = self.background(&self.victim, "pc1", &["watch", "lan"], "watching");
        let out = self.told("pc0", &["forge", "lan", "10.66.0.1"]);
        assert_eq!(figure(&out, "forged"), 40, "{out}");
        let seen = figure(&own.end(), "seen");
        assert!(seen >= 20, "{}: the forger's own lab saw {seen}", self.engine);
        assert_eq!(figure(&others.end(), "seen"), 0, "{}: the victim saw it", self.engine);
        // His own lab has to find its server again.
        self.attacker.exec("pc1", &["ping", "-c", "1", "-W", "1", "10.66.0.1"]);
    }

    /// What the class was started with: 288 MB, 150 processes, 0.7 of a processor, 48 MB of disk for
    /// three nodes. pc1 has its own; srv and pc0 a third each.
    fn exhaustion(&self) {
        let out = self.told("pc0", &["processes"]);
        // A pod bounds memory (with the files in it) and processes as a whole: docs/engines.md.
        let most = if self.engine == "pod" { 150 } else { 50 };
        assert!((5..=most).contains(&figure(&out, "processes")), "{}: {out}", self.engine);
        let out = self.told("pc0", &["memory"]);
        let most = if self.engine == "pod" { 288 + 48 } else { 96 };
        assert!((16..=most).contains(&figure(&out, "memory")), "{}: {out}", self.engine);
        let folders: &[&str] = match self.engine {
            // The root of a container is on the host's disk: docs/security.md.
            "docker" => &["/tmp", "/run", "/var/lib/labctl"],
            _ => &["/tmp", "/run", "/var/lib/labctl", "/root", "/etc", "/"],
        };
        for folder in folders {
            let out = self.told("pc0", &["disk", folder]);
            let name = format!("disk {folder}");
            assert!((4..=16).contains(&figure(&out, &name)), "{}: {out}", self.engine);
        }
        let out = self.told("pc0", &["files", "/var/lib/labctl"]);
        assert!((500..=4096).contains(&figure(&out, "files")), "{}: {out}", self.engine);
        let out = self.told("pc0", &["descriptors"]);
        assert!((1000..=8192).contains(&figure(&out, "descriptors")), "{}: {out}", self.engine);
        assert!(figure(&out, "timers") <= 1024, "{}: {out}", self.engine);
        for none in ["inotify", "buffers", "rings"] {
            assert_eq!(figure(&out, none), 0, "{}: {out}", self.engine);
        }
        let out = self.told("pc0", &["burn", "500"]);
        assert!(figure(&out, "processor") <= 90, "{}: {out}", self.engine);
    }

    fn limits_of_the_lab_file(&self) {
        // In a pod a node's memory, processes and processor are the pod's.
        let pod = self.engine == "pod";
        let (processes, memory, processor) = if pod { (150, 336, 90) } else { (30, 48, 70) };
        let out = self.told("pc1", &["processes"]);
        assert!((3..=processes).contains(&figure(&out, "processes")), "{}: {out}", self.engine);
        let out = self.told("pc1", &["memory"]);
        assert!((8..=memory).contains(&figure(&out, "memory")), "{}: {out}", self.engine);
        let out = self.told("pc1", &["disk", "/var/lib/labctl"]);
        assert!((4..=8).contains(&figure(&out, "disk /var/lib/labctl")), "{}: {out}", self.engine);
        let out = self.told("pc1", &["burn", "500"]);
        assert!(figure(&out, "processor") <= processor, "{}: {out}", self.engine);
    }

    /// The attacker fills his network; the victim's pings go on being answered.
    fn floods(&self) {
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| self.told("pc0", &["flood", "lan", "2000"]));
            let ping = self.victim.exec("pc0", &["ping", "-c", "10", "-i", "0.2", "10.66.0.1"]);
            assert!(ping.out.contains("10 received"), "{}: {ping:?}", self.engine);
            let out = flood.join().unwrap();
            assert!(figure(&out, "flooded") > 1000, "{}: {out}", self.engine);
        });
    }

    /// Output of the node's without end: the log is bounded, on the host as well.
    fn logs(&self) {
        let out = self.told("pc0", &["log", "20"]);
        let logged = figure(&out, "logged");
        let log = self.attacker.ok(&["logs", "pc0"]);
        assert!(log.len() < 6 << 20, "{}: {} bytes of log", self.engine, log.len());
        if self.engine == "docker" {
            let name = format!("labctl-{}.pc0", self.attacker.instance);
            let config = docker(&["inspect", "-f", "{{json .HostConfig.LogConfig.Config}}", &name]);
            assert!(config.contains("max-size") && config.contains("max-file"), "{config}");
            assert_eq!(logged, 0, "what process 1 has open is its own");
        } else {
            assert_eq!(logged, 20, "{out}");
        }
    }

    /// Output, and a terminal's, that nobody reads holds nobody up.
    fn silent_readers(&self, green: &dyn Fn(&str)) {
        let mut exec = self.attacker.command(&["exec", "-T", "pc0", "--", ATTACK, "spew"]);
        let exec = exec.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let line = format!("{} exec pc0 -- {ATTACK} spew", common::LABCTL);
        let mut terminal = Command::new("script");
        let environment = self.attacker.command(&[]);
        let set = environment.get_envs().filter_map(|(name, value)| Some((name, value?)));
        terminal.args(["-q", "-e", "-c", &line, "/dev/null"]).envs(set);
        let terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut children = [exec, terminal];
        // Both have begun when their first byte is there.
        for child in &mut children {
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
        }
        green("beside output that nobody reads");
        assert_eq!(self.attacker.exec("pc0", &["hostname"]).code, 0);
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Connections to the agent that never say what they want.
    fn half_open(&self, green: &dyn Fn(&str)) {
        let held = self.background(&self.attacker, "pc0", &["hold", "3000"], "held");
        assert!(figure(&held.first, "held") >= 100, "{}", held.first);
        green("beside half-open connections");
        let verify = self.attacker.run(&["verify"]);
        assert_eq!(verify.code, 0, "{}: {}{}", self.engine, verify.out, verify.err);
        held.end();
    }

    /// A socket in the agent's place: what comes over it is not believed.
    fn false_agent(&self) {
        let imposter = self.background(&self.attacker, "pc0", &["impersonate"], "listening");
        let ran = self.attacker.run(&["verify", "--only", "pc0 reaches the server"]);
        assert_ne!(ran.code, 0, "{}: the imposter was believed: {}", self.engine, ran.out);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("in the agent's place"), "{}: {said}", self.engine);
        imposter.end();
        self.attacker.ok(&["verify", "--only", "pc0 reaches the server"]);
    }

    /// Programs of the attacker's where the node's are looked for: a check that runs one is not taken
    /// in, neither now nor after the node has been started anew.
    fn false_programs(&self) {
        let out = self.told("pc0", &["plant"]);
        for place in ["/etc/ld.so.preload", "/etc/ld.so.cache"] {
            assert!(
                !done(&out).iter().any(|line| line.starts_with(place)),
                "{}: {out}",
                self.engine
            );
        }
        self.attacker.ok(&["stop", "srv"]);
        for when in ["at once", "after a restart"] {
            let check = "the command ping works";
            let report = self.attacker.run(&["-o", "json", "verify", "--only", check]);
            let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
            let outcomes = report["report"]["outcomes"].as_array().unwrap();
            assert_eq!(outcomes.len(), 1, "{report}");
            for outcome in outcomes {
                assert_ne!(outcome["verdict"], "pass", "{}, {when}: {outcome}", self.engine);
            }
            self.attacker.ok(&["restart", "pc0"]);
        }
        self.attacker.ok(&["start", "srv"]);
        self.attacker.ok(&["verify"]);
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        let down = ["class", "--class", &self.class.instance, "down"];
        let _ = self.class.command(&down).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A program of the attack's that runs until its input ends.
struct Background {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    first: String,
}

impl Background {
    /// Ends it; what it said.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap();
        rest
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
