//! An authoritative, forwarding and recursing DNS server for labs.

pub mod config;
