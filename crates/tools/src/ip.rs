//! `ip`: addresses, links, routes and neighbours, shown and set as iproute2 does.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use ipnet::{IpNet, Ipv4Net};
use net::{Link, Netlink, Protocol, Route};

use crate::getopt::{fail, print, run};

const USAGE: &str = "usage: ip [-br] addr [show [dev] LINK] | addr add|del ADDRESS/PREFIX dev LINK
       ip link [show [dev] LINK] | link set LINK up|down
       ip route [show] | route get ADDRESS | route add|replace|del TO via ADDRESS | neigh [flush]";

pub fn main(args: Vec<OsString>) -> ExitCode {
    let words: Vec<String> =
        args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    run(async move {
        match ip(&words).await {
            Ok(text) => {
                print(text);
                ExitCode::SUCCESS
            }
            Err(why) => fail("ip", why, 2),
        }
    })
}

async fn ip(words: &[String]) -> Result<String, String> {
    let brief = words.iter().any(|word| matches!(word.as_str(), "-br" | "-brief"));
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let (object, rest) = words.split_first().ok_or(USAGE)?;
    let netlink = Netlink::open().map_err(said)?;
    let is = |full: &str| !object.is_empty() && full.starts_with(object);
    if is("address") {
        address(&netlink, rest, brief).await
    } else if is("link") {
        link(&netlink, rest, brief).await
    } else if is("route") {
        route(&netlink, rest).await
    } else if is("neighbour") || is("neighbor") {
        neighbours(&netlink, rest).await
    } else {
        Err(format!("unknown object {object}\n{USAGE}"))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function for map_err")]
fn said(error: net::Error) -> String {
    format!("RTNETLINK answers: {error}")
}

/// The word behind a keyword.
fn after<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)).copied()
}

/// The link that a `show` is about: behind `dev`, or alone.
fn shown_link<'a>(words: &[&'a str]) -> Option<&'a str> {
    after(words, "dev").or_else(|| {
        words.iter().find(|word| !matches!(**word, "show" | "list" | "ls" | "sh" | "dev")).copied()
    })
}

async fn links(netlink: &Netlink, words: &[&str]) -> Result<Vec<Link>, String> {
    let all = netlink.links().await.map_err(said)?;
    let Some(name) = shown_link(words) else { return Ok(all) };
    let found: Vec<Link> = all.into_iter().filter(|link| link.name == name).collect();
    if found.is_empty() { Err(format!("Device {name:?} does not exist.")) } else { Ok(found) }
}

async fn address(netlink: &Netlink, words: &[&str], brief: bool) -> Result<String, String> {
    match words.first().copied() {
        Some(verb @ ("add" | "a" | "del" | "delete" | "d")) => {
            let text = words.get(1).ok_or(USAGE)?;
            let address: IpNet = text
                .parse()
                .map_err(|_| format!("{text:?} is not ADDRESS/PREFIX, such as 192.168.1.4/24"))?;
            let name = after(words, "dev").ok_or("give the link: dev LINK")?;
            let link = netlink.link(name).await.map_err(said)?;
            if verb.starts_with('a') {
                netlink.add_address(link.index, address).await.map_err(said)?;
            } else {
                netlink.delete_address(link.index, address).await.map_err(said)?;
            }
            Ok(String::new())
        }
        Some("flush") => {
            let name = shown_link(&words[1..]).ok_or("give the link: dev LINK")?;
            let link = netlink.link(name).await.map_err(said)?;
            netlink.flush_addresses(link.index).await.map_err(said)?;
            Ok(String::new())
        }
        _ => {
            let addresses = netlink.addresses(None).await.map_err(said)?;
            let mut text = String::new();
            for link in links(netlink, words).await? {
                let own = addresses.iter().filter(|address| address.link == link.index);
                if brief {
                    let list: Vec<_> = own.map(|address| address.network.to_string()).collect();
                    text.push_str(&format!(
                        "{:<16} {:<14} {}\n",
                        link.name,
                        state(&link),
                        list.join(" ")
                    ));
                    continue;
                }
                text.push_str(&link_lines(&link));
                for address in own {
                    text.push_str(&address_line(&link, address.network));
                }
            }
            Ok(text)
        }
    }
}

fn state(link: &Link) -> &'static str {
    match (link.loopback, link.up, link.carrier) {
        (true, _, _) => "UNKNOWN",
        (_, true, true) => "UP",
        _ => "DOWN",
    }
}

fn link_lines(link: &Link) -> String {
    let mut flags = vec![];
    if link.up && !link.carrier {
        flags.push("NO-CARRIER");
    }
    flags.extend(if link.loopback { &["LOOPBACK"][..] } else { &["BROADCAST", "MULTICAST"][..] });
    if link.up {
        flags.push("UP");
    }
    if link.up && link.carrier {
        flags.push("LOWER_UP");
    }
    let (kind, broadcast) = if link.loopback {
        ("loopback", "00:00:00:00:00:00")
    } else {
        ("ether", "ff:ff:ff:ff:ff:ff")
    };
    format!(
        "{}: {}: <{}> mtu {} state {}\n    link/{kind} {} brd {broadcast}\n",
        link.index,
        link.name,
        flags.join(","),
        link.mtu,
        state(link),
        link.mac
    )
}

fn address_line(link: &Link, network: IpNet) -> String {
    let scope = if link.loopback { "host" } else { "global" };
    match network {
        IpNet::V4(net) if net.prefix_len() < 31 && !link.loopback => {
            format!("    inet {net} brd {} scope {scope} {}\n", net.broadcast(), link.name)
        }
        IpNet::V4(net) => format!("    inet {net} scope {scope} {}\n", link.name),
        IpNet::V6(net) => format!("    inet6 {net}\n"),
    }
}

async fn link(netlink: &Netlink, words: &[&str], brief: bool) -> Result<String, String> {
    if words.first() == Some(&"set") {
        let rest = &words[1..];
        let name = after(rest, "dev")
            .or_else(|| rest.iter().find(|word| !matches!(**word, "up" | "down")).copied())
            .ok_or("give the link: ip link set LINK up")?;
        let link = netlink.link(name).await.map_err(said)?;
        match rest.last().copied() {
            Some("up") => netlink.up(link.index).await.map_err(said)?,
            Some("down") => netlink.down(link.index).await.map_err(said)?,
            _ => return Err("a link is set up or down".into()),
        }
        return Ok(String::new());
    }
    let found = links(netlink, words).await?;
    Ok(found
        .iter()
        .map(|link| {
            if brief {
                format!("{:<16} {:<14} {}\n", link.name, state(link), link.mac)
            } else {
                link_lines(link)
            }
        })
        .collect())
}

fn network(text: &str) -> Result<Ipv4Net, String> {
    match text {
        "default" => Ok(Ipv4Net::default()),
        text => text
            .parse::<Ipv4Net>()
            .or_else(|_| text.parse::<Ipv4Addr>().map(Ipv4Net::from))
            .map_err(|_| format!("{text:?} is not a network, such as 10.0.0.0/24 or default")),
    }
}

async fn route(netlink: &Netlink, words: &[&str]) -> Result<String, String> {
    let all = netlink.links().await.map_err(said)?;
    match words.first().copied() {
        Some(verb @ ("add" | "a" | "replace" | "del" | "delete" | "d")) => {
            let to = network(words.get(1).ok_or(USAGE)?)?;
            let via = after(words, "via");
            let link = after(words, "dev")
                .map(|name| {
                    all.iter()
                        .find(|link| link.name == name)
                        .map(|link| link.index)
                        .ok_or_else(|| format!("Cannot find device {name:?}"))
                })
                .transpose()?;
            let via = via
                .map(|text| text.parse::<Ipv4Addr>().map_err(|_| format!("{text:?} is no address")))
                .transpose()?;
            let metric = after(words, "metric").map_or(Ok(0), str::parse);
            let metric = metric.map_err(|_| "the metric is a number".to_owned())?;
            if verb.starts_with('d') {
                let known = netlink.routes().await.map_err(said)?;
                let found = known
                    .iter()
                    .find(|route| {
                        route.to == to.trunc()
                            && (via.is_none() || route.via == via)
                            && (link.is_none() || route.link == link)
                    })
                    .ok_or("RTNETLINK answers: No such process (no such route)")?;
                netlink.delete_route(found).await.map_err(said)?;
                return Ok(String::new());
            }
            if via.is_none() && link.is_none() {
                return Err("give the way: via ADDRESS or dev LINK".into());
            }
            let route = Route {
                link,
                via,
                ..Route::via(to.trunc(), via.unwrap_or(Ipv4Addr::UNSPECIFIED), Protocol::Boot)
            };
            netlink.replace_route(&route.metric(metric)).await.map_err(said)?;
            Ok(String::new())
        }
        Some("get") => {
            let text = words.get(1).ok_or("which address?")?;
            let address =
                text.parse::<Ipv4Addr>().map_err(|_| format!("{text:?} is no address"))?;
            let facts =
                probes::facts::run(&probes::facts::Request::default(), &probes::Env::default())
                    .await
                    .map_err(|error| error.to_string())?;
            let found =
                facts.route_to(address).ok_or("RTNETLINK answers: Network is unreachable")?;
            let via = found.via.map_or(String::new(), |via| format!(" via {via}"));
            Ok(format!("{address}{via} dev {}\n", found.interface))
        }
        _ => {
            let mut routes = netlink.routes().await.map_err(said)?;
            routes.sort_by_key(|route| (route.to.prefix_len() != 0, route.to, route.metric));
            Ok(routes.iter().map(|route| route_line(route, &all)).collect())
        }
    }
}

fn route_line(route: &Route, links: &[Link]) -> String {
    let mut text = if route.is_default() { "default".to_owned() } else { route.to.to_string() };
    if let Some(via) = route.via {
        text.push_str(&format!(" via {via}"));
    }
    if let Some(link) = links.iter().find(|link| Some(link.index) == route.link) {
        text.push_str(&format!(" dev {}", link.name));
    }
    text.push_str(&format!(" proto {}", format!("{:?}", route.protocol).to_lowercase()));
    if route.via.is_none() {
        text.push_str(" scope link");
    }
    if let Some(source) = route.source {
        text.push_str(&format!(" src {source}"));
    }
    if route.metric > 0 {
        text.push_str(&format!(" metric {}", route.metric));
    }
    text.push('\n');
    text
}

async fn neighbours(netlink: &Netlink, words: &[&str]) -> Result<String, String> {
    if words.first() == Some(&"flush") {
        netlink.flush_neighbours(None).await.map_err(said)?;
        return Ok(String::new());
    }
    let all = netlink.links().await.map_err(said)?;
    let mut neighbours = netlink.neighbours().await.map_err(said)?;
    neighbours.retain(|neighbour| matches!(neighbour.address, IpAddr::V4(_)));
    neighbours.sort_by_key(|neighbour| neighbour.address);
    Ok(neighbours
        .iter()
        .filter_map(|neighbour| {
            let link = all.iter().find(|link| link.index == neighbour.link && !link.loopback)?;
            let mac = neighbour.mac.map_or(String::new(), |mac| format!(" lladdr {mac}"));
            let state = format!("{:?}", neighbour.state).to_uppercase();
            Some(format!("{} dev {}{mac} {state}\n", neighbour.address, link.name))
        })
        .collect())
}
