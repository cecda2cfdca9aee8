//! A node in namespaces of its own: user, network, mounts, processes.

// Not every test uses all of it; a child is waited for by the node's `Drop`.
#![allow(dead_code, clippy::zombie_processes)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node::{Client, Config};

/// Patience of every wait in these tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Builds a root of its own for the node and becomes its process 1. `$1` is the root, `$2` the
/// program, `$3` the script that makes its interfaces.
const INIT: &str = r#"
set -e
R="$1"
mount -t tmpfs tmpfs "$R"
mkdir -p "$R/bin" "$R/etc/labctl" "$R/run" "$R/tmp" "$R/proc" "$R/dev" "$R/usr" "$R/root" "$R/var/lib"
mkdir -p "$R/../state"
mkdir "$R/var/lib/labctl"
mount --bind "$R/../state" "$R/var/lib/labctl"
mount --rbind /usr "$R/usr"
mount --rbind /dev "$R/dev"
for l in lib lib64; do [ -e "/usr/$l" ] && ln -s "usr/$l" "$R/$l"; done
touch "$R/bin/labctl"
mount --bind "$2" "$R/bin/labctl"
mount -t proc proc "$R/proc"
cp "$R/../node.json" "$R/etc/labctl/node.json"
eval "$3"
exec chroot "$R" /bin/labctl agent
"#;

/// A running node; ends with this value.
pub struct Node {
    folder: tempfile::TempDir,
    unshare: Child,
    links: String,
    pub pid: i32,
}

/// The test's program.
pub fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/testnode")
}

/// Whether such nodes can be made here; says why not.
pub fn possible() -> bool {
    let tried = Command::new("unshare").args(["-rnmp", "--fork", "ip", "link"]).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("LABCTL_CI").is_none(), "no namespaces: {why}");
    println!("SKIPPED: namespaces with unshare and ip are needed: {why}");
    false
}

impl Node {
    /// Starts a node whose interfaces the shell script `links` makes.
    pub fn start(config: &Config, links: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let json = serde_json::to_vec(config).unwrap();
        std::fs::write(folder.path().join("node.json"), json).unwrap();
        let (unshare, pid) = spawn(&folder, links);
        Self { folder, unshare, links: links.into(), pid }
    }

    /// Ends the agent as a container engine does; how long it took.
    pub fn stop(&mut self) -> Duration {
        let started = Instant::now();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), nix::sys::signal::SIGTERM)
            .unwrap();
        let status = self.unshare.wait().unwrap();
        assert!(status.success(), "{status}");
        started.elapsed()
    }

    /// Stops it and starts it again with fresh interfaces; only its state stays.
    pub fn restart(&mut self) {
        self.stop();
        (self.unshare, self.pid) = spawn(&self.folder, &self.links);
    }

    /// A path in the node.
    pub fn path(&self, inside: &str) -> PathBuf {
        format!("/proc/{}/root{inside}", self.pid).into()
    }

    /// Reads a file of the node.
    pub fn read(&self, inside: &str) -> String {
        std::fs::read_to_string(self.path(inside)).unwrap()
    }

    /// A connection to the agent by the relay, as labctl makes it.
    pub fn client(&self) -> Client {
        let mut relay = tokio::process::Command::new(program())
            .arg("relay")
            .arg(self.path(node::paths::AGENT_SOCKET))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let client = Client::from_halves(relay.stdout.take().unwrap(), relay.stdin.take().unwrap());
        tokio::spawn(async move { relay.wait().await });
        client
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ =
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), nix::sys::signal::SIGKILL);
        let _ = self.unshare.wait();
    }
}

fn spawn(folder: &tempfile::TempDir, links: &str) -> (Child, i32) {
    let unshare = Command::new("unshare")
        .args(["-rnmp", "--fork", "sh", "-c", INIT, "sh"])
        .arg(folder.path().join("root"))
        .arg(program())
        .arg(links)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = unshare.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let children = std::fs::read_to_string(&children).unwrap();
        // The shell has the name `sh` until it becomes the agent.
        if let Some(Ok(child)) = children.split_whitespace().next().map(str::parse::<i32>)
            && std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|c| c == "labctl\n")
        {
            return (unshare, child);
        }
        assert!(Instant::now() < deadline, "the node has not started");
        std::thread::yield_now();
    }
}
