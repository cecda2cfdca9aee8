//! Tests of the pods' own promises.

use std::sync::Arc;

use engine::{Engine, Limits};
use futures::StreamExt;

use crate::Test;
use crate::support::{Lab, alive, docker, engine, eventually, kill, runtime};

type Body = fn(Arc<dyn Engine>);

pub fn tests() -> Vec<Test> {
    let all: [(&str, Body); 6] = [
        ("nothing-left", nothing_left),
        ("supervisor-killed", supervisor_killed),
        ("image", image),
        ("bounds", bounds),
        ("garbage", garbage),
        ("many-words", many_words),
    ];
    all.into_iter()
        .map(|(name, body)| -> Test {
            let run = move || {
                if let Some(engine) = engine("pod") {
                    body(engine);
                }
            };
            (format!("pod-{name}"), Box::new(run))
        })
        .collect()
}

/// Everything on Docker that has the label of a lab's pod.
fn objects(lab: &Lab) -> Vec<String> {
    let filter = format!("label=labctl.pod={}", lab.name());
    [&["ps", "-aq"][..], &["volume", "ls", "-q"], &["network", "ls", "-q"]]
        .into_iter()
        .flat_map(|list| {
            let found = docker(&[list, &["--filter", &filter]].concat());
            found.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

fn inspect(lab: &Lab, what: &str) -> String {
    docker(&["inspect", "-f", what, &format!("labctl-{}", lab.name())])
}

/// One container and one volume hold a lab, with no way out; `remove` leaves neither.
fn nothing_left(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, "pod-nothing");
        lab.ready().await;
        assert_eq!(objects(&lab).len(), 2, "{:?}", objects(&lab));
        let host = "{{.HostConfig.Privileged}} {{.HostConfig.NetworkMode}} {{.HostConfig.Binds}} \
                    {{.HostConfig.PidMode}} {{len .Mounts}} {{.HostConfig.SecurityOpt}}";
        let host = inspect(&lab, host);
        assert!(host.starts_with("false none [] ") && !host.contains("seccomp"), "{host}");
        let agent = lab.pid("a").await;
        assert!(alive(agent));
        // Process 1 of the pod itself sees no interface but its own loopback.
        let links = docker(&["exec", &format!("labctl-{}", lab.name()), "/bin/net"]);
        assert_eq!(links, "lo 00:00:00:00:00:00");
        engine.remove(lab.name(), &|_| {}).await.unwrap();
        assert_eq!(objects(&lab), [] as [String; 0]);
        assert!(!alive(agent));
    });
}

/// kill -9 of the supervisor, and of the pod's first process: the lab comes back by itself.
fn supervisor_killed(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, "pod-widow");
        lab.ready().await;
        for first in [false, true] {
            let old = lab.pid("a").await;
            let pid = match first {
                false => lab.supervisor_in_pod().unwrap(),
                true => inspect(&lab, "{{.State.Pid}}").parse().unwrap(),
            };
            kill(pid);
            eventually("the nodes' end", async || !alive(old)).await;
            eventually("the nodes' return", async || {
                let nodes = engine.nodes(lab.name()).await.unwrap_or_default();
                nodes.len() == 2 && nodes.iter().all(|node| node.state == "running")
            })
            .await;
            lab.node_ready("a").await;
            assert_eq!(lab.run("a", &["true"]).await.0, 0);
            assert!(engine.changes(&lab.deployment).await.unwrap().is_empty());
        }
        // Stopped by hand it stays so, says so, and `up` starts it.
        docker(&["stop", "-t", "1", &format!("labctl-{}", lab.name())]);
        let nodes = engine.nodes(lab.name()).await.unwrap();
        assert!(nodes.iter().all(|node| node.state == "exited"), "{nodes:?}");
        assert!(nodes[0].detail.contains("labctl up"), "{nodes:?}");
        let error = engine.control(lab.name(), "a").await.unwrap_err().to_string();
        assert!(error.contains("labctl up"), "{error}");
        assert!(!lab.up().await.unwrap().is_empty());
        lab.node_ready("a").await;
    });
}

fn image(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let mut lab = Lab::pair(&engine, "pod-image");
        lab.deployment.nodes[1].image = Some("nginx:1".into());
        for result in [engine.supports(&lab.deployment).await, lab.up().await.map(|_| ())] {
            let error = result.unwrap_err();
            assert!(matches!(error, engine::Error::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().contains("`b`"), "{error}");
            assert!(error.help().unwrap().contains("--isolation nodes"));
        }
        assert_eq!(objects(&lab), [] as [String; 0], "nothing was started");
    });
}

/// The limits of an instance are its container's, and what a node does ends at them.
fn bounds(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let mut lab = Lab::pair(&engine, "pod-bounds");
        lab.deployment.limits = Limits {
            memory: Some(100 << 20),
            processes: Some(60),
            cpu: Some(0.5),
            disk: Some(10 << 20),
        };
        lab.ready().await;
        let set = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}";
        assert_eq!(inspect(&lab, set), format!("{} 60 500000000", 110 << 20));
        let (_, out, _) = lab.run("a", &["hog"]).await;
        let made: u32 = out.trim().parse().unwrap();
        assert!((10..60).contains(&made), "{made} processes could be made");
        // A node's files fill its pod's room and no more.
        engine.restart(lab.name(), "a").await.unwrap();
        lab.node_ready("a").await;
        let (code, _, err) = lab.run("a", &["write", "/tmp/big", &"x".repeat(100_000)]).await;
        assert_eq!(code, 0, "{err}");
        let room = lab.run("a", &["fill", "/tmp/full"]).await.1;
        let room: u64 = room.trim().parse().unwrap();
        assert!((1 << 20..=5 << 20).contains(&room), "{room} bytes could be written");
    });
}

/// Garbage collection takes what has no container any more, and touches nothing that lives.
fn garbage(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let (alive, dead) = (Lab::pair(&engine, "pod-alive"), Lab::pair(&engine, "pod-dead"));
        futures::future::join_all([alive.ready(), dead.ready()]).await;
        docker(&["rm", "-f", &format!("labctl-{}", dead.name())]);
        let gone = engine.collect_garbage().await.unwrap();
        assert!(gone.contains(&format!("pod {}", dead.name())), "{gone:?}");
        assert!(!gone.iter().any(|name| name.contains(alive.name())), "{gone:?}");
        assert_eq!(objects(&dead), [] as [String; 0]);
        assert_eq!(alive.run("a", &["true"]).await.0, 0);
    });
}

/// Everything goes over one `exec`: commands side by side, one of which nobody reads.
fn many_words(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, "pod-words");
        lab.ready().await;
        let options = engine::ExecOptions { command: vec!["yes".into()], ..Default::default() };
        let mut unread = engine.exec(lab.name(), "a", options).await.unwrap();
        assert!(unread.output.next().await.is_some());
        let long = vec![b'x'; 3_000_000];
        let asked = (0..20).map(|n| {
            let (lab, long) = (&lab, &long);
            async move {
                let (code, out, _) =
                    lab.run_with(["a", "b"][n % 2], &["cat"], Some(long), None).await;
                assert_eq!((code, out.len()), (0, long.len()));
            }
        });
        futures::future::join_all(asked).await;
        let relays = docker(&["top", &format!("labctl-{}", lab.name()), "-eo", "pid,args"]);
        let relays = relays.lines().filter(|line| line.contains("supervisor relay")).count();
        assert_eq!(relays, 1);
        drop(unread);
    });
}
