//! Ways into a lab that runs: a prompt in a node, a terminal, a node's ports on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::terminal::Terminal;
use common::{Labctl, agent, engines, eventually, skip};

const LAB: &str = "\
name: access
networks: { lan: 10.0.0.0/24 }
nodes:
  srv:
    interfaces: { lan: 10.0.0.1 }
    services:
      mail: { domain: x.test, accounts: { ana: secret, bob: secret } }
      web: { pages: { index.html: '<h1>from inside</h1>' } }
  pc: { kind: pc, interfaces: { lan: 10.0.0.2 } }
checks: []
";

fn up(engine: &'static str, test: &str) -> (Labctl, tempfile::TempDir) {
    let lab = Labctl::new(engine, &format!("{test}-{engine}"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.yaml");
    std::fs::write(&file, LAB).unwrap();
    lab.ok(&["up", "-q", "--no-verify", file.to_str().unwrap()]);
    (lab, folder)
}

#[test]
fn a_shell_has_commands_help_completion_and_history() {
    for engine in engines() {
        let (lab, home) = up(engine, "shell");
        let mut shell = Terminal::open(&lab, home.path(), &["shell", "pc"]);
        shell.expect("You are on pc");
        shell.expect("pc> ");
        shell.type_in("help\r");
        shell.expect("traceroute");
        shell.expect("pc> ");
        // The tabulator completes a command.
        shell.type_in("hostn\t\r");
        shell.expect("hostname");
        shell.expect("\npc\r");
        shell.expect("pc> ");
        shell.type_in("ping -c 1 'a name with a quote left open\r");
        shell.expect("a quote is not closed");
        shell.type_in("no-such-command\r");
        // In Docker's own words there.
        shell.expect(if engine == "docker" { "not found" } else { "no such command" });
        shell.expect("pc> ");
        // Control-C ends what runs and not the prompt.
        shell.type_in("ping 10.0.0.1\r");
        shell.expect("icmp_seq=2");
        shell.type_in("\x03");
        shell.expect("pc> ");
        shell.type_in("exit\r");
        shell.code();
        // The next prompt remembers: up is the last command.
        let mut shell = Terminal::open(&lab, home.path(), &["shell", "pc"]);
        shell.expect("pc> ");
        shell.type_in("\x1b[A");
        shell.expect("ping 10.0.0.1");
        shell.type_in("\x15hostname\r");
        shell.expect("\npc\r");
        shell.expect("pc> ");
        // The last command's code is the shell's; Control-D leaves it.
        shell.type_in("\x04");
        assert_eq!(shell.code(), 0, "{engine}");
        let ran = lab.run(&["shell", "nobody"]);
        assert!(ran.code != 0 && ran.err.contains("nobody"), "{}", ran.err);
    }
}

#[test]
fn a_terminal_has_its_size_and_its_control_characters() {
    for engine in engines() {
        let (lab, home) = up(engine, "pty");
        let mut ping = Terminal::open(&lab, home.path(), &["exec", "pc", "--", "ping", "10.0.0.1"]);
        ping.expect("icmp_seq=1");
        let root = std::path::PathBuf::from(format!("/proc/{}/root", agent(&lab, "pc").unwrap()));
        let inside = root.join("dev/pts/0");
        let size = || {
            let output = Command::new("stty").arg("-F").arg(&inside).arg("size").output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        eventually("the terminal's size", || size() == "24 80");
        let set = ["-F", &ping.path, "rows", "50", "cols", "132"];
        assert!(Command::new("stty").args(set).status().unwrap().success());
        eventually("its new size", || size() == "50 132");
        // Nobody in the node could wake a stopped command again: Control-Z does nothing.
        ping.type_in("\x1a");
        ping.seen.clear();
        ping.expect("icmp_seq=");
        ping.type_in("\x03");
        ping.expect("statistics");
        assert_eq!(ping.code(), 0, "{engine}: ping was answered");
        let mut shell = Terminal::open(&lab, home.path(), &["exec", "pc", "--", "sh"]);
        shell.expect("pc$ ");
        shell.type_in("echo it is me\r");
        shell.expect("\nit is me\r");
        shell.expect("pc$ ");
        shell.type_in("\x04");
        assert_eq!(shell.code(), 0, "{engine}: Control-D is the end");
        let missing = Terminal::open(&lab, home.path(), &["exec", "pc", "--", "no-such"]);
        assert_eq!(missing.code(), 127, "{engine}");
    }
}

/// `labctl forward` while it runs.
struct Forward {
    child: Child,
    /// Addresses on this machine, in the order asked for.
    at: Vec<String>,
}

impl Forward {
    fn open(lab: &Labctl, forwards: &[&str]) -> Self {
        let args = [&["forward"][..], forwards].concat();
        let mut child = lab.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let at = lines
            .take(forwards.len())
            .map(|line| line.unwrap().split_whitespace().next().unwrap().to_owned())
            .collect();
        Self { child, at }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sS", "-m", "20", "--noproxy", "*"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "curl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn real_clients_of_this_machine_use_a_labs_servers() {
    let there = |name: &str| Path::new("/usr/bin").join(name).exists();
    if let Some(missing) = ["curl", "swaks", "mpop"].into_iter().find(|name| !there(name)) {
        return skip(&format!("the package {missing} is not there"), "LABCTL_CI");
    }
    for engine in engines() {
        let (lab, home) = up(engine, "forward");
        let ports = ["0:srv:80", "0:srv:25", "0:srv:110", "0:srv:143"];
        let forward = Forward::open(&lab, &ports);
        for at in &forward.at {
            assert!(at.starts_with("127.0.0.1:"), "{at}: loopback only unless told otherwise");
        }
        let [web, smtp, pop3, imap] = &forward.at[..] else { panic!("{:?}", forward.at) };
        assert!(curl(&[&format!("http://{web}/")]).contains("from inside"), "{engine}");
        let sent = Command::new("swaks")
            .args(["--server", smtp, "--from", "ana@x.test", "--to", "bob@x.test"])
            .args(["--header", "Subject: through the wall"])
            .output()
            .unwrap();
        assert!(sent.status.success(), "{engine}: {}", String::from_utf8_lossy(&sent.stdout));
        let login = ["-u", "bob:secret"];
        let url = format!("imap://{imap}/INBOX;MAILINDEX=1");
        let by_imap = curl(&[&login[..], &[url.as_str()]].concat());
        assert!(by_imap.contains("Subject: through the wall"), "{engine}: {by_imap}");
        let mailbox = home.path().join("mailbox");
        let port = pop3.rsplit(':').next().unwrap();
        let fetched = Command::new("mpop")
            .args(["--host=127.0.0.1", "--user=bob", "--tls=off", "--auth=user", "--keep=off"])
            .arg("--passwordeval=echo secret")
            .arg(format!("--port={port}"))
            .arg(format!("--delivery=mbox,{}", mailbox.display()))
            .arg(format!("--uidls-file={}", home.path().join("uidls").display()))
            .output()
            .unwrap();
        assert!(fetched.status.success(), "{engine}: {}", String::from_utf8_lossy(&fetched.stderr));
        assert!(std::fs::read_to_string(mailbox).unwrap().contains("through the wall"));
        // A port that is taken is said, and so is a node that does not exist.
        let taken = lab.run(&["forward", &format!("{web}:srv:80")]);
        assert!(taken.code != 0 && taken.err.contains("cannot listen"), "{}", taken.err);
        let nobody = lab.run(&["forward", "0:nobody:80"]);
        assert!(nobody.code != 0 && nobody.err.contains("nobody"), "{}", nobody.err);
        // Told so, it listens for others as well.
        let open = Forward::open(&lab, &["0.0.0.0:0:srv:80"]);
        assert!(open.at[0].starts_with("0.0.0.0:"), "{:?}", open.at);
    }
}
