//! Engines as labctl shows them: commands in nodes, a terminal, kill -9 of every part. What an engine
//! promises to labctl is in `crates/engine/tests/engines`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use std::io::Read;

use common::terminal::Terminal;
use common::{Labctl, agent, engines, eventually, processes, usable};

const LAB: &str = "labs/lab06.yaml";

fn up(engine: &'static str, test: &str) -> Labctl {
    let lab = Labctl::new(engine, &format!("{test}-{engine}"));
    lab.ok(&["up", "-q", "--no-verify", LAB]);
    lab
}

/// How long each node's agent has run, in seconds.
fn uptimes(lab: &Labctl) -> Vec<(String, f64)> {
    let ps = lab.json(&["ps"]);
    let nodes = ps["nodes"].as_array().unwrap().clone();
    let of = |node: &serde_json::Value| node["status"]["uptime_s"].as_f64().unwrap_or(-1.0);
    nodes.iter().map(|node| (node["name"].to_string(), of(node))).collect()
}

fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn a_command_has_its_exit_code_and_its_streams() {
    for engine in engines() {
        let lab = up(engine, "codes");
        assert_eq!(lab.exec("pc0", &["ping", "-c1", "192.168.1.2"]).code, 0);
        assert_ne!(lab.exec("pc0", &["ping", "-c1", "-W1", "192.168.1.99"]).code, 0);
        let missing = lab.exec("pc0", &["no-such-command"]);
        assert_eq!(missing.code, 127, "{}{}", missing.out, missing.err);
    }
}

#[test]
fn up_again_changes_nothing_and_other_shells_see_the_lab() {
    for engine in engines() {
        let lab = up(engine, "again");
        let before = uptimes(&lab);
        lab.ok(&["up", "-q", "--no-verify", LAB]);
        let after = uptimes(&lab);
        assert_eq!(before.len(), 4);
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            assert!(after > before && *before >= 0.0, "{name} was restarted: {before} {after}");
        }
        assert!(lab.ok(&["ls"]).contains(&lab.instance));
        lab.ok(&["verify", "-q"]);
    }
}

#[test]
fn a_killed_agent_comes_back_with_its_services() {
    if !usable("embedded") {
        return;
    }
    let lab = up("embedded", "agent");
    let pid = agent(&lab, "mail").unwrap();
    kill(pid);
    eventually("another agent", || agent(&lab, "mail").is_some_and(|now| now != pid));
    lab.ok(&["up", "-q", LAB]);
}

#[test]
fn a_killed_supervisor_takes_its_nodes_along_and_nothing_stays() {
    if !usable("embedded") {
        return;
    }
    let lab = up("embedded", "widow");
    let pid = agent(&lab, "mail").unwrap();
    let supervisors = processes(&format!("/{}", lab.instance));
    assert_eq!(supervisors.len(), 1, "{supervisors:?}");
    kill(supervisors[0]);
    eventually("the end of its nodes", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    let ps = lab.run(&["ps"]);
    assert!(ps.out.contains("exited"), "{}{}", ps.out, ps.err);
    // `up` makes it anew, `down` clears it away.
    lab.ok(&["up", "-q", LAB]);
    kill(processes(&format!("/{}", lab.instance))[0]);
    lab.ok(&["down", "-q"]);
    assert!(!lab.ok(&["ls"]).contains(&lab.instance));
    assert_eq!(processes(&format!("/{}", lab.instance)), [] as [i32; 0]);
}

#[test]
fn a_killed_labctl_leaves_a_lab_that_up_completes() {
    for engine in engines() {
        let lab = Labctl::new(engine, &format!("killed-{engine}"));
        let mut child = lab.command(&["up", "--no-verify", LAB]);
        let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // In the middle: as soon as it says anything.
        let mut first = [0; 1];
        child.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        lab.ok(&["up", "-q", LAB]);
        lab.ok(&["down", "-q"]);
        assert!(!lab.ok(&["ls"]).contains(&lab.instance));
    }
}

#[test]
fn a_terminal_in_a_node_is_one() {
    for engine in engines() {
        let lab = up(engine, "terminal");
        let home = tempfile::tempdir().unwrap();
        let mut ping =
            Terminal::open(&lab, home.path(), &["exec", "pc0", "--", "ping", "192.168.1.2"]);
        ping.expect("icmp_seq=1");
        // Control-C reaches ping in the node, which prints its statistics and ends.
        ping.type_in("\x03");
        ping.expect("statistics");
        ping.code();
    }
}

#[test]
fn a_foreign_image_is_refused_before_anything_starts() {
    if !usable("embedded") {
        return;
    }
    let lab = Labctl::new("embedded", "image");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab.yaml");
    let text = "name: foreign\nnetworks: { lan: 10.0.0.0/24 }\nnodes:\n  pc: { kind: pc, \
                interfaces: { lan: 10.0.0.1 } }\n  box: { kind: server, image: 'debian:12', \
                interfaces: { lan: 10.0.0.2 } }\n";
    std::fs::write(&file, text).unwrap();
    let ran = lab.run(&["up", file.to_str().unwrap()]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("box") && ran.err.contains("--engine docker"), "{}", ran.err);
    assert!(!lab.ok(&["ls"]).contains("image-"));
}
