//! Netlink: links, addresses, routes, neighbours, bridges and nf_tables filters. The only crate that speaks it.
