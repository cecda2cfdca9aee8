//! What the end-to-end tests share: the real labctl, a lab that is taken down whatever happens, and
//! the rule for what is missing.

#![allow(dead_code, reason = "each test target uses its own part")]

pub mod terminal;

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program under test.
pub const LABCTL: &str = env!("CARGO_BIN_EXE_labctl");

/// The two engines.
pub const ENGINES: [&str; 2] = ["docker", "embedded"];

/// What a run of labctl gave.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// labctl for one instance on one engine; takes the instance down when dropped.
pub struct Labctl {
    engine: &'static str,
    /// The instance's name.
    pub instance: String,
}

impl Labctl {
    /// An instance named after the test and this process, so that tests run side by side. The engine
    /// `pod` is Docker with `--isolation pod`.
    pub fn new(engine: &'static str, test: &str) -> Self {
        Self { engine, instance: format!("{test}-{}", std::process::id()) }
    }

    /// The command with the instance and the engine set.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LABCTL);
        command
            .args(args)
            .current_dir(root())
            .env("LABCTL_ENGINE", if self.engine == "pod" { "docker" } else { self.engine })
            .env("LABCTL_INSTANCE", &self.instance)
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        if self.engine == "pod" {
            command.env("LABCTL_ISOLATION", "pod");
        }
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it and demands exit code 0; its output.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "labctl {args:?} on {}:\n{}\n{}", self.engine, ran.out, ran.err);
        ran.out
    }

    /// Runs it with `-o json` and demands exit code 0.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = vec!["-o", "json"];
        all.extend(args);
        let text = self.ok(&all);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// A command in a node.
    pub fn exec(&self, node: &str, command: &[&str]) -> Ran {
        let mut all = vec!["exec", "-T", node, "--"];
        all.extend(command);
        self.run(&all)
    }
}

impl Drop for Labctl {
    fn drop(&mut self) {
        let _ = self.command(&["down", "-q"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The engines that can be tested here. One that is missing is printed as skipped, and a failure
/// where `LABCTL_REQUIRE_DOCKER=1` or `LABCTL_CI=1` demands it.
pub fn engines() -> Vec<&'static str> {
    ENGINES.into_iter().filter(|engine| usable(engine)).collect()
}

/// Whether an engine answers.
pub fn usable(engine: &str) -> bool {
    let output = Command::new(LABCTL)
        .args(["doctor", "-q", "--engine", engine])
        .env_remove("LABCTL_ENGINE")
        .output()
        .unwrap();
    let usable = output.status.success();
    if !usable {
        let why = String::from_utf8_lossy(&output.stdout).into_owned();
        skip(&format!("the engine {engine} is not there: {}", why.trim()), "LABCTL_REQUIRE_DOCKER");
    }
    usable
}

/// Prints that something is skipped; panics where CI or `demand` forbids it.
pub fn skip(why: &str, demand: &str) {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| value == "1");
    assert!(!set(demand) && !set("LABCTL_CI"), "not to be skipped: {why}");
    eprintln!("SKIPPED: {why}");
}

/// What Docker itself says, by its own client.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "docker {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The host's process number of a node's agent.
pub fn agent(lab: &Labctl, node: &str) -> Option<i32> {
    if lab.engine == "docker" {
        let instance = format!("label=labctl.instance={}", lab.instance);
        let node = format!("label=labctl.node={node}");
        let role = "label=labctl.role=agent";
        let wanted = ["ps", "-q", "--filter", &instance, "--filter", &node, "--filter", role];
        let id = docker(&wanted);
        return docker(&["inspect", "-f", "{{.State.Pid}}", id.trim()]).trim().parse().ok();
    }
    // A child of the supervisor whose host name is the node's.
    let supervisor = *processes(&format!("/{}", lab.instance)).first()?;
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &i32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/root/etc/hostname"));
        name.is_ok_and(|name| name.trim() == node)
    })
}

/// Processes whose command line has a word that ends so.
pub fn processes(end: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|word| word.ends_with(end))
    })
    .collect()
}

/// Ids of everything on Docker that carries an instance's labels.
pub fn left_on_docker(instance: &str) -> Vec<String> {
    let filter = format!("label=labctl.instance={instance}");
    let mut left = Vec::new();
    for list in [vec!["ps", "-aq"], vec!["network", "ls", "-q"], vec!["volume", "ls", "-q"]] {
        let mut args = list.clone();
        args.extend(["--filter", &filter]);
        left.extend(docker(&args).lines().map(str::to_owned));
    }
    left
}

/// Looks again and again until it is so; for half a minute.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
