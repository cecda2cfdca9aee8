//! A DHCP server, relay and client (RFC 2131, 2132, 3046, 3442, 6842).
//!
//! * [`wire`]: messages as bytes; [`link`]: frames and packet sockets;
//! * [`server`], [`pools`], [`leases`], [`reply`], [`report`]: the server without sockets;
//! * [`relay`]: the relay agent without sockets;
//! * [`store`], [`writer`]: the lease database;
//! * [`driver`], [`socket`], [`probe`], [`admin`]: the server at work;
//! * [`client`]: the client;
//! * [`config`]: what a server is told.

pub mod admin;
pub mod client;
pub mod config;
pub mod driver;
pub mod leases;
pub mod link;
pub mod pools;
pub mod probe;
pub mod relay;
pub mod reply;
pub mod report;
mod run;
pub mod server;
pub mod socket;
pub mod store;
pub mod wire;
pub mod writer;

pub use run::main;
