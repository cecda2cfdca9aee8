//! `dig +trace`: from the root servers down, one server after the other asked by ourselves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dnswire::{Edns, Flags, Message, Name, Record, RecordType, rdata};
use probes::Env;

use super::options::Options;
use super::print;
use crate::getopt::line;

/// Servers asked at most: a circle of delegations ends here.
const STEPS: usize = 24;

/// Goes from the root down, beginning with what `first` says of the root's servers.
pub(super) async fn trace(options: &Options, first: SocketAddr, env: &Env) -> Result<(), String> {
    let mut servers = vec![first];
    let mut zone = Name::root();
    let (mut name, mut kind, mut recursion) = (Name::root(), RecordType::NS, true);
    for _ in 0..STEPS {
        let (exchange, server) = ask_one(options, &servers, &name, kind, recursion).await?;
        let message = &exchange.message;
        let shown: Vec<Record> =
            if message.answers.is_empty() { &message.authority } else { &message.answers }
                .iter()
                .filter(|record| options.dnssec || record.kind != RecordType::RRSIG)
                .cloned()
                .collect();
        print::lines(&shown);
        line(format_args!(
            ";; Received {} bytes from {}#{}({}) in {} ms\n",
            exchange.size,
            server.ip(),
            server.port(),
            server.ip(),
            exchange.time.as_millis()
        ));
        let first = std::mem::replace(&mut recursion, false);
        (name, kind) = (options.name.clone(), options.kind);
        let list = if first { &message.answers } else { &message.authority };
        let ended = message.rcode != 0
            || !first && (!message.answers.is_empty() || message.flags.has(Flags::AA));
        if ended {
            return Ok(());
        }
        let cut = list.iter().find(|record| record.kind == RecordType::NS);
        let Some(cut) = cut.filter(|cut| first || cut.name.is_within(&zone) && cut.name != zone)
        else {
            line(";; BAD REFERRAL: the server sends on, but not down");
            return Ok(());
        };
        zone = cut.name.clone();
        let names: Vec<_> = list
            .iter()
            .filter(|record| record.kind == RecordType::NS && record.name == zone)
            .filter_map(|record| rdata::target(record.kind, &record.data))
            .collect();
        servers = addresses(&names, &message.additional, options.port, env).await;
        if servers.is_empty() {
            return Err(format!("couldn't get address for the servers of {zone}"));
        }
    }
    line(";; too many referrals");
    Ok(())
}

/// Asks the servers in turn until one answers.
async fn ask_one(
    options: &Options,
    servers: &[SocketAddr],
    name: &Name,
    kind: RecordType,
    recursion: bool,
) -> Result<(probes::dns::Exchange, SocketAddr), String> {
    let mut last = "no servers".to_owned();
    for server in servers {
        let mut query = Message::query(super::number(), name.clone(), kind, recursion);
        query.edns = options.edns.then(|| Edns {
            size: options.size,
            dnssec: options.dnssec,
            ..Edns::default()
        });
        let wait = Duration::from_millis(options.wait_ms.min(2000));
        match probes::dns::send(&query, *server, options.tcp, wait, 1).await {
            Ok(exchange) => return Ok((exchange, *server)),
            Err(error) => {
                line(format_args!(";; {error}"));
                last = error.message;
            }
        }
    }
    Err(last)
}

/// Addresses of servers: from the message, else by the node's own resolver.
async fn addresses(names: &[Name], additional: &[Record], port: u16, env: &Env) -> Vec<SocketAddr> {
    let glue = additional
        .iter()
        .filter(|record| record.kind == RecordType::A && names.contains(&record.name));
    let mut found: Vec<IpAddr> = glue
        .filter_map(|record| <[u8; 4]>::try_from(&record.data[..]).ok().map(IpAddr::from))
        .collect();
    if found.is_empty() {
        for name in names {
            if let Ok(addresses) = probes::resolve::resolve_all(&name.to_string(), env).await {
                found.extend(addresses.into_iter().map(IpAddr::V4));
            }
        }
    }
    found.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}
