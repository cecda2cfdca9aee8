//! A node: what it is, where it is plugged in, what it serves.

use std::net::Ipv4Addr;

use super::{Dhcp, Dns, Interface, Mail, MailClient, Maybe, Size, Web};
use crate::decode::{List, Map, record, words};

words! {
    /// What a node is.
    pub enum NodeKind {
        /// A workstation.
        Pc = "pc",
        /// A host with services.
        Server = "server",
        /// A host that forwards packets.
        Router = "router",
    }
}

words! {
    /// Where a router's routes come from.
    pub enum Routing {
        /// labctl works them out (shortest way).
        Auto = "auto",
        /// Only those under `routes:` and in `ios:`.
        Static = "static",
        /// RIP version 2 on every interface.
        Rip = "rip",
    }
}

record! {
    /// A PC, server or router.
    pub struct Node {
        /// What it is.
        #[serde(default)] pub kind: Option<NodeKind>,
        /// A word for people, shown in pictures.
        #[serde(default)] pub title: Option<String>,
        /// Its interfaces: network to address, `dhcp` or `none`.
        #[serde(default)] pub interfaces: Map<Interface>,
        /// Its default gateway; the network's first router where left out; `none` for none.
        #[serde(default)] pub gateway: Option<Maybe<Ipv4Addr>>,
        /// Its DNS servers; where left out itself, or the lab's only DNS server; `none` for none.
        #[serde(default)] pub dns: Option<Maybe<List<Ipv4Addr>>>,
        /// Domains appended to short names.
        #[serde(default)] pub search: List<String>,
        /// Lines of its hosts file: name to address.
        #[serde(default)] pub hosts: Map<Ipv4Addr>,
        /// What it serves.
        #[serde(default)] pub services: Services = Services::default(),
        /// Its mail program's settings ("Configure Mail").
        #[serde(default)] pub mail: Option<MailClient>,
        /// A router's way to its routes: auto, static or rip.
        #[serde(default)] pub routing: Option<Routing>,
        /// Static routes: subnet, network or `default`, to the next hop.
        #[serde(default)] pub routes: Map<Ipv4Addr>,
        /// A router's configuration in the words of its console, as a lab sheet prints it.
        #[serde(default)] pub ios: Option<String>,
        /// Its packet filter, one rule a line: `drop in tcp 25`.
        #[serde(default)] pub firewall: List<String>,
        /// A container image that runs beside labctl's agent in this node's network (Docker only).
        #[serde(default)] pub image: Option<String>,
        /// The image's command.
        #[serde(default)] pub command: List<String>,
        /// The image's environment.
        #[serde(default)] pub env: Map<String>,
        /// Bounds.
        #[serde(default)] pub limits: Option<Limits>,
    }
}

record! {
    /// Bounds of a node.
    pub struct Limits {
        /// Memory: 64M, 1G.
        #[serde(default)] pub memory: Option<Size>,
        /// Processes and threads.
        #[serde(default)] pub processes: Option<u32>,
        /// Share of a processor: 0.5.
        #[serde(default)] pub cpu: Option<f64>,
        /// Disk: 100M.
        #[serde(default)] pub disk: Option<Size>,
    }
}

record! {
    /// What a node serves.
    #[derive(Default)]
    pub struct Services {
        /// A DHCP server.
        #[serde(default)] pub dhcp: Option<Dhcp>,
        /// A DNS server.
        #[serde(default)] pub dns: Option<Dns>,
        /// A mail server: SMTP, POP3, IMAP.
        #[serde(default)] pub mail: Option<Mail>,
        /// A web server.
        #[serde(default)] pub web: Option<Web>,
    }
}
