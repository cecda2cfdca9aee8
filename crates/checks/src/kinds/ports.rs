//! `ports`: what is seen on a link while something is done.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::check::Ports;
use node::Request;
use node::client::Event;
use probes::Layer;

use super::{Attempt, Seen};
use crate::trial::{Failure, Trial, Unasked};
use crate::world::World;

/// Frames may be this late behind what was done.
const LATE: Duration = Duration::from_millis(400);
/// A capture must have begun by then.
const START: Duration = Duration::from_secs(5);

pub async fn attempt(world: &World<'_>, check: &Ports, attempt: &Attempt) -> Seen {
    let trouble = |error: node::Error| Unasked::Trouble(format!("{}: {error}", check.node));
    let network = match &check.network {
        Some(network) => Some(network.clone()),
        None => world.node(&check.node)?.links.first().map(|link| link.network.clone()),
    };
    let client = world.client(&check.node).await?;
    let request =
        Request::Capture { networks: network.clone().into_iter().collect(), snaplen: 128 };
    let mut replies = client.stream(&request).await.map_err(trouble)?;
    // Only what happens after the capture has begun can be missed by nobody.
    match tokio::time::timeout(START, replies.next()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(trouble(error)),
        Err(_) => return Err(Unasked::Trouble(format!("{}: no capture begins", check.node))),
    }
    let mut seen = BTreeSet::new();
    let doing = super::attempt(world, &check.during, attempt);
    tokio::pin!(doing);
    let done = loop {
        tokio::select! {
            done = &mut doing => break done,
            event = replies.next() => match event.map_err(trouble)? {
                Event::Item(item) => note(&item, &mut seen)?,
                Event::Done(_) => return Err(Unasked::Trouble("the capture ended early".into())),
            },
        }
    };
    let wanted: BTreeSet<String> =
        check.seen.iter().map(|port| port.to_ascii_lowercase()).collect();
    let end = tokio::time::Instant::now() + LATE;
    while let Ok(event) = tokio::time::timeout_at(end, replies.next()).await {
        match event.map_err(trouble)? {
            Event::Item(item) => note(&item, &mut seen)?,
            Event::Done(_) => break,
        }
    }
    match done {
        Trial::Works(_) => {}
        Trial::Broken(failure) => return Err(failure.into()),
        Trial::Trouble(why) => return Err(Unasked::Trouble(why)),
    }
    let list = |ports: &BTreeSet<String>| ports.iter().cloned().collect::<Vec<_>>().join(", ");
    let broken = |message: String| {
        let failure = Failure::on(Layer::Reply, message).evidence(format!("seen: {}", list(&seen)));
        Err(Unasked::from(failure.who(&check.node)))
    };
    let missing: BTreeSet<String> = wanted.difference(&seen).cloned().collect();
    let network = network.unwrap_or_default();
    if !missing.is_empty() {
        return broken(format!("{} was not seen on {network}", list(&missing)));
    }
    if let Some(unwanted) =
        check.unseen.iter().find(|port| seen.contains(&port.to_ascii_lowercase()))
    {
        return broken(format!("{unwanted} was seen on {network}"));
    }
    Ok(format!("seen on {network}: {}", list(&wanted)))
}

/// Notes the ports of a batch's frames.
fn note(item: &serde_json::Value, seen: &mut BTreeSet<String>) -> Result<(), Unasked> {
    let batch: packets::Batch = serde_json::from_value(item.clone())
        .map_err(|error| Unasked::Trouble(format!("the capture is not understood: {error}")))?;
    for frame in batch.frames() {
        seen.extend(ports_of(frame.data));
    }
    Ok(())
}

/// `tcp/25` for each end of a frame of TCP or UDP, and the protocol's name alone for ARP and ICMP.
fn ports_of(frame: &[u8]) -> Vec<String> {
    let found = packets::dissect::dissect(frame);
    if found.arp.is_some() {
        return vec!["arp".into()];
    }
    if found.icmp.is_some() {
        return vec!["icmp".into()];
    }
    let transport = if found.tcp.is_some() { "tcp" } else { "udp" };
    let Some((source, destination)) = found.ports() else { return Vec::new() };
    [source, destination].iter().map(|port| format!("{transport}/{port}")).collect()
}

#[cfg(test)]
mod tests {
    use super::ports_of;

    #[test]
    fn ports_are_read_out_of_frames_of_any_length() {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 25]);
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(ports_of(&frame), ["tcp/40000", "tcp/25"]);
        for cut in 0..frame.len() {
            assert!(ports_of(&frame[..cut]).is_empty(), "{cut}");
        }
        frame[23] = 17;
        frame[38..40].copy_from_slice(&20_u16.to_be_bytes());
        assert_eq!(ports_of(&frame), ["udp/40000", "udp/25"]);
    }
}
