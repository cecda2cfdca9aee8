//! What is told: the table on greeting a link, the regular and the triggered updates, answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::{Origin, Output, Speaker};
use crate::settings::Interface;
use crate::wire::{self, Command, Entry, INFINITY, Message};

/// When a link that came up is greeted again, as long as nobody was heard there: a switch may
/// need a second before it forwards what a fresh port sends.
const GREETINGS: [Duration; 3] =
    [Duration::from_millis(400), Duration::from_millis(1200), Duration::from_millis(3000)];

impl Speaker {
    /// Greets a link, and again later where nobody answers.
    pub(super) fn greet(&mut self, name: &str, now: Duration, outputs: &mut Vec<Output>) {
        self.greetings.retain(|(_, other)| other != name);
        self.greetings.extend(GREETINGS.map(|pause| (now + pause, name.to_owned())));
        self.greet_once(name, now, outputs);
    }

    /// Tells a link everything and asks for everything.
    pub(super) fn greet_once(&mut self, name: &str, now: Duration, outputs: &mut Vec<Output>) {
        let Some(link) = self.speaking_links().into_iter().find(|link| link.name == name) else {
            return;
        };
        let bytes = wire::request_all(link.key.as_ref(), self.sequence(now));
        outputs.push(Output::Send { interface: link.name.clone(), to: None, bytes });
        self.tell(&link, None, false, now, outputs);
    }

    /// Sends the table, or what changed of it, on one link.
    pub(super) fn tell(
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

    pub(super) fn answer(
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

    /// Sends what changed, at once or as soon as the last such update is old enough.
    pub(super) fn flush(&mut self, now: Duration, outputs: &mut Vec<Output>) {
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

    pub(super) fn told(&mut self, _now: Duration) {
        for known in self.table.values_mut() {
            known.changed = false;
        }
        self.trigger = None;
    }

    pub(super) fn schedule_update(&mut self, now: Duration) {
        let update = u64::from(self.settings.timers.update.max(1)) * 1000;
        let jitter = self.next_random() % (update / 3).max(1);
        self.next_update = now + Duration::from_millis(update - update / 6 + jitter);
    }
}
