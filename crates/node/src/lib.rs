//! The contract between labctl and the agent in a node.
//!
//! * [`config`]: what a node is told once, as one JSON document ([`Config`]);
//! * [`request`]: what labctl may ask an agent while the node runs ([`Request`]);
//! * [`frame`]: how requests, replies and byte streams share one connection;
//! * [`client`] and [`server`]: the two ends of that connection;
//! * [`admin`]: the line protocol of a service's own local socket.
//!
//! The crate holds no policy and touches nothing but the connection it is given.

pub mod admin;
pub mod client;
pub mod config;
pub mod frame;
pub mod request;
pub mod server;

pub use client::Client;
pub use config::Config;
pub use request::{Error, Request};

/// Where things lie inside every node, on every engine.
pub mod paths {
    /// The node's [`crate::Config`], written by the engine before the agent starts.
    pub const CONFIG: &str = "/etc/labctl/node.json";
    /// Where rendered files of [`crate::Config::files`] with relative names go.
    pub const FILES: &str = "/etc/labctl";
    /// The agent's control socket.
    pub const AGENT_SOCKET: &str = "/run/labctl/agent.sock";
    /// The folder of the services' admin sockets: `<service>.sock`.
    pub const RUN: &str = "/run/labctl";
    /// The secrets of TLS connections, in the form of `SSLKEYLOGFILE`, where the lab wants them.
    pub const KEYLOG: &str = "/run/labctl/keys.log";
    /// What services keep: `/var/lib/labctl/<service>/`. Survives a restart of the node.
    pub const STATE: &str = "/var/lib/labctl";
    /// The program that is agent, services and commands in one.
    pub const PROGRAM: &str = "/bin/labctl";
}
