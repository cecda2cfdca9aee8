//! The ports that services were seen to use.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Story;
use crate::dissect::by_port;

/// A port in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUse {
    /// `smtp`, `pop3`, `dns`, …
    pub service: String,
    /// `tcp` or `udp`.
    pub transport: String,
    /// Its number.
    pub port: u16,
    /// The nodes that serve there.
    pub servers: Vec<String>,
    /// The nodes that use it.
    pub clients: Vec<String>,
    /// How many frames went there or came from there.
    pub frames: usize,
}

/// The table of ports of a story, by number.
pub fn ports(story: &Story) -> Vec<PortUse> {
    #[derive(Default)]
    struct Row {
        service: String,
        servers: BTreeSet<String>,
        clients: BTreeSet<String>,
        frames: BTreeSet<usize>,
    }
    let mut rows: BTreeMap<(u16, String), Row> = BTreeMap::new();
    for step in &story.steps {
        let (Some(from), Some(to)) = (step.from_port, step.to_port) else { continue };
        // What happens inside a node uses no port.
        if step.from == step.to {
            continue;
        }
        let transport = if matches!(step.protocol.as_str(), "dns" | "dhcp" | "rip" | "udp") {
            "udp"
        } else {
            "tcp"
        };
        let served = |port: u16| known(port).is_some();
        // The server's port is the one with a name; else the lower one.
        let to_server = match (served(from), served(to)) {
            (false, true) => true,
            (true, false) => false,
            (true, true) => !matches!(step.protocol.as_str(), "dhcp") || to == 67,
            (false, false) => to < from,
        };
        let (port, server, client) =
            if to_server { (to, &step.to, &step.from) } else { (from, &step.from, &step.to) };
        let row = rows.entry((port, transport.into())).or_default();
        row.service = known(port).map_or_else(|| step.protocol.clone(), str::to_owned);
        for (set, name) in [(&mut row.servers, server), (&mut row.clients, client)] {
            if name != "*" {
                set.insert(name.clone());
            }
        }
        row.frames.extend(&step.frames);
    }
    rows.into_iter()
        .map(|((port, transport), row)| PortUse {
            service: row.service,
            transport,
            port,
            servers: row.servers.into_iter().collect(),
            clients: row.clients.into_iter().collect(),
            frames: row.frames.len(),
        })
        .collect()
}

fn known(port: u16) -> Option<&'static str> {
    match port {
        67 => Some("dhcp"),
        520 => Some("rip"),
        port => by_port(port).map(|application| application.name),
    }
}
