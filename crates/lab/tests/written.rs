//! Labs as instructors write them, each very different: what labctl makes of them is pinned. And
//! what labctl says of the mistakes that instructors make.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;

fn data() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Everything that was worked out, in a few lines a node.
fn summary(lab: &lab::Lab) -> String {
    let mut out = String::new();
    for warning in &lab.warnings.diagnostics {
        let place = format!("{}:{}", warning.line, warning.column);
        let _ = writeln!(out, "warning {place} {}: {}", warning.code, warning.message);
    }
    let plan = &lab.plan;
    for network in &plan.networks {
        let _ = writeln!(out, "{} {} gateway {:?}", network.name, network.subnet, network.gateway);
    }
    for node in &plan.nodes {
        let links: Vec<_> =
            node.links.iter().map(|l| format!("{} {:?}", l.network, l.address)).collect();
        let _ = writeln!(out, "{} {} {}", node.kind, node.name, links.join(", "));
        let routes: Vec<_> =
            node.routes.iter().map(|r| format!("{} via {}", r.to, r.via)).collect();
        let _ = writeln!(out, "  routes {routes:?} dns {:?} routing {:?}", node.dns, node.routing);
        for pool in node.services.dhcp.iter().flat_map(|dhcp| &dhcp.pools) {
            let ranges: Vec<_> = pool.ranges.iter().map(ToString::to_string).collect();
            let out_of: Vec<_> = pool.exclude.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                out,
                "  pool {} {} {ranges:?} without {out_of:?} router {:?} dns {:?} {} s",
                pool.name, pool.subnet, pool.router, pool.dns, pool.lease
            );
        }
        for zone in node.services.dns.iter().flat_map(|dns| &dns.zones) {
            let Some(soa) = zone.records.first() else {
                let _ = writeln!(out, "  zone {} from {:?}", zone.name, zone.primaries);
                continue;
            };
            let _ = writeln!(
                out,
                "  zone {} {} records, {} {}, copied by {:?}, tells {:?}",
                zone.name,
                zone.records.len(),
                soa.r#type,
                soa.data,
                zone.allow_transfer,
                zone.notify
            );
        }
        for site in node.services.web.iter().flat_map(|web| &web.sites) {
            let files: Vec<_> = site.files.keys().chain(site.pages.keys()).collect();
            let _ = writeln!(out, "  site {:?} {files:?}", site.names);
        }
    }
    for account in &plan.accounts {
        let _ = writeln!(out, "account {} on {}", account.address, account.node);
    }
    for check in &plan.checks {
        let _ = writeln!(out, "check [{}] {}", check.kind.word(), check.name);
    }
    for scenario in &plan.scenarios {
        let steps: Vec<_> = scenario.steps.iter().map(|step| step.name.as_str()).collect();
        let _ = writeln!(out, "scenario {}: {}", scenario.name, steps.join("; "));
    }
    out
}

#[test]
fn very_different_labs_are_understood() {
    let mut labs: Vec<_> = std::fs::read_dir(data().join("labs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    labs.sort();
    assert!(labs.len() >= 10);
    for path in labs {
        let lab = lab::load(&path, &lab::Vars::new())
            .unwrap_or_else(|report| panic!("{}", report.render(false, 100)));
        let secrets = lab::Secrets::make(&lab.plan, None, std::time::SystemTime::now()).unwrap();
        lab::render::all(&lab.plan, &secrets).unwrap();
        for wrong in &lab.plan.wrong {
            lab.patched(&wrong.patch).unwrap();
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        insta::assert_snapshot!(format!("lab-{name}"), summary(&lab));
    }
}

/// A good lab, and texts in it that an instructor may write otherwise.
const BASE: &str = include_str!("data/base.yaml");

const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "one blank less",
        "    interfaces: { lan: 192.168.1.4 }\n",
        "   interfaces: { lan: 192.168.1.4 }\n",
    ),
    (
        "one blank more",
        "    kind: pc\n    interfaces: { lan: 192.168.1.4 }\n",
        "    kind: pc\n     interfaces: { lan: 192.168.1.4 }\n",
    ),
    (
        "a tab",
        "    dns: 192.168.1.5\n    mail: { address: client1",
        "\tdns: 192.168.1.5\n    mail: { address: client1",
    ),
    (
        "a no-break blank",
        "    kind: pc\n    interfaces: { lan: 192.168.1.4 }",
        "\u{a0}\u{a0}\u{a0}\u{a0}kind: pc\n    interfaces: { lan: 192.168.1.4 }",
    ),
    (
        "no colon",
        "    kind: pc\n    interfaces: { lan: 192.168.1.4 }",
        "    kind pc\n    interfaces: { lan: 192.168.1.4 }",
    ),
    (
        "no blank after the colon",
        "    kind: pc\n    interfaces: { lan: 192.168.1.4 }",
        "    kind:pc\n    interfaces: { lan: 192.168.1.4 }",
    ),
    ("a bare colon", "title: Mail", "title: Mail: lab six"),
    ("a bare #", "title: Mail", "title: #1 lab"),
    ("a bare @", "title: Mail", "title: @mail"),
    ("a bare *", "title: Mail", "title: *mail"),
    (
        "an open brace",
        "    interfaces: { lan: 192.168.1.4 }",
        "    interfaces: { lan: 192.168.1.4 ",
    ),
    ("an open quote", "title: Mail", "title: \"Mail"),
    ("a quote in quotes", "title: Mail", "title: 'it's mail'"),
    ("a dash without a blank", "  - { name: ping it", "  -{ name: ping it"),
    (
        "no dash",
        "  - { name: ping it, ping: { from: pc0, to: mail.com } }\n",
        "  name: ping it\n  ping: { from: pc0, to: mail.com }\n",
    ),
    ("a dash too many", "nodes:\n  mail:\n", "nodes:\n  - mail:\n"),
    (
        "a list for a mapping",
        "    interfaces: { lan: 192.168.1.4 }",
        "    interfaces:\n      - lan: 192.168.1.4",
    ),
    (
        "a list of users",
        "accounts: { client1: admin, client2: admin }",
        "accounts: [client1, client2]",
    ),
    ("one user", "accounts: { client1: admin, client2: admin }", "accounts: client1"),
    (
        "a mapping for a list",
        "          - mail.com. A 192.168.1.2\n          - mail.com. MX 10 mail.com.",
        "          mail.com.: A 192.168.1.2",
    ),
    ("a letter O", "192.168.1.4 }", "192.168.1.O4 }"),
    ("five numbers", "192.168.1.4 }", "192.168.1.4.1 }"),
    ("more than 255", "192.168.1.4 }", "192.168.1.400 }"),
    ("IPv6", "{ lan: 192.168.1.4 }", "{ lan: fe80::1 }"),
    ("/33", "192.168.1.0/24", "192.168.1.0/33"),
    ("a mask", "192.168.1.0/24", "192.168.1.0/255.255.255.0"),
    ("no prefix", "192.168.1.0/24", "192.168.1.0"),
    ("host bits", "192.168.1.0/24", "192.168.1.1/24"),
    ("two of a name", "  pc1:\n", "  pc0:\n"),
    (
        "a misspelt field",
        "    dns: 192.168.1.5\n    mail: { address: client1",
        "    dsn: 192.168.1.5\n    mail: { address: client1",
    ),
    ("a misspelt service", "      mail: { domain", "      mial: { domain"),
    ("a misspelt node", "from: pc0, to: pc1, fetch", "from: pc0, to: pc2, fetch"),
    ("a misspelt network", "{ lan: 192.168.1.4 }", "{ lna: 192.168.1.4 }"),
    ("a misspelt protocol", "off: mail.smtp", "off: mail.smpt"),
    ("a colon for a dot", "off: mail.smtp", "off: mail:smtp"),
    ("a misspelt check", "ping: { from: pc0, to: mail.com }", "pign: { from: pc0, to: mail.com }"),
    (
        "two kinds",
        "ping: { from: pc0, to: mail.com }",
        "ping: { from: pc0, to: mail.com }, link: pc0",
    ),
    ("no address", "address: client1@mail.com, ", ""),
    ("no @", "client1@mail.com", "client1.mail.com"),
    ("no such account", "address: client1@", "address: client3@"),
    ("another password", "client1@mail.com, password: admin", "client1@mail.com, password: admn"),
    (
        "a kind that is none",
        "    kind: pc\n    interfaces: { lan: 192.168.1.4 }",
        "    kind: computer\n    interfaces: { lan: 192.168.1.4 }",
    ),
    ("no preference", "MX 10 mail.com.", "MX mail.com."),
    ("a record's number", "A 192.168.1.2", "A 192.168.1.256"),
    ("no name", "name: lab06\n", ""),
    ("a name for people", "name: lab06", "name: Lab 06"),
    ("a misspelt way", "expect: { refused: connection }", "expect: { refused: conection }"),
    ("a misspelt expectation", "expect: { refused: connection }", "expect: refuse"),
    ("words for numbers", "name: ping it,", "name: ping it, points: two,"),
    ("seconds", "name: ping it,", "name: ping it, within: 10 seconds,"),
    ("an empty step", "      - { on: mail.smtp }", "      -"),
    ("an empty node", "  pc1:\n", "  pc9:\n  pc1:\n"),
    ("one address for two", "192.168.1.3", "192.168.1.4"),
    ("outside", "192.168.1.3", "192.168.2.3"),
    (
        "no such resolver",
        "192.168.1.4 }\n    dns: 192.168.1.5",
        "192.168.1.4 }\n    dns: 192.168.1.6",
    ),
    ("no networks", "networks:\n  lan: 192.168.1.0/24\n", ""),
    ("a variable without a value", "title: Mail", "title: \"{{ titel }}\""),
    ("an open tag", "title: Mail", "title: \"{{ title\""),
    ("an unknown word", "fetch: pop3", "fetch: pop"),
    ("a second lab", "scenarios:\n", "---\nscenarios:\n"),
];

#[test]
fn mistakes_are_explained_at_their_place() {
    let mut out = String::new();
    for (name, from, to) in MISTAKES {
        assert!(BASE.contains(from), "{name}");
        let text = BASE.replacen(from, to, 1);
        let report = match lab::load_text("lab.yaml", &text, None, &lab::Vars::new()) {
            Ok(lab) => lab.warnings,
            Err(report) => report,
        };
        assert!(!report.diagnostics.is_empty(), "{name} is not noticed");
        let _ = writeln!(out, "# {name}");
        for found in &report.diagnostics {
            let start = text[..found.span.0].rfind('\n').map_or(0, |at| at + 1);
            let line = text[start..].lines().next().unwrap_or_default().trim();
            let _ = writeln!(out, "{found}\n    {}", line.chars().take(70).collect::<String>());
        }
        let _ = report.render(false, 100);
    }
    insta::assert_snapshot!("mistakes", out);
}
