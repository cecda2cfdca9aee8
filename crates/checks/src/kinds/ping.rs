//! `ping`: an echo is answered, by the host that the plan means.

use lab::check::Ping;
use probes::{Layer, Probe, ping};

use super::Seen;
use crate::trial::{Absence, Failure};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Ping) -> Seen {
    let target = world.target(&check.from, &check.to).await?;
    let request = ping::Request {
        to: target.host.clone(),
        count: check.count.max(1),
        size: check.size.map_or(56, usize::from),
        ..ping::Request::default()
    };
    let outcome: ping::Outcome = world.probe(&check.from, Probe::Ping(request)).await?;
    target.verify(outcome.address, world).map_err(|failure| failure.who(&check.from))?;
    // One of several may be lost to the first question for the neighbour.
    let enough = if outcome.sent > 1 { outcome.sent - 1 } else { 1 };
    if outcome.received >= enough {
        let times = outcome.replies.iter().filter(|reply| reply.error.is_none());
        let best = times.map(|reply| reply.ms).fold(f64::INFINITY, f64::min);
        return Ok(format!("{} answers in {best:.2} ms", outcome.address));
    }
    let to = if target.named {
        format!("{} ({})", check.to, outcome.address)
    } else {
        outcome.address.to_string()
    };
    let mut failure = match outcome.error() {
        Some((error, from)) if from.is_unspecified() => {
            Failure::on(Layer::Route, format!("{} cannot send to {to}: {error}", check.from))
        }
        Some((error, from)) => {
            let own = world.plan.node_of(from).is_some_and(|node| node.name == check.from);
            let layer = if own { Layer::Arp } else { Layer::Route };
            let mut failure =
                Failure::on(layer, format!("{to} is not reached: {error}, says {from}"));
            let prohibited = error.contains("Prohibited") || error.contains("filtered");
            failure.absence = (!prohibited).then_some(Absence::Unreachable);
            failure
        }
        None => Failure {
            absence: Some(Absence::Silent),
            message: format!("{to} does not answer"),
            ..Failure::default()
        },
    };
    failure.evidence.push(format!("{} sent, {} answered", outcome.sent, outcome.received));
    Err(failure.who(&check.from).into())
}
