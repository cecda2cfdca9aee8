//! `labctl capture`: the packets on links as pcapng, as they come.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::lab::Plan;
use packets::dissect::{Mac, summarize};
use packets::sniff::{Joiner, Sniffer, Tap};
use packets::{Filter, Link, Node, Topology, pcapng};

use crate::context::{Context, Running};
use crate::failure::{Failure, INVALID, Outcome};
use crate::verbs::lab;
use crate::{interrupt, output};

/// A frame waits so long for what other nodes say of it.
const LATE: Duration = Duration::from_millis(300);
/// What is written at once, in bytes.
const WRITE_BUFFER: usize = 256 << 10;
/// Bytes kept of each frame.
pub const SNAPLEN: u32 = 65_535;

/// Runs the verb.
pub async fn run(
    context: &Context,
    links: &[String],
    write: Option<&Path>,
    filter: Option<&str>,
    count: Option<u64>,
) -> Outcome {
    let filter = Filter::parse(filter.unwrap_or_default())
        .map_err(|error| Failure::new(INVALID, error.to_string()))?;
    let running = context.running().await?;
    let plan = lab::document(&running).await?.plan;
    let to_stdout = write.is_none_or(|path| path == Path::new("-"));
    if to_stdout && write.is_none() && output::live() {
        return Err(Failure::new(INVALID, "pcapng is not for a terminal")
            .help("`-w FILE` writes a file; `labctl capture | wireshark -k -i -` shows it"));
    }
    let taps = taps(&running, &plan, links).await?;
    let file: Box<dyn Write> = match write {
        Some(path) if !to_stdout => Box::new(std::fs::File::create(path)?),
        _ => Box::new(std::io::stdout()),
    };
    // What is written goes out at each tick: many frames are one write.
    let file = std::io::BufWriter::with_capacity(WRITE_BUFFER, file);
    let writer = pcapng::Writer::new(file, SNAPLEN, &plan.title)?;
    let mut recording = Recording { writer, plan: &plan, filter, count, written: 0, at_ns: 0 };
    let mut sniffer = Sniffer::start(taps, SNAPLEN).await.map_err(refused)?;
    if !to_stdout && !context.global.quiet {
        output::tell("capturing; Ctrl-C ends it");
    }
    let stop = interrupt::token();
    let mut joiner = Joiner::default();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        let last = tokio::select! {
            () = stop.cancelled() => true,
            _ = tick.tick() => false,
            batch = sniffer.next() => match batch {
                Some((node, batch)) => {
                    joiner.push(&node, batch);
                    if !joiner.is_full() {
                        continue;
                    }
                    false
                }
                None => true,
            },
        };
        let before = if last || joiner.is_full() { u64::MAX } else { ago(LATE) };
        let result = recording.take(&mut joiner, before);
        let last = last || recording.is_full();
        match result.and_then(|()| if last { recording.end(&joiner) } else { Ok(()) }) {
            // Who reads has enough: `labctl capture | tshark -c 10`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(0),
            other => other?,
        }
        if last {
            break;
        }
    }
    if !context.global.quiet {
        let dropped = joiner.dropped();
        let dropped = if dropped > 0 { format!(", {dropped} dropped") } else { String::new() };
        output::complain(&format!("{} packets{dropped}", recording.written));
    }
    Ok(0)
}

/// The file that is written.
struct Recording<'a, W> {
    writer: pcapng::Writer<W>,
    plan: &'a Plan,
    filter: Filter,
    count: Option<u64>,
    written: u64,
    at_ns: u64,
}

impl<W: Write> Recording<'_, W> {
    fn is_full(&self) -> bool {
        self.count.is_some_and(|count| self.written >= count)
    }

    /// Writes what is older than `before`, and the keys that it is read with before it.
    fn take(&mut self, joiner: &mut Joiner, before: u64) -> std::io::Result<()> {
        let keys = keys(&joiner.keys());
        if !keys.is_empty() {
            self.writer.tls_keys(&keys)?;
        }
        for sighting in joiner.take(before) {
            self.at_ns = sighting.at_ns;
            let found = summarize(&sighting.data);
            if self.is_full() || !self.filter.passes(&sighting, &found) {
                continue;
            }
            let (from, to) = found.macs.unwrap_or_default();
            let (from, to) = (who(self.plan, from), who(self.plan, to));
            let comment = format!("{from} → {to}: {}", found.info);
            self.writer.packet(&pcapng::Packet {
                interface: &sighting.network,
                at_ns: sighting.at_ns,
                data: &sighting.data,
                length: sighting.length,
                comment: Some(&comment),
            })?;
            self.written += 1;
        }
        self.writer.flush()
    }

    /// Tells in the file what was dropped.
    fn end(&mut self, joiner: &Joiner) -> std::io::Result<()> {
        for (network, dropped) in joiner.dropped_on() {
            self.writer.dropped(network, self.at_ns, dropped)?;
        }
        self.writer.flush()
    }
}

/// The lines of a key log that are such: a node may write what it likes.
fn keys(lines: &str) -> String {
    let good = lines.lines().filter(|line| packets::tls::KeyLog::is_line(line));
    good.flat_map(|line| [line, "\n"]).collect()
}

/// The nodes and networks to listen on: `NODE`, `NODE:NETWORK`; all where there are none.
pub async fn taps(running: &Running, plan: &Plan, links: &[String]) -> Result<Vec<Tap>, Failure> {
    let mut taps: Vec<Tap> = Vec::new();
    let all: Vec<String> = plan.nodes.iter().map(|node| node.name.clone()).collect();
    for link in if links.is_empty() { &all } else { links } {
        let (name, network) = match link.split_once(':') {
            Some((name, network)) => (name, Some(network)),
            None => (link.as_str(), None),
        };
        let node = plan.node(name).ok_or_else(|| {
            Failure::new(INVALID, format!("the lab has no node `{name}`"))
                .help(format!("it has: {}", all.join(", ")))
        })?;
        if let Some(network) = network
            && node.link(network).is_none()
        {
            let own: Vec<&str> = node.links.iter().map(|link| link.network.as_str()).collect();
            return Err(Failure::new(INVALID, format!("{name} is not on a network `{network}`"))
                .help(format!("it is on: {}", own.join(", "))));
        }
        let networks: Vec<String> = network.map(str::to_owned).into_iter().collect();
        match taps.iter_mut().find(|tap| tap.node == name) {
            Some(tap) => tap.networks.extend(networks),
            None => {
                let client = running.engine.control(&running.name, name).await?;
                taps.push(Tap { node: name.to_owned(), client, networks });
            }
        }
    }
    Ok(taps)
}

/// What a story needs to know of the lab.
pub fn topology(plan: &Plan) -> Topology {
    let link = |link: &::lab::plan::Link| Link {
        network: link.network.clone(),
        mac: link.mac.clone(),
        address: link.address.fixed().map(|net| net.addr().into()),
    };
    let node = |node: &::lab::plan::Node| Node {
        name: node.name.clone(),
        kind: format!("{:?}", node.kind).to_lowercase(),
        links: node.links.iter().map(link).collect(),
    };
    Topology {
        title: plan.title.clone(),
        networks: plan.networks.iter().map(|network| network.name.clone()).collect(),
        nodes: plan.nodes.iter().map(node).collect(),
    }
}

fn who(plan: &Plan, mac: Mac) -> String {
    if mac.is_group() {
        return "everybody".into();
    }
    let mac = mac.to_string();
    let has = |node: &&::lab::plan::Node| {
        node.links.iter().any(|link| link.mac.eq_ignore_ascii_case(&mac))
    };
    plan.nodes.iter().find(has).map_or(mac.clone(), |node| node.name.clone())
}

fn ago(duration: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_sub(duration).as_nanos()).unwrap_or(u64::MAX)
}

/// An agent's refusal as a failure of this program.
pub fn refused(error: node::Error) -> Failure {
    Failure::new(crate::failure::ENGINE, error.message)
}
