//! What is drawn of a plan.

use std::collections::BTreeMap;

use lab::plan::{Address, Plan};

/// What a device is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A workstation.
    Pc,
    /// A server.
    Server,
    /// A router.
    Router,
}

impl DeviceKind {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Server => "server",
            Self::Router => "router",
        }
    }
}

/// How a device did in the last verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// All its checks passed.
    Good,
    /// One of its checks failed.
    Bad,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What it serves, such as `dns, mail`.
    pub services: Vec<&'static str>,
    /// Its ends of links, in the order of the file.
    pub ends: Vec<End>,
    /// How it did.
    pub mark: Option<Mark>,
}

/// One end of a link.
#[derive(Clone, Debug)]
pub struct End {
    /// The index of the segment.
    pub segment: usize,
    /// The address as text: `192.168.1.2`, `dhcp`, or nothing.
    pub address: String,
}

/// A network.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: String,
    /// Whether it is only a cable between two routers: drawn as a line, without a switch.
    pub cable: bool,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Its title.
    pub title: String,
    /// The networks.
    pub segments: Vec<Segment>,
    /// The nodes.
    pub devices: Vec<Device>,
}

impl Topology {
    /// Takes it from a plan; `marks` by node.
    pub fn of(plan: &Plan, marks: &BTreeMap<String, Mark>) -> Self {
        let devices: Vec<Device> = plan
            .nodes
            .iter()
            .map(|node| {
                let services = [
                    ("dhcp", node.services.dhcp.is_some()),
                    ("dns", node.services.dns.is_some()),
                    ("mail", node.services.mail.is_some()),
                    ("web", node.services.web.is_some()),
                ];
                let kind = if node.is_router() {
                    DeviceKind::Router
                } else if node.kind == lab::file::NodeKind::Server {
                    DeviceKind::Server
                } else {
                    DeviceKind::Pc
                };
                Device {
                    name: node.name.clone(),
                    kind,
                    services: services
                        .into_iter()
                        .filter_map(|(name, is)| is.then_some(name))
                        .collect(),
                    ends: node
                        .links
                        .iter()
                        .filter_map(|link| {
                            let segment =
                                plan.networks.iter().position(|net| net.name == link.network)?;
                            let address = match link.address {
                                Address::Static(net) => net.addr().to_string(),
                                Address::Dhcp => "dhcp".into(),
                                Address::None => String::new(),
                            };
                            Some(End { segment, address })
                        })
                        .collect(),
                    mark: marks.get(&node.name).copied(),
                }
            })
            .collect();
        let segments = plan
            .networks
            .iter()
            .enumerate()
            .map(|(index, network)| {
                let on: Vec<&Device> = devices
                    .iter()
                    .filter(|device| device.ends.iter().any(|end| end.segment == index))
                    .collect();
                Segment {
                    name: network.name.clone(),
                    subnet: network.subnet.to_string(),
                    cable: on.len() == 2
                        && on.iter().all(|device| device.kind == DeviceKind::Router),
                }
            })
            .collect();
        Self { title: plan.title.clone(), segments, devices }
    }
}
