//! `port`: a port is open (refused and silent are expectations; see `judge`).

use lab::check::{Port, Transport, Way};
use probes::{Layer, Probe, port};

use super::Seen;
use crate::trial::{Absence, Failure};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Port) -> Seen {
    let target = world.target(&check.from, &check.to).await?;
    let (transport, word) = match check.transport {
        Transport::Tcp => (node::config::Transport::Tcp, "tcp"),
        Transport::Udp => (node::config::Transport::Udp, "udp"),
    };
    let request = port::Request {
        to: target.host.clone(),
        port: check.port,
        transport,
        timeout_ms: 2000,
        banner: check.banner.is_some(),
        ..port::Request::default()
    };
    let outcome: port::Outcome = world.probe(&check.from, Probe::Port(request)).await?;
    target.verify(outcome.address, world).map_err(|failure| failure.who(&check.from))?;
    let what = format!("{word}/{} of {}", check.port, outcome.address);
    let mut failure = match outcome.state {
        port::State::Open => {
            if let Some(wanted) = &check.banner {
                let seen = outcome.banner.unwrap_or_default();
                if !seen.contains(wanted.as_str()) {
                    let message = format!("{what} greets with {seen:?}, without {wanted:?}");
                    return Err(Failure::on(Layer::Banner, message).who(&check.from).into());
                }
                return Ok(format!("{what}: {seen}"));
            }
            return Ok(format!("{what} is open"));
        }
        port::State::Refused => Failure {
            way: Some(Way::Connection),
            ..Failure::on(Layer::Port, format!("{what} refuses: nothing listens there"))
        },
        port::State::Silent => Failure {
            absence: Some(Absence::Silent),
            ..Failure::on(Layer::Port, format!("{what} does not answer"))
        },
        port::State::Unreachable => Failure {
            absence: Some(Absence::Unreachable),
            ..Failure::on(Layer::Route, format!("{what} is not reached"))
        },
        port::State::Prohibited => {
            Failure::on(Layer::Port, format!("{what} is forbidden by a packet filter"))
        }
    };
    if !outcome.detail.is_empty() {
        failure.evidence.push(outcome.detail);
    }
    Err(failure.who(&check.from).into())
}
