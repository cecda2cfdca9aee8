//! `docs/diagnostics.md` is true and complete; the form of what is told is pinned.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Code to severity and example, where there is one.
fn documented() -> BTreeMap<String, (String, Option<String>)> {
    let page = std::fs::read_to_string(root().join("docs/diagnostics.md")).unwrap();
    let mut codes = BTreeMap::new();
    for section in page.split("\n### `").skip(1) {
        let (code, rest) = section.split_once('`').unwrap();
        let severity = rest.trim_start().split('.').next().unwrap().to_lowercase();
        let example = rest
            .split_once("```yaml\n")
            .map(|(_, rest)| rest.split("\n```").next().unwrap().to_owned() + "\n");
        assert!(codes.insert(code.to_owned(), (severity, example)).is_none(), "{code} twice");
    }
    codes
}

fn report(text: &str) -> lab::Report {
    match lab::load_text("lab.yaml", text, Some(Path::new("/nonexistent")), &lab::Vars::new()) {
        Ok(lab) => lab.warnings,
        Err(report) => report,
    }
}

#[test]
fn each_example_gives_its_code_with_a_place_and_help() {
    let mut wrong = Vec::new();
    for (code, (severity, example)) in documented() {
        let Some(example) = example else { continue };
        let report = report(&example);
        match report.diagnostics.iter().find(|d| d.code == code) {
            None => wrong.push(format!("{code}: {report}")),
            Some(found) => {
                let told = serde_json::to_value(found.severity).unwrap();
                if told != severity.as_str() {
                    wrong.push(format!("{code} is {told}"));
                }
                if found.line == 0 || found.message.is_empty() {
                    wrong.push(format!("{code} has no place: {found:?}"));
                }
            }
        }
        // An example is about one thing: nothing else may be wrong with it.
        let others: Vec<_> =
            report.diagnostics.iter().filter(|d| d.code != code).map(|d| d.code.clone()).collect();
        let allowed = [
            "net::unconnected",
            "net::unused-network",
            "dns::nobody",
            "check::no-route",
            "check::no-resolver",
            "yaml::unknown-field",
            "check::nothing-to-do",
            "dns::mx-without-address",
            "mail::server",
        ];
        if others.iter().any(|other| !allowed.contains(&other.as_str())) {
            wrong.push(format!("{code} comes with {others:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_of_the_sources_is_documented_and_no_other() {
    let mut used = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in text.split('"') {
                if let Some((area, what)) = word.split_once("::")
                    && [
                        "yaml", "lab", "net", "dhcp", "dns", "mail", "web", "check", "ios", "vars",
                        "todo", "render",
                    ]
                    .contains(&area)
                    && what.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                    && !what.is_empty()
                {
                    used.insert(word.to_owned());
                }
            }
        }
    }
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(used, documented);
}

#[test]
fn many_problems_are_told_in_one_run() {
    let text = r#"name: lab06
networks:
  lan: 192.168.1.0/24
nodes:
  mail:
    kind: server
    interfaces: { lan: 192.168.1.2 }
    dns: 192.168.1.6
    services:
      mail: { domain: mail.com, acounts: { client1: admin } }
  dns:
    interfaces: { lam: 192.168.1.5 }
    services: { dns: [mail.com. A 192.168.1.256] }
  pc0:
    kind: pc
    interfaces: { lan: 192.168.2.4 }
    mail: { adress: client1@mail.com }
checks:
  - { name: it works, pign: { from: pc0, to: mail } }
"#;
    let report = report(text);
    insta::assert_snapshot!(report.render(false, 90));
    insta::assert_json_snapshot!(report.json()[0]);
}

#[test]
fn the_lint_tells_all_of_a_lab_that_is_well_formed() {
    let text = r#"name: lab06
networks: { lan: 192.168.1.0/24, far: 192.168.2.0/24 }
nodes:
  mail: { interfaces: { lan: 192.168.1.2 }, dns: 192.168.1.6, services: { mail: { domain: mail.com, accounts: { client1: admin } } } }
  dns: { interfaces: { lan: 192.168.1.2 }, services: { dns: [mail.com. A 192.168.1.9, www.mail.com. MX 10 nowhere.mail.com.] } }
  pc0: { interfaces: { lan: 192.168.1.255 }, gateway: 192.168.9.1, mail: { address: client2@mail.com, outgoing: mail.con, incoming: mail.com } }
  pc1: { interfaces: { far: dhcp } }
checks:
  - { ping: { from: pc0, to: pc2 } }
  - { mail: { from: pc0, to: pc1 } }
"#;
    insta::assert_snapshot!(report(text).to_string());
}

#[test]
fn a_place_inside_an_ios_block_is_the_word() {
    let text = "name: a\nnetworks: { lan: 10.0.0.0/24 }\nnodes:\n  r1:\n    kind: router\n    interfaces: { lan: 10.0.0.1 }\n    ios: |\n      hostname R1\n      ip dhpc pool LAN\n";
    let report = report(text);
    let found = &report.diagnostics[0];
    assert_eq!((found.code.as_str(), found.line), ("ios::line", 9));
    assert!(text[found.span.0..].starts_with("dhpc"), "{found:?}");
}

#[test]
fn hostile_files_are_refused_fast() {
    let start = std::time::Instant::now();
    let load = |bytes: &[u8]| {
        lab::load_bytes("x", bytes, None, &lab::Vars::new()).unwrap_err().diagnostics[0]
            .code
            .clone()
    };
    assert_eq!(load(&vec![b'a'; 100 << 20]), "yaml::too-large");
    assert_eq!(load(b"name: \0"), "yaml::control-character");
    assert_eq!(load(b"\xff\xfen\0a\0"), "yaml::encoding");
    assert_eq!(load("[".repeat(10_000).as_bytes()), "yaml::too-deep");
    assert_eq!(load("{a: ".repeat(10_000).as_bytes()), "yaml::too-deep");
    // A build without optimisation on a busy machine is ten times slower than what people run.
    let bound =
        std::time::Duration::from_millis(if cfg!(debug_assertions) { 10_000 } else { 1_000 });
    assert!(start.elapsed() < bound, "{:?}", start.elapsed());
}

#[test]
fn the_examples_of_the_reference_are_labs_without_a_warning() {
    let page = std::fs::read_to_string(root().join("docs/lab-file.md")).unwrap();
    let mut count = 0;
    for block in page.split("\n```yaml\n").skip(1) {
        let text = block.split("\n```").next().unwrap().to_owned() + "\n";
        let report = report(&text);
        assert!(report.diagnostics.is_empty(), "{text}\n{}", report.render(false, 100));
        count += 1;
    }
    assert!(count >= 8);
}
