//! Captures on many nodes at once, over the connections to their agents.

use std::collections::HashMap;
use std::time::Duration;

use node::client::Event;
use node::{Client, Request};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::frame::{Batch, Capture, Frame, Sighting};

/// An agent says within this time that its capture has begun.
const BEGIN: Duration = Duration::from_secs(5);
/// Batches on their way to the one who asked.
const WINDOW: usize = 256;
/// Two sightings of the same bytes on one network within so many nanoseconds are one frame.
const SAME_FRAME_NS: u64 = 200_000_000;

/// A node that listens.
#[derive(Debug)]
pub struct Tap {
    /// Its name.
    pub node: String,
    /// The connection to its agent.
    pub client: Client,
    /// The networks it listens on; all of its own where empty.
    pub networks: Vec<String>,
}

/// Captures that run. Dropping it ends them.
#[derive(Debug)]
pub struct Sniffer {
    batches: mpsc::Receiver<(String, Batch)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), node::Error>>,
}

impl Sniffer {
    /// Begins on all nodes. When this returns, every frame that follows is caught.
    ///
    /// # Errors
    /// What an agent says, or `silent` where it does not say that it has begun.
    pub async fn start(taps: Vec<Tap>, snaplen: u32) -> Result<Self, node::Error> {
        let (sender, batches) = mpsc::channel(WINDOW);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for tap in taps {
            let request = Request::Capture { networks: tap.networks, snaplen };
            let mut replies = tap.client.stream(&request).await?;
            let first = tokio::time::timeout(BEGIN, replies.next()).await.map_err(|_| {
                node::Error::new("silent", format!("{}: the capture does not begin", tap.node))
            })??;
            if let Event::Done(_) = first {
                return Err(node::Error::new(
                    "ended",
                    format!("{}: the capture ended at once", tap.node),
                ));
            }
            let (sender, mut stopped, name) = (sender.clone(), stopped.clone(), tap.node);
            tasks.spawn(async move {
                loop {
                    let event = tokio::select! {
                        event = replies.next() => event?,
                        _ = stopped.changed() => return Ok(()),
                    };
                    let Event::Item(item) = event else { return Ok(()) };
                    let batch: Batch = serde_json::from_value(item).map_err(|error| {
                        node::Error::new(
                            "bad-reply",
                            format!("{name}: the capture is not understood: {error}"),
                        )
                    })?;
                    if sender.send((name.clone(), batch)).await.is_err() {
                        return Ok(());
                    }
                }
            });
        }
        Ok(Self { batches, stop, tasks })
    }

    /// The next batch and who sent it; `None` when all captures have ended.
    pub async fn next(&mut self) -> Option<(String, Batch)> {
        self.batches.recv().await
    }

    /// Waits until nothing more comes for `quiet`, at most `most`; then ends and gives all.
    /// To be called when what is traced has been done.
    pub async fn finish(mut self, quiet: Duration, most: Duration) -> Vec<Capture> {
        let mut captures: Vec<Capture> = Vec::new();
        let end = tokio::time::Instant::now() + most;
        loop {
            let patience = end.min(tokio::time::Instant::now() + quiet);
            match tokio::time::timeout_at(patience, self.batches.recv()).await {
                Ok(Some((node, batch))) => add(&mut captures, node, batch),
                Ok(None) | Err(_) => break,
            }
        }
        let _ = self.stop.send(true);
        self.tasks.abort_all();
        while let Ok((node, batch)) = self.batches.try_recv() {
            add(&mut captures, node, batch);
        }
        captures
    }
}

/// Does something while nodes listen; gives what it gave and what was seen. The frames are taken
/// while it runs, so that nothing is dropped.
///
/// # Errors
/// Where the captures cannot begin.
pub async fn during<T>(
    taps: Vec<Tap>,
    snaplen: u32,
    quiet: Duration,
    action: impl Future<Output = T>,
) -> Result<(T, Vec<Capture>), node::Error> {
    let mut sniffer = Sniffer::start(taps, snaplen).await?;
    let mut captures = Vec::new();
    tokio::pin!(action);
    let result = loop {
        tokio::select! {
            result = &mut action => break result,
            Some((node, batch)) = sniffer.next() => add(&mut captures, node, batch),
        }
    };
    for rest in sniffer.finish(quiet, quiet * 10).await {
        match captures.iter_mut().find(|capture| capture.node == rest.node) {
            Some(capture) => {
                capture.frames.extend(rest.frames);
                capture.dropped += rest.dropped;
            }
            None => captures.push(rest),
        }
    }
    Ok((result, captures))
}

fn add(captures: &mut Vec<Capture>, node: String, batch: Batch) {
    match captures.iter_mut().find(|capture| capture.node == node) {
        Some(capture) => capture.add(batch),
        None => {
            let mut capture = Capture::new(node);
            capture.add(batch);
            captures.push(capture);
        }
    }
}

/// Joins batches as they come to one order, each frame once a network, with bounded memory: what
/// [`crate::merge`] does for whole captures.
#[derive(Debug, Default)]
pub struct Joiner {
    waiting: Vec<(String, Frame)>,
    /// What was given out lately: time, and who has seen it.
    given: HashMap<(String, Vec<u8>), (u64, Vec<String>)>,
    count: usize,
    /// Frames that the nodes had to drop.
    pub dropped: u64,
}

impl Joiner {
    /// Takes a batch.
    pub fn push(&mut self, node: &str, batch: Batch) {
        self.dropped += batch.dropped;
        self.waiting.extend(batch.frames.into_iter().map(|frame| (node.to_owned(), frame)));
    }

    /// How many frames wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Gives out what is older than `before_ns` (nanoseconds since 1970); `u64::MAX` gives all.
    pub fn take(&mut self, before_ns: u64) -> Vec<Sighting> {
        let all = std::mem::take(&mut self.waiting);
        let (ready, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, frame)| frame.at_ns < before_ns);
        self.waiting = rest;
        self.given.retain(|_, (at_ns, _)| before_ns.saturating_sub(*at_ns) <= 2 * SAME_FRAME_NS);
        let mut captures: Vec<Capture> = Vec::new();
        for (node, frame) in ready {
            let key = (frame.network.clone(), frame.data.clone());
            if let Some((at_ns, seen)) = self.given.get_mut(&key)
                && frame.at_ns.abs_diff(*at_ns) <= SAME_FRAME_NS
                && !seen.contains(&node)
            {
                seen.push(node);
                continue;
            }
            add(&mut captures, node, Batch { frames: vec![frame], ..Batch::default() });
        }
        let mut merged = crate::merge(&captures);
        for sighting in &mut merged {
            self.count += 1;
            sighting.number = self.count;
            let mut seen = sighting.receivers.clone();
            seen.extend(sighting.sender.clone());
            self.given
                .insert((sighting.network.clone(), sighting.data.clone()), (sighting.at_ns, seen));
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(at_ns: u64, outgoing: bool, data: &[u8]) -> Batch {
        let frame = Frame {
            network: "lan".into(),
            interface: "lan".into(),
            at_ns,
            outgoing,
            length: 60,
            data: data.into(),
        };
        Batch { frames: vec![frame], ..Batch::default() }
    }

    #[test]
    fn frames_are_joined_across_batches() {
        let mut joiner = Joiner::default();
        joiner.push("a", batch(10, true, b"x"));
        joiner.push("a", batch(30, true, b"y"));
        assert_eq!(joiner.take(20).len(), 1);
        // The other end tells of it late: it is the same frame.
        joiner.push("b", batch(12, false, b"x"));
        assert_eq!(joiner.take(25).len(), 0);
        // The same bytes from the same sender are another frame.
        joiner.push("a", batch(31, true, b"x"));
        let rest = joiner.take(u64::MAX);
        assert_eq!(rest.iter().map(|s| s.number).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(joiner.waiting(), 0);
    }
}
