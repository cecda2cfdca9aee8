//! A DHCP server, relay and client.
