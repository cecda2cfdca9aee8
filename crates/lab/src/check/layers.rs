//! Checks of the lower layers: links, addresses, leases, ways.

use crate::decode::{List, Map, record};

record! {
    /// `link: pc0`, `link: { node: pc0, network: lan }`.
    pub struct Link {
        /// The node.
        pub node: String,
        /// One of its networks; all of them where absent.
        #[serde(default)] pub network: Option<String>,
        /// Up (the default) or down.
        #[serde(default = "yes")] pub up: bool = true,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, network: None, up: true }) }
}

record! {
    /// `address: { node: pc0, is: 192.168.1.4/24 }`.
    pub struct Address {
        /// The node.
        pub node: String,
        /// One of its networks; its first where absent.
        #[serde(default)] pub network: Option<String>,
        /// The address it must have, with or without prefix length; the lab's own where absent.
        #[serde(default)] pub is: Option<String>,
        /// A subnet or a range `A - B` it must lie in.
        #[serde(default)] pub inside: Option<String>,
        /// The default gateway it must have.
        #[serde(default)] pub gateway: Option<String>,
        /// The DNS servers it must have.
        #[serde(default)] pub dns: List<String>,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, network: None, is: None, inside: None, gateway: None, dns: List::default() }) }
}

record! {
    /// `lease: { node: pc-b1, from: r1 }`.
    pub struct Lease {
        /// The node.
        pub node: String,
        /// One of its networks; its first with DHCP where absent.
        #[serde(default)] pub network: Option<String>,
        /// The node whose DHCP server gave it.
        #[serde(default)] pub from: Option<String>,
        /// The subnet or range `A - B` it must lie in.
        #[serde(default)] pub pool: Option<String>,
        /// The default router it brings.
        #[serde(default)] pub router: Option<String>,
        /// The DNS servers it brings.
        #[serde(default)] pub dns: List<String>,
        /// The domain it brings.
        #[serde(default)] pub domain: Option<String>,
        /// Its duration.
        #[serde(default)] pub seconds: Option<u32>,
        /// Further options by number, as text.
        #[serde(default)] pub options: Map<String>,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, network: None, from: None, pool: None, router: None, dns: List::default(), domain: None, seconds: None, options: Map::default() }) }
}

record! {
    /// `ping: { from: pc0, to: mail.com }`.
    pub struct Ping {
        /// The node that asks.
        pub from: String,
        /// A node, an address or a name.
        pub to: String,
        /// How many echoes; all but one must be answered where more than one.
        #[serde(default = "one")] pub count: u32 = 1,
        /// Bytes of payload.
        #[serde(default)] pub size: Option<u16>,
    }
}

record! {
    /// `route: { node: r1, to: 192.168.30.0/24, via: 10.0.0.2 }`.
    pub struct Route {
        /// The node.
        pub node: String,
        /// The destination: a subnet, a network's name, or `default`.
        pub to: String,
        /// The next hop: an address or a node.
        #[serde(default)] pub via: Option<String>,
        /// Whether there must be one; `false` asks that there is none.
        #[serde(default = "yes")] pub present: bool = true,
    }
}

record! {
    /// `trace: { from: pc-b1, to: web, through: [r1, r2] }`.
    pub struct Trace {
        /// The node that asks.
        pub from: String,
        /// A node, an address or a name.
        pub to: String,
        /// Nodes or addresses that must be passed, in this order.
        #[serde(default)] pub through: List<String>,
        /// Nodes or addresses that must not be passed.
        #[serde(default)] pub avoid: List<String>,
        /// How many hops, the destination counted.
        #[serde(default)] pub hops: Option<u8>,
    }
}

record! {
    /// `arp: { from: pc0, to: pc1 }`: the address of `to` is answered with the MAC of `to`.
    pub struct Arp {
        /// The node that asks.
        pub from: String,
        /// A node on the same network, or an address.
        pub to: String,
        /// The node whose MAC must answer; `to` itself where absent.
        #[serde(default)] pub is: Option<String>,
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
