//! Which hosts take the mail of a domain (RFC 5321, 5.1).

use std::net::SocketAddr;

use super::resolver::{Failure, Resolver};
use crate::config::{Relay, RelayTls};

/// A host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name, for TLS and for people.
    pub name: String,
    /// Its address and port.
    pub address: SocketAddr,
    /// How the connection is protected.
    pub tls: RelayTls,
    /// User and password.
    pub login: Option<(String, String)>,
}

/// No host can be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoHost {
    /// Whether that will not change.
    pub permanent: bool,
    /// With an enhanced code.
    pub reason: String,
}

/// The hosts of a domain in the order of trying.
pub(crate) async fn hosts(
    resolver: &Resolver,
    relay: &Relay,
    domain: &str,
    own_name: &str,
) -> Result<Vec<Host>, NoHost> {
    let never = |reason: String| NoHost { permanent: true, reason };
    let later =
        |failure: Failure| NoHost { permanent: false, reason: format!("451 4.4.3 {failure}") };
    if let Some(smarthost) = &relay.smarthost {
        let addresses = resolver.addresses(&smarthost.host).await.map_err(later)?;
        let login = smarthost.user.clone().zip(smarthost.password.clone());
        let hosts = addresses.into_iter().map(|address| Host {
            name: smarthost.host.clone(),
            address: SocketAddr::new(address, smarthost.port),
            tls: smarthost.tls,
            login: login.clone(),
        });
        return some(hosts.collect(), &smarthost.host);
    }
    let host = |name: &str, address| Host {
        name: name.to_owned(),
        address: SocketAddr::new(address, relay.port),
        tls: RelayTls::Opportunistic,
        login: None,
    };
    if domain.starts_with('[') {
        let addresses = resolver.addresses(domain).await.map_err(later)?;
        return some(addresses.into_iter().map(|a| host(domain, a)).collect(), domain);
    }
    let exchangers = match resolver.mx(domain).await {
        Ok(exchangers) => exchangers,
        Err(Failure::NoName(name)) => {
            return Err(never(format!("550 5.1.2 the domain {name} does not exist")));
        }
        Err(failure) => return Err(later(failure)),
    };
    if exchangers.is_empty() {
        // No MX: the domain itself (RFC 5321, 5.1).
        let addresses = match resolver.addresses(domain).await {
            Ok(addresses) => addresses,
            Err(Failure::NoName(_)) => Vec::new(),
            Err(failure) => return Err(later(failure)),
        };
        return some(addresses.into_iter().map(|a| host(domain, a)).collect(), domain);
    }
    if exchangers.iter().all(|mx| mx.host.is_empty()) {
        return Err(never(format!("556 5.1.10 {domain} takes no mail (null MX)")));
    }
    // Only exchangers that are better than this server: else mail would go in circles.
    let own = exchangers.iter().find(|mx| mx.host.eq_ignore_ascii_case(own_name));
    let limit = own.map(|mx| mx.preference);
    if limit.is_some_and(|limit| exchangers.iter().all(|mx| mx.preference >= limit)) {
        let reason = format!(
            "554 5.4.6 this server is the best exchanger of {domain} but does not have the domain"
        );
        return Err(never(reason));
    }
    let (mut found, mut problem) = (Vec::new(), None);
    for mx in exchangers.iter().filter(|mx| limit.is_none_or(|limit| mx.preference < limit)) {
        match resolver.addresses(&mx.host).await {
            Ok(addresses) => found.extend(addresses.into_iter().map(|a| host(&mx.host, a))),
            Err(failure) => problem = Some(failure),
        }
    }
    match problem {
        Some(failure) if found.is_empty() => Err(later(failure)),
        _ => some(found, domain),
    }
}

fn some(hosts: Vec<Host>, domain: &str) -> Result<Vec<Host>, NoHost> {
    if hosts.is_empty() {
        let reason = format!("550 5.1.2 {domain} has no mail exchanger and no address");
        return Err(NoHost { permanent: true, reason });
    }
    Ok(hosts)
}
