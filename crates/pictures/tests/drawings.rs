//! The drawings of two labs, as they stand.

use std::collections::BTreeMap;
use std::path::Path;

use pictures::{Mark, Topology, dot, mermaid, svg, text};

const ROUTED: &str = "
name: routed
title: Three departments
networks: { backend: 192.168.10.0/24, frontend: 192.168.20.0/24, management: 192.168.30.0/24, wan: 10.0.0.0/30 }
nodes:
  r1: { kind: router, interfaces: { backend: 192.168.10.1, wan: 10.0.0.1 } }
  r2: { kind: router, interfaces: { frontend: 192.168.20.1, management: 192.168.30.1, wan: 10.0.0.2 } }
  pc-b1: { kind: pc, interfaces: { backend: 192.168.10.51 } }
  pc-b2: { kind: pc, interfaces: { backend: 192.168.10.52 } }
  pc-f1: { kind: pc, interfaces: { frontend: 192.168.20.51 } }
  web: { kind: server, interfaces: { management: 192.168.30.80 }, services: { web: {} } }
checks: []
";

fn routed() -> Topology {
    let lab =
        lab::load_text("routed.yaml", ROUTED, None, &lab::Vars::new()).unwrap_or_else(|report| {
            panic!("{}", report.render(false, 100));
        });
    let marks = BTreeMap::from([("pc-b1".into(), Mark::Good), ("web".into(), Mark::Bad)]);
    Topology::of(&lab.plan, &marks)
}

fn lab06() -> Topology {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../labs/lab06.yaml"));
    let lab = lab::load(path, &lab::Vars::new()).unwrap_or_else(|report| {
        panic!("{}", report.render(false, 100));
    });
    Topology::of(&lab.plan, &BTreeMap::new())
}

#[test]
fn a_cable_between_routers_is_no_switch() {
    let topology = routed();
    let cables: Vec<_> =
        topology.segments.iter().filter(|s| s.cable).map(|s| s.name.as_str()).collect();
    assert_eq!(cables, ["wan"]);
}

#[test]
fn nothing_stands_on_something_else_or_outside() {
    for topology in [routed(), lab06()] {
        let places = pictures::layout(&topology);
        let switches = topology.segments.iter().zip(&places.segments);
        let mut all: Vec<_> = switches.filter(|(s, _)| !s.cable).map(|(_, p)| *p).collect();
        all.extend(&places.devices);
        for (index, a) in all.iter().enumerate() {
            assert!(
                a.x > 40.0 && a.x < places.width - 30.0 && a.y > 40.0 && a.y < places.height - 30.0
            );
            for b in &all[index + 1..] {
                assert!((a.x - b.x).hypot(a.y - b.y) > 80.0, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn the_drawings_are_as_they_were() {
    for (name, topology) in [("routed", routed()), ("lab06", lab06())] {
        assert_eq!(svg(&topology), svg(&topology));
        insta::assert_snapshot!(format!("{name}-svg"), svg(&topology));
        insta::assert_snapshot!(format!("{name}-text"), text(&topology));
        insta::assert_snapshot!(format!("{name}-mermaid"), mermaid(&topology));
        insta::assert_snapshot!(format!("{name}-dot"), dot(&topology));
    }
}
