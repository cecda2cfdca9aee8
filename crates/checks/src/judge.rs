//! From what an attempt saw to whether that is what the lab wants.
//!
//! What must not work is only believed after a positive control: an answer that says no proves
//! itself, but silence looks the same as a dead node, a pulled cable, a broken lab.

use lab::check::{Expect, Kind, PortState, Refusal, Way};
use probes::{Layer, Probe, arp};

use crate::kinds;
use crate::trial::{Failure, Phase, Trial, Unasked};
use crate::world::World;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// As wanted; what was seen.
    Pass(String),
    /// Not as wanted.
    Fail(Failure),
    /// labctl could not try.
    Error(String),
}

/// A check's kind and expectation with `port`'s own states turned into expectations.
pub fn normal(kind: &Kind, expect: &Expect) -> (Kind, Expect) {
    match (kind, expect) {
        (Kind::Port(port), Expect::Pass) if port.state != PortState::Open => {
            let expect = match port.state {
                PortState::Refused => Expect::Refused(Refusal::Way(Way::Connection)),
                _ => Expect::Silent,
            };
            let mut port = port.clone();
            port.state = PortState::Open;
            (Kind::Port(port), expect)
        }
        (kind, expect) => (kind.clone(), expect.clone()),
    }
}

/// Judges. `proven`: the same check was seen to work before something was broken on purpose.
pub async fn judge(
    world: &World<'_>,
    kind: &Kind,
    expect: &Expect,
    trial: Trial,
    proven: bool,
) -> Judged {
    let failure = match (trial, expect) {
        (Trial::Trouble(why), _) => return Judged::Error(why),
        (Trial::Works(seen), Expect::Pass) => return Judged::Pass(seen),
        (Trial::Works(seen), _) => {
            let message = format!("it works, and should not ({}): {seen}", describe(expect));
            return Judged::Fail(Failure {
                layer: Some(surface(kind)),
                message,
                ..Failure::default()
            });
        }
        (Trial::Broken(failure), Expect::Pass) => return Judged::Fail(failure),
        (Trial::Broken(failure), _) => failure,
    };
    if !matches(expect, &failure) {
        let message =
            format!("it should fail otherwise ({}): {}", describe(expect), failure.message);
        return Judged::Fail(Failure { message, ..failure });
    }
    let proves_itself =
        failure.absence.is_none() && (failure.way.is_some() || failure.code.is_some());
    if !proves_itself {
        match control(world, kind, proven).await {
            Ok(()) => {}
            Err(Unasked::Trouble(why)) => return Judged::Error(why),
            Err(Unasked::Broken(control)) => {
                let message = format!(
                    "nothing can be concluded from it ({}): {}",
                    failure.message, control.message
                );
                return Judged::Fail(Failure { message, ..control });
            }
        }
    }
    Judged::Pass(format!("as it should: {}", failure.message))
}

/// What an expectation wants, in words.
pub fn describe(expect: &Expect) -> String {
    let refusal = |refusal: &Refusal| match refusal {
        Refusal::Code(code) => format!("code {code}"),
        Refusal::Way(Way::Any) => "any refusal".into(),
        Refusal::Way(way) => serde_json::to_value(way)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default(),
    };
    match expect {
        Expect::Pass => "pass".into(),
        Expect::Fail => "expected: fail".into(),
        Expect::Unreachable => "expected: unreachable".into(),
        Expect::Silent => "expected: silent".into(),
        Expect::Refused(how) => format!("expected: refused, {}", refusal(how)),
        Expect::Fetch(how) => format!("expected: fetch refused, {}", refusal(how)),
    }
}

/// The layer on which something works that should not.
fn surface(kind: &Kind) -> Layer {
    match kind {
        Kind::Link(_) => Layer::Link,
        Kind::Address(_) | Kind::Lease(_) => Layer::Address,
        Kind::Ping(_) | Kind::Route(_) | Kind::Trace(_) => Layer::Route,
        Kind::Arp(_) => Layer::Arp,
        Kind::Dns(_) => Layer::Name,
        Kind::Port(_) => Layer::Port,
        _ => Layer::Reply,
    }
}

/// Whether a failure is the one that is wanted.
fn matches(expect: &Expect, failure: &Failure) -> bool {
    match expect {
        Expect::Pass => false,
        // The asking side must be whole in every case.
        Expect::Fail => !matches!(failure.layer, Some(Layer::Node | Layer::Link | Layer::Address)),
        Expect::Unreachable => failure.absence.is_some(),
        Expect::Silent => failure.absence == Some(crate::trial::Absence::Silent),
        Expect::Refused(refusal) => failure.phase == Phase::First && refused(refusal, failure),
        Expect::Fetch(refusal) => failure.phase == Phase::Fetch && refused(refusal, failure),
    }
}

fn refused(refusal: &Refusal, failure: &Failure) -> bool {
    let answered = failure.absence.is_none();
    match refusal {
        Refusal::Code(code) => failure.code == Some(*code),
        Refusal::Way(Way::Any) => answered && (failure.way.is_some() || failure.code.is_some()),
        Refusal::Way(way) => answered && failure.way == Some(*way),
    }
}

/// The positive control: the asking node is whole and hears its neighbours, and the node asked for
/// lives and has its address.
async fn control(world: &World<'_>, kind: &Kind, proven: bool) -> Result<(), Unasked> {
    let Some(asker) = kinds::asker(kind) else { return Ok(()) };
    let status = world.status(asker).await?;
    if !status.links.iter().any(|link| link.up && link.address.is_some()) {
        let message = format!("{asker} has no interface that is up and has an address");
        return Err(Failure::on(Layer::Link, message).who(asker).into());
    }
    if !proven && let Some(target) = target_of(kind) {
        let target = world.target(asker, target).await?;
        if let Some(node) = &target.node {
            let there = world.status(node).await?;
            let own = |address: &std::net::Ipv4Addr| {
                there.links.iter().any(|link| {
                    let net =
                        link.address.as_deref().and_then(|a| a.parse::<ipnet::Ipv4Net>().ok());
                    link.up && net.is_some_and(|net| net.addr() == *address)
                })
            };
            if !target.planned.is_empty() && !target.planned.iter().any(own) {
                let message = format!("{node} is not up with the address that it should have");
                return Err(Failure::on(Layer::Address, message).who(node).into());
            }
        }
    }
    hears_somebody(world, asker).await
}

/// ARP reaches past every packet filter: one neighbour that answers shows that the cable, the
/// interface and the asking program work.
async fn hears_somebody(world: &World<'_>, asker: &str) -> Result<(), Unasked> {
    let neighbours = world.neighbours(asker);
    if neighbours.is_empty() {
        return Ok(());
    }
    let mut last = None;
    for address in neighbours.keys().take(8) {
        let request =
            arp::Request { address: *address, timeout_ms: 900, ..arp::Request::default() };
        match world.probe::<arp::Outcome>(asker, Probe::Arp(request)).await {
            Ok(outcome) if !outcome.macs.is_empty() => return Ok(()),
            Ok(_) => {}
            Err(Unasked::Trouble(why)) => return Err(Unasked::Trouble(why)),
            Err(Unasked::Broken(failure)) => last = Some(failure),
        }
    }
    let message = format!("{asker} hears none of its neighbours: the lab itself is broken");
    Err(last.unwrap_or_else(|| Failure::on(Layer::Arp, message)).who(asker).into())
}

/// Whom a check is about, as it is written there.
pub fn target_of(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Ping(check) => Some(&check.to),
        Kind::Trace(check) => Some(&check.to),
        Kind::Arp(check) => Some(&check.to),
        Kind::Port(check) => Some(&check.to),
        Kind::Dns(check) => check.server.as_deref(),
        Kind::Ports(check) => target_of(&check.during),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Absence;

    fn way(way: Way) -> Failure {
        Failure { way: Some(way), ..Failure::wrong("x") }
    }

    #[test]
    fn a_refusal_is_the_one_that_was_wanted() {
        let connection = Expect::Refused(Refusal::Way(Way::Connection));
        assert!(matches(&connection, &way(Way::Connection)));
        assert!(!matches(&connection, &way(Way::Login)));
        let silent = Failure { absence: Some(Absence::Silent), ..way(Way::Connection) };
        assert!(!matches(&connection, &silent));
        assert!(matches(&Expect::Silent, &silent));
        let code = Failure { code: Some(550), ..Failure::wrong("x") };
        assert!(matches(&Expect::Refused(Refusal::Code(550)), &code));
        assert!(!matches(&Expect::Refused(Refusal::Code(554)), &code));
        let fetch = Failure { phase: Phase::Fetch, ..way(Way::Connection) };
        assert!(!matches(&connection, &fetch));
        assert!(matches(&Expect::Fetch(Refusal::Way(Way::Connection)), &fetch));
    }

    #[test]
    fn a_dead_asker_never_matches() {
        for layer in [Layer::Node, Layer::Link, Layer::Address] {
            let failure = Failure::on(layer, "x");
            for expect in [Expect::Fail, Expect::Unreachable, Expect::Silent] {
                assert!(!matches(&expect, &failure), "{layer} {expect:?}");
            }
        }
    }
}
