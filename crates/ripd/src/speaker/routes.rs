//! The table: routes learnt, lost, and the router's own networks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::{Output, Route, Speaker};
use crate::settings::{Interface, Timers};
use crate::wire::{Entry, INFINITY};

/// How long a lost route is not taken from another neighbour: by then the news of its loss has
/// reached everyone who would only give it back.
const HOLD: Duration = Duration::from_millis(300);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Local(Option<String>),
    Learnt { via: Ipv4Addr, from: Ipv4Addr, interface: String },
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) origin: Origin,
    pub(super) metric: u8,
    pub(super) tag: u16,
    pub(super) heard: Duration,
    /// When it is forgotten, once unreachable.
    pub(super) forget: Option<Duration>,
    /// Until when, and up to which metric, another way is not trusted.
    pub(super) hold: Option<(Duration, u8)>,
    pub(super) changed: bool,
}

impl Speaker {
    pub(super) fn learn(
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

    pub(super) fn take(&mut self, to: Ipv4Net, known: Known, outputs: &mut Vec<Output>) {
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
    pub(super) fn lose(&mut self, to: Ipv4Net, now: Duration, outputs: &mut Vec<Output>) {
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

    pub(super) fn lose_where(
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
    pub(super) fn refresh_local(&mut self, now: Duration, outputs: &mut Vec<Output>) {
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
}
