//! The client's states (RFC 2131 figure 5) without sockets and clocks.
//!
//! Times are a monotonic [`Duration`] since any moment; randomness comes from the seed.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Command, Event, Lease, Options};
use crate::wire::{Kind, Packet, option};

/// REQUESTs sent for an offer before it is given up.
const REQUESTS: u32 = 4;
/// REQUESTs sent for an address of before.
const REBOOTS: u32 = 3;
/// The longest pause between two DISCOVERs.
const LONGEST: Duration = Duration::from_secs(16);
/// RFC 2131 section 3.1: the pause after a DECLINE.
const AFTER_DECLINE: Duration = Duration::from_secs(10);
/// ARP probes before an address is used, and the pause after each.
const PROBES: u32 = 2;
const PROBE_PAUSE: Duration = Duration::from_millis(200);
/// The least pause between two renewals.
const RENEW_PAUSE: Duration = Duration::from_secs(5);
/// What is asked for: 121 before 3, as RFC 3442 wants.
const PARAMETERS: [u8; 13] = [1, 121, 3, 6, 15, 28, 33, 42, 51, 54, 58, 59, 119];

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Everyone, from this address.
    Everyone(Ipv4Addr),
    /// One server, from this address.
    Server(Ipv4Addr, Ipv4Addr),
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send(To, Packet),
    /// Ask the link who has the address; an answer is [`Machine::conflict`].
    Probe(Ipv4Addr),
    /// Tell this.
    Tell(Event),
}

/// The state of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Silent: released, or the cable is pulled.
    Idle,
    /// About to begin.
    Init,
    /// Looking for offers.
    Selecting,
    /// Took an offer of this server.
    Requesting(Ipv4Addr, Ipv4Addr),
    /// Asks for an address of before; the lease goes on where nobody answers.
    Rebooting(Ipv4Addr, Option<Box<Held>>),
    /// Got an address, asks the link for it.
    Probing(Box<Held>),
    /// Has a lease.
    Bound(Box<Held>),
    /// Asks its server for more time.
    Renewing(Box<Held>),
    /// Asks every server.
    Rebinding(Box<Held>),
}

/// A lease and when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    /// When the request for it was sent: its times count from there.
    pub since: Duration,
}

impl Held {
    fn at(&self, seconds: u32) -> Duration {
        match self.lease.seconds {
            u32::MAX => Duration::MAX,
            _ => self.since + Duration::from_secs(seconds.into()),
        }
    }
}

/// A client's mind.
#[derive(Debug)]
pub struct Machine {
    mac: [u8; 6],
    options: Options,
    state: State,
    xid: u32,
    /// Messages sent in this state.
    sent: u32,
    /// When this exchange began, for the field `secs`.
    began: Duration,
    /// When the last request was sent.
    asked: Duration,
    deadline: Option<Duration>,
    random: u64,
}

impl Machine {
    /// A client that has not begun; [`Machine::timer`] begins.
    pub fn new(mac: [u8; 6], options: Options, seed: u64) -> Self {
        Self {
            mac,
            options,
            state: State::Init,
            xid: 0,
            sent: 0,
            began: Duration::ZERO,
            asked: Duration::ZERO,
            deadline: Some(Duration::ZERO),
            random: seed | 1,
        }
    }

    /// Its state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// When [`Machine::timer`] must be called.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// The lease it holds.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => {
                Some(&held.lease)
            }
            State::Rebooting(_, Some(held)) => Some(&held.lease),
            _ => None,
        }
    }

    /// Time has passed.
    pub fn timer(&mut self, now: Duration) -> Vec<Output> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {
                self.deadline = None;
                Vec::new()
            }
            State::Init => match self.options.previous.take() {
                Some(address) => self.reboot(address, None, now),
                None => self.discover(now),
            },
            State::Selecting => {
                self.state = State::Selecting;
                vec![self.send_discover(now)]
            }
            State::Requesting(server, address) if self.sent < REQUESTS => {
                self.state = State::Requesting(server, address);
                vec![self.send_request(now)]
            }
            State::Requesting(..) => self.discover(now),
            State::Rebooting(address, held) if self.sent < REBOOTS => {
                self.state = State::Rebooting(address, held);
                vec![self.send_request(now)]
            }
            // RFC 2131 section 3.2: nobody answers, so the lease stands until it ends.
            State::Rebooting(_, Some(held)) if held.at(held.lease.seconds) > now => {
                self.enter_bound(held, now)
            }
            State::Rebooting(_, None) => self.discover(now),
            State::Rebooting(_, Some(_)) => self.lost("the lease ended", now),
            State::Probing(held) if self.sent < PROBES => {
                self.sent += 1;
                self.deadline = Some(now + PROBE_PAUSE);
                let address = held.lease.address.addr();
                self.state = State::Probing(held);
                vec![Output::Probe(address)]
            }
            State::Probing(held) => {
                let lease = held.lease.clone();
                let mut outputs = self.enter_bound(held, now);
                outputs.push(Output::Tell(Event::Bound(lease)));
                outputs
            }
            State::Bound(held) => {
                self.begin(now);
                self.state = State::Renewing(held);
                vec![self.send_renewal(now)]
            }
            State::Renewing(held) if now < held.at(held.lease.t2) => {
                self.state = State::Renewing(held);
                vec![self.send_renewal(now)]
            }
            State::Renewing(held) | State::Rebinding(held) if now < held.at(held.lease.seconds) => {
                self.state = State::Rebinding(held);
                vec![self.send_renewal(now)]
            }
            State::Renewing(_) | State::Rebinding(_) => {
                self.lost("the lease ended and no server extended it", now)
            }
        }
    }

    /// A message came.
    pub fn packet(&mut self, packet: &Packet, now: Duration) -> Vec<Output> {
        if packet.request || packet.xid != self.xid || packet.chaddr != self.mac {
            return Vec::new();
        }
        let Some(server) = packet.address(option::SERVER_ID) else { return Vec::new() };
        match (packet.kind(), &self.state) {
            (Some(Kind::Offer), State::Selecting) if !packet.yiaddr.is_unspecified() => {
                self.state = State::Requesting(server, packet.yiaddr);
                self.sent = 0;
                vec![self.send_request(now)]
            }
            (Some(Kind::Ack), State::Requesting(asked, _)) if *asked == server => {
                self.take(packet, None, now)
            }
            (Some(Kind::Ack), State::Rebooting(_, held)) => {
                let held = held.clone();
                self.take(packet, held, now)
            }
            (Some(Kind::Ack), State::Renewing(held) | State::Rebinding(held)) => {
                let held = held.clone();
                self.take(packet, Some(held), now)
            }
            (Some(Kind::Nak), State::Requesting(asked, _)) if *asked == server => {
                self.state = State::Init;
                self.deadline = Some(now + self.pause(Duration::from_millis(500)));
                Vec::new()
            }
            (Some(Kind::Nak), State::Rebooting(_, None)) => self.discover(now),
            (Some(Kind::Nak), State::Rebooting(..) | State::Renewing(_) | State::Rebinding(_)) => {
                let why =
                    packet.text(option::MESSAGE).map(|why| format!(": {why}")).unwrap_or_default();
                self.lost(&format!("the server {server} refused it{why}"), now)
            }
            _ => Vec::new(),
        }
    }

    /// Someone on the link answered for the address (ARP).
    pub fn conflict(&mut self, address: Ipv4Addr, now: Duration) -> Vec<Output> {
        let State::Probing(held) = &self.state else { return Vec::new() };
        if held.lease.address.addr() != address {
            return Vec::new();
        }
        let server = held.lease.server;
        let mut packet = self.message(Kind::Decline, now);
        packet.set_address(option::REQUESTED_ADDRESS, address);
        packet.set_address(option::SERVER_ID, server);
        packet.options.remove(&option::PARAMETERS);
        self.state = State::Init;
        self.deadline = Some(now + AFTER_DECLINE);
        vec![Output::Send(To::Everyone(Ipv4Addr::UNSPECIFIED), packet)]
    }

    /// Takes a command.
    pub fn command(&mut self, command: Command, now: Duration) -> Vec<Output> {
        match (command, std::mem::replace(&mut self.state, State::Idle)) {
            (
                Command::Renew,
                State::Bound(held) | State::Renewing(held) | State::Rebinding(held),
            ) => {
                self.begin(now);
                self.state = State::Renewing(held);
                vec![self.send_renewal(now)]
            }
            (Command::Renew, State::Idle | State::Init) => self.discover(now),
            (
                Command::Release,
                State::Bound(held)
                | State::Renewing(held)
                | State::Rebinding(held)
                | State::Rebooting(_, Some(held)),
            ) => {
                self.begin(now);
                let address = held.lease.address.addr();
                let mut packet = self.message(Kind::Release, now);
                packet.ciaddr = address;
                packet.set_address(option::SERVER_ID, held.lease.server);
                packet.options.remove(&option::PARAMETERS);
                self.deadline = None;
                vec![
                    Output::Send(To::Server(address, held.lease.server), packet),
                    Output::Tell(Event::Lost("released".into())),
                ]
            }
            (Command::Release, _) => {
                self.deadline = None;
                Vec::new()
            }
            // RFC 2131 section 3.7: the link may be another one now.
            (
                Command::LinkUp,
                State::Bound(held) | State::Renewing(held) | State::Rebinding(held),
            ) => self.reboot(held.lease.address.addr(), Some(held), now),
            (
                Command::LinkUp,
                State::Init | State::Selecting | State::Requesting(..) | State::Probing(_),
            ) => self.discover(now),
            (
                Command::LinkDown,
                State::Selecting | State::Requesting(..) | State::Probing(_) | State::Init,
            ) => {
                self.state = State::Init;
                self.deadline = None;
                Vec::new()
            }
            (_, state) => {
                self.state = state;
                Vec::new()
            }
        }
    }

    fn discover(&mut self, now: Duration) -> Vec<Output> {
        self.begin(now);
        self.state = State::Selecting;
        vec![self.send_discover(now)]
    }

    fn reboot(&mut self, address: Ipv4Addr, held: Option<Box<Held>>, now: Duration) -> Vec<Output> {
        self.begin(now);
        self.state = State::Rebooting(address, held);
        vec![self.send_request(now)]
    }

    /// A new exchange: a new transaction.
    fn begin(&mut self, now: Duration) {
        self.xid = self.next_random() as u32;
        self.sent = 0;
        self.began = now;
    }

    fn lost(&mut self, why: &str, now: Duration) -> Vec<Output> {
        let mut outputs = vec![Output::Tell(Event::Lost(why.into()))];
        outputs.extend(self.discover(now));
        outputs
    }

    fn take(&mut self, ack: &Packet, before: Option<Box<Held>>, now: Duration) -> Vec<Output> {
        let Some(lease) = Lease::read(ack) else { return Vec::new() };
        let held = Box::new(Held { lease: lease.clone(), since: self.asked });
        if let Some(before) = before {
            let mut outputs = self.enter_bound(held, now);
            if before.lease.address == lease.address {
                outputs.push(Output::Tell(Event::Renewed(lease)));
            } else {
                outputs.push(Output::Tell(Event::Lost("the server gave another address".into())));
                outputs.push(Output::Tell(Event::Bound(lease)));
            }
            return outputs;
        }
        if self.options.probe {
            self.sent = 1;
            self.deadline = Some(now + PROBE_PAUSE);
            self.state = State::Probing(held);
            return vec![Output::Probe(lease.address.addr())];
        }
        let mut outputs = self.enter_bound(held, now);
        outputs.push(Output::Tell(Event::Bound(lease)));
        outputs
    }

    fn enter_bound(&mut self, held: Box<Held>, now: Duration) -> Vec<Output> {
        let t1 = held.at(held.lease.t1);
        self.deadline = (t1 != Duration::MAX).then(|| t1.max(now));
        self.state = State::Bound(held);
        Vec::new()
    }

    fn send_discover(&mut self, now: Duration) -> Output {
        self.back_off(now);
        let packet = self.message(Kind::Discover, now);
        Output::Send(To::Everyone(Ipv4Addr::UNSPECIFIED), packet)
    }

    fn send_request(&mut self, now: Duration) -> Output {
        self.back_off(now);
        self.asked = now;
        let mut packet = self.message(Kind::Request, now);
        match self.state {
            State::Requesting(server, address) => {
                packet.set_address(option::REQUESTED_ADDRESS, address);
                packet.set_address(option::SERVER_ID, server);
            }
            State::Rebooting(address, _) => packet.set_address(option::REQUESTED_ADDRESS, address),
            _ => {}
        }
        Output::Send(To::Everyone(Ipv4Addr::UNSPECIFIED), packet)
    }

    fn send_renewal(&mut self, now: Duration) -> Output {
        self.asked = now;
        let mut packet = self.message(Kind::Request, now);
        let (address, server, end, renewing) = match &self.state {
            State::Renewing(held) => {
                (held.lease.address.addr(), held.lease.server, held.at(held.lease.t2), true)
            }
            State::Rebinding(held) => {
                (held.lease.address.addr(), held.lease.server, held.at(held.lease.seconds), false)
            }
            // Called in these two states only; a message to nobody does no harm.
            _ => (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED, now, false),
        };
        packet.ciaddr = address;
        // RFC 2131 section 4.4.5: half of what is left, again and again.
        let pause = (end.saturating_sub(now) / 2).max(RENEW_PAUSE);
        self.deadline = Some(now.saturating_add(pause).min(end));
        let to = if renewing { To::Server(address, server) } else { To::Everyone(address) };
        Output::Send(to, packet)
    }

    /// The next try: after 0.5 to 1 s, then twice as long each time.
    fn back_off(&mut self, now: Duration) {
        let base = Duration::from_millis(500) * 2u32.pow(self.sent.min(5));
        self.sent += 1;
        self.deadline = Some(now + self.pause(base).min(LONGEST));
    }

    /// A pause between the base and twice the base.
    fn pause(&mut self, base: Duration) -> Duration {
        base + base * (self.next_random() as u32 % 1000) / 1000
    }

    fn message(&mut self, kind: Kind, now: Duration) -> Packet {
        let mut packet = Packet::request(kind, self.xid, self.mac);
        packet.secs = now.saturating_sub(self.began).as_secs().min(u16::MAX.into()) as u16;
        let default_id = || [&[1][..], &self.mac].concat();
        let id =
            self.options.client_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(default_id);
        packet.options.insert(option::CLIENT_ID, id);
        if !matches!(kind, Kind::Release | Kind::Decline) {
            packet.options.insert(option::PARAMETERS, PARAMETERS.to_vec());
            packet.options.insert(option::MAX_SIZE, 1500u16.to_be_bytes().to_vec());
            if let Some(name) = &self.options.hostname {
                packet.options.insert(option::HOSTNAME, name.as_bytes().to_vec());
            }
        }
        packet
    }

    /// xorshift64*: enough to keep clients that start together apart.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
