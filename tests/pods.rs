//! `--isolation pod`: one container on Docker holds a whole lab, and every verb finds it there. What a
//! pod promises as an engine is in `crates/engine/tests/engines`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use std::io::Read;
use std::process::{Command, Stdio};

use common::terminal::Terminal;
use common::{LABCTL, Labctl, docker, root, usable};

const LAB06: &str = "labs/lab06.yaml";

/// Ids of everything on Docker that belongs to a pod whose name begins so.
fn left(instance: &str) -> Vec<String> {
    let names = docker(&["ps", "-a", "--format", "{{.Names}}"]);
    let volumes = docker(&["volume", "ls", "--format", "{{.Name}}"]);
    let all = names.lines().chain(volumes.lines()).map(str::to_owned);
    all.filter(|name| name.starts_with(&format!("labctl-{instance}"))).collect()
}

fn exec(lab: &Labctl, node: &str, command: &[&str]) -> String {
    let ran = lab.exec(node, command);
    assert_eq!(ran.code, 0, "{node} {command:?}: {}{}", ran.out, ran.err);
    ran.out
}

#[test]
fn lab06_in_a_pod_answers_every_verb() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("pod", "pod-lab06");
    let ran = lab.run(&["up", LAB06]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("PC0 mails PC1") && ran.err.contains("(pod, "), "{}", ran.err);
    // One container, one volume, no network.
    assert_eq!(left(&lab.instance).len(), 2, "{:?}", left(&lab.instance));

    // Later verbs need no word of it.
    let plain = |args: &[&str]| {
        let mut command = lab.command(args);
        command.env_remove("LABCTL_ISOLATION").env_remove("LABCTL_ENGINE");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {text}{error}");
        text + &error
    };
    assert!(plain(&["up", LAB06, "--no-verify"]).contains("Nothing to change"));
    assert!(plain(&["plan", LAB06]).contains("nothing"));
    let ls = plain(&["ls"]);
    let line = ls.lines().find(|line| line.contains(&lab.instance)).unwrap();
    assert!(line.contains("pod") && line.contains("4/4"), "{line}");
    let ps = lab.json(&["ps"]);
    assert!(ps["nodes"].as_array().unwrap().iter().all(|node| node["ready"] == true), "{ps}");

    assert!(exec(&lab, "pc0", &["ping", "-c1", "mail.com"]).contains("1 received"));
    assert_eq!(lab.exec("pc0", &["no-such-command"]).code, 127);
    assert!(lab.ok(&["logs", "mail"]).contains("mail"));
    assert!(!lab.ok(&["mail", "mail"]).is_empty());
    lab.ok(&["service", "mail", "mail.smtp", "off"]);
    assert_eq!(lab.run(&["verify", "-q"]).code, 1, "a check that must fail does");
    lab.ok(&["service", "mail", "mail.smtp", "on"]);
    lab.ok(&["link", "pc0:lan", "down"]);
    assert_ne!(lab.exec("pc0", &["ping", "-c1", "-W1", "192.168.1.2"]).code, 0);
    lab.ok(&["link", "pc0:lan", "up"]);
    let trace = lab.ok(&["trace", "--", "ping", "pc0", "mail.com"]);
    assert!(trace.contains("icmp") && trace.contains("pc0"), "{trace}");
    lab.ok(&["stop", "pc1"]);
    assert!(plain(&["ls"]).contains("3/4"));
    lab.ok(&["start", "pc1"]);
    lab.ok(&["restart", "mail"]);
    plain(&["verify", "-q"]);

    // The other isolation is refused while this one runs.
    let ran = lab.run(&["up", LAB06, "--isolation", "nodes"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("kept apart otherwise") && ran.err.contains("labctl down"));
    plain(&["down", "-q"]);
    assert_eq!(left(&lab.instance), [] as [String; 0]);
}

#[test]
fn a_forwarded_port_leads_into_a_pod() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("pod", "pod-forward");
    lab.ok(&["up", "-q", "--no-verify", LAB06]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = lab
        .command(&["forward", &format!("{free}:mail:25")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut stream = loop {
        match std::net::TcpStream::connect(("127.0.0.1", free)) {
            Ok(stream) => break stream,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_terminal_in_a_pod_is_one() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("pod", "pod-terminal");
    lab.ok(&["up", "-q", "--no-verify", LAB06]);
    let home = tempfile::tempdir().unwrap();
    let mut ping = Terminal::open(&lab, home.path(), &["exec", "pc0", "--", "ping", "192.168.1.2"]);
    ping.expect("icmp_seq=1");
    // Control-C reaches ping in the node, which prints its statistics and ends.
    ping.type_in("\x03");
    ping.expect("statistics");
    ping.code();
}

#[test]
fn mastertech_in_a_pod_proves_itself() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("pod", "pod-mastertech");
    let ran = lab.run(&["up", "-q", "labs/mastertech.yaml"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    lab.ok(&["verify", "-q"]);
    lab.ok(&["down", "-q"]);
    assert_eq!(left(&lab.instance), [] as [String; 0]);
}

#[test]
fn a_foreign_image_in_a_pod_is_refused_before_anything_starts() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("pod", "pod-image");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.yaml");
    let text = "name: foreign\nnetworks: { lan: 10.0.0.0/24 }\nnodes:\n  pc: { kind: pc, \
                interfaces: { lan: 10.0.0.1 } }\n  box: { kind: server, image: 'debian:12', \
                interfaces: { lan: 10.0.0.2 } }\n";
    std::fs::write(&file, text).unwrap();
    let ran = lab.run(&["up", file.to_str().unwrap()]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("box") && ran.err.contains("--isolation nodes"), "{}", ran.err);
    assert_eq!(left(&lab.instance), [] as [String; 0]);
}

#[test]
fn a_killed_labctl_leaves_a_pod_that_up_completes() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("pod", "pod-killed");
    let mut child = lab.command(&["up", "--no-verify", LAB06]);
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    // In the middle: as soon as it says anything.
    child.stderr.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    lab.ok(&["up", "-q", LAB06]);
    lab.ok(&["down", "-q"]);
    assert_eq!(left(&lab.instance), [] as [String; 0]);
}

#[test]
fn a_class_of_pods_is_started_graded_and_removed() {
    if !usable("docker") {
        return;
    }
    let class = format!("pod-class-{}", std::process::id());
    let labctl = |words: &[&str]| {
        let mut args = vec!["class", "--class", class.as_str()];
        args.extend(words);
        let output = Command::new(LABCTL)
            .args(args)
            .current_dir(root())
            .env("LABCTL_ENGINE", "docker")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let (code, text) = labctl(&["up", LAB06, "--students", "ana,ben,cleo", "--memory", "400"]);
    assert_eq!(code, Some(0), "{text}");
    // A container and a volume each.
    assert_eq!(left(&class).len(), 6, "{:?}", left(&class));
    // What it is found by later; the other way of keeping copies apart is refused.
    let (code, text) = labctl(&["up", LAB06, "--students", "ana", "--isolation", "nodes"]);
    assert!(code == Some(2) && text.contains("kept apart otherwise"), "{text}");
    let (code, text) = labctl(&["exec", "ben", "mail", "--", "ip", "addr"]);
    assert!(code == Some(0) && text.contains("192.168.1.2"), "{text}");
    let (code, text) = labctl(&["grade", "-q"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = labctl(&["down"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(left(&class), [] as [String; 0]);
}
