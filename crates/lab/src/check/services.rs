//! Checks of names, ports and pages.

use crate::decode::{List, Map, record, words};

words! {
    /// What a DNS reply must say.
    pub enum DnsStatus {
        /// An answer.
        Noerror = "noerror",
        /// The name does not exist.
        Nxdomain = "nxdomain",
        /// The server failed.
        Servfail = "servfail",
        /// The server refused.
        Refused = "refused",
        /// The name exists, without this type.
        Nodata = "nodata",
    }
}

words! {
    /// A transport protocol.
    pub enum Transport {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

record! {
    /// `dns: { from: pc0, name: mail.com, type: MX, answer: 10 mail.com. }`.
    pub struct Dns {
        /// The node that asks.
        pub from: String,
        /// The name; an address for a reverse look-up.
        pub name: String,
        /// The record type: `A`, `MX`, `PTR`, …
        #[serde(default = "type_a")] pub r#type: String = type_a(),
        /// The server asked: a node or an address; the node's own resolver where absent.
        #[serde(default)] pub server: Option<String>,
        /// The data of the records, as in a zone file, in any order; any where empty.
        #[serde(default)] pub answer: List<String>,
        /// Whether the reply must be authoritative (or must not).
        #[serde(default)] pub authoritative: Option<bool>,
        /// The reply's status.
        #[serde(default = "noerror")] pub status: DnsStatus = DnsStatus::Noerror,
        /// Asked over UDP (then TCP when truncated) or TCP.
        #[serde(default = "udp")] pub transport: Transport = Transport::Udp,
    }
}

words! {
    /// What a port does.
    pub enum PortState {
        /// It accepts.
        Open = "open",
        /// It refuses (TCP reset, ICMP port unreachable).
        Refused = "refused",
        /// It does not answer (filtered).
        Silent = "silent",
    }
}

record! {
    /// `port: { from: pc0, to: mail, port: 25 }`.
    pub struct Port {
        /// The node that asks.
        pub from: String,
        /// A node, an address or a name.
        pub to: String,
        /// The port's number.
        pub port: u16,
        /// `tcp` or `udp`.
        #[serde(default = "tcp")] pub transport: Transport = Transport::Tcp,
        /// What it must do.
        #[serde(default = "open")] pub state: PortState = PortState::Open,
        /// What the server's first line must contain.
        #[serde(default)] pub banner: Option<String>,
    }
}

record! {
    /// `http: { from: pc0, url: "http://www.mastertech.com/", contains: MasterTech }`.
    pub struct Http {
        /// The node that asks.
        pub from: String,
        /// The address of the page.
        pub url: String,
        /// The status of the reply.
        #[serde(default = "ok")] pub status: u16 = 200,
        /// What the page must contain.
        #[serde(default)] pub contains: List<String>,
        /// Header lines that must be there.
        #[serde(default)] pub headers: Map<String>,
        /// Whether the server's certificate must be trusted and for this name.
        #[serde(default = "yes")] pub verify: bool = true,
    }
}

fn yes() -> bool {
    true
}

fn ok() -> u16 {
    200
}

fn type_a() -> String {
    "A".to_owned()
}

fn noerror() -> DnsStatus {
    DnsStatus::Noerror
}

fn udp() -> Transport {
    Transport::Udp
}

fn tcp() -> Transport {
    Transport::Tcp
}

fn open() -> PortState {
    PortState::Open
}
