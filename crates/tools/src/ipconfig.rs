//! `ipconfig`: addresses as Windows and Packet Tracer show them; `/renew` and `/release` ask the
//! agent's DHCP client.

use std::ffi::OsString;
use std::process::ExitCode;

use ipnet::Ipv4Net;
use node::Request;
use node::request::{LinkStatus, Status};
use serde_json::json;

use crate::console::agent;
use crate::getopt::{fail, print, run};

const USAGE: &str = "usage: ipconfig [/all | /renew [INTERFACE] | /release [INTERFACE]]";

pub fn main(args: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().trim_start_matches(['/', '-']).to_lowercase())
        .collect();
    run(async move {
        match ipconfig(&words).await {
            Ok(text) => {
                print(text);
                ExitCode::SUCCESS
            }
            Err(error) => {
                let help = error.help.map_or(String::new(), |help| format!("\n{help}"));
                fail("ipconfig", format_args!("{}{help}", error.message), 1)
            }
        }
    })
}

async fn ipconfig(words: &[String]) -> Result<String, node::Error> {
    let client = agent().await?;
    let all = match words.first().map(String::as_str) {
        None => false,
        Some("all") => true,
        Some(verb @ ("renew" | "release")) => {
            let mut request = json!({ "op": verb });
            if let Some(link) = words.get(1) {
                request["interface"] = json!(link);
            }
            let admin = Request::Admin { service: "dhcp-client".into(), request };
            client.call::<serde_json::Value>(&admin).await?;
            false
        }
        Some(_) => return Err(node::Error::new("usage", USAGE)),
    };
    let status: Status = client.call(&Request::Status).await?;
    let env = probes::Env::load();
    let facts = probes::facts::run(&probes::facts::Request::default(), &env)
        .await
        .map_err(|error| node::Error::new("facts", error))?;
    let gateway = facts.routes.iter().find(|route| route.to.prefix_len() == 0);
    Ok(status
        .links
        .iter()
        .map(|link| {
            let gateway = gateway
                .filter(|route| route.interface == link.name)
                .and_then(|route| route.via)
                .map_or("0.0.0.0".to_owned(), |via| via.to_string());
            shown(link, &gateway, all, &env)
        })
        .collect())
}

fn shown(link: &LinkStatus, gateway: &str, all: bool, env: &probes::Env) -> String {
    let net = link.address.as_deref().and_then(|text| text.parse::<Ipv4Net>().ok());
    let domain = link
        .lease
        .as_ref()
        .and_then(|lease| lease.domain.clone())
        .or_else(|| env.search.first().cloned())
        .unwrap_or_default();
    let mut rows = vec![("Connection-specific DNS Suffix", domain)];
    if all {
        rows.push(("Physical Address", link.mac.clone()));
        rows.push(("DHCP Enabled", if link.method == "dhcp" { "Yes" } else { "No" }.into()));
    }
    rows.push(("IPv4 Address", net.map_or("0.0.0.0".into(), |net| net.addr().to_string())));
    rows.push(("Subnet Mask", net.map_or("0.0.0.0".into(), |net| net.netmask().to_string())));
    rows.push(("Default Gateway", gateway.to_owned()));
    if all {
        if let Some(lease) = &link.lease {
            rows.push(("DHCP Server", lease.server.to_string()));
            rows.push(("Lease Time", format!("{} s, {} s left", lease.seconds, lease.left)));
        }
        let servers: Vec<String> = env.servers.iter().map(ToString::to_string).collect();
        rows.push(("DNS Servers", servers.join(", ")));
    }
    let state = if link.up { "" } else { " (down)" };
    let mut text = format!("\n{} Connection:{state}\n\n", link.name);
    for (label, value) in rows {
        text.push_str(&format!("   {label:.<34}: {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_as_on_the_sheet() {
        let link = LinkStatus {
            name: "lan".into(),
            up: true,
            mac: "02:00:00:00:00:01".into(),
            address: Some("192.168.1.4/24".into()),
            ..LinkStatus::default()
        };
        let text = shown(&link, "192.168.1.1", false, &probes::Env::default());
        assert!(text.contains("IPv4 Address......................: 192.168.1.4\n"), "{text}");
        assert!(text.contains("Subnet Mask.......................: 255.255.255.0\n"), "{text}");
    }
}
