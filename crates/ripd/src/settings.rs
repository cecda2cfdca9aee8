//! What a RIP speaker is told.

use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::wire::Key;

/// The settings of a speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The interfaces that take part. Their networks are told to the neighbours.
    pub interfaces: Vec<Interface>,
    /// Further networks that are told (redistributed static or connected ones).
    pub redistribute: Vec<Ipv4Net>,
    /// Whether a default route is told.
    pub default_originate: bool,
    /// The timers.
    pub timers: Timers,
}

/// One interface that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its address with prefix.
    pub address: Ipv4Net,
    /// Whether it only listens.
    #[serde(default)]
    pub passive: bool,
    /// The key that messages on it are signed with (RFC 2082): number and secret.
    #[serde(default)]
    pub key: Option<Key>,
    /// Whether routes learnt here are told here as unreachable (split horizon with poisoned
    /// reverse). Only `no ip split-horizon` turns it off.
    #[serde(default = "yes")]
    pub split_horizon: bool,
}

fn yes() -> bool {
    true
}

impl Interface {
    /// An interface that speaks and listens without a key.
    pub fn new(name: &str, address: Ipv4Net) -> Self {
        Self { name: name.to_owned(), address, passive: false, key: None, split_horizon: true }
    }
}

/// The timers, in seconds (RFC 2453 section 3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timers {
    /// Between two updates, plus or minus a sixth.
    pub update: u32,
    /// After which a route that nobody repeats is unreachable.
    pub timeout: u32,
    /// After which an unreachable route is forgotten.
    pub garbage: u32,
    /// After which a silent neighbour that is a next hop is asked whether it is there; 0 never
    /// asks. A cable that is cut at the other end of a switch shows no other way.
    pub liveness: u32,
}

impl Default for Timers {
    fn default() -> Self {
        Self { update: 30, timeout: 180, garbage: 120, liveness: 3 }
    }
}

impl Timers {
    /// The four of `timers basic`: update, invalid, holddown (not used), flush.
    pub fn basic([update, invalid, _, flush]: [u32; 4]) -> Self {
        let garbage = flush.saturating_sub(invalid).max(1);
        Self { update: update.max(1), timeout: invalid.max(1), garbage, ..Self::default() }
    }

    pub(crate) fn seconds(seconds: u32) -> Duration {
        Duration::from_secs(seconds.into())
    }
}
