//! Engines and labs for the tests.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::docker::Docker;
use engine::embedded::{Embedded, Options};
use engine::pod::Pods;
use engine::{Chunk, Deployment, Engine, ExecOptions, Network, NodeSpec, Result, TerminalSize};
use futures::StreamExt;
use node::config::{Address, Link};
use tokio::io::AsyncWriteExt;

/// How long anything may take that must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

fn commands() -> Vec<String> {
    crate::commands::NAMES.iter().map(|name| (*name).to_owned()).collect()
}

/// The embedded engine with a state folder of these tests.
pub fn embedded() -> Embedded {
    let state = std::env::temp_dir().join(format!("labctl-engines-{}", std::process::id()));
    Embedded::with(Options { commands: commands(), state, ..Options::default() })
}

/// An engine by name; `None`, said aloud, where it cannot be tested.
pub fn engine(name: &str) -> Option<Arc<dyn Engine>> {
    static MISSING: OnceLock<std::sync::Mutex<BTreeMap<String, Option<String>>>> = OnceLock::new();
    let engine: Arc<dyn Engine> = match name {
        "docker" => Arc::new(Docker::connect(None, commands()).ok()?),
        "pod" => Arc::new(Pods::new(Docker::connect(None, commands()).ok()?)),
        _ => Arc::new(embedded()),
    };
    let mut missing = MISSING.get_or_init(Default::default).lock().unwrap();
    let why = missing.entry(name.to_owned()).or_insert_with(|| {
        let info = runtime().block_on(engine.info());
        info.err().map(|error| format!("{error}; {}", error.help().unwrap_or_default()))
    });
    match why {
        None => Some(engine),
        Some(why) => {
            assert!(std::env::var_os("LABCTL_CI").is_none(), "{name}: {why}");
            println!("SKIPPED: {name}: {why}");
            None
        }
    }
}

/// A runtime as labctl's.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Removes the instance at the end, whatever happens.
pub struct Lab {
    pub engine: Arc<dyn Engine>,
    pub deployment: Deployment,
}

/// A node with one interface on each network named.
pub fn spec(name: &str, number: u8, networks: &[&str]) -> NodeSpec {
    let mut spec = NodeSpec::default();
    spec.config.lab = "conformance".into();
    spec.config.node = name.into();
    for (index, network) in networks.iter().enumerate() {
        spec.config.links.push(Link {
            network: (*network).into(),
            name: (*network).into(),
            mac: format!("02:00:00:00:{index:02x}:{number:02x}"),
            address: Address::Static(format!("10.9.{index}.{number}/24").parse().unwrap()),
            transport: None,
        });
    }
    spec
}

impl Lab {
    /// Two nodes, `a` (10.9.0.1) and `b` (10.9.0.2), on `lan`.
    pub fn pair(engine: &Arc<dyn Engine>, name: &str) -> Self {
        let deployment = Deployment {
            lab: "conformance".into(),
            instance: format!("{name}-{}", std::process::id()),
            networks: vec![Network { name: "lan".into() }],
            nodes: vec![spec("a", 1, &["lan"]), spec("b", 2, &["lan"])],
            document: "name: conformance\n".into(),
            ..Deployment::default()
        };
        Self { engine: engine.clone(), deployment }
    }

    pub fn name(&self) -> &str {
        &self.deployment.instance
    }

    pub async fn up(&self) -> Result<engine::Changes> {
        self.engine.apply(&self.deployment, &|_| {}).await
    }

    /// Up, and each agent ready.
    pub async fn ready(&self) {
        self.up().await.unwrap();
        for spec in &self.deployment.nodes {
            self.node_ready(spec.name()).await;
        }
    }

    pub async fn node_ready(&self, node: &str) {
        let client = self.engine.control(self.name(), node).await.unwrap();
        let request = node::Request::Ready { timeout_ms: PATIENCE.as_millis() as u64 };
        if let Err(error) = client.call::<serde_json::Value>(&request).await {
            let lines = self.engine.logs(self.name(), node, false).await.unwrap();
            let lines: Vec<_> = lines.collect().await;
            panic!("{node} is not ready: {error}: {lines:#?}");
        }
    }

    /// Runs a command to its end: code, output, errors.
    pub async fn run(&self, node: &str, command: &[&str]) -> (i32, String, String) {
        self.run_with(node, command, None, None).await
    }

    pub async fn run_with(
        &self,
        node: &str,
        command: &[&str],
        input: Option<&[u8]>,
        terminal: Option<TerminalSize>,
    ) -> (i32, String, String) {
        let options = ExecOptions {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            stdin: input.is_some(),
            terminal,
            env: vec![("GREETING".into(), "hello".into())],
        };
        let mut session = self.engine.exec(self.name(), node, options).await.unwrap();
        let mut writer = session.input;
        let input = input.map(<[u8]>::to_vec);
        let writing = tokio::spawn(async move {
            if let Some(input) = input {
                writer.write_all(&input).await.unwrap();
                writer.shutdown().await.unwrap();
            }
            writer
        });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let reading = async {
            while let Some(chunk) = session.output.next().await {
                match chunk.unwrap() {
                    Chunk::Out(bytes) => out.extend_from_slice(&bytes),
                    Chunk::Err(bytes) => err.extend_from_slice(&bytes),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the output ends");
        let code = tokio::time::timeout(PATIENCE, session.exit).await.expect("it ends").unwrap();
        drop(writing.await);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (code, text(out), text(err))
    }

    /// The process number of a node's agent on the host, and 0 where there is none.
    pub async fn pid(&self, node: &str) -> u32 {
        match self.engine.name() {
            "docker" => return self.docker_pid(node),
            "pod" => return self.pod_pid(node),
            _ => {}
        }
        let nodes = self.engine.nodes(self.name()).await.unwrap();
        nodes.iter().find(|state| state.name == node).and_then(|state| state.pid).unwrap_or(0)
    }

    /// The same by Docker's own program.
    fn docker_pid(&self, node: &str) -> u32 {
        let instance = format!("label=labctl.instance={}", self.name());
        let node = format!("label=labctl.node={node}");
        first_process(&["--filter", &instance, "--filter", &node])
    }

    /// The same in a pod: a child of its supervisor whose host name is the node's.
    fn pod_pid(&self, node: &str) -> u32 {
        let name = |pid: &u32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/root/etc/hostname"));
            name.unwrap_or_default().trim().to_owned()
        };
        let agents = self.supervisor_in_pod().map(children).unwrap_or_default();
        agents.into_iter().find(|pid| alive(*pid) && name(pid) == node).unwrap_or(0)
    }

    /// The supervisor of a pod: the child of its first process.
    pub fn supervisor_in_pod(&self) -> Option<u32> {
        let pod = format!("label=labctl.pod={}", self.name());
        children(first_process(&["--filter", &pod])).first().copied()
    }

    /// kill -9 of a node's agent; returns when another one runs.
    pub async fn kill_agent(&self, node: &str) {
        let old = self.pid(node).await;
        kill(old);
        eventually("another agent", async || {
            let pid = self.pid(node).await;
            self.state(node).await == "running" && pid != old && pid != 0
        })
        .await;
    }

    pub async fn state(&self, node: &str) -> String {
        let nodes = self.engine.nodes(self.name()).await.unwrap();
        nodes.into_iter().find(|state| state.name == node).unwrap().state
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let (engine, name) = (self.engine.clone(), self.deployment.instance.clone());
        let result = std::thread::spawn(move || {
            runtime().block_on(engine.remove(&name, &|_| {})).map(|_| ())
        });
        let result = result.join().unwrap();
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

/// What Docker's own program says.
pub fn docker(args: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The process number on the host of the first process of the container that filters choose.
fn first_process(filters: &[&str]) -> u32 {
    let id = docker(&[&["ps", "-q"][..], filters].concat());
    docker(&["inspect", "-f", "{{.State.Pid}}", &id]).parse().unwrap_or(0)
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    text.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits for what must come.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether a process is there and no zombie.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|s| s != "Z")
}

/// Kills a process at once.
pub fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(pid as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}
