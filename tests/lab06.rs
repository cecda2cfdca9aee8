//! Lab 06 from end to end, as a new user meets it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use common::{Labctl, Ran, docker, engines, left_on_docker, usable};

const LAB06: &str = "labs/lab06.yaml";

#[test]
fn lab06_comes_up_and_proves_itself() {
    for engine in engines() {
        let lab = Labctl::new(engine, "lab06-up");
        let ran = lab.run(&["up", LAB06]);
        assert_eq!(ran.code, 0, "{engine}: {}\n{}", ran.out, ran.err);
        for text in [
            "PC0 finds the mail server by name",
            "PC0 mails PC1",
            "PC1 answers",
            "no account, no mail",
        ] {
            assert!(ran.out.contains(text), "{engine}: {}", ran.out);
        }
        assert!(ran.err.contains("ready"), "plain progress in a pipe: {}", ran.err);

        let ps = lab.json(&["ps"]);
        let nodes = ps["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 4);
        assert!(nodes.iter().all(|node| node["ready"] == true), "{ps}");

        let ping = lab.exec("pc0", &["ping", "-c", "2", "mail.com"]);
        assert_eq!(ping.code, 0, "{}", ping.err);
        assert!(
            ping.out.contains("(192.168.1.2)")
                && ping.out.contains("2 packets transmitted, 2 received"),
            "{}",
            ping.out
        );
        let lookup = lab.exec("pc1", &["nslookup", "mail.com"]);
        assert!(
            lookup.out.contains("192.168.1.5") && lookup.out.contains("192.168.1.2"),
            "{}",
            lookup.out
        );
        assert_eq!(lab.exec("pc0", &["no-such-command"]).code, 127);
        assert!(lab.ok(&["logs"]).contains("mail"));

        // A second `up` changes nothing.
        let before = lab.json(&["ps"]);
        let ran = lab.run(&["up", LAB06, "--no-verify", "-o", "json"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let changes: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        for what in ["create", "replace", "remove"] {
            assert_eq!(changes["changes"][what].as_array().map(Vec::len), Some(0), "{changes}");
        }
        let after = lab.json(&["ps"]);
        let uptime =
            |ps: &serde_json::Value| ps["nodes"][0]["status"]["uptime_s"].as_f64().unwrap();
        assert!(uptime(&after) > uptime(&before), "the node was not restarted");

        lab.ok(&["down"]);
        assert_eq!(lab.run(&["ps"]).code, 2, "nothing runs under that name");
    }
}

#[test]
fn two_copies_have_the_same_addresses_and_do_not_hear_each_other() {
    for engine in engines() {
        let (a, b) = (Labctl::new(engine, "copy-a"), Labctl::new(engine, "copy-b"));
        std::thread::scope(|scope| {
            for lab in [&a, &b] {
                scope.spawn(move || lab.ok(&["up", LAB06, "--no-scenarios"]));
            }
        });
        let send =
            a.exec("pc0", &["mail", "send", "client2@mail.com", "-s", "only here", "-m", "x"]);
        assert_eq!(send.code, 0, "{}{}", send.out, send.err);
        let list = |lab: &Labctl| -> Ran { lab.exec("pc1", &["mail", "list"]) };
        assert!(list(&a).out.contains("only here"), "{:?}", list(&a));
        assert!(!list(&b).out.contains("only here"), "{:?}", list(&b));
        for lab in [&a, &b] {
            let address = lab.exec("pc0", &["ip", "addr"]);
            assert!(address.out.contains("192.168.1.4/24"), "{}", address.out);
        }
    }
}

#[test]
fn what_a_killed_up_leaves_is_found_by_its_name() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("docker", "killed");
    let mut child =
        lab.command(&["up", LAB06]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Killed as soon as the first container is being started.
    use std::io::BufRead;
    let lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if line.contains("starting") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The daemon may still be at work on what it was asked last, so removal is repeated until
    // nothing is left, a bounded number of times.
    for _ in 0..20 {
        lab.ok(&["down", "-q"]);
        if left_on_docker(&lab.instance).is_empty() {
            break;
        }
    }
    assert_eq!(left_on_docker(&lab.instance), Vec::<String>::new());
}

#[test]
fn ctrl_c_rolls_back_what_up_created() {
    for engine in engines() {
        let lab = Labctl::new(engine, "rollback");
        let mut child =
            lab.command(&["up", LAB06]).stderr(std::process::Stdio::piped()).spawn().unwrap();
        use std::io::BufRead;
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            if line.contains("creat") || line.contains("start") {
                break;
            }
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{engine}: {rest:?}");
        let instances = lab.json(&["ls"]);
        assert!(!instances.to_string().contains(&lab.instance), "{engine}: {instances}");
        if engine == "docker" {
            assert_eq!(left_on_docker(&lab.instance), Vec::<String>::new());
        }
    }
}

#[test]
fn docker_shows_labelled_networks_and_hardened_containers() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("docker", "hardened");
    lab.ok(&["up", LAB06, "--no-verify"]);
    let filter = format!("label=labctl.instance={}", lab.instance);
    let ids = docker(&["ps", "-q", "--filter", &filter]);
    assert_eq!(ids.lines().count(), 4);
    assert_eq!(docker(&["network", "ls", "-q", "--filter", &filter]).lines().count(), 1);
    for id in ids.lines() {
        let text = docker(&["inspect", id]);
        let container: serde_json::Value = serde_json::from_str(&text).unwrap();
        let host = &container[0]["HostConfig"];
        assert_eq!(host["Privileged"], false);
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
        assert_eq!(host["CapAdd"].as_array().map(Vec::len), Some(3));
        let options = host["SecurityOpt"].as_array().unwrap();
        assert!(options.iter().any(|option| option == "no-new-privileges"), "{host}");
        assert!(options.iter().any(|option| option.as_str().unwrap().starts_with("seccomp={")));
        assert!(host["Binds"].is_null(), "{host}");
        assert!(host["PortBindings"].as_object().is_none_or(serde_json::Map::is_empty));
    }
    // `docker restart` brings a node back by itself.
    let name = format!("labctl-{}.mail", lab.instance);
    docker(&["restart", "-t", "2", &name]);
    lab.ok(&["verify"]);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(common::root().join(LAB06)).unwrap();
    let cases = [
        ("empty.yaml", String::new(), "empty"),
        ("not.yaml", "{ [".into(), "not.yaml:1"),
        ("field.yaml", good.replace("kind: pc", "kindd: pc"), "kind"),
        (
            "network.yaml",
            good.replace("interfaces: { lan: 192.168.1.4 }", "interfaces: { lann: 192.168.1.4 }"),
            "lan",
        ),
        ("address.yaml", good.replace("192.168.1.4", "192.168.1.3"), "192.168.1.3"),
    ];
    for engine in engines() {
        let lab = Labctl::new(engine, "wrong");
        let missing = lab.run(&["up", "no-such.yaml"]);
        assert_eq!(missing.code, 2, "{missing:?}");
        assert!(missing.err.contains("no-such.yaml"), "{missing:?}");
        for (name, text, says) in &cases {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let ran = lab.run(&["up", path.to_str().unwrap()]);
            assert_eq!(ran.code, 2, "{name}: {ran:?}");
            assert!(ran.err.contains(says), "{name} should say {says}: {}", ran.err);
            assert!(ran.err.contains(name), "{name} should be named: {}", ran.err);
        }
        assert!(!lab.json(&["ls"]).to_string().contains(&lab.instance));
    }
    // No Docker, and Docker without permission.
    let lab = Labctl::new("docker", "wrong");
    let ran = lab.run(&["up", LAB06, "--host", "unix:///no/such.sock"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains("no Docker daemon answers") && ran.err.contains("embedded"),
        "{}",
        ran.err
    );
}
