//! The drawing as text: for a terminal, for Mermaid, for Graphviz.

use std::fmt::Write;

use crate::topology::{DeviceKind, Mark, Topology};

/// A tree for a terminal: networks with what is on them, routers with all their ends.
pub fn text(topology: &Topology) -> String {
    let mut out = format!("{}\n", topology.title);
    let width =
        topology.devices.iter().map(|device| device.name.chars().count()).max().unwrap_or(0);
    for (index, segment) in topology.segments.iter().enumerate() {
        let kind = if segment.cable { "cable" } else { "switch" };
        let _ = writeln!(out, "\n{} ({kind}, {})", segment.name, segment.subnet);
        let on: Vec<_> = topology
            .devices
            .iter()
            .filter_map(|device| {
                let end = device.ends.iter().find(|end| end.segment == index)?;
                Some((device, end))
            })
            .collect();
        for (place, (device, end)) in on.iter().enumerate() {
            let branch = if place + 1 == on.len() { "└─" } else { "├─" };
            let mark = match device.mark {
                Some(Mark::Good) => " ✓",
                Some(Mark::Bad) => " ✗",
                None => "",
            };
            let others: Vec<&str> = device
                .ends
                .iter()
                .filter(|other| other.segment != index)
                .map(|other| topology.segments[other.segment].name.as_str())
                .collect();
            let mut notes = device.services.join(", ");
            if !others.is_empty() {
                let _ = write!(
                    notes,
                    "{}to {}",
                    if notes.is_empty() { "" } else { ", " },
                    others.join(", ")
                );
            }
            let line = format!(
                "{branch} {:width$}  {:<6}  {:<15}  {notes}{mark}",
                device.name,
                device.kind.word(),
                end.address
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out
}

/// A name as an identifier of both languages.
fn id(prefix: &str, name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .collect();
    format!("{prefix}_{clean}")
}

/// A Mermaid flowchart.
pub fn mermaid(topology: &Topology) -> String {
    let mut out = String::from("flowchart TB\n");
    for segment in &topology.segments {
        let _ = writeln!(
            out,
            "  {}[[\"{}<br/>{}\"]]",
            id("net", &segment.name),
            quote(&segment.name),
            segment.subnet
        );
    }
    for device in &topology.devices {
        let (open, close) = match device.kind {
            DeviceKind::Router => ("((", "))"),
            DeviceKind::Server => ("[", "]"),
            DeviceKind::Pc => ("(", ")"),
        };
        let services = if device.services.is_empty() {
            String::new()
        } else {
            format!("<br/>{}", device.services.join(" "))
        };
        let _ = writeln!(
            out,
            "  {}{open}\"{}{services}\"{close}",
            id("node", &device.name),
            quote(&device.name)
        );
    }
    for device in &topology.devices {
        for end in &device.ends {
            let label =
                if end.address.is_empty() { String::new() } else { format!("|{}|", end.address) };
            let _ = writeln!(
                out,
                "  {} ---{label} {}",
                id("node", &device.name),
                id("net", &topology.segments[end.segment].name)
            );
        }
    }
    for device in &topology.devices {
        if let Some(mark) = device.mark {
            let colour = if mark == Mark::Good { "#2e8b57" } else { "#c0392b" };
            let _ = writeln!(
                out,
                "  style {} stroke:{colour},stroke-width:3px",
                id("node", &device.name)
            );
        }
    }
    out
}

/// A Graphviz graph.
pub fn dot(topology: &Topology) -> String {
    let mut out =
        format!("graph \"{}\" {{\n  node [fontname=\"sans-serif\"];\n", quote(&topology.title));
    for segment in &topology.segments {
        let _ = writeln!(
            out,
            "  {} [shape=box3d, label=\"{}\\n{}\"];",
            id("net", &segment.name),
            quote(&segment.name),
            segment.subnet
        );
    }
    for device in &topology.devices {
        let shape = match device.kind {
            DeviceKind::Router => "circle",
            DeviceKind::Server => "cylinder",
            DeviceKind::Pc => "box",
        };
        let colour = match device.mark {
            Some(Mark::Good) => ", color=\"#2e8b57\", penwidth=3",
            Some(Mark::Bad) => ", color=\"#c0392b\", penwidth=3",
            None => "",
        };
        let _ = writeln!(
            out,
            "  {} [shape={shape}, label=\"{}\"{colour}];",
            id("node", &device.name),
            quote(&device.name)
        );
    }
    for device in &topology.devices {
        for end in &device.ends {
            let _ = writeln!(
                out,
                "  {} -- {} [taillabel=\"{}\"];",
                id("node", &device.name),
                id("net", &topology.segments[end.segment].name),
                end.address
            );
        }
    }
    out.push_str("}\n");
    out
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "'")
}
