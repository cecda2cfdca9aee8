//! Captures on many nodes at once, over the connections to their agents.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use node::client::Event;
use node::{Client, Request};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::frame::{Batch, Capture, Frame, SAME_FRAME_NS, Sighting, merge_frames};

/// An agent says within this time that its capture has begun.
const BEGIN: Duration = Duration::from_secs(5);
/// Batches on their way to the one who asked.
const WINDOW: usize = 256;
/// What may wait to be joined, in bytes; beyond it frames are given out without waiting for what
/// other nodes say of them.
const MAX_WAITING: usize = 64 << 20;

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
            Some(capture) => capture.batches.extend(rest.batches),
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
    waiting: Vec<(String, Batch)>,
    bytes: usize,
    /// What was given out lately, by a hash of network and bytes.
    given: HashMap<u64, Vec<Sighting>>,
    keys: String,
    count: usize,
    /// Frames that nodes had to drop, by network.
    dropped: BTreeMap<String, u64>,
}

impl Joiner {
    /// Takes a batch.
    pub fn push(&mut self, node: &str, mut batch: Batch) {
        if batch.dropped > 0 {
            let dropped = self.dropped.entry(batch.network().to_owned()).or_default();
            *dropped = dropped.saturating_add(batch.dropped);
        }
        self.keys.push_str(&std::mem::take(&mut batch.keys));
        if !batch.is_empty() {
            self.bytes += batch.size();
            self.waiting.push((node.to_owned(), batch));
        }
    }

    /// The lines of TLS key logs that came since the last call. They belong before the frames that
    /// [`Joiner::take`] gives next.
    pub fn keys(&mut self) -> String {
        std::mem::take(&mut self.keys)
    }

    /// How many frames the nodes had to drop in all.
    pub fn dropped(&self) -> u64 {
        self.dropped.values().fold(0_u64, |sum, dropped| sum.saturating_add(*dropped))
    }

    /// How many they had to drop on each network.
    pub fn dropped_on(&self) -> impl Iterator<Item = (&str, u64)> {
        self.dropped.iter().map(|(network, dropped)| (network.as_str(), *dropped))
    }

    /// Whether so much waits that it has to be taken, whatever its age.
    pub fn is_full(&self) -> bool {
        self.bytes >= MAX_WAITING
    }

    /// How many frames wait.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(|(_, batch)| batch.frames().count()).sum()
    }

    /// Gives out what is older than `before_ns` (nanoseconds since 1970); `u64::MAX` gives all.
    pub fn take(&mut self, before_ns: u64) -> Vec<Sighting> {
        self.given.retain(|_, given| {
            given.retain(|one| before_ns.saturating_sub(one.at_ns) <= 2 * SAME_FRAME_NS);
            !given.is_empty()
        });
        let mut ready = Vec::new();
        let mut later: Vec<(String, Batch)> = Vec::new();
        for (node, batch) in &self.waiting {
            let mut rest: Option<Batch> = None;
            for frame in batch.frames() {
                if frame.at_ns < before_ns {
                    let known = self.given.get_mut(&hash(&frame)).is_some_and(|given| {
                        given.iter_mut().any(|one| {
                            one.network == frame.network
                                && one.data == frame.data
                                && one.takes(node, &frame)
                        })
                    });
                    if !known {
                        ready.push((node.as_str(), frame));
                    }
                } else {
                    rest.get_or_insert_with(|| Batch::new(frame.network, frame.interface)).push(
                        frame.at_ns,
                        frame.outgoing,
                        frame.length,
                        frame.data,
                    );
                }
            }
            later.extend(rest.map(|rest| (node.clone(), rest)));
        }
        let mut merged = merge_frames(ready);
        self.waiting = later;
        self.bytes = self.waiting.iter().map(|(_, batch)| batch.size()).sum();
        for sighting in &mut merged {
            self.count += 1;
            sighting.number = self.count;
            if before_ns < u64::MAX {
                self.given
                    .entry(hash_of(&sighting.network, &sighting.data))
                    .or_default()
                    .push(sighting.clone());
            }
        }
        merged
    }
}

fn hash(frame: &Frame<'_>) -> u64 {
    hash_of(frame.network, frame.data)
}

fn hash_of(network: &str, data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (network, data).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(at_ns: u64, outgoing: bool, data: &[u8]) -> Batch {
        let mut batch = Batch::new("lan", "lan");
        batch.push(at_ns, outgoing, 60, data);
        batch
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
