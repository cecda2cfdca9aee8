//! `dig`, its options and its layout as the students of BIND's know them.

mod options;
mod print;
mod trace;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dnswire::{Edns, Message, RecordType};
use probes::Env;

use crate::getopt::{fail, line, run};
use options::Options;

/// What dig gives back when no server answered.
const NO_REPLY: u8 = 9;

pub fn main(args: Vec<OsString>) -> ExitCode {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let options = match Options::read(&words) {
        Ok(options) => options,
        Err(why) => return fail("dig", why, 1),
    };
    run(async move {
        match dig(&options, &words.join(" ")).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                line(format_args!(";; {why}"));
                line(";; no servers could be reached");
                ExitCode::from(NO_REPLY)
            }
        }
    })
}

async fn dig(options: &Options, words: &str) -> Result<(), String> {
    let env = Env::load();
    let (servers, named) = match &options.server {
        None if env.servers.is_empty() => {
            return Err("no DNS server is configured on this node".into());
        }
        None => (env.servers.clone(), None),
        Some(text) => {
            let found = match text.parse::<IpAddr>() {
                Ok(address) => vec![address],
                Err(_) => {
                    let found = probes::resolve::resolve_all(text, &env).await;
                    found
                        .map_err(|error| format!("couldn't get address for '{text}': {error}"))?
                        .into_iter()
                        .map(IpAddr::V4)
                        .collect()
                }
            };
            (found, Some(text.clone()))
        }
    };
    if options.show.cmd {
        line(format_args!("\n; <<>> DiG labctl <<>> {words}"));
        if named.is_some() {
            let plural = if servers.len() == 1 { "" } else { "s" };
            line(format_args!("; ({} server{plural} found)", servers.len()));
        }
        line(";; global options: +cmd");
    }
    let mut last = String::new();
    for address in servers {
        let server = SocketAddr::new(address, options.port);
        let label = named.clone().unwrap_or_else(|| address.to_string());
        let asked = if options.trace {
            trace::trace(options, server, &env).await
        } else {
            one(options, server, &label).await
        };
        match asked {
            Ok(()) => return Ok(()),
            Err(why) => last = format!("communications error to {address}#{}: {why}", options.port),
        }
    }
    Err(last)
}

async fn one(options: &Options, server: SocketAddr, label: &str) -> Result<(), String> {
    let wait = Duration::from_millis(options.wait_ms);
    let why = |error: probes::Error| match error.code.as_str() {
        "refused-port" => "connection refused".to_owned(),
        "silent" => "timed out".to_owned(),
        "unreachable" => "host unreachable".to_owned(),
        _ => error.message,
    };
    if options.kind == RecordType::AXFR {
        let started = Instant::now();
        match probes::dns::zone(&options.name, server, wait).await {
            Ok((records, bytes)) => {
                print::transfer(options, &records, bytes, started.elapsed(), server, label)
            }
            Err(error) if error.code == "refused-port" || error.code == "silent" => {
                return Err(why(error));
            }
            // The server's own word stands in the evidence of a failed transfer.
            Err(error) => {
                line("; Transfer failed.");
                line(format_args!(";; {error}"));
            }
        }
        return Ok(());
    }
    let mut query = Message::query(number(), options.name.clone(), options.kind, options.recursion);
    query.edns = options.edns.then(|| Edns {
        size: options.size,
        dnssec: options.dnssec,
        ..Edns::default()
    });
    let exchange =
        probes::dns::send(&query, server, options.tcp, wait, options.tries).await.map_err(why)?;
    if options.short {
        print::short(&exchange.message);
    } else {
        print::whole(options, &exchange, server, label);
    }
    Ok(())
}

/// A number for a question that differs from call to call.
fn number() -> u16 {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let [.., a, b] = (since.subsec_nanos() >> 6 ^ std::process::id()).to_be_bytes();
    u16::from_be_bytes([a, b])
}
