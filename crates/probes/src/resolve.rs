//! From a name to an address: as it stands, by `/etc/hosts`, by the node's DNS servers.

use std::net::Ipv4Addr;

use crate::{Env, Error, dns};

/// The IPv4 addresses of a host, in the order they were given.
///
/// # Errors
/// [`crate::Layer::Name`] with what the servers said.
pub async fn resolve_all(host: &str, env: &Env) -> Result<Vec<Ipv4Addr>, Error> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(vec![address]);
    }
    if let Some(address) = env.host(host) {
        return Ok(vec![address]);
    }
    dns::addresses(host, env).await
}

/// The first IPv4 address of a host.
///
/// # Errors
/// [`crate::Layer::Name`] with what the servers said.
pub async fn resolve(host: &str, env: &Env) -> Result<Ipv4Addr, Error> {
    let addresses = resolve_all(host, env).await?;
    addresses.first().copied().ok_or_else(|| {
        Error::new(crate::Layer::Name, format!("{host} has no IPv4 address")).code("no-data")
    })
}
