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
use crate::wire::{self, Command};

mod neighbours;
mod routes;
mod updates;

use neighbours::Neighbour;
use routes::{Known, Origin};

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

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

#[cfg(test)]
mod tests;
