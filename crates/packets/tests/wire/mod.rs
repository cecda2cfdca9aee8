//! Builds frames for tests: a PC, a router and a server with mail and DNS, as several nodes saw them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses a part of it, and a test may panic"
)]

use packets::{Batch, Capture, Link, Node, Topology};

/// MAC addresses: the last byte says whose.
pub fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

/// The lab: pc0 on `lan`, r1 between, mail on `dmz`.
pub fn topology() -> Topology {
    let link = |network: &str, n: u8, address: [u8; 4]| Link {
        network: network.into(),
        mac: format!("02:00:00:00:00:{n:02x}"),
        address: Some(address.into()),
    };
    let node = |name: &str, kind: &str, links| Node { name: name.into(), kind: kind.into(), links };
    Topology {
        title: "A PC mails a server behind a router".into(),
        networks: vec!["lan".into(), "dmz".into()],
        nodes: vec![
            node("pc0", "pc", vec![link("lan", 1, [10, 0, 1, 2])]),
            node(
                "r1",
                "router",
                vec![link("lan", 2, [10, 0, 1, 1]), link("dmz", 3, [10, 0, 2, 1])],
            ),
            node("mail", "server", vec![link("dmz", 4, [10, 0, 2, 5])]),
        ],
    }
}

/// An Ethernet frame.
pub fn ethernet(from: u8, to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &mac(from), &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet.
pub fn ipv4(
    source: [u8; 4],
    destination: [u8; 4],
    ttl: u8,
    id: u16,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let total = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
    let id = id.to_be_bytes();
    let head = [0x45, 0, total[0], total[1], id[0], id[1], 0x40, 0, ttl, protocol, 0, 0];
    [&head[..], &source, &destination, payload].concat()
}

/// A UDP datagram.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap();
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload]
        .concat()
}

/// A TCP segment.
pub fn tcp(
    source: u16,
    destination: u16,
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    let tail = [0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0];
    [&ports[..], &sequence.to_be_bytes(), &acknowledgment.to_be_bytes(), &tail, payload].concat()
}

/// What the three nodes saw.
#[derive(Default)]
pub struct World {
    now: u64,
    id: u16,
    pc: Vec<Batch>,
    router: Vec<Batch>,
    mail: Vec<Batch>,
}

impl World {
    fn seen(&self, network: &str, outgoing: bool, later: u64, data: &[u8]) -> Batch {
        let mut batch = Batch::new(network, network);
        let length = u32::try_from(data.len()).unwrap();
        batch.push(self.now + later, outgoing, length, data);
        batch
    }

    /// A frame on the PC's link.
    pub fn on_lan(&mut self, from_pc: bool, data: &[u8]) {
        self.now += 1_000_000;
        let (out, into) = (self.seen("lan", true, 0, data), self.seen("lan", false, 5_000, data));
        if from_pc {
            self.pc.push(out);
            self.router.push(into);
        } else {
            self.router.push(out);
            self.pc.push(into);
        }
    }

    /// A frame on the server's link.
    pub fn on_dmz(&mut self, from_router: bool, data: &[u8]) {
        self.now += 100_000;
        let (out, into) = (self.seen("dmz", true, 0, data), self.seen("dmz", false, 5_000, data));
        if from_router {
            self.router.push(out);
            self.mail.push(into);
        } else {
            self.mail.push(out);
            self.router.push(into);
        }
    }

    /// A packet from the PC to the server, or back, across the router.
    pub fn across(&mut self, from_pc: bool, protocol: u8, payload: &[u8]) {
        self.id += 1;
        let (pc, mail) = ([10, 0, 1, 2], [10, 0, 2, 5]);
        let (source, destination) = if from_pc { (pc, mail) } else { (mail, pc) };
        let packet = |ttl| ipv4(source, destination, ttl, self.id, protocol, payload);
        let (first, second) = (packet(64), packet(63));
        if from_pc {
            self.on_lan(true, &ethernet(1, mac(2), 0x0800, &first));
            self.on_dmz(true, &ethernet(3, mac(4), 0x0800, &second));
        } else {
            self.on_dmz(false, &ethernet(4, mac(3), 0x0800, &first));
            self.on_lan(false, &ethernet(2, mac(1), 0x0800, &second));
        }
    }

    /// The captures.
    pub fn captures(self) -> Vec<Capture> {
        let capture = |node: &str, batches| Capture { node: node.into(), batches };
        vec![capture("pc0", self.pc), capture("r1", self.router), capture("mail", self.mail)]
    }
}

/// A TCP connection across the router.
pub struct Conversation {
    port: u16,
    client: u32,
    server: u32,
}

impl Conversation {
    /// The three-way handshake.
    pub fn open(world: &mut World, port: u16) -> Self {
        world.across(true, 6, &tcp(40_000, port, 100, 0, 2, &[]));
        world.across(false, 6, &tcp(port, 40_000, 500, 101, 18, &[]));
        world.across(true, 6, &tcp(40_000, port, 101, 501, 16, &[]));
        Self { port, client: 101, server: 501 }
    }

    /// One side says something.
    pub fn say(&mut self, world: &mut World, client: bool, text: &str) {
        let bytes = text.as_bytes();
        let length = u32::try_from(bytes.len()).unwrap();
        if client {
            world.across(true, 6, &tcp(40_000, self.port, self.client, self.server, 24, bytes));
            self.client += length;
        } else {
            world.across(false, 6, &tcp(self.port, 40_000, self.server, self.client, 24, bytes));
            self.server += length;
        }
    }

    /// FIN from both sides.
    pub fn close(self, world: &mut World) {
        world.across(true, 6, &tcp(40_000, self.port, self.client, self.server, 17, &[]));
        world.across(false, 6, &tcp(self.port, 40_000, self.server, self.client + 1, 17, &[]));
        world.across(true, 6, &tcp(40_000, self.port, self.client + 1, self.server + 1, 16, &[]));
    }
}

/// A PC that resolves by ARP, asks DNS, and hands over a message by SMTP.
pub fn mail_story() -> Vec<Capture> {
    let mut world = World::default();
    let arp = |operation: u8, from: u8, to: [u8; 6], a: [u8; 4], b: [u8; 4]| {
        [&[0, 1, 8, 0, 6, 4, 0, operation][..], &mac(from), &a, &to, &b].concat()
    };
    let ask = arp(1, 1, [0; 6], [10, 0, 1, 2], [10, 0, 1, 1]);
    world.on_lan(true, &ethernet(1, [0xff; 6], 0x0806, &ask));
    let answer = arp(2, 2, mac(1), [10, 0, 1, 1], [10, 0, 1, 2]);
    world.on_lan(false, &ethernet(2, mac(1), 0x0806, &answer));
    let name = b"\x04mail\x03com\0\0\x01\0\x01";
    let query = [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name].concat();
    world.across(true, 17, &udp(33_333, 53, &query));
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 10, 0, 2, 5];
    let reply = [&[0, 7, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], name, &record].concat();
    world.across(false, 17, &udp(53, 33_333, &reply));
    let mut talk = Conversation::open(&mut world, 25);
    talk.say(&mut world, false, "220 mail.com ESMTP\r\n");
    talk.say(&mut world, true, "EHLO pc0\r\n");
    talk.say(&mut world, false, "250-mail.com\r\n250 SIZE\r\n");
    talk.say(&mut world, true, "MAIL FROM:<a@mail.com>\r\n");
    talk.say(&mut world, false, "250 2.1.0 ok\r\n");
    talk.say(&mut world, true, "RCPT TO:<b@mail.com>\r\n");
    talk.say(&mut world, false, "250 2.1.5 ok\r\n");
    talk.say(&mut world, true, "DATA\r\n");
    talk.say(&mut world, false, "354 go on\r\n");
    talk.say(&mut world, true, "Subject: Hello\r\n\r\nHow are <b>you</b>?\r\n.\r\n");
    talk.say(&mut world, false, "250 2.0.0 kept\r\n");
    talk.say(&mut world, true, "QUIT\r\n");
    talk.say(&mut world, false, "221 bye\r\n");
    talk.close(&mut world);
    world.captures()
}
