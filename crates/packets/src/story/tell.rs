//! Turns packets into steps.

use std::collections::{BTreeSet, HashMap};

use crate::dissect::{Layer, Tcp, by_port, tls_hello};
use crate::frame::Sighting;
use crate::tls::{KeyLog, Session};
use crate::topology::Topology;

use super::addresses::Addresses;
use super::explain;
use super::fragments::{self, Seen};
use super::packets::{Packet, follow, hop};
use super::secret::Open;
use super::streams::{Direction, Ends};
use super::text::{Said, Talk};
use super::{FrameView, Step, Story};

/// The most steps of a story; what comes later is only in the frames.
const MAX_STEPS: usize = 20_000;
/// The most connections followed at once.
const MAX_STREAMS: usize = 10_000;

pub fn tell(sightings: &[Sighting], topology: &Topology, keys: KeyLog) -> Story {
    let frames = fragments::read(sightings);
    let addresses = Addresses::learn(topology, &frames);
    let start = sightings.first().map_or(0, |sighting| sighting.at_ns);
    let mut teller = Teller {
        steps: Vec::new(),
        streams: HashMap::new(),
        opened: HashMap::new(),
        start,
        keys,
        inside: HashMap::new(),
        inside_bytes: 0,
    };
    let packets = follow(&frames, &addresses);
    for packet in &packets {
        teller.packet(packet);
    }
    teller.end();
    let mut steps = teller.steps;
    steps.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    for (at, step) in steps.iter_mut().enumerate() {
        step.number = at + 1;
        step.frames.sort_unstable();
        step.frames.dedup();
    }
    let mut inside = teller.inside;
    let views = frames
        .iter()
        .map(|seen| {
            let decrypted = inside.remove(&seen.sighting.number).unwrap_or_default();
            view(seen, decrypted, &addresses, start)
        })
        .collect();
    let nodes = order(&steps, topology);
    Story {
        title: topology.title.clone(),
        nodes,
        steps,
        frames: views,
        topology: topology.clone(),
        dropped: 0,
    }
}

fn ms(at_ns: u64, start: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a trace is no years long")]
    let ns = at_ns.saturating_sub(start) as f64;
    ns / 1e6
}

fn view(
    seen: &Seen<'_>,
    decrypted: Vec<Layer>,
    addresses: &Addresses<'_>,
    start: u64,
) -> FrameView {
    let hop = hop(seen, addresses);
    let (sighting, found) = (seen.sighting, &seen.found);
    let (source, destination) = found.ends();
    FrameView {
        number: sighting.number,
        at_ms: ms(sighting.at_ns, start),
        network: sighting.network.clone(),
        from: hop.from,
        to: hop.to,
        source,
        destination,
        protocol: found.protocol.clone(),
        length: sighting.length,
        info: found.info.clone(),
        layers: found.layers.iter().cloned().chain(decrypted).collect(),
    }
}

/// The nodes that take part: those of the lab in its order, then strangers.
fn order(steps: &[Step], topology: &Topology) -> Vec<String> {
    let mut part: BTreeSet<&str> = BTreeSet::new();
    for step in steps {
        part.extend([step.from.as_str(), step.to.as_str()]);
        for hop in &step.hops {
            part.extend([hop.from.as_str(), hop.to.as_str()]);
        }
    }
    part.remove("*");
    let mut nodes: Vec<String> = Vec::new();
    for node in &topology.nodes {
        if part.remove(node.name.as_str()) {
            nodes.push(node.name.clone());
        }
    }
    nodes.extend(part.into_iter().map(str::to_owned));
    nodes
}

/// A connection that is followed.
pub(super) struct Stream {
    pub(super) client: String,
    pub(super) server: String,
    pub(super) ends: Ends,
    /// The step of its beginning.
    opening: Option<usize>,
    established: bool,
    /// The step of its end.
    closing: Option<usize>,
    directions: [Direction; 2],
    pub(super) talk: Talk,
    /// TLS, where it is spoken.
    pub(super) tls: Option<Session>,
    /// The step that more of the same is added to, for each direction.
    pub(super) open: [Option<Open>; 2],
}

pub(super) struct Teller {
    pub(super) steps: Vec<Step>,
    streams: HashMap<Ends, Stream>,
    /// ARP and other questions that were asked before, by their text.
    opened: HashMap<String, usize>,
    start: u64,
    /// The secrets of TLS dialogues that the lab gave.
    pub(super) keys: KeyLog,
    /// What was decrypted, by the frame that completed it.
    pub(super) inside: HashMap<usize, Vec<Layer>>,
    pub(super) inside_bytes: usize,
}

impl Teller {
    pub(super) fn push(&mut self, step: Step) -> usize {
        if self.steps.len() < MAX_STEPS {
            self.steps.push(step);
        }
        self.steps.len() - 1
    }

    pub(super) fn step(&self, packet: &Packet<'_>, protocol: &str, text: String) -> Step {
        let ports = packet.ports();
        Step {
            number: 0,
            at_ms: ms(packet.sighting.at_ns, self.start),
            protocol: protocol.into(),
            from: packet.from.clone(),
            to: packet.to.clone(),
            from_port: ports.map(|(from, _)| from),
            to_port: ports.map(|(_, to)| to),
            text,
            frames: packet.frames(),
            hops: packet.hops.clone(),
            ..Step::default()
        }
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        let found = packet.found;
        if let Some(tcp) = &found.tcp {
            self.tcp(packet, tcp);
            return;
        }
        let told = ["arp", "dns", "dhcp", "icmp", "rip"].contains(&found.protocol.as_str());
        if !told && found.udp.is_none() {
            // IPv6 and IGMP that a kernel says to itself are in the frames only.
            return;
        }
        let mut step = self.step(packet, &found.protocol, found.info.clone());
        step.explain = explain::packet(found);
        step.failed = found.icmp.is_some_and(|icmp| matches!(icmp.kind, 3 | 11))
            || found.dns.as_ref().is_some_and(|dns| dns.response && dns.rcode != "NOERROR");
        if let Some(dns) = &found.dns {
            step.detail.clone_from(&dns.answers);
        }
        // The same question again within the story is one step with more frames.
        if found.arp.is_some_and(|arp| arp.request) {
            let key = format!("{} {}", step.from, step.text);
            let again = self.opened.get(&key).copied();
            if let Some(earlier) = again.and_then(|at| self.steps.get_mut(at))
                && step.at_ms - earlier.at_ms < 3_000.0
            {
                earlier.frames.extend(step.frames);
                return;
            }
            let at = self.push(step);
            self.opened.insert(key, at);
            return;
        }
        self.push(step);
    }

    fn tcp(&mut self, packet: &Packet<'_>, tcp: &Tcp) {
        let Some((source, destination)) = packet.ends else { return };
        let opens = tcp.has(Tcp::SYN) && !tcp.has(Tcp::ACK);
        let (ends, from_client) = if self.streams.contains_key(&(destination, source)) && !opens {
            ((destination, source), false)
        } else if self.streams.contains_key(&(source, destination)) || opens {
            ((source, destination), true)
        } else if by_port(source.1).is_some() && by_port(destination.1).is_none() {
            ((destination, source), false)
        } else {
            ((source, destination), true)
        };
        if opens {
            self.open(packet, tcp, ends);
            return;
        }
        if !self.streams.contains_key(&ends) {
            if self.streams.len() >= MAX_STREAMS {
                return;
            }
            let (client, server) = if from_client {
                (packet.from.clone(), packet.to.clone())
            } else {
                (packet.to.clone(), packet.from.clone())
            };
            self.streams.insert(ends, new_stream(client, server, ends, None));
        }
        let Some(mut stream) = self.streams.remove(&ends) else { return };
        self.segment(packet, tcp, &mut stream, from_client);
        self.streams.insert(ends, stream);
    }

    fn open(&mut self, packet: &Packet<'_>, tcp: &Tcp, ends: Ends) {
        if let Some(stream) = self.streams.get_mut(&ends)
            && !stream.established
            && let Some(step) = stream.opening.and_then(|at| self.steps.get_mut(at))
        {
            // Asked again because nobody answered.
            step.frames.extend(packet.frames());
            return;
        }
        let port = ends.1.1;
        let name =
            by_port(port).map(|app| format!(" ({})", app.name.to_uppercase())).unwrap_or_default();
        let mut step = self.step(packet, "tcp", format!("opens a connection to port {port}{name}"));
        step.explain = explain::handshake(port);
        let at = self.push(step);
        if self.streams.len() < MAX_STREAMS {
            let mut stream = new_stream(packet.from.clone(), packet.to.clone(), ends, Some(at));
            stream.directions[0].begin(tcp.sequence);
            self.streams.insert(ends, stream);
        }
    }

    fn segment(&mut self, packet: &Packet<'_>, tcp: &Tcp, stream: &mut Stream, from_client: bool) {
        let side = usize::from(!from_client);
        let port = stream.ends.1.1;
        if tcp.has(Tcp::SYN) {
            stream.directions[1].begin(tcp.sequence);
            if let Some(step) = stream.opening.and_then(|at| self.steps.get_mut(at)) {
                step.frames.extend(packet.frames());
            }
            return;
        }
        if tcp.has(Tcp::RST) {
            if stream.closing.is_some() {
                return;
            }
            let refused = !stream.established && !from_client;
            let text = if refused {
                format!("refuses the connection on port {port}")
            } else {
                "cuts the connection".to_owned()
            };
            let mut step = self.step(packet, "tcp", text);
            step.failed = refused;
            step.explain = if refused { explain::refused(port) } else { explain::reset() };
            stream.closing = Some(self.push(step));
            return;
        }
        if !stream.established {
            stream.established = true;
            if from_client
                && tcp.length == 0
                && let Some(step) = stream.opening.and_then(|at| self.steps.get_mut(at))
            {
                step.frames.extend(packet.frames());
            }
        }
        let payload = packet.payload();
        let pieces = stream.directions[side].segment(tcp, payload, &packet.frames());
        for (bytes, frames) in pieces {
            self.data(packet, stream, side, &bytes, &frames);
        }
        if tcp.has(Tcp::FIN) {
            match stream.closing.and_then(|at| self.steps.get_mut(at)) {
                Some(step) => step.frames.extend(packet.frames()),
                None => {
                    let mut step = self.step(packet, "tcp", "closes the connection".to_owned());
                    step.explain = explain::closing();
                    stream.closing = Some(self.push(step));
                }
            }
        } else if tcp.length == 0
            && let Some(step) = stream.closing.and_then(|at| self.steps.get_mut(at))
        {
            step.frames.extend(packet.frames());
        }
    }

    fn data(
        &mut self,
        packet: &Packet<'_>,
        stream: &mut Stream,
        side: usize,
        bytes: &[u8],
        frames: &[usize],
    ) {
        if stream.tls.is_none() && stream.talk.may_be_tls() && tls_hello(bytes).is_some() {
            stream.tls = Some(Session::default());
        }
        if let Some(session) = &mut stream.tls {
            for (event, frames) in session.hear(side, bytes, frames, &self.keys) {
                self.tls(packet, stream, side, event, &frames);
            }
            return;
        }
        for said in stream.talk.hear(side == 0, bytes, frames) {
            let step = self.said(packet, stream, said);
            self.push(step);
        }
    }

    pub(super) fn said(&self, packet: &Packet<'_>, stream: &Stream, said: Said) -> Step {
        let protocol = stream.talk.protocol().to_owned();
        let (client, server) = (&stream.client, &stream.server);
        let (client_port, server_port) = (stream.ends.0.1, stream.ends.1.1);
        let (from, to, from_port, to_port) = if said.client {
            (client, server, client_port, server_port)
        } else {
            (server, client, server_port, client_port)
        };
        let own = said.client == (packet.from == *client);
        Step {
            number: 0,
            at_ms: ms(packet.sighting.at_ns, self.start),
            explain: explain::line(&protocol, &said),
            protocol,
            from: from.clone(),
            to: if said.inside { from.clone() } else { to.clone() },
            from_port: Some(from_port),
            to_port: Some(to_port),
            text: said.text,
            detail: said.detail,
            frames: said.frames,
            hops: if own { packet.hops.clone() } else { Vec::new() },
            failed: said.failed,
            decrypted: stream.tls.is_some(),
        }
    }

    /// What is still open at the end.
    fn end(&mut self) {
        for stream in self.streams.values() {
            if !stream.established
                && stream.closing.is_none()
                && let Some(step) = stream.opening.and_then(|at| self.steps.get_mut(at))
            {
                step.failed = true;
                step.text.push_str(": no answer");
                step.explain = explain::no_answer();
            }
        }
        let mut left = Vec::new();
        for stream in self.streams.values_mut() {
            for said in stream.talk.end() {
                left.push((
                    stream.client.clone(),
                    stream.server.clone(),
                    stream.ends,
                    (stream.talk.protocol(), stream.tls.is_some()),
                    said,
                ));
            }
        }
        left.sort_by_key(|(_, _, ends, _, said)| (*ends, said.client));
        for (client, server, ends, (protocol, decrypted), said) in left {
            let at_ms = self.steps.last().map_or(0.0, |step| step.at_ms);
            let (from, to) = if said.client { (client, server) } else { (server, client) };
            self.push(Step {
                at_ms,
                explain: explain::line(protocol, &said),
                protocol: protocol.to_owned(),
                from,
                to,
                from_port: Some(if said.client { ends.0.1 } else { ends.1.1 }),
                to_port: Some(if said.client { ends.1.1 } else { ends.0.1 }),
                text: said.text,
                detail: said.detail,
                frames: said.frames,
                decrypted,
                ..Step::default()
            });
        }
    }
}

fn new_stream(client: String, server: String, ends: Ends, opening: Option<usize>) -> Stream {
    let application = by_port(ends.1.1).or_else(|| by_port(ends.0.1));
    Stream {
        client,
        server,
        ends,
        opening,
        established: opening.is_none(),
        closing: None,
        directions: Default::default(),
        talk: Talk::new(application),
        tls: None,
        open: [None; 2],
    }
}
