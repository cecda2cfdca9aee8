//! A class as its instructor meets it: twelve copies on each engine, three wrong students, labctl
//! killed in the middle; an exercise that a student does with labctl alone; hand-ins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{LABCTL, Ran, docker, engines, root, usable};
use serde_json::Value;

/// Small enough for twelve copies: a name server whose record is each student's own, and a PC.
const LAB: &str = r#"name: small
networks: { lan: 192.168.1.0/24 }
nodes:
  server: { interfaces: { lan: 192.168.1.2 }, services: { dns: { records: ["{{ student.domain }}. A 192.168.1.2"] } } }
  pc: { kind: pc, interfaces: { lan: 192.168.1.4 } }
checks:
  - { name: the PC reaches the server, ping: { from: pc, to: server }, within: 3s }
  - { name: the server knows the domain, points: 2, dns: { from: pc, name: "{{ student.domain }}", answer: 192.168.1.2 }, within: 2s }
"#;

/// A class that goes when the test ends, with a state folder of its own.
struct Class {
    engine: &'static str,
    name: String,
    more: &'static [&'static str],
    folder: tempfile::TempDir,
}

impl Class {
    fn new(engine: &'static str, more: &'static [&'static str], test: &str) -> Self {
        let name = format!("{test}-{engine}-{}", std::process::id());
        Self { engine, name, more, folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LABCTL);
        command
            .args(args)
            .current_dir(root())
            .env("LABCTL_ENGINE", self.engine)
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env_remove("LABCTL_INSTANCE")
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "labctl {args:?} on {}:\n{}\n{}", self.engine, ran.out, ran.err);
        ran.out
    }

    /// `labctl class …` of this class.
    fn class<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["class", "--class", &self.name];
        all.extend(args);
        all
    }

    /// A verb in a student's lab.
    fn student(&self, slug: &str, args: &[&str]) -> Ran {
        let instance = format!("{}-{slug}", self.name);
        let mut all = vec!["-p", &instance];
        all.extend(args);
        self.run(&all)
    }

    fn does(&self, slug: &str, args: &[&str]) -> String {
        let ran = self.student(slug, args);
        assert_eq!(ran.code, 0, "{slug} {args:?} on {}:\n{}\n{}", self.engine, ran.out, ran.err);
        ran.out
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The results of `class grade` as JSON, and its exit code.
    fn grade(&self, more: &[&str]) -> (Value, i32) {
        let mut args = vec!["-o", "json"];
        args.extend(self.class(&["grade"]));
        args.extend(more);
        let ran = self.run(&args);
        let grades = serde_json::from_str(&ran.out);
        (grades.unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err)), ran.code)
    }

    /// Containers, networks and volumes on Docker; folders, processes and control groups of the
    /// embedded engine.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.engine == "docker" {
            for list in [vec!["ps", "-a"], vec!["network", "ls"], vec!["volume", "ls"]] {
                let mut args = list;
                args.extend(["--format", "{{json .}}"]);
                let all = docker(&args);
                left.extend(all.lines().filter(|l| l.contains(&self.name)).map(str::to_owned));
            }
            return left;
        }
        for entry in std::fs::read_dir("/run/labctl").into_iter().flatten().flatten() {
            left.push(entry.path().display().to_string());
        }
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let own = entry.file_name().to_string_lossy() == std::process::id().to_string();
            if !own {
                left.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        groups(Path::new("/sys/fs/cgroup"), 0, &mut left);
        left.retain(|one| one.contains(&self.name));
        left
    }
}

fn groups(folder: &Path, depth: u32, left: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if depth < 5 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            left.push(entry.path().display().to_string());
            groups(&entry.path(), depth + 1, left);
        }
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        let mut down = self.command(&self.class(&["down", "-q"]));
        let _ = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn students(grades: &Value) -> Vec<(String, Option<f64>, Vec<String>)> {
    let rows = grades["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| {
            let outcomes = row["report"]["outcomes"].as_array().cloned().unwrap_or_default();
            let failed = outcomes.iter().filter(|one| one["verdict"] != "pass");
            (
                row["student"]["id"].as_str().unwrap().to_owned(),
                row["error"].is_null().then(|| row["report"]["earned"].as_f64().unwrap()),
                failed.map(|one| one["name"].as_str().unwrap().to_owned()).collect(),
            )
        })
        .collect()
}

/// Names of all scripts, blanks, quotes, and cells that a spreadsheet would run.
fn roster() -> String {
    let mut text = String::from("\u{feff}id;name;email;domain\r\n");
    let names = [
        "Anna Kovács",
        "李雷",
        "\"Ben \"\"B\"\" Smith\"",
        "=HYPERLINK(\"\"x\"\")",
        "@SUM(A1)",
        "-cmd",
        "+1",
        "Zoë <b>",
        "Ömer Çelik",
        "O'Neil; Jr",
        "Łukasz",
        "Nguyễn",
    ];
    for (at, name) in names.iter().enumerate() {
        let name = if name.starts_with('"') { (*name).to_owned() } else { format!("\"{name}\"") };
        text += &format!("u{:02};{name};u{at}@x.test;d{at}.test\r\n", at + 1);
    }
    text
}

/// Twelve copies; killed, completed, graded, interrupted, graded again, gone.
fn twelve(engine: &'static str, more: &'static [&'static str]) {
    let class = Class::new(engine, more, if more.contains(&"pod") { "pods" } else { "twelve" });
    let (lab, roster) = (class.write("lab.yaml", LAB), class.write("roster.csv", &roster()));
    let mut up = class.class(&["up", &lab, "--roster", &roster, "--memory", "128"]);
    up.extend(class.more);

    // kill -9 when the first copies are there.
    let mut child = class.command(&up).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = said.by_ref().map_while(Result::ok).find(|line| line.contains("ready ("));
    assert!(ready.is_some(), "{engine}: no copy got ready");
    child.kill().unwrap();
    child.wait().unwrap();
    class.ok(&up);
    let mut status = vec!["-o", "json"];
    status.extend(class.class(&["status"]));
    let status: Value = serde_json::from_str(&class.ok(&status)).unwrap();
    let copies = status["copies"].as_array().unwrap();
    assert_eq!(copies.len(), 12, "{status}");
    assert!(
        copies
            .iter()
            .all(|one| one["copy"]["instance"]["running"] == one["copy"]["instance"]["nodes"])
    );

    // Three wrong students, each with the verbs of a student.
    class.does("u02", &["service", "server", "dns", "off"]);
    class.does("u05", &["dns", "server", "change", "d4.test. A 192.168.1.9"]);
    class.does("u11", &["link", "pc:lan", "down"]);

    // An interrupted grading goes on where it stopped.
    let args = class.class(&["grade", "--parallel", "2"]);
    let mut child =
        class.command(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    said.by_ref().map_while(Result::ok).find(|line| line.starts_with("[1/12]")).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{engine}");
    let journal = class.read(&format!("state/labctl/class/{}.jsonl", class.name));
    let kept: Vec<Value> = journal.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    assert!((1..12).contains(&kept.len()), "{engine}: {journal}");
    let files = ["g.csv", "moodle.csv", "g.xlsx", "g.html", "g.xml", "g.json"];
    let paths: Vec<String> =
        files.iter().map(|name| class.path(name).display().to_string()).collect();
    let reports: Vec<&str> = paths.iter().flat_map(|path| ["--report", path]).collect();
    let (grades, code) = class.grade(&reports);
    assert_eq!(code, 1, "{engine}: {grades}");
    for entry in &kept {
        // The very same result, not one that is as good.
        assert!(grades["rows"].as_array().unwrap().contains(&entry["row"]), "{engine}: {entry}");
    }
    let rows = students(&grades);
    assert_eq!(rows.len(), 12);
    for (at, (id, earned, failed)) in rows.iter().enumerate() {
        assert_eq!(*id, format!("u{:02}", at + 1), "in the order of the roster");
        let (want, broken) = match id.as_str() {
            "u02" | "u05" => (1.0, 1),
            "u11" => (0.0, 2),
            _ => (3.0, 0),
        };
        assert_eq!((*earned, failed.len()), (Some(want), broken), "{engine} {id}: {failed:?}");
    }
    let moodle = class.read("moodle.csv");
    assert!(moodle.contains("u01,u0@x.test,3") && moodle.contains("u11,u10@x.test,0"), "{moodle}");
    let csv = class.read("g.csv");
    assert!(
        csv.contains("'=HYPERLINK") && csv.contains("'@SUM(A1)") && csv.contains("李雷"),
        "{csv}"
    );
    let page = class.read("g.html");
    assert!(page.contains("Zoë &lt;b&gt;") && !page.contains("Zoë <b>"));

    // Results that are new are taken over; a single student is graded again.
    class.does("u03", &["down"]);
    class.does("u02", &["service", "server", "dns", "on"]);
    let (since, _) = class.grade(&["--since", "1h"]);
    assert_eq!(students(&since)[1].1, Some(1.0), "the result of before is taken over: {since}");
    let (again, code) = class.grade(&["--student", "u02"]);
    assert_eq!((students(&again)[0].1, code), (Some(3.0), 0), "{again}");

    // One whose lab cannot be graded gets an error, not a zero. On Docker a copy without its
    // document is none of the class any more.
    if engine == "embedded" {
        let document = format!("/run/labctl/{}-u04/deployment.json", class.name);
        std::fs::remove_file(document).unwrap();
        let (broken, code) =
            class.grade(&["--student", "u04", "--student", "u06", "--report", &paths[1]]);
        let rows = students(&broken);
        assert_eq!((rows[0].0.as_str(), rows[0].1, code), ("u04", None, 3), "{broken}");
        let moodle = class.read("moodle.csv");
        assert!(moodle.contains("u06") && !moodle.contains("u04"), "{moodle}");
    }

    class.ok(&class.class(&["down", "-q"]));
    assert_eq!(class.left(), [] as [String; 0], "{engine}");
    assert_eq!(class.run(&class.class(&["down"])).code, 4);
}

#[test]
fn twelve_copies_on_the_embedded_engine() {
    if usable("embedded") {
        twelve("embedded", &[]);
    }
}

#[test]
fn twelve_copies_on_docker_node_by_node() {
    if usable("docker") {
        twelve("docker", &["--isolation", "nodes", "--parallel", "6"]);
    }
}

#[test]
fn twelve_copies_in_pods() {
    if usable("docker") {
        twelve("docker", &["--isolation", "pod", "--parallel", "6"]);
    }
}

#[test]
fn nothing_starts_until_the_roster_is_right() {
    let class = Class::new("embedded", &[], "roster");
    let lab = class.write("lab.yaml", LAB);
    let text = "id,domain\na,a.test\n,b.test\nA,c.test\nd\n\"e\te\",x\n";
    let roster = class.write("roster.csv", text);
    let ran = class.run(&class.class(&["up", &lab, "--roster", &roster]));
    assert_eq!(ran.code, 2, "{}", ran.err);
    for line in [":3: ", ":4: ", ":5: ", ":6: "] {
        assert!(ran.err.contains(&format!("roster.csv{line}")), "{line} of {}", ran.err);
    }
    // A student whose lab is wrong refuses the class as well, with the student's name.
    let roster = class.write("roster.csv", "id,domain\na,a.test\nb,b c.test\n");
    let ran = class.run(&class.class(&["up", &lab, "--roster", &roster]));
    assert!(ran.code == 2 && ran.err.contains("for student b"), "{}", ran.err);
    assert_eq!(class.left(), [] as [String; 0]);
}

/// What the sheet of Lab 06 asks for, with labctl's verbs.
const WORK: &[&[&str]] = &[
    &["config", "pc0", "address=192.168.1.4", "dns=192.168.1.5"],
    &["config", "pc1", "address=192.168.1.3"],
    &["dns", "dns", "add", "mail.com. A 192.168.1.2"],
    &["mail", "mail", "account-add", "client2", "admin"],
    &["service", "mail", "mail.pop3", "on"],
    &[
        "config",
        "pc0",
        "mail.address=client1@mail.com",
        "mail.password=admin",
        "mail.outgoing=mail.com",
        "mail.incoming=mail.com",
    ],
    &["config", "pc1", "mail.incoming=mail.com"],
];

#[test]
fn an_exercise_is_done_with_labctl_alone_and_handed_in() {
    for engine in engines() {
        let class = Class::new(engine, &[], "exercise");
        let lab = "labs/lab06.yaml";
        class.ok(&class.class(&["up", lab, "--students", "anna", "--exercise"]));
        let (before, code) = class.grade(&["--no-scenarios"]);
        let (_, earned, failed) = students(&before).remove(0);
        assert!(code == 1 && earned.unwrap() < 8.0, "{engine}: {before}");
        for name in
            ["PC0 has the address of the sheet", "the DNS server knows mail.com", "PC0 mails PC1"]
        {
            assert!(failed.iter().any(|one| one == name), "{name} of {failed:?}");
        }
        // What is expected is not in the student's lab.
        let node =
            class.student("anna", &["exec", "-T", "dns", "--", "cat", "/etc/labctl/node.json"]);
        assert!(!node.out.contains("192.168.1.2"), "{}", node.out);

        // One hint at a time: the author's, then what is broken.
        let hint = class.student("anna", &["hint", "PC0 has the address"]);
        assert!(
            hint.code == 1 && hint.out.contains("Step 2 of the sheet"),
            "{}{}",
            hint.out,
            hint.err
        );
        let next = class.student("anna", &["hint", "PC0 has the address"]);
        assert!(!next.out.contains("Step 2") && next.out.contains("address"), "{}", next.out);

        // The whole lab is not put over the work, nor the work over the whole lab.
        let ran = class.run(&class.class(&["up", lab, "--students", "anna"]));
        assert!(ran.code == 5 && ran.out.contains("exercise"), "{}{}", ran.out, ran.err);
        for words in WORK {
            class.does("anna", words);
        }
        class.does("anna", &["verify", "-q"]);
        // It lasts over a restart of each node, and `class up` leaves it alone.
        for node in ["mail", "dns", "pc0", "pc1"] {
            class.does("anna", &["restart", node]);
        }
        class.ok(&class.class(&["up", lab, "--students", "anna", "--exercise"]));
        let (after, code) = class.grade(&["--again"]);
        assert_eq!((code, students(&after)[0].1), (0, Some(18.0)), "{engine}: {after}");
        assert!(class.student("anna", &["hint"]).err.contains("nothing to hint at"));

        // Handed in, graded elsewhere by the author's file, restored.
        let folder = class.path("hand-ins").display().to_string();
        class.ok(&class.class(&["snapshot", "--to", &folder]));
        class.ok(&class.class(&["down", "-q"]));
        std::fs::write(class.path("hand-ins/ben.tar.gz"), "not an archive").unwrap();
        let (elsewhere, code) = class.grade(&["--from", &folder, "--lab", lab, "--no-scenarios"]);
        let rows = students(&elsewhere);
        assert_eq!(rows[0].1, Some(18.0), "{engine}: {elsewhere}");
        assert_eq!((rows[1].0.as_str(), rows[1].1, code), ("ben", None, 3));
        assert_eq!(class.left(), [] as [String; 0], "{engine}: grading leaves nothing");
        std::fs::remove_file(class.path("hand-ins/ben.tar.gz")).unwrap();
        class.ok(&class.class(&["restore", &folder]));
        class.does("anna", &["verify", "-q", "--no-scenarios"]);
        class.ok(&class.class(&["reset", "anna"]));
        assert_eq!(class.student("anna", &["verify", "-q", "--no-scenarios"]).code, 1);
    }
}

#[test]
fn a_router_is_configured_at_its_console() {
    if !usable("embedded") {
        return;
    }
    let class = Class::new("embedded", &[], "console");
    class.ok(&class.class(&["up", "labs/djelfa-homework.yaml", "--count", "1", "--exercise"]));
    let config = class.does("s01", &["exec", "-T", "r1", "--", "show", "running-config"]);
    assert!(config.contains("excluded-address") && !config.contains("dhcp pool"), "{config}");
    let lines = [
        "enable",
        "configure terminal",
        "ip dhcp pool R1_DHCP",
        "network 192.168.1.0 255.255.255.0",
        "default-router 192.168.1.254",
        "dns-server 192.168.1.20",
        "end",
    ];
    let path = class.write("lines", &(lines.join("\n") + "\n"));
    let mut console = class.command(&["-p", &format!("{}-s01", class.name), "console", "r1"]);
    let input = std::fs::File::open(path).unwrap();
    let output = console.stdin(input).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A PC that nobody answered asks again within a minute, or when it is told to.
    let renew = |pc: &str| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let ran = class.student("s01", &["exec", "-T", pc, "--", "ipconfig", "/renew"]);
            if ran.code == 0 {
                break;
            }
            assert!(Instant::now() < deadline, "{pc} got no lease: {}{}", ran.out, ran.err);
        }
    };
    renew("user1-pc");
    renew("user2-pc");
    class.does("s01", &["verify", "-q", "--only", "DHCP", "--no-scenarios"]);
    // The pool is still there when the router was off.
    class.does("s01", &["restart", "r1"]);
    renew("user1-pc");
}

#[test]
fn a_copy_ends_when_its_time_is_over() {
    if !usable("embedded") {
        return;
    }
    let class = Class::new("embedded", &[], "ttl");
    let lab = class.write("lab.yaml", LAB);
    let roster = class.write("roster.csv", "id,domain\na,a.test\n");
    // Long enough to start, short enough to wait for.
    class.ok(&class.class(&["up", &lab, "--roster", &roster, "--ttl", "0.0011"]));
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let processes: Vec<String> =
            class.left().into_iter().filter(|one| one.contains("supervisor")).collect();
        if processes.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "still there: {processes:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let ls = class.run(&["ls"]);
    assert!(ls.err.contains(&class.name) && ls.err.contains("its time was over"), "{}", ls.err);
    assert_eq!(class.left(), [] as [String; 0]);
}

#[test]
fn the_rest_goes_on_when_one_copy_cannot_be_made() {
    if !usable("embedded") {
        return;
    }
    let class = Class::new("embedded", &[], "partly");
    // One student's node wants an image, which this engine has not.
    let text = LAB.replace(
        "  pc: {",
        "{% if student.image %}\n  box: { kind: server, image: \"{{ student.image }}\", interfaces: { lan: 192.168.1.9 } }\n{% endif %}\n  pc: {",
    );
    let lab = class.write("lab.yaml", &text);
    let roster =
        class.write("roster.csv", "id,domain,image\na,a.test,\nb,b.test,missing:1\nc,c.test,\n");
    let ran = class.run(&class.class(&["up", &lab, "--roster", &roster]));
    assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
    let row =
        |id: &str| ran.out.lines().find(|line| line.contains(&format!("{}-{id}", class.name)));
    assert!(
        row("a").unwrap().contains("ready") && row("c").unwrap().contains("ready"),
        "{}",
        ran.out
    );
    assert!(row("b").unwrap().contains("missing:1"), "{}", ran.out);
    let roster = class.write("roster.csv", "id,domain,image\na,a.test,\nb,b.test,\nc,c.test,\n");
    class.ok(&class.class(&["up", &lab, "--roster", &roster]));
}
