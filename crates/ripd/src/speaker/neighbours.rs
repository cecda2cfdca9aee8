//! The neighbours: who was heard when, and whether one that fell silent is still there.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::{Origin, Output, Speaker};
use crate::settings::{Interface, Timers};
use crate::wire::{self, Command, Entry, INFINITY, Message};

/// How long a neighbour has to answer whether it is there, and how often it is asked.
const ANSWER: Duration = Duration::from_millis(500);
const ASKED: u32 = 3;

#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) interface: String,
    pub(super) heard: Duration,
    pub(super) sequence: Option<u32>,
    /// Questions sent since it was last heard, and when the last one.
    pub(super) asked: u32,
    pub(super) asked_at: Duration,
    /// Whether it ever answered one; who never did is not asked again.
    pub(super) answers: bool,
    pub(super) deaf: bool,
    /// Whether it was asked at all. A new neighbour is asked at once, to learn whether it answers.
    pub(super) tested: bool,
}

impl Speaker {
    /// Notes that a neighbour is there; tells whether its message is a fresh one.
    pub(super) fn heard(
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

    /// The neighbours that routes lead over.
    pub(super) fn gateways(&self) -> Vec<Ipv4Addr> {
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
    pub(super) fn poll_at(&self, address: Ipv4Addr) -> Option<Duration> {
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
    pub(super) fn poll(&mut self, now: Duration, outputs: &mut Vec<Output>) {
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
}
