//! Tests of the embedded engine's own promises.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use engine::{Engine, Limits, Network};

use crate::Test;
use crate::support::{Lab, alive, engine, eventually, kill, runtime, spec};

type Body = fn(Arc<dyn Engine>);

pub fn tests() -> Vec<Test> {
    let all: [(&str, Body); 11] = [
        ("nothing-left", nothing_left),
        ("supervisor-killed", supervisor_killed),
        ("one-fails", one_fails),
        ("image", image),
        ("parallel", parallel),
        ("bounds", bounds),
        ("trapped-links", trapped_links),
        ("garbage", garbage),
        ("hanging-supervisor", hanging_supervisor),
        ("ordinary-user", |_| ordinary_user()),
        ("in-a-container", |_| in_a_container()),
    ];
    all.into_iter()
        .map(|(name, body)| -> Test {
            let run = move || {
                if let Some(engine) = engine("embedded") {
                    body(engine);
                }
            };
            (format!("embedded-{name}"), Box::new(run))
        })
        .collect()
}

fn state() -> PathBuf {
    std::env::temp_dir().join(format!("labctl-engines-{}", std::process::id()))
}

/// Processes with a word in their command line.
fn processes(word: &str) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).split('\0').any(|arg| arg == word || arg.ends_with(word))
        })
        .collect()
}

fn supervisor(lab: &Lab) -> u32 {
    let found = processes(&format!("/{}", lab.name()));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

fn groups(lab: &Lab) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in ["", "memory", "pids", "cpu"] {
        let path = Path::new("/sys/fs/cgroup").join(root).join("labctl");
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.to_string_lossy().ends_with(&format!(".{}", lab.name()))),
        );
    }
    found
}

fn interfaces() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn nothing_left(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let before = interfaces();
        let lab = Lab::pair(&engine, "nothing");
        lab.ready().await;
        // Docker's tests run beside: only what could be ours counts.
        let more: Vec<_> = interfaces()
            .difference(&before)
            .filter(|name| !name.starts_with("br-") && !name.starts_with("veth"))
            .cloned()
            .collect();
        assert!(more.is_empty(), "{more:?} appeared on the host");
        let pids = [supervisor(&lab), lab.pid("a").await, lab.pid("b").await];
        let namespace = std::fs::read_link(format!("/proc/{}/ns/net", pids[1])).unwrap();
        assert_ne!(namespace, std::fs::read_link("/proc/self/ns/net").unwrap());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(lab.name()), "{mounts}");
        engine.remove(lab.name(), &|_| {}).await.unwrap();
        assert!(pids[1..].iter().all(|pid| !alive(*pid)), "{pids:?}");
        eventually("the supervisor's end", async || !alive(pids[0])).await;
        assert!(!state().join(lab.name()).exists());
        assert_eq!(groups(&lab), [] as [PathBuf; 0]);
    });
}

fn supervisor_killed(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, "widow");
        for by_garbage in [true, false] {
            lab.ready().await;
            let (a, b) = (lab.pid("a").await, lab.pid("b").await);
            kill(supervisor(&lab));
            eventually("the nodes' end", async || !alive(a) && !alive(b)).await;
            assert_eq!(lab.state("a").await, "exited");
            let error = engine.control(lab.name(), "a").await.unwrap_err().to_string();
            assert!(error.contains("labctl up"), "{error}");
            if by_garbage {
                let gone = engine.collect_garbage().await.unwrap();
                assert!(gone.contains(&lab.name().to_owned()), "{gone:?}");
                assert!(!state().join(lab.name()).exists());
                assert_eq!(groups(&lab), [] as [PathBuf; 0]);
            } else {
                // `up` starts it again.
                let changes = lab.up().await.unwrap();
                assert_eq!(changes.create.len(), 3, "{changes:?}");
                lab.ready().await;
            }
        }
    });
}

/// A node that cannot start: the others do, the error names it, and `up` makes up for it.
fn one_fails(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let mut lab = Lab::pair(&engine, "one-fails");
        lab.deployment.nodes.push(spec("c", 3, &["lan"]));
        let twice = lab.deployment.nodes[2].config.links[0].clone();
        lab.deployment.nodes[2].config.links.push(twice);
        let error = lab.up().await.unwrap_err().to_string();
        assert!(error.contains('c') && error.contains("lan"), "{error}");
        lab.node_ready("a").await;
        let a = lab.pid("a").await;
        let names: Vec<_> =
            engine.nodes(lab.name()).await.unwrap().into_iter().map(|n| n.name).collect();
        assert_eq!(names, ["a", "b"]);
        lab.deployment.nodes[2].config.links.pop();
        let changes = lab.up().await.unwrap();
        assert_eq!(changes.create, ["node c"]);
        assert_eq!(lab.pid("a").await, a);
    });
}

fn image(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let mut lab = Lab::pair(&engine, "image");
        lab.deployment.nodes[1].image = Some("nginx:1".into());
        for result in [engine.supports(&lab.deployment).await, lab.up().await.map(|_| ())] {
            let error = result.unwrap_err();
            assert!(matches!(error, engine::Error::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().contains("`b`"), "{error}");
            assert!(error.help().unwrap().contains("--engine docker"));
        }
        assert!(!state().join(lab.name()).exists(), "nothing was started");
    });
}

fn parallel(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let labs: Vec<Lab> = (0..12).map(|n| Lab::pair(&engine, &format!("parallel{n}"))).collect();
        let up = labs.iter().map(Lab::ready);
        futures::future::join_all(up).await;
        let all = engine.instances().await.unwrap();
        for lab in &labs {
            assert_eq!(all.iter().find(|found| found.name == lab.name()).unwrap().running, 2);
        }
        let down = labs.iter().map(|lab| engine.remove(lab.name(), &|_| {}));
        for result in futures::future::join_all(down).await {
            assert_eq!(result.unwrap().remove.len(), 3);
        }
    });
}

fn bounds(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let info = engine.info().await.unwrap();
        let limits = info.facts.iter().find(|(label, _)| label == "limits").unwrap();
        let mut lab = Lab::pair(&engine, "bounds");
        lab.deployment.nodes[0].limits = Limits { processes: Some(40), ..Limits::default() };
        lab.ready().await;
        if !limits.1.contains("pids") && !limits.1.contains("version 2") {
            println!("SKIPPED: processes are bounded {}", limits.1);
            return;
        }
        let (_, out, _) = lab.run("a", &["hog"]).await;
        let made: u32 = out.trim().parse().unwrap();
        assert!((10..40).contains(&made), "{made} processes could be made");
        // The neighbour does not feel it.
        assert_eq!(lab.run("b", &["true"]).await.0, 0);
    });
}

/// A node that puts links where its supervisor looks cannot lead it elsewhere.
fn trapped_links(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, "trapped");
        lab.ready().await;
        let pid = lab.pid("a").await;
        let run = PathBuf::from(format!("/proc/{pid}/root/run/labctl"));
        let socket = run.join("agent.sock");
        std::fs::remove_file(&socket).unwrap();
        std::os::unix::fs::symlink("/dir/socket", &socket).unwrap();
        let fresh = crate::support::embedded();
        let begun = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            fresh.control(lab.name(), "a"),
        );
        assert!(begun.await.is_err(), "the link was followed");
        // Files that the node replaces by links are written anew at the next start, inside.
        let hosts = PathBuf::from(format!("/proc/{pid}/root/etc/hosts"));
        std::fs::remove_file(&hosts).unwrap();
        std::os::unix::fs::symlink("/var/lib/labctl/stolen", &hosts).unwrap();
        engine.restart(lab.name(), "a").await.unwrap();
        lab.node_ready("a").await;
        let (_, out, _) = lab.run("a", &["see"]).await;
        assert!(out.contains("10.9.0.1"), "{out}");
    });
}

/// Garbage collection touches nothing that lives.
fn garbage(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let lab = Lab::pair(&engine, "alive");
        lab.ready().await;
        let stale = state().join(format!("stale-{}", std::process::id()));
        std::fs::create_dir_all(stale.join("root")).unwrap();
        let gone = engine.collect_garbage().await.unwrap();
        assert!(gone.iter().any(|name| name.starts_with("stale-")), "{gone:?}");
        assert!(!gone.contains(&lab.name().to_owned()));
        assert!(!stale.exists());
        assert_eq!(lab.run("a", &["true"]).await.0, 0);
    });
}

/// A supervisor that does not answer, and a folder that is half written, hide no other lab, and
/// `remove` gets rid of both.
fn hanging_supervisor(engine: Arc<dyn Engine>) {
    runtime().block_on(async {
        let (well, ill) = (Lab::pair(&engine, "well"), Lab::pair(&engine, "ill"));
        futures::future::join_all([well.ready(), ill.ready()]).await;
        // Another build that does not know the question: something else listens on the socket.
        let socket = state().join(ill.name()).join("socket");
        std::fs::remove_file(&socket).unwrap();
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let answering = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            while let Ok((mut stream, _)) = listener.accept().await {
                let text = br#"{"what":"else"}"#;
                let _ = stream.write_all(&(text.len() as u32).to_be_bytes()).await;
                let _ = stream.write_all(text).await;
            }
        });
        let half = state().join(format!("half-{}", std::process::id()));
        std::fs::create_dir_all(&half).unwrap();
        std::fs::write(half.join("deployment.json"), "{\"created\":").unwrap();
        let all = engine.instances().await.unwrap();
        let of = |name: &str| all.iter().find(|found| found.name == name).unwrap();
        assert_eq!((of(well.name()).running, of(ill.name()).running), (2, 0));
        let pid = supervisor(&ill);
        engine.remove(ill.name(), &|_| {}).await.unwrap();
        assert!(!state().join(ill.name()).exists());
        // The kernel takes it down a moment after it has let go of its socket.
        eventually("the supervisor's end", async || !alive(pid)).await;
        answering.abort();
        engine.remove(&format!("half-{}", std::process::id()), &|_| {}).await.unwrap();
        assert!(!half.exists());
    });
}

/// Runs a pair with the engine of this process and prints `INSIDE OK`; for the tests below, which
/// start this program where it is less than root of the host.
pub fn inside() -> ExitCode {
    let engine: Arc<dyn Engine> = Arc::new(crate::support::embedded());
    runtime().block_on(async {
        let info = match engine.info().await {
            Ok(info) => info,
            Err(error) => {
                println!("INSIDE REFUSED {error} HELP {}", error.help().unwrap_or_default());
                return;
            }
        };
        let mut lab = Lab::pair(&engine, "inside");
        lab.deployment.networks.push(Network { name: "dmz".into() });
        lab.deployment.nodes.push(spec("c", 3, &["lan", "dmz"]));
        lab.ready().await;
        let (code, out, _) = lab.run("a", &["see"]).await;
        assert_eq!(code, 0);
        assert!(out.contains("CapEff: 0000000000003400"), "{out}");
        let (code, out, _) = lab.run("a", &["forbidden"]).await;
        assert_eq!((code, out.trim()), (0, ""));
        let size = engine::TerminalSize { columns: 80, rows: 24 };
        let (code, out, _) = lab.run_with("b", &["tty"], Some(b"quit\n"), Some(size)).await;
        assert_eq!(code, 7, "{out}");
        let options = engine::ExecOptions {
            command: ["listen", "80", "hello"].map(str::to_owned).to_vec(),
            ..engine::ExecOptions::default()
        };
        let mut listening = engine.exec(lab.name(), "b", options).await.unwrap();
        assert!(futures::StreamExt::next(&mut listening.output).await.is_some());
        assert_eq!(lab.run("c", &["connect", "10.9.0.2", "80"]).await.1, "hello");
        lab.kill_agent("a").await;
        lab.node_ready("a").await;
        engine.remove(lab.name(), &|_| {}).await.unwrap();
        println!("INSIDE OK {:?}", info.facts);
    });
    ExitCode::SUCCESS
}

fn skip(why: &str) {
    assert!(std::env::var_os("LABCTL_CI").is_none(), "{why}");
    println!("SKIPPED: {why}");
}

fn ordinary_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let program = std::fs::read_link("/proc/self/exe").unwrap();
    // An ordinary user may not enter the folder the program was built in.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("engines");
    std::fs::copy(program, &copy).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "61234", "--regid", "61234", "--clear-groups", "--inh-caps=-all"])
        .arg("--")
        .arg(&copy)
        .arg("inside")
        .current_dir("/tmp")
        .env("TMPDIR", "/tmp")
        .output();
    let Ok(output) = output else { return skip("setpriv (package util-linux) is not there") };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("INSIDE REFUSED") && text.contains("user namespaces") {
        return skip(&text);
    }
    assert!(text.contains("INSIDE OK"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("user namespace"), "{text}");
}

/// In an ordinary container, with two capabilities more and the default filter.
fn in_a_container() {
    let Some(docker) = engine("docker") else { return };
    let lab = Lab::pair(&docker, "container");
    runtime().block_on(lab.ready());
    // The engine has made an image of this very program for its nodes.
    let inspect = |what: &str| {
        let nodes = Command::new("docker")
            .args(["ps", "-aq", "--filter", &format!("label=labctl.instance={}", lab.name())])
            .output();
        let Ok(nodes) = nodes else { return String::new() };
        let ids = String::from_utf8_lossy(&nodes.stdout).into_owned();
        let Some(id) = ids.lines().next() else { return String::new() };
        let output = Command::new("docker").args(["inspect", "-f", what, id]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let image = inspect("{{.Image}}");
    if image.is_empty() {
        return skip("the program docker is not there");
    }
    let run = |capabilities: &[&str]| {
        let output = Command::new("docker")
            .args(["run", "--rm", "--network=none", "--tmpfs=/tmp", "--entrypoint=/bin/labctl"])
            .args(capabilities)
            .args([&image, "inside"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text + &String::from_utf8_lossy(&output.stderr)
    };
    let with = run(&["--cap-add=NET_ADMIN", "--cap-add=SYS_ADMIN"]);
    assert!(with.contains("INSIDE OK"), "{with}");
    let without = run(&[]);
    assert!(
        without.contains("INSIDE REFUSED") && without.contains("--cap-add SYS_ADMIN"),
        "{without}"
    );
}
