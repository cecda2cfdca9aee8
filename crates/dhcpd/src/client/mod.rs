//! A DHCP client (RFC 2131 section 4.4): the state machine and its driver.
//!
//! The client only talks DHCP; whoever runs it sets addresses, routes and resolver on its
//! [`Event`]s.

mod driver;
mod lease;
mod machine;

pub use driver::{ClientError, run};
pub use lease::Lease;
pub use machine::{Machine, Output, State, To};

use std::net::Ipv4Addr;

/// How a client presents itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The host name it tells the server (option 12).
    pub hostname: Option<String>,
    /// Its identifier (option 61); hardware type and address where absent.
    pub client_id: Option<Vec<u8>>,
    /// Whether it asks the link for its new address before it uses it (RFC 5227), and declines
    /// it where someone answers. Costs 0.4 s.
    pub probe: bool,
    /// An address it had before: it first asks whether it may have it again (INIT-REBOOT).
    pub previous: Option<Ipv4Addr>,
}

/// What happens to a client's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has a lease: use its address.
    Bound(Lease),
    /// The lease is extended; other values may have changed.
    Renewed(Lease),
    /// The lease is gone, for this reason: stop using its address.
    Lost(String),
}

/// What a client can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Renew now, or begin again after a release (`ipconfig /renew`).
    Renew,
    /// Give the address back and stay without (`ipconfig /release`).
    Release,
    /// The cable is plugged in: find out whether the lease holds here.
    LinkUp,
    /// The cable is pulled: be silent.
    LinkDown,
}
