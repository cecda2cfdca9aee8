//! Captures and traces of real labs, judged by tshark and tcpdump.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;
#[path = "simulation/judge.rs"]
mod judge;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use common::{Labctl, engines, usable};
use judge::{Capturing, agree, frames, there, tshark};
use packets::dissect::dissect;

/// Each lab's checks run while everything is captured.
#[test]
fn tshark_agrees_on_every_lab() {
    if !usable("embedded") || !there("tshark") {
        return;
    }
    let labs: Vec<String> = std::fs::read_dir(common::root().join("labs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        // Its nodes are images, which this engine has not.
        .filter(|lab| lab != "foreign")
        .collect();
    assert!(labs.len() >= 7, "{labs:?}");
    let seen = std::thread::scope(|scope| {
        let running: Vec<_> = labs
            .iter()
            .map(|lab| {
                scope.spawn(move || {
                    let labctl = Labctl::new("embedded", &format!("frames-{lab}"));
                    labctl.ok(&["up", "--no-verify", &format!("labs/{lab}.yaml")]);
                    let capturing = Capturing::start(&labctl, &[]);
                    // A router that comes up asks for routes; else RIP speaks twice a minute.
                    if lab == "mastertech" {
                        labctl.ok(&["restart", "r2"]);
                    }
                    let ran = labctl.run(&["verify", "--no-scenarios"]);
                    assert_eq!(ran.code, 0, "{lab}:\n{}\n{}", ran.out, ran.err);
                    // Leases were taken before anything was captured.
                    if lab == "mastertech" {
                        labctl.ok(&["trace", "--", "dhcp", "pc-b1"]);
                    }
                    let file = capturing.stop();
                    agree(&file)
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for (protocol, count) in seen.into_iter().flatten() {
        *all.entry(protocol).or_default() += count;
    }
    for protocol in
        ["arp", "dns", "dhcp", "icmp", "rip", "smtp", "pop3", "imap", "http", "tls", "tcp"]
    {
        assert!(all.contains_key(protocol), "no {protocol} in {all:?}");
    }
}

/// What nodes are made of makes no difference: containers, and pods that hold a whole lab.
#[test]
fn tshark_agrees_on_containers_and_pods() {
    if !usable("docker") || !there("tshark") {
        return;
    }
    for engine in ["docker", "pod"] {
        let labctl = Labctl::new(engine, &format!("frames-{engine}"));
        labctl.ok(&["up", "--no-verify", "labs/lab06.yaml"]);
        let capturing = Capturing::start(&labctl, &[]);
        labctl.ok(&["verify", "--no-scenarios"]);
        let seen = agree(&capturing.stop());
        for protocol in ["dns", "icmp", "smtp", "pop3"] {
            assert!(seen.contains_key(protocol), "{engine}: no {protocol} in {seen:?}");
        }
    }
}

/// The lines of the dialogues inside TLS, as tshark decrypts them with the keys in the file.
#[test]
fn tls_is_read_where_the_lab_gives_its_keys_and_only_there() {
    if !usable("embedded") || !there("tshark") {
        return;
    }
    let labctl = Labctl::new("embedded", "keys");
    labctl.ok(&["up", "--no-verify", "tests/data/keylog.yaml"]);
    for (check, dialogues) in [
        ("TLS and POP3", &[("smtp", "smtp.req.command"), ("pop3", "pop.request.command")][..]),
        ("STARTTLS and IMAP", &[("smtp", "smtp.req.command"), ("imap", "imap.request.command")]),
        ("a page", &[("http", "http.request.method")]),
    ] {
        let capturing = Capturing::start(&labctl, &[]);
        let story = labctl.json(&["trace", "--", check]);
        let file = capturing.stop();
        for (protocol, field) in dialogues {
            let filter = format!("tls && {field}");
            let theirs = tshark(&file, &["-Y", &filter, "-T", "fields", "-e", field]);
            let theirs = theirs.lines().flat_map(|line| line.split(',')).map(str::to_uppercase);
            let theirs: Vec<String> = theirs.collect();
            let ours = commands(&story, protocol);
            assert!(!ours.is_empty(), "{check}: no {protocol} in {story:#}");
            assert_eq!(ours, theirs, "{check}: {story:#}");
        }
    }
    labctl.ok(&["down"]);
    // Without the option the same lab gives nothing away.
    labctl.ok(&["up", "--no-verify", "tests/data/keylog.yaml", "--set", "keylog=false"]);
    let capturing = Capturing::start(&labctl, &[]);
    let story = labctl.json(&["trace", "--", "TLS and POP3"]);
    let file = capturing.stop();
    let text = story.to_string();
    assert!(text.contains("sends encrypted data") && !text.contains("RCPT"), "{text}");
    assert!(!std::fs::read(&file).unwrap().windows(7).any(|bytes| bytes == b"CLIENT_"));
    assert_eq!(tshark(&file, &["-Y", "tls && smtp"]), "");
    let ran = labctl.exec("mail", &["ls", "/run/labctl"]);
    assert!(ran.code == 0 && !ran.out.contains("keys.log"), "{ran:?}");
}

/// The commands that a story tells of a protocol inside TLS.
fn commands(story: &serde_json::Value, protocol: &str) -> Vec<String> {
    let steps = story["steps"].as_array().unwrap().iter();
    // The client speaks from the higher port.
    steps
        .filter(|step| step["decrypted"] == true && step["protocol"] == protocol)
        .filter(|step| step["from_port"].as_u64() > step["to_port"].as_u64())
        .filter_map(|step| {
            let text = step["text"].as_str().unwrap().to_uppercase();
            // `a7 UID SEARCH …` is a SEARCH to tshark.
            let mut words = text.split(' ').skip(usize::from(protocol == "imap"));
            let word = words.find(|word| *word != "UID")?.to_owned();
            // A message and the second line of a login are no commands.
            let command = !text.starts_with("THE ") && !text.starts_with('*');
            command.then_some(word)
        })
        .collect()
}

/// `capture -w - | tshark -r -` shows packets as they come, and ends when tshark has enough.
#[test]
fn a_capture_streams_into_tshark() {
    if !usable("embedded") || !there("tshark") {
        return;
    }
    let labctl = Labctl::new("embedded", "stream");
    labctl.ok(&["up", "--no-verify", "labs/lab06.yaml"]);
    let mut capture = labctl.command(&["capture", "-w", "-", "--filter", "icmp"]);
    let mut capture = capture.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reading = Command::new("tshark")
        .args(["-l", "-nr", "-", "-c", "4"])
        .stdin(capture.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(reading.stdout.take().unwrap()).lines();
    // The capture may begin a moment after the first: it pings until something is seen.
    let mut pinging =
        labctl.command(&["exec", "-T", "pc0", "--", "ping", "-c", "60", "192.168.1.2"]);
    let mut pinging = pinging.stdout(Stdio::null()).spawn().unwrap();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("ICMP") && first.contains("192.168.1.2"), "{first}");
    assert!(pinging.try_wait().unwrap().is_none(), "nothing came while it ran");
    assert_eq!(lines.map(Result::unwrap).count(), 3);
    assert!(reading.wait().unwrap().success());
    let _ = pinging.kill();
    let _ = pinging.wait();
    // Nobody reads any more: it ends by itself at the next packet, or here.
    let _ = capture.kill();
    let _ = capture.wait();
}

/// Each filter passes the packets that tcpdump passes, on one capture.
#[test]
fn filters_mean_what_they_mean_to_tcpdump() {
    if !usable("embedded") || !there("tcpdump") {
        return;
    }
    let labctl = Labctl::new("embedded", "filter");
    labctl.ok(&["up", "--no-verify", "labs/lab06.yaml"]);
    let capturing = Capturing::start(&labctl, &[]);
    for action in ["mail pc0 pc1", "ping pc0 mail.com"] {
        let mut arguments = vec!["trace", "--"];
        arguments.extend(action.split(' '));
        labctl.ok(&arguments);
    }
    let file = capturing.stop();
    let all = frames(&file);
    for filter in [
        "tcp",
        "udp",
        "arp",
        "icmp",
        "ip",
        "ip6",
        "tcp port 25",
        "port 53",
        "udp port 53",
        "tcp dst port 110",
        "tcp src port 25",
        "src port 53 or dst port 110",
        "host 192.168.1.2",
        "src host 192.168.1.4",
        "dst host 192.168.1.2 and tcp",
        "net 192.168.1.0/24",
        "src net 10.0.0.0/8",
        "not tcp",
        "not (tcp or udp)",
        "tcp and not port 25",
        "(port 25 or port 110) and host 192.168.1.3",
        "icmp or arp",
        "portrange 100-120",
        "tcp portrange 20-30",
        "ether host ff:ff:ff:ff:ff:ff",
        "ether dst ff:ff:ff:ff:ff:ff",
        "broadcast",
        "greater 100",
        "less 60",
        "host 192.168.1.4 and host 192.168.1.2",
        "dst 192.168.1.2",
        "src 192.168.1.4",
        "arp and host 192.168.1.4",
        "ip proto 6",
        "vlan",
        "tcp port smtp",
        "port domain",
        "multicast",
    ] {
        let output =
            Command::new("tcpdump").args(["-nr"]).arg(&file).args(["-t", filter]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{filter}: {errors}");
        // One line a packet: what it prints below a packet is indented.
        let theirs = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| !line.starts_with(['\t', ' ']))
            .count();
        let parsed = packets::Filter::parse(filter).unwrap_or_else(|error| panic!("{error}"));
        let ours = all
            .iter()
            .filter(|frame| {
                let sighting = packets::Sighting {
                    number: 1,
                    network: String::new(),
                    at_ns: 0,
                    sender: None,
                    receivers: Vec::new(),
                    seen_at: Default::default(),
                    length: u32::try_from(frame.len()).unwrap(),
                    data: frame.to_vec(),
                };
                parsed.passes(&sighting, &dissect(frame))
            })
            .count();
        assert_eq!(ours, theirs, "{filter}");
    }
}

/// Every kind of action, on both engines; the diagram is one that Mermaid's grammar takes.
#[test]
fn actions_are_told_on_every_engine() {
    for engine in engines() {
        let labctl = Labctl::new(engine, "actions");
        labctl.ok(&["up", "--no-verify", "labs/mastertech.yaml"]);
        for (action, told) in [
            (&["ping", "pc-b1", "192.168.30.80"][..], &["echo request", "echo reply"][..]),
            (&["dns", "pc-b1", "www.mastertech.com"], &["A? www.mastertech.com."]),
            (
                &["web", "pc-b1", "http://www.mastertech.com"],
                &[
                    "A? www.mastertech.com.",
                    "opens a connection to port 80 (HTTP)",
                    "GET / HTTP/1.1",
                    "HTTP/1.1 200 OK",
                ],
            ),
            (&["dhcp", "pc-b1"], &["REQUEST", "ACK"]),
        ] {
            let mut arguments = vec!["trace", "--"];
            arguments.extend(action);
            let story = labctl.json(&arguments);
            let steps = story["steps"].as_array().unwrap();
            let mut texts = steps.iter().map(|step| step["text"].as_str().unwrap());
            for wanted in told {
                assert!(
                    texts.any(|text| text.contains(wanted)),
                    "{engine} {action:?}: no {wanted} in {story:#}"
                );
            }
            assert!(
                steps
                    .iter()
                    .all(|step| step["explain"].as_str().is_some_and(|text| !text.is_empty())),
                "{story:#}"
            );
        }
        // A packet crosses the routers as one, with a smaller TTL on each link.
        let story = labctl.json(&["trace", "--", "ping", "pc-b1", "192.168.30.80"]);
        let request = story["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["text"].as_str().unwrap().contains("echo request"))
            .unwrap();
        let ttl: Vec<u64> = request["hops"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hop| hop["ttl"].as_u64().unwrap())
            .collect();
        assert!(ttl.len() >= 3 && ttl.windows(2).all(|two| two[1] + 1 == two[0]), "{ttl:?}");
        let diagram = labctl.ok(&["trace", "--mermaid", "--", "ping", "pc-b1", "192.168.30.80"]);
        mermaid(&diagram);
        let told = labctl.ok(&["trace", "--explain", "--", "dns", "pc-b1", "www.mastertech.com"]);
        assert!(told.contains("Names are for people"), "{told}");
        assert!(labctl.ok(&["ports"]).contains("DNS"), "{}", labctl.ok(&["ports"]));
    }
}

/// The grammar of Mermaid's sequence diagrams, as far as labctl uses it.
fn mermaid(diagram: &str) {
    let mut lines = diagram.lines();
    assert_eq!(lines.next(), Some("sequenceDiagram"));
    let mut participants = Vec::new();
    for line in lines {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("participant ") {
            let (id, name) = rest.split_once(" as ").expect(line);
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(), "{line}");
            participants.push(id.to_owned());
            continue;
        }
        let (head, text) = line.split_once(": ").expect(line);
        // A semicolon ends a statement, a hash begins an entity, and `end` alone is a keyword.
        let entities = text.split('#').skip(1).all(|rest| {
            rest.split_once(';')
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric()))
        });
        assert!(entities && text.matches('#').count() == text.matches(';').count(), "{line}");
        let ends: Vec<&str> = match head.strip_prefix("Note over ") {
            Some(ends) => ends.split(',').collect(),
            None => head
                .split_once("->>")
                .or_else(|| head.split_once("--x"))
                .map(|(a, b)| vec![a, b])
                .expect(line),
        };
        assert!(ends.iter().all(|end| participants.iter().any(|known| known == end)), "{line}");
    }
    assert!(participants.len() >= 2, "{diagram}");
}

/// A router that hides a network behind its address: one packet, one connection on both sides.
#[test]
fn nat_is_followed_across_the_router() {
    if !usable("embedded") {
        return;
    }
    let labctl = Labctl::new("embedded", "nat");
    labctl.ok(&["up", "--no-verify", "tests/data/nat.yaml"]);
    let story = labctl.json(&["trace", "--", "web", "pc", "http://203.0.113.80/"]);
    let steps = story["steps"].as_array().unwrap();
    let opening = steps
        .iter()
        .find(|step| step["text"].as_str().unwrap().starts_with("opens a connection"))
        .unwrap();
    assert_eq!(
        (opening["from"].as_str(), opening["to"].as_str()),
        (Some("pc"), Some("web")),
        "{opening:#}"
    );
    let hop = &opening["hops"][1];
    let (hop, from) =
        (hop["rewritten"][0].as_str().unwrap(), opening["from_port"].as_u64().unwrap());
    assert!(
        hop.starts_with(&format!("source rewritten 192.168.1.10:{from} → 203.0.113.2:")),
        "{hop}"
    );
    // The answer is of the same connection, and its destination is written back.
    let answer = steps
        .iter()
        .find(|step| step["text"].as_str().unwrap().starts_with("HTTP/1.1 200"))
        .unwrap();
    assert_eq!(
        (answer["from"].as_str(), answer["to"].as_str()),
        (Some("web"), Some("pc")),
        "{answer:#}"
    );
    assert!(
        answer["hops"][1]["rewritten"][0]
            .as_str()
            .unwrap()
            .contains(&format!("→ 192.168.1.10:{from}")),
        "{answer:#}"
    );
    let openings =
        steps.iter().filter(|step| step["text"].as_str().unwrap().starts_with("opens")).count();
    assert_eq!(openings, 1, "{story:#}");
    let told = labctl.ok(&["trace", "--", "ping", "pc", "203.0.113.80"]);
    assert!(told.contains("source rewritten 192.168.1.10 → 203.0.113.2"), "{told}");
}

/// A datagram that is too long for the link comes in fragments, and is one step.
#[test]
fn fragments_are_one_packet() {
    if !usable("embedded") {
        return;
    }
    let labctl = Labctl::new("embedded", "pieces");
    labctl.ok(&["up", "--no-verify", "labs/lab06.yaml"]);
    let story =
        labctl.json(&["trace", "--", "pc0", "ping", "-c", "1", "-s", "4000", "192.168.1.2"]);
    let steps = story["steps"].as_array().unwrap();
    let request =
        steps.iter().find(|step| step["text"].as_str().unwrap().contains("echo request")).unwrap();
    assert_eq!(request["frames"].as_array().unwrap().len(), 3, "{request:#}");
    let last = request["hops"][0]["frame"].as_u64().unwrap();
    let frame = &story["frames"][usize::try_from(last - 1).unwrap()];
    assert_eq!(frame["protocol"], "icmp", "{frame:#}");
    assert!(frame["layers"].to_string().contains("Reassembled"), "{frame:#}");
}
