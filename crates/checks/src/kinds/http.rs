//! `http`: a page is fetched, from the host that the plan means.

use lab::check::Http;
use probes::{Layer, Probe, http};

use super::Seen;
use crate::trial::{Failure, Unasked};
use crate::world::World;

/// Characters of a page that are shown as evidence.
const SHOWN: usize = 160;

pub async fn attempt(world: &World<'_>, check: &Http) -> Seen {
    let url = http::Url::parse(&check.url).map_err(|error| Unasked::Trouble(error.to_string()))?;
    let target = world.target(&check.from, &url.host).await?;
    let request = http::Request {
        url: check.url.clone(),
        // The name of a node is not a name of the network; the request still carries it.
        connect: (!target.named).then(|| target.host.clone()),
        insecure: !check.verify,
        timeout_ms: 5000,
        ..http::Request::default()
    };
    let outcome: http::Outcome = world.probe(&check.from, Probe::Http(request)).await?;
    target.verify(outcome.address, world).map_err(|failure| failure.who(&check.from))?;
    let begin: String = outcome.body.chars().take(SHOWN).collect();
    let broken = |message: String| {
        let mut failure = Failure::on(Layer::Reply, message)
            .evidence(format!("HTTP {} {}", outcome.status, outcome.reason))
            .evidence(format!("the page begins with {:?}", begin.trim()))
            .who(&check.from);
        failure.code = Some(outcome.status);
        Err(Unasked::from(failure))
    };
    if outcome.status != check.status {
        return broken(format!(
            "{} gives {} {}, and should give {}",
            check.url, outcome.status, outcome.reason, check.status
        ));
    }
    for wanted in check.contains.iter() {
        if !outcome.body.contains(wanted.as_str()) {
            return broken(format!("the page {} does not contain {wanted:?}", check.url));
        }
    }
    for (name, wanted) in check.headers.iter() {
        let seen = http::header(&outcome.headers, name);
        if !seen.is_some_and(|seen| seen.contains(wanted.as_str())) {
            let seen = seen.map_or("absent".into(), |seen| format!("{seen:?}"));
            return broken(format!(
                "the header field {name} is {seen}, and should have {wanted:?}"
            ));
        }
    }
    Ok(format!(
        "{} {} from {}, {} bytes",
        outcome.status, outcome.reason, outcome.address, outcome.body_bytes
    ))
}
