//! What holds for any lab.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

fn load(text: &str) -> Result<lab::Lab, lab::Report> {
    lab::load_text("lab.yaml", text, None, &lab::Vars::new())
}

/// A lab of some networks in a row, a router between neighbours, hosts on each.
fn row(networks: usize, hosts: usize, dhcp: bool) -> String {
    let mut text = String::from("name: row\nnetworks:\n");
    for n in 0..networks {
        let _ = writeln!(text, "  n{n}: 10.{}.{}.0/24", n / 200, n % 200);
    }
    text.push_str("nodes:\n");
    for n in 0..networks.saturating_sub(1) {
        let at = |n: usize| format!("10.{}.{}", n / 200, n % 200);
        let _ = writeln!(
            text,
            "  r{n}: {{ kind: router, interfaces: {{ n{n}: {}.1, n{}: {}.2 }} }}",
            at(n),
            n + 1,
            at(n + 1)
        );
    }
    for n in 0..networks {
        for h in 0..hosts {
            let address = if dhcp && h > 0 {
                "dhcp".to_owned()
            } else {
                format!("10.{}.{}.{}", n / 200, n % 200, h + 10)
            };
            let service = if dhcp && h == 0 { ", services: { dhcp: {} }" } else { "" };
            let _ = writeln!(text, "  h{n}-{h}: {{ interfaces: {{ n{n}: {address} }}{service} }}");
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn validate_never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = lab::load_bytes("x", &bytes, None, &lab::Vars::new());
    }

    #[test]
    fn validate_never_panics_on_mangled_labs(cut in 0usize..4000, insert in "[ -~\\n\\t]{0,6}", starter in 0usize..7) {
        let text = lab::starters()[starter].text;
        let mut at = cut % text.len();
        while !text.is_char_boundary(at) { at -= 1; }
        let mangled = format!("{}{insert}{}", &text[..at], &text[at..]);
        if let Err(report) = load(&mangled) {
            for found in &report.diagnostics {
                prop_assert!(found.line >= 1 && found.span.0 + found.span.1 <= mangled.len(), "{found:?}");
            }
            let _ = report.render(false, 80);
        }
        let _ = load(&text[..at]);
    }

    #[test]
    fn a_plans_addresses_are_unique_and_inside(networks in 1usize..8, hosts in 1usize..6, dhcp in any::<bool>()) {
        let lab = load(&row(networks, hosts, dhcp)).map_err(|report| TestCaseError::fail(report.to_string()))?;
        let mut seen = BTreeSet::new();
        let mut macs = BTreeSet::new();
        for node in &lab.plan.nodes {
            for link in &node.links {
                prop_assert!(macs.insert(link.mac.clone()));
                prop_assert!(link.mac.starts_with("02:"));
                if let Some(net) = link.address.fixed() {
                    prop_assert!(seen.insert(net.addr()));
                    prop_assert!(lab.plan.network(&link.network).unwrap().subnet.contains(&net.addr()));
                }
            }
            // Every router knows every network, over a neighbour.
            if node.is_router() {
                prop_assert_eq!(node.routes.len() + node.links.len(), networks);
                for route in &node.routes {
                    prop_assert!(node.addresses().any(|own| own.contains(&route.via)));
                }
            }
        }
        let again: lab::Plan = serde_json::from_value(lab.plan.json()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(again, lab.plan);
    }
}

#[test]
fn plans_are_pinned() {
    for starter in lab::starters() {
        let plan = load(starter.text).unwrap_or_else(|report| panic!("{report}")).plan;
        // Checks and wrong variants repeat the file; what was worked out is the point.
        let nodes: Vec<String> = plan
            .nodes
            .iter()
            .map(|node| {
                let links: Vec<_> = node.links.iter().map(|l| format!("{} {} {:?}", l.network, l.mac, l.address)).collect();
                let routes: Vec<_> = node.routes.iter().map(|r| format!("{} via {}{}", r.to, r.via, if r.derived { " (derived)" } else { "" })).collect();
                let zones: Vec<_> = node.services.dns.iter().flat_map(|d| &d.zones).flat_map(|z| z.records.iter().map(move |r| format!("{}: {} {} {}{}", z.name, r.name, r.r#type, r.data, if r.derived { " (derived)" } else { "" }))).collect();
                let pools: Vec<_> = node.services.dhcp.iter().flat_map(|d| &d.pools).map(|p| format!("{} {} router {:?} dns {:?}", p.name, p.subnet, p.router, p.dns)).collect();
                format!("{} {}: {links:?}\n  routes {routes:?}\n  dns {:?}\n  zones {zones:#?}\n  pools {pools:?}", node.kind, node.name, node.dns)
            })
            .collect();
        insta::assert_snapshot!(format!("plan-{}", starter.name), nodes.join("\n"));
    }
}

#[test]
fn a_template_and_an_include_make_one_lab() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("net.yaml"),
        "networks: { lan: 10.0.{{ student.id }}.0/24 }\nchecks: [{ name: one, link: pc1 }]\n",
    )
    .unwrap();
    let text = "include: net.yaml\nvars: { student: { id: 1 }, count: 2 }\nname: a\nnodes:\n{% for i in range(1, count + 1) %}\n  pc{{ i }}: { interfaces: { lan: 10.0.{{ student.id }}.{{ i }} } }\n{% endfor %}\nchecks: [{ name: two, ping: { from: pc1, to: pc2 } }]\n";
    let load = |set: &[(&str, &str)]| {
        let vars = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        lab::load_text("lab.yaml", text, Some(folder.path()), &vars)
    };
    let plan = load(&[("student.id", "7"), ("count", "3")]).unwrap_or_else(|r| panic!("{r}")).plan;
    assert_eq!(plan.nodes.len(), 3);
    assert_eq!(plan.networks[0].subnet.to_string(), "10.0.7.0/24");
    assert_eq!(plan.checks.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    // A mistake in the included file is told in that file.
    let report = load(&[("student.id", "300")]).unwrap_err();
    assert!(report.diagnostics.iter().any(|d| d.file == "net.yaml" && d.line == 1), "{report}");
}
