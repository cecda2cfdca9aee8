//! The speaker's mind (RFC 2453): messages, link changes and the time go in; messages and route
//! changes come out.
//!
//! Beyond the RFC it is quick where nothing is lost by it: a link that comes up is told the whole
//! table and asked for its; a lost route is told at once; a moment later, when that news has
//! spread, the neighbours are asked for another way.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::settings::{Interface, Settings, Timers};
use crate::wire::{self, Command, Entry, INFINITY, Message};

/// How long a lost route is not taken from another neighbour: by then the news of its loss has
/// reached everyone who would only give it back.
const HOLD: Duration = Duration::from_millis(300);
/// How long a neighbour has to answer whether it is there, and how often it is asked.
const ANSWER: Duration = Duration::from_millis(500);
const ASKED: u32 = 3;
/// When a link that came up is greeted again, as long as nobody was heard there: a switch may
/// need a second before it forwards what a fresh port sends.
const GREETINGS: [Duration; 3] =
    [Duration::from_millis(400), Duration::from_millis(1200), Duration::from_millis(3000)];

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this on an interface: to one neighbour (address, port), or to the group.
    Send {
        /// The interface.
        interface: String,
        /// To whom; everyone where absent.
        to: Option<(Ipv4Addr, u16)>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Use this route.
    Install(Route),
    /// Do not use the route there any more.
    Remove(Ipv4Net),
}

/// A route to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop.
    pub via: Ipv4Addr,
    /// The interface it is on.
    pub interface: String,
    /// RIP's metric, 2 to 15: hops, with the own network counting as 1.
    pub metric: u8,
}

/// One entry of the table, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop; `None` for what the router itself is on or tells.
    pub via: Option<Ipv4Addr>,
    /// The interface.
    pub interface: Option<String>,
    /// The metric; 16 is unreachable.
    pub metric: u8,
    /// Since when it was not repeated.
    pub age: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Local(Option<String>),
    Learnt { via: Ipv4Addr, from: Ipv4Addr, interface: String },
}

#[derive(Clone, Debug)]
struct Known {
    origin: Origin,
    metric: u8,
    tag: u16,
    heard: Duration,
    /// When it is forgotten, once unreachable.
    forget: Option<Duration>,
    /// Until when, and up to which metric, another way is not trusted.
    hold: Option<(Duration, u8)>,
    changed: bool,
}

#[derive(Debug)]
struct Neighbour {
    interface: String,
    heard: Duration,
    sequence: Option<u32>,
    /// Questions sent since it was last heard, and when the last one.
    asked: u32,
    asked_at: Duration,
    /// Whether it ever answered one; who never did is not asked again.
    answers: bool,
    deaf: bool,
    /// Whether it was asked at all. A new neighbour is asked at once, to learn whether it answers.
    tested: bool,
}

/// A RIP version 2 speaker.
#[derive(Debug)]
pub struct Speaker {
    settings: Settings,
    down: Vec<String>,
    table: BTreeMap<Ipv4Net, Known>,
    neighbours: BTreeMap<Ipv4Addr, Neighbour>,
    next_update: Duration,
    /// When a triggered update may go, where one waits.
    trigger: Option<Duration>,
    /// Before it no further triggered update goes.
    quiet_until: Duration,
    ask: Option<Duration>,
    /// Links to be greeted again, and when.
    greetings: Vec<(Duration, String)>,
    epoch: u32,
    random: u64,
}

impl Speaker {
    /// A speaker; every interface counts as up. `epoch` (seconds since 1970) keeps the sequence
    /// numbers of signatures rising over restarts.
    pub fn new(settings: Settings, epoch: u32, seed: u64, now: Duration) -> (Self, Vec<Output>) {
        let mut speaker = Self {
            settings,
            down: Vec::new(),
            table: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            next_update: now,
            trigger: None,
            quiet_until: now,
            ask: None,
            greetings: Vec::new(),
            epoch,
            random: seed | 1,
        };
        let mut outputs = Vec::new();
        speaker.refresh_local(now, &mut outputs);
        for name in speaker.speaking() {
            speaker.greet(&name, now, &mut outputs);
        }
        speaker.told(now);
        speaker.schedule_update(now);
        (speaker, outputs)
    }

    /// Takes other settings; routes that still have a way stay.
    pub fn replace(&mut self, settings: Settings, now: Duration) -> Vec<Output> {
        let before = std::mem::replace(&mut self.settings, settings);
        let mut outputs = Vec::new();
        let gone: Vec<String> = before
            .interfaces
            .iter()
            .filter(|old| {
                !self
                    .settings
                    .interfaces
                    .iter()
                    .any(|new| new.name == old.name && new.address == old.address)
            })
            .map(|old| old.name.clone())
            .collect();
        self.lose_where(
            |origin| matches!(origin, Origin::Learnt { interface, .. } if gone.contains(interface)),
            now,
            &mut outputs,
        );
        self.refresh_local(now, &mut outputs);
        let fresh: Vec<String> = self
            .settings
            .interfaces
            .iter()
            .filter(|new| !before.interfaces.contains(new))
            .map(|new| new.name.clone())
            .collect();
        for name in self.speaking().into_iter().filter(|name| fresh.contains(name)) {
            self.greet(&name, now, &mut outputs);
        }
        self.flush(now, &mut outputs);
        outputs
    }

    /// The cable is plugged in.
    pub fn link_up(&mut self, interface: &str, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        if !self.down.iter().any(|name| name == interface) {
            return outputs;
        }
        self.down.retain(|name| name != interface);
        self.refresh_local(now, &mut outputs);
        if self.speaking().iter().any(|name| name == interface) {
            self.greet(interface, now, &mut outputs);
        }
        self.flush(now, &mut outputs);
        outputs
    }

    /// The cable is pulled.
    pub fn link_down(&mut self, interface: &str, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.down.iter().any(|name| name == interface) {
            return outputs;
        }
        self.down.push(interface.to_owned());
        self.neighbours.retain(|_, neighbour| neighbour.interface != interface);
        self.lose_where(|origin| matches!(origin, Origin::Learnt { interface: other, .. } if other == interface), now, &mut outputs);
        self.refresh_local(now, &mut outputs);
        self.flush(now, &mut outputs);
        outputs
    }

    /// A message came on an interface.
    pub fn on_packet(
        &mut self,
        interface: &str,
        source: (Ipv4Addr, u16),
        bytes: &[u8],
        now: Duration,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(link) =
            self.settings.interfaces.iter().find(|link| link.name == interface).cloned()
        else {
            return outputs;
        };
        let own = self.settings.interfaces.iter().any(|link| link.address.addr() == source.0);
        if own || self.down.contains(&link.name) || !link.address.contains(&source.0) {
            return outputs;
        }
        let Ok(message) = wire::decode(bytes, link.key.as_ref()) else { return outputs };
        match message.command {
            Command::Request if !link.passive => {
                self.answer(&link, source, &message, now, &mut outputs)
            }
            Command::Request => {}
            // RFC 2453 section 3.9.2: from the port of RIP only.
            Command::Response if source.1 == wire::PORT => {
                let new = !self.neighbours.contains_key(&source.0);
                if self.heard(&link, source.0, &message, now) {
                    self.greetings.retain(|(_, name)| *name != link.name);
                    if new && !link.passive {
                        // It may have missed what was told before it could hear.
                        self.tell(&link, Some(source), false, now, &mut outputs);
                    }
                    for entry in &message.entries {
                        self.learn(&link, source.0, entry, now, &mut outputs);
                    }
                    self.flush(now, &mut outputs);
                }
            }
            Command::Response => {}
        }
        outputs
    }

    /// When [`Speaker::on_timer`] must be called.
    pub fn deadline(&self) -> Duration {
        let timeout = Timers::seconds(self.settings.timers.timeout);
        let routes = self.table.values().filter_map(|known| match (&known.origin, known.forget) {
            (_, Some(forget)) => Some(forget),
            (Origin::Learnt { .. }, None) => Some(known.heard + timeout),
            (Origin::Local(_), None) => None,
        });
        let polls = self.gateways().into_iter().filter_map(|address| self.poll_at(address));
        let greetings = self.greetings.iter().map(|(at, _)| *at);
        let others = self.trigger.into_iter().chain(self.ask).chain(greetings);
        routes.chain(polls).chain(others).fold(self.next_update, Duration::min)
    }

    /// Time has passed.
    pub fn on_timer(&mut self, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        let timeout = Timers::seconds(self.settings.timers.timeout);
        self.table.retain(|_, known| known.forget.is_none_or(|forget| forget > now));
        let stale: Vec<Ipv4Net> = self
            .table
            .iter()
            .filter(|(_, known)| {
                known.forget.is_none()
                    && matches!(known.origin, Origin::Learnt { .. })
                    && known.heard + timeout <= now
            })
            .map(|(to, _)| *to)
            .collect();
        for to in stale {
            self.lose(to, now, &mut outputs);
        }
        self.poll(now, &mut outputs);
        let due: Vec<String> = self
            .greetings
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, name)| name.clone())
            .collect();
        self.greetings.retain(|(at, _)| *at > now);
        for name in due {
            self.greet_once(&name, now, &mut outputs);
        }
        if self.ask.is_some_and(|at| at <= now) {
            self.ask = None;
            for link in self.speaking_links() {
                let bytes = wire::request_all(link.key.as_ref(), self.sequence(now));
                outputs.push(Output::Send { interface: link.name, to: None, bytes });
            }
        }
        if self.next_update <= now {
            for link in self.speaking_links() {
                self.tell(&link, None, false, now, &mut outputs);
            }
            self.told(now);
            self.schedule_update(now);
        }
        self.flush(now, &mut outputs);
        outputs
    }

    /// The whole table.
    pub fn table(&self, now: Duration) -> Vec<Shown> {
        let shown = |(to, known): (&Ipv4Net, &Known)| {
            let (via, interface) = match &known.origin {
                Origin::Local(interface) => (None, interface.clone()),
                Origin::Learnt { via, interface, .. } => (Some(*via), Some(interface.clone())),
            };
            Shown {
                to: *to,
                via,
                interface,
                metric: known.metric,
                age: now.saturating_sub(known.heard),
            }
        };
        self.table.iter().map(shown).collect()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn speaking_links(&self) -> Vec<Interface> {
        let links = self.settings.interfaces.iter();
        links.filter(|link| !link.passive && !self.down.contains(&link.name)).cloned().collect()
    }

    fn speaking(&self) -> Vec<String> {
        self.speaking_links().into_iter().map(|link| link.name).collect()
    }

    fn sequence(&self, now: Duration) -> u32 {
        self.epoch.wrapping_add(now.as_secs() as u32)
    }

    /// Greets a link, and again later where nobody answers.
    fn greet(&mut self, name: &str, now: Duration, outputs: &mut Vec<Output>) {
        self.greetings.retain(|(_, other)| other != name);
        self.greetings.extend(GREETINGS.map(|pause| (now + pause, name.to_owned())));
        self.greet_once(name, now, outputs);
    }

    /// Tells a link everything and asks for everything.
    fn greet_once(&mut self, name: &str, now: Duration, outputs: &mut Vec<Output>) {
        let Some(link) = self.speaking_links().into_iter().find(|link| link.name == name) else {
            return;
        };
        let bytes = wire::request_all(link.key.as_ref(), self.sequence(now));
        outputs.push(Output::Send { interface: link.name.clone(), to: None, bytes });
        self.tell(&link, None, false, now, outputs);
    }

    /// Sends the table, or what changed of it, on one link.
    fn tell(
        &self,
        link: &Interface,
        to: Option<(Ipv4Addr, u16)>,
        only_changed: bool,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        let mut entries = Vec::new();
        for (net, known) in &self.table {
            if only_changed && !known.changed {
                continue;
            }
            let here = match &known.origin {
                Origin::Local(interface) => interface.as_deref() == Some(link.name.as_str()),
                Origin::Learnt { interface, .. } => *interface == link.name,
            };
            let learnt = matches!(known.origin, Origin::Learnt { .. });
            // The neighbours on a link know its own network themselves.
            if here && !learnt && known.metric < INFINITY {
                continue;
            }
            let metric = if here && learnt && link.split_horizon { INFINITY } else { known.metric };
            entries.push(Entry {
                to: *net,
                next_hop: Ipv4Addr::UNSPECIFIED,
                metric,
                tag: known.tag,
            });
        }
        for bytes in
            wire::encode(Command::Response, &entries, link.key.as_ref(), self.sequence(now))
        {
            outputs.push(Output::Send { interface: link.name.clone(), to, bytes });
        }
    }

    fn answer(
        &mut self,
        link: &Interface,
        source: (Ipv4Addr, u16),
        message: &Message,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        if message.whole_table {
            self.tell(link, Some(source), false, now, outputs);
            return;
        }
        // RFC 2453 section 3.9.1: a question about single routes is answered without split horizon.
        let metric = |to: &Ipv4Net| self.table.get(to).map_or(INFINITY, |known| known.metric);
        let entries: Vec<Entry> = message
            .entries
            .iter()
            .map(|entry| Entry { metric: metric(&entry.to), ..*entry })
            .collect();
        for bytes in
            wire::encode(Command::Response, &entries, link.key.as_ref(), self.sequence(now))
        {
            outputs.push(Output::Send { interface: link.name.clone(), to: Some(source), bytes });
        }
    }

    /// Notes that a neighbour is there; tells whether its message is a fresh one.
    fn heard(
        &mut self,
        link: &Interface,
        source: Ipv4Addr,
        message: &Message,
        now: Duration,
    ) -> bool {
        let neighbour = self.neighbours.entry(source).or_insert_with(|| Neighbour {
            interface: link.name.clone(),
            heard: now,
            sequence: None,
            asked: 0,
            asked_at: now,
            answers: false,
            deaf: false,
            tested: false,
        });
        // RFC 2082 section 3.2.2: an older sequence number is a replay.
        if let Some((_, sequence)) = message.sequence {
            if neighbour.sequence.is_some_and(|last| sequence < last) {
                return false;
            }
            neighbour.sequence = Some(sequence);
        }
        neighbour.answers |=
            neighbour.asked > 0 && now.saturating_sub(neighbour.asked_at) <= ANSWER;
        neighbour.interface.clone_from(&link.name);
        neighbour.heard = now;
        neighbour.asked = 0;
        true
    }

    fn learn(
        &mut self,
        link: &Interface,
        source: Ipv4Addr,
        entry: &Entry,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        let network = entry.to.network();
        let default = entry.to.prefix_len() == 0;
        let sane = default
            || !(network.is_loopback()
                || network.is_multicast()
                || network.octets()[0] == 0
                || network.octets()[0] >= 240);
        if !sane {
            return;
        }
        let metric = entry.metric.saturating_add(1).min(INFINITY);
        let on_link = link.address.contains(&entry.next_hop)
            && !self.settings.interfaces.iter().any(|own| own.address.addr() == entry.next_hop);
        let via = if on_link { entry.next_hop } else { source };
        let fresh = Known {
            origin: Origin::Learnt { via, from: source, interface: link.name.clone() },
            metric,
            tag: entry.tag,
            heard: now,
            forget: None,
            hold: None,
            changed: true,
        };
        let timeout = Timers::seconds(self.settings.timers.timeout);
        let Some(known) = self.table.get_mut(&entry.to) else {
            if metric < INFINITY {
                self.take(entry.to, fresh, outputs);
            }
            return;
        };
        if known.forget.is_some() {
            let trusted = known.hold.is_none_or(|(until, old)| now >= until || metric <= old);
            if metric < INFINITY && trusted {
                self.take(entry.to, fresh, outputs);
            }
            return;
        }
        let Origin::Learnt { from, via: old_via, .. } = &known.origin else { return };
        if *from == source {
            if metric >= INFINITY {
                self.lose(entry.to, now, outputs);
            } else if metric != known.metric || *old_via != via {
                self.take(entry.to, fresh, outputs);
            } else {
                known.heard = now;
            }
        } else if metric < known.metric
            // RFC 2453 section 3.9.2: an equal way is taken where the old one is about to time out.
            || (metric == known.metric && metric < INFINITY && now.saturating_sub(known.heard) > timeout / 2)
        {
            self.take(entry.to, fresh, outputs);
        }
    }

    fn take(&mut self, to: Ipv4Net, known: Known, outputs: &mut Vec<Output>) {
        if let Origin::Learnt { via, interface, .. } = &known.origin {
            outputs.push(Output::Install(Route {
                to,
                via: *via,
                interface: interface.clone(),
                metric: known.metric,
            }));
        }
        self.table.insert(to, known);
    }

    /// A route has no way any more.
    fn lose(&mut self, to: Ipv4Net, now: Duration, outputs: &mut Vec<Output>) {
        let garbage = Timers::seconds(self.settings.timers.garbage);
        let Some(known) = self.table.get_mut(&to).filter(|known| known.forget.is_none()) else {
            return;
        };
        if matches!(known.origin, Origin::Learnt { .. }) {
            outputs.push(Output::Remove(to));
        }
        known.hold = Some((now + HOLD, known.metric));
        known.metric = INFINITY;
        known.forget = Some(now + garbage);
        known.changed = true;
        // Bad news waits for nobody.
        self.trigger = Some(now);
        self.ask = Some(self.ask.map_or(now + HOLD, |ask| ask.max(now + HOLD)));
    }

    fn lose_where(
        &mut self,
        test: impl Fn(&Origin) -> bool,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        let lost: Vec<Ipv4Net> =
            self.table.iter().filter(|(_, known)| test(&known.origin)).map(|(to, _)| *to).collect();
        for to in lost {
            self.lose(to, now, outputs);
        }
    }

    /// Brings the router's own networks into the table.
    fn refresh_local(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        let mut wanted: BTreeMap<Ipv4Net, Option<String>> = BTreeMap::new();
        for net in &self.settings.redistribute {
            wanted.insert(net.trunc(), None);
        }
        if self.settings.default_originate {
            wanted.insert(Ipv4Net::default(), None);
        }
        for link in &self.settings.interfaces {
            if !self.down.contains(&link.name) {
                wanted.insert(link.address.trunc(), Some(link.name.clone()));
            }
        }
        let gone = |(to, known): (&Ipv4Net, &Known)| {
            matches!(known.origin, Origin::Local(_))
                && known.forget.is_none()
                && !wanted.contains_key(to)
        };
        let lost: Vec<Ipv4Net> =
            self.table.iter().filter(|entry| gone(*entry)).map(|(to, _)| *to).collect();
        for to in lost {
            self.lose(to, now, outputs);
        }
        for (to, interface) in wanted {
            let origin = Origin::Local(interface);
            let old = self.table.get(&to);
            if old.is_some_and(|old| old.origin == origin && old.forget.is_none()) {
                continue;
            }
            if old.is_some_and(|old| {
                old.forget.is_none() && matches!(old.origin, Origin::Learnt { .. })
            }) {
                outputs.push(Output::Remove(to));
            }
            let known = Known {
                origin,
                metric: 1,
                tag: 0,
                heard: now,
                forget: None,
                hold: None,
                changed: true,
            };
            self.table.insert(to, known);
        }
    }

    /// Sends what changed, at once or as soon as the last such update is old enough.
    fn flush(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        if !self.table.values().any(|known| known.changed) {
            self.trigger = None;
            return;
        }
        let at = *self.trigger.get_or_insert(self.quiet_until.max(now));
        if at > now {
            return;
        }
        for link in self.speaking_links() {
            self.tell(&link, None, true, now, outputs);
        }
        self.told(now);
        // RFC 2453 section 3.10.1: 1 to 5 seconds between triggered updates.
        self.quiet_until = now + Duration::from_millis(1000 + self.next_random() % 4000);
    }

    fn told(&mut self, _now: Duration) {
        for known in self.table.values_mut() {
            known.changed = false;
        }
        self.trigger = None;
    }

    fn schedule_update(&mut self, now: Duration) {
        let update = u64::from(self.settings.timers.update.max(1)) * 1000;
        let jitter = self.next_random() % (update / 3).max(1);
        self.next_update = now + Duration::from_millis(update - update / 6 + jitter);
    }

    /// The neighbours that routes lead over.
    fn gateways(&self) -> Vec<Ipv4Addr> {
        let mut all: Vec<Ipv4Addr> = self
            .table
            .values()
            .filter(|known| known.forget.is_none())
            .filter_map(|known| match &known.origin {
                Origin::Learnt { from, .. } => Some(*from),
                Origin::Local(_) => None,
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// When a neighbour is to be asked next whether it is there, or given up.
    fn poll_at(&self, address: Ipv4Addr) -> Option<Duration> {
        let liveness = self.settings.timers.liveness;
        let neighbour = self.neighbours.get(&address)?;
        let passive =
            self.settings.interfaces.iter().any(|l| l.name == neighbour.interface && l.passive);
        if liveness == 0 || neighbour.deaf || passive {
            return None;
        }
        Some(match neighbour.asked {
            0 if !neighbour.tested => neighbour.heard,
            0 => neighbour.heard + Timers::seconds(liveness),
            _ => neighbour.asked_at + ANSWER,
        })
    }

    /// Asks silent neighbours; gives up those that used to answer and do not any more.
    fn poll(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        for address in self.gateways() {
            if self.poll_at(address).is_none_or(|at| at > now) {
                continue;
            }
            let sequence = self.sequence(now);
            let Some(neighbour) = self.neighbours.get_mut(&address) else { continue };
            if neighbour.asked >= ASKED {
                if !neighbour.answers {
                    neighbour.deaf = true; // It never answers such questions: the timeout decides.
                    continue;
                }
                self.neighbours.remove(&address);
                self.lose_where(
                    |origin| matches!(origin, Origin::Learnt { from, .. } if *from == address),
                    now,
                    outputs,
                );
                continue;
            }
            neighbour.tested = true;
            neighbour.asked += 1;
            neighbour.asked_at = now;
            let name = neighbour.interface.clone();
            let Some(link) = self.settings.interfaces.iter().find(|link| link.name == name) else {
                continue;
            };
            // A route that nobody has: the answer ("unreachable") changes no table.
            let nothing = Entry {
                to: Ipv4Net::from(Ipv4Addr::BROADCAST),
                next_hop: Ipv4Addr::UNSPECIFIED,
                metric: INFINITY,
                tag: 0,
            };
            for bytes in wire::encode(Command::Request, &[nothing], link.key.as_ref(), sequence) {
                outputs.push(Output::Send {
                    interface: name.clone(),
                    to: Some((address, wire::PORT)),
                    bytes,
                });
            }
        }
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

#[cfg(test)]
#[path = "speaker_tests.rs"]
mod tests;
