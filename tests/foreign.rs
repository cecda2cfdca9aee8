//! labs/foreign.yaml: a container image that is not ours beside our clients, on Docker. No registry
//! is needed: the image is made here, of one static program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Labctl, agent, docker, left_on_docker, skip, usable};

/// Debian's package busybox-static: a whole web server in one file.
const BUSYBOX: &str = "/bin/busybox";

/// An image of its own; gone when dropped.
struct Image(String);

impl Image {
    /// A root of one program and one page.
    fn make() -> Option<Self> {
        if !Path::new(BUSYBOX).exists() {
            skip("the package busybox-static is not there", "LABCTL_REQUIRE_DOCKER");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "etc", "www"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        std::fs::copy(BUSYBOX, root.path().join("bin/busybox")).unwrap();
        std::fs::write(root.path().join("www/index.html"), "<h1>not labctl's</h1>\n").unwrap();
        let mut tar = Command::new("tar")
            .args(["-C", root.path().to_str().unwrap(), "-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let name = format!("labctl-test-foreign:{}", std::process::id());
        let serve = r#"CMD ["/bin/busybox","httpd","-f","-p","80","-h","/www"]"#;
        let made = Command::new("docker")
            .args(["import", "-c", serve, "-", &name])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(Self(name))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", &self.0]).stdout(Stdio::null()).status();
    }
}

/// The container that a node's image runs in.
fn companion(lab: &Labctl) -> String {
    let instance = format!("label=labctl.instance={}", lab.instance);
    let found = docker(&["ps", "-q", "--filter", &instance, "--filter", "label=labctl.role=image"]);
    assert_eq!(found.lines().count(), 1, "{found}");
    found.trim().to_owned()
}

#[test]
fn an_image_that_is_not_ours_is_a_node_as_any_other() {
    if !usable("docker") {
        return;
    }
    let Some(image) = Image::make() else { return };
    let lab = Labctl::new("docker", "foreign");
    let set = format!("image={}", image.0);
    let up = ["up", "labs/foreign.yaml", "--set", &set];
    // All checks, and the scenarios: stopped and started, its cable pulled.
    let ran = lab.run(&up);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let page = lab.exec("pc", &["curl", "http://www.shop.test/"]);
    assert!(page.out.contains("not labctl's"), "{}{}", page.out, page.err);
    // It has the node's name and the lab's resolver, and no capability of an administrator.
    let inside = |command: &[&str]| {
        let container = companion(&lab);
        docker(&[&["exec", container.as_str(), "/bin/busybox"][..], command].concat())
    };
    assert_eq!(inside(&["hostname"]).trim(), "web");
    assert!(inside(&["cat", "/etc/resolv.conf"]).contains("192.168.1.5"));
    assert!(inside(&["ip", "address"]).contains("192.168.1.80/24"));
    // A restart gives the node another network; the image follows.
    lab.ok(&["restart", "web"]);
    let page = ["--only", "the PC sees its page by name"];
    lab.ok(&[&["verify", "-q"][..], &page].concat());
    // What was lost behind labctl's back comes back with the next `up`: the image stopped, gone,
    // or left in the network of an agent that was killed.
    let up = [&up[..], &page].concat();
    docker(&["kill", &companion(&lab)]);
    lab.ok(&up);
    docker(&["rm", "-f", &companion(&lab)]);
    lab.ok(&up);
    let old = agent(&lab, "web");
    let pid = nix::unistd::Pid::from_raw(old.unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while agent(&lab, "web").is_none_or(|new| new == 0 || Some(new) == old) {
        assert!(Instant::now() < deadline, "Docker did not start the agent again");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(lab.ok(&up).contains("passed"));
    lab.ok(&["down", "-q"]);
    assert_eq!(left_on_docker(&lab.instance), [] as [String; 0]);
}

#[test]
fn an_image_that_is_not_there_is_said_before_anything_starts() {
    if !usable("docker") {
        return;
    }
    let lab = Labctl::new("docker", "no-image");
    let ran = lab.run(&["up", "labs/foreign.yaml", "--set", "image=labctl-test-nowhere:1"]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("node web") && ran.err.contains("docker pull"), "{}", ran.err);
    assert_eq!(left_on_docker(&lab.instance), [] as [String; 0]);
}
