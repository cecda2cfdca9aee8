//! Tests that every engine must pass.

use std::sync::Arc;
use std::time::Duration;

use engine::{Chunk, Engine, ExecOptions, TerminalSize};
use futures::StreamExt;
use node::request::LinkAction;
use tokio::io::AsyncWriteExt;

use crate::Test;
use crate::support::{Lab, PATIENCE, alive, engine, eventually, runtime, spec};

type Body = fn(Arc<dyn Engine>, String);

pub fn tests() -> Vec<Test> {
    let all: [(&str, Body); 16] = [
        ("overlap", overlap),
        ("codes", codes),
        ("stdin", stdin),
        ("terminal", terminal),
        ("dropped", dropped),
        ("background", background),
        ("logs", logs),
        ("again", again),
        ("cable", cable),
        ("restart", restart),
        ("stopped", stopped),
        ("agent-killed", agent_killed),
        ("interrupted", interrupted),
        ("walls", walls),
        ("missing", missing),
        ("two-at-once", two_at_once),
    ];
    let mut tests: Vec<Test> = Vec::new();
    for kind in ["embedded", "docker", "pod"] {
        for (name, body) in all {
            let name = format!("{kind}-{name}");
            let instance = name.clone();
            tests.push((
                name,
                Box::new(move || {
                    if let Some(engine) = engine(kind) {
                        body(engine, instance.clone());
                    }
                }),
            ));
        }
    }
    tests
}

/// Two labs with equal addresses do not see each other.
fn overlap(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let one = Lab::pair(&engine, &format!("{name}1"));
        let two = Lab::pair(&engine, &format!("{name}2"));
        let labs = [&one, &two];
        futures::future::join_all(labs.map(Lab::ready)).await;
        for (lab, says) in labs.into_iter().zip(["one", "two"]) {
            let options = ExecOptions {
                command: ["listen", "4000", says].map(str::to_owned).to_vec(),
                ..ExecOptions::default()
            };
            let mut listening = engine.exec(lab.name(), "b", options).await.unwrap();
            let first = tokio::time::timeout(PATIENCE, listening.output.next()).await.unwrap();
            assert!(matches!(first, Some(Ok(Chunk::Out(_)))));
            // Sessions stay open until both have been asked.
            tokio::spawn(listening.exit);
        }
        for (lab, says) in labs.into_iter().zip(["one", "two"]) {
            let (code, out, _) = lab.run("a", &["connect", "10.9.0.2", "4000"]).await;
            assert_eq!((code, out.as_str()), (0, says));
            let (_, links, _) = lab.run("a", &["net"]).await;
            let mut links: Vec<_> = links.lines().collect();
            links.sort_unstable();
            assert_eq!(links, ["lan 02:00:00:00:00:01", "lo 00:00:00:00:00:00"]);
        }
        let all = engine.instances().await.unwrap();
        for lab in labs {
            let found = all.iter().find(|found| found.name == lab.name()).unwrap();
            assert_eq!((found.running, found.nodes, found.networks), (2, 2, 1));
            assert_eq!(found.lab, "conformance");
            let document = engine.document(lab.name()).await.unwrap();
            assert_eq!(document.as_deref(), Some("name: conformance\n"));
        }
    });
}

fn codes(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        for (command, code) in [
            (&["true"][..], 0),
            (&["code", "42"], 42),
            (&["code", "255"], 255),
            (&["die", "15"], 128 + 15),
            (&["die", "9"], 128 + 9),
            (&["no-such-command"], 127),
        ] {
            assert_eq!(lab.run("a", command).await.0, code, "{command:?}");
        }
        let (_, out, err) = lab.run("a", &["say", "to out", "to err"]).await;
        assert_eq!((out.as_str(), err.as_str()), ("to out", "to err"));
        let (_, out, _) = lab.run("a", &["env"]).await;
        assert!(out.lines().any(|line| line == "GREETING=hello"), "{out}");
        assert!(
            out.lines().any(|line| line.starts_with("PATH=") && line.contains("/bin")),
            "{out}"
        );
    });
}

fn stdin(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let long: Vec<u8> = (0..300_000).map(|n| b'a' + (n % 26) as u8).collect();
        let (code, out, _) = lab.run_with("b", &["cat"], Some(&long), None).await;
        assert_eq!(code, 0);
        assert_eq!(out.as_bytes(), long);
        // Without standard input there is end of file at once.
        let (code, out, _) = lab.run("b", &["cat"]).await;
        assert_eq!((code, out.as_str()), (0, ""));
    });
}

fn terminal(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let options = ExecOptions {
            command: vec!["tty".into()],
            terminal: Some(TerminalSize { columns: 91, rows: 17 }),
            stdin: true,
            ..ExecOptions::default()
        };
        let mut session = engine.exec(lab.name(), "a", options).await.unwrap();
        let mut seen = String::new();
        let mut expect = async |output: &mut futures::stream::BoxStream<'static, _>, what: &str| {
            let reading = async {
                while !seen.contains(what) {
                    match output.next().await {
                        Some(Ok(Chunk::Out(bytes))) => seen += &String::from_utf8_lossy(&bytes),
                        other => panic!("{other:?} after {seen}"),
                    }
                }
            };
            tokio::time::timeout(PATIENCE, reading).await.expect("it comes");
        };
        expect(&mut session.output, "/dev/pts/").await;
        expect(&mut session.output, "exists=true").await;
        // Docker sets the size a moment after the start.
        (session.resize)(TerminalSize { columns: 91, rows: 17 }).await.unwrap();
        session.input.write_all(b"size\n").await.unwrap();
        expect(&mut session.output, "(91, 17)").await;
        (session.resize)(TerminalSize { columns: 132, rows: 50 }).await.unwrap();
        session.input.write_all(b"size\n").await.unwrap();
        expect(&mut session.output, "(132, 50)").await;
        session.input.write_all(b"quit\n").await.unwrap();
        while session.output.next().await.is_some() {}
        assert_eq!(session.exit.await.unwrap(), 7);
        // Control-C reaches the command.
        let options = ExecOptions {
            command: vec!["hang".into()],
            terminal: Some(TerminalSize { columns: 80, rows: 24 }),
            stdin: true,
            ..ExecOptions::default()
        };
        let mut session = engine.exec(lab.name(), "a", options).await.unwrap();
        let first = tokio::time::timeout(PATIENCE, session.output.next()).await.unwrap();
        assert!(matches!(first, Some(Ok(Chunk::Out(_)))));
        session.input.write_all(b"\x03").await.unwrap();
        while session.output.next().await.is_some() {}
        assert_eq!(session.exit.await.unwrap(), 130);
    });
}

/// A session that is dropped does not disturb its node, nor the next session.
fn dropped(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let options = ExecOptions { command: vec!["hang".into()], ..ExecOptions::default() };
        let mut session = engine.exec(lab.name(), "a", options).await.unwrap();
        assert!(session.output.next().await.is_some());
        drop(session);
        assert_eq!(lab.run("a", &["true"]).await.0, 0);
        assert_eq!(lab.state("a").await, "running");
    });
}

/// A command that leaves a child behind is over when it has ended; on Docker, which keeps the
/// stream open as long as anybody has it, when the child has ended as well. The code is the
/// command's own on both.
fn background(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let child_lives = match engine.name() {
            "docker" => "1000",
            _ => "3600000",
        };
        let begun = std::time::Instant::now();
        let (code, out, _) = lab.run("a", &["background", child_lives, "5"]).await;
        assert_eq!(code, 5);
        assert!(out.contains("left one behind"), "{out}");
        let waited = begun.elapsed() >= Duration::from_secs(1);
        assert!(waited || engine.name() != "docker", "Docker is better than docs/engines.md says");
    });
}

fn logs(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let mut lines = engine.logs(lab.name(), "a", false).await.unwrap();
        let mut count = 0;
        while let Some(line) = lines.next().await {
            assert_eq!(line.unwrap().node, "a");
            count += 1;
        }
        assert!(count > 0, "the agent says something when it starts");
        // A follower sees what comes after it began.
        let mut following = engine.logs(lab.name(), "a", true).await.unwrap();
        for _ in 0..count {
            following.next().await.unwrap().unwrap();
        }
        engine.restart(lab.name(), "a").await.unwrap();
        if engine.name() != "docker" {
            let more = tokio::time::timeout(PATIENCE, following.next()).await;
            assert!(more.expect("more comes").unwrap().is_ok());
        }
    });
}

fn again(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let mut lab = Lab::pair(&engine, &name);
        let plan = engine.changes(&lab.deployment).await.unwrap();
        assert_eq!(plan.create.len(), 3, "{plan:?}");
        lab.ready().await;
        let (a, b) = (lab.pid("a").await, lab.pid("b").await);
        assert!(engine.changes(&lab.deployment).await.unwrap().is_empty());
        let changes = lab.up().await.unwrap();
        assert!(changes.is_empty() && changes.keep.len() == 3, "{changes:?}");
        assert_eq!((lab.pid("a").await, lab.pid("b").await), (a, b));
        // One node changes: only it is replaced.
        lab.deployment.nodes[0].config.forwarding = true;
        let plan = engine.changes(&lab.deployment).await.unwrap();
        assert_eq!(plan.replace, ["node a"], "{plan:?}");
        lab.ready().await;
        assert_ne!(lab.pid("a").await, a);
        assert_eq!(lab.pid("b").await, b);
        // A network and a node more, another node less.
        lab.deployment.networks.push(engine::Network { name: "dmz".into() });
        lab.deployment.nodes[1] = spec("c", 3, &["lan", "dmz"]);
        let a = lab.pid("a").await;
        let changes = lab.up().await.unwrap();
        assert_eq!(changes.remove, ["node b"], "{changes:?}");
        assert!(
            changes.create.contains(&"node c".into())
                && changes.create.contains(&"network dmz".into())
        );
        lab.node_ready("c").await;
        assert_eq!(lab.pid("a").await, a);
        let names: Vec<_> =
            engine.nodes(lab.name()).await.unwrap().into_iter().map(|n| n.name).collect();
        assert_eq!(names, ["a", "c"]);
        let (_, links, _) = lab.run("c", &["net"]).await;
        assert!(links.contains("dmz 02:00:00:00:01:03"), "{links}");
    });
}

fn cable(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let options = ExecOptions {
            command: ["listen", "4000", "hello"].map(str::to_owned).to_vec(),
            ..ExecOptions::default()
        };
        let mut listening = engine.exec(lab.name(), "b", options).await.unwrap();
        assert!(listening.output.next().await.is_some());
        let connect = ["connect", "10.9.0.2", "4000"];
        assert_eq!(lab.run("a", &connect).await.1, "hello");
        let client = engine.control(lab.name(), "a").await.unwrap();
        let link = |action| node::Request::Link { network: "lan".into(), action };
        client.call::<serde_json::Value>(&link(LinkAction::Down)).await.unwrap();
        let (code, ..) = lab.run("a", &["connect", "10.9.0.2", "4000", "300"]).await;
        assert_eq!(code, 1);
        client.call::<serde_json::Value>(&link(LinkAction::Up)).await.unwrap();
        assert_eq!(lab.run("a", &connect).await.1, "hello");
    });
}

fn restart(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let (code, _, err) = lab.run("a", &["write", "/var/lib/labctl/kept", "still here"]).await;
        assert_eq!(code, 0, "{err}");
        let old = lab.pid("a").await;
        engine.restart(lab.name(), "a").await.unwrap();
        lab.node_ready("a").await;
        assert_ne!(lab.pid("a").await, old);
        assert!(!alive(old));
        assert_eq!(lab.run("a", &["cat", "/var/lib/labctl/kept"]).await.1, "still here");
        let (_, links, _) = lab.run("a", &["net"]).await;
        assert!(links.contains("lan 02:00:00:00:00:01"), "{links}");
        // Its cable works again.
        let options = ExecOptions {
            command: ["listen", "4000", "back"].map(str::to_owned).to_vec(),
            ..ExecOptions::default()
        };
        let mut listening = engine.exec(lab.name(), "b", options).await.unwrap();
        assert!(listening.output.next().await.is_some());
        assert_eq!(lab.run("a", &["connect", "10.9.0.2", "4000"]).await.1, "back");
    });
}

fn stopped(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        assert_eq!(lab.run("b", &["knock", "10.9.0.1"]).await.1, "somebody");
        let begun = std::time::Instant::now();
        engine.stop(lab.name(), "a").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(lab.state("a").await, "exited");
        assert_eq!(lab.state("b").await, "running");
        // It does not answer any more: from this moment on, but that Docker takes a moment to
        // unplug it.
        let silent = async || lab.run("b", &["knock", "10.9.0.1"]).await.1 == "nobody";
        match engine.name() {
            "docker" => eventually("silence", silent).await,
            _ => assert!(silent().await, "it still answers"),
        }
        let options = ExecOptions { command: vec!["true".into()], ..ExecOptions::default() };
        let error = match engine.exec(lab.name(), "a", options).await {
            Err(error) => error.to_string(),
            Ok(_) => panic!("a stopped node runs nothing"),
        };
        assert!(error.contains('a'), "{error}");
        // Another `up` starts it.
        let changes = lab.up().await.unwrap();
        assert!(!changes.is_empty(), "{changes:?}");
        lab.node_ready("a").await;
        engine.stop(lab.name(), "a").await.unwrap();
        engine.start(lab.name(), "a").await.unwrap();
        lab.node_ready("a").await;
        assert!(engine.memory(lab.name(), "a").await.unwrap().is_none_or(|bytes| bytes > 100_000));
    });
}

/// kill -9 of an agent: the engine starts the node again by itself.
fn agent_killed(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        for _ in 0..2 {
            lab.kill_agent("a").await;
            lab.node_ready("a").await;
        }
        assert_eq!(lab.run("a", &["true"]).await.0, 0);
        assert_eq!(lab.state("b").await, "running");
    });
}

/// `apply` is dropped in the middle: `remove` finds all it left, and so does another `apply`.
fn interrupted(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        for removed in [true, false] {
            let middle = Arc::new(tokio::sync::Notify::new());
            let tell = middle.clone();
            let progress = move |_| tell.notify_one();
            tokio::select! {
                result = engine.apply(&lab.deployment, &progress) => drop(result.unwrap()),
                () = middle.notified() => {}
            }
            if removed {
                engine.remove(lab.name(), &|_| {}).await.unwrap();
                let all = engine.instances().await.unwrap();
                assert!(all.iter().all(|found| found.name != lab.name()));
            }
        }
        lab.ready().await;
        assert!(engine.changes(&lab.deployment).await.unwrap().is_empty());
    });
}

/// What a node sees and may do.
fn walls(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let (_, out, _) = lab.run("a", &["see"]).await;
        let line = |key: &str| out.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        // NET_BIND_SERVICE (10), NET_ADMIN (12), NET_RAW (13).
        assert_eq!(line("CapEff"), "CapEff: 0000000000003400", "{out}");
        assert_eq!(line("CapBnd"), "CapBnd: 0000000000003400", "{out}");
        assert_eq!(line("NoNewPrivs"), "NoNewPrivs: 1");
        assert_eq!(line("Seccomp"), "Seccomp: 2");
        let pids = line("pids").matches(',').count() + 1;
        assert!(pids <= 4 && line("pids").starts_with("pids [1, "), "{out}");
        for path in ["/boot", "/usr/bin", "/etc/shadow", "/dev/mem", "/dev/vda", "/dev/kmsg"] {
            assert_eq!(line(&format!("{path} ")), format!("{path} false"), "{out}");
        }
        for path in ["/bin/x", "/proc/sysrq-trigger", "/sys/kernel/x", "/proc/sys/kernel/hostname"]
        {
            assert_eq!(line(&format!("write {path}")), format!("write {path} false"), "{out}");
        }
        for path in ["/tmp/x", "/var/lib/labctl/x"] {
            assert_eq!(line(&format!("write {path}")), format!("write {path} true"), "{out}");
        }
        assert_eq!(line("kcore"), "kcore 0");
        assert_eq!(line("host "), "host a");
        assert!(line("/etc/hosts ").contains("10.9.0.1"), "{out}");
        let (code, out, _) = lab.run("a", &["forbidden"]).await;
        assert_eq!((code, out.trim()), (0, ""));
        // The interfaces are its own to set up.
        let (_, out, _) = lab.run("b", &["net"]).await;
        assert!(out.contains("lan 02:00:00:00:00:02"));
    });
}

/// What does not exist is said, or is no error where nothing is to do.
fn missing(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let nobody = format!("{name}-nobody");
        assert!(engine.remove(&nobody, &|_| {}).await.unwrap().is_empty());
        assert_eq!(engine.document(&nobody).await.unwrap(), None);
        let error = engine.control(&nobody, "a").await.unwrap_err();
        assert!(matches!(error, engine::Error::NotFound(_)), "{error:?}");
        let lab = Lab::pair(&engine, &name);
        lab.ready().await;
        let error = engine.control(lab.name(), "pc9").await.unwrap_err();
        assert!(matches!(error, engine::Error::NotFound(_)), "{error:?}");
        assert!(error.to_string().contains("pc9"), "{error}");
        let removed = engine.remove(lab.name(), &|_| {}).await.unwrap();
        let mut names = removed.remove;
        names.sort();
        assert_eq!(names, ["network lan", "node a", "node b"]);
    });
}

/// Two `up` of one instance at once: one of them does the work, both succeed.
fn two_at_once(engine: Arc<dyn Engine>, name: String) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, &name);
        let (one, two) = tokio::join!(lab.up(), lab.up());
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.is_empty() != two.is_empty(), "{one:?} {two:?}");
        lab.ready().await;
    });
}
