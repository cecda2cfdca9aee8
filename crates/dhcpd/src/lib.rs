//! A DHCP server, relay and client (RFC 2131, 2132, 3046, 3442, 6842).

pub mod config;
