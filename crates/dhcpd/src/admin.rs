//! Requests at run time: status, switch, bindings, pools, release, reserve, clear.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use node::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, Reservation};
use crate::driver::{Driver, now};

/// The protocol's name in `status` and `switch`.
const PROTOCOL: &str = "dhcp";

/// One request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Asked {
    /// Which protocols are on.
    Status,
    /// Switches them.
    Switch {
        /// `dhcp`, or everything where absent.
        #[serde(default)]
        protocol: Option<String>,
        /// On or off.
        on: bool,
    },
    /// Who has what.
    Bindings,
    /// What is free.
    Pools,
    /// Addresses kept back because someone else answered there.
    Conflicts,
    /// Ends a lease.
    Release {
        /// Whose address.
        address: Ipv4Addr,
    },
    /// Reserves an address for a client.
    Reserve {
        /// The address.
        address: Ipv4Addr,
        /// The client's MAC address.
        #[serde(default)]
        mac: Option<String>,
        /// Or its client identifier.
        #[serde(default)]
        client_id: Option<String>,
        /// A host name it is told.
        #[serde(default)]
        hostname: Option<String>,
    },
    /// Forgets a binding, or all.
    Clear {
        /// Which; all where absent.
        #[serde(default)]
        address: Option<Ipv4Addr>,
    },
    /// Forgets conflicts.
    ClearConflicts {
        /// Which; all where absent.
        #[serde(default)]
        address: Option<Ipv4Addr>,
    },
    /// Takes another configuration until the next start; leases stay.
    Configure {
        /// The configuration ([`Config`]).
        config: Value,
    },
    /// Packets, malformed packets, replies and commits since the start.
    Counters,
}

/// An answer.
pub type Answer = Result<Value, Error>;

/// What is kept over a restart beside the leases: the switch and run-time reservations.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    #[serde(skip)]
    path: PathBuf,
    /// Whether requests are answered.
    pub on: bool,
    /// Reservations made at run time.
    pub reservations: Vec<Reservation>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { path: PathBuf::new(), on: true, reservations: Vec::new() }
    }
}

impl Memory {
    /// Reads it; what cannot be read is as if it were never written.
    pub fn load(state: &Path) -> Self {
        let path = state.join("memory.json");
        let text = std::fs::read(&path).unwrap_or_default();
        let memory: Self = serde_json::from_slice(&text).unwrap_or_default();
        Self { path, ..memory }
    }

    fn save(&self) -> Result<(), Error> {
        let fresh = self.path.with_extension("new");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &self.path)).map_err(
            |error| {
                Error::new("disk", format!("{} cannot be written: {error}", self.path.display()))
            },
        )
    }
}

impl Driver {
    /// Answers one request.
    pub(crate) fn admin(&mut self, request: Asked) -> Answer {
        let refuse = |refusal: crate::report::Refusal| Error::new("no-such-lease", refusal);
        match request {
            Asked::Status => Ok(self.status()),
            Asked::Switch { protocol, on } => {
                if let Some(protocol) = protocol.filter(|protocol| protocol != PROTOCOL) {
                    return Err(Error::new(
                        "no-such-protocol",
                        format!("dhcpd does not speak `{protocol}`"),
                    )
                    .help("its only protocol is `dhcp`"));
                }
                if on {
                    self.open().map_err(|error| Error::new("cannot-listen", error))?;
                } else {
                    self.close();
                }
                self.memory.on = on;
                self.memory.save()?;
                Ok(self.status())
            }
            Asked::Bindings => Ok(json!({ "bindings": self.server.bindings(now()) })),
            Asked::Pools => Ok(json!({ "pools": self.server.pool_reports(now()) })),
            Asked::Conflicts => {
                let all = self.server.bindings(now());
                let conflicts: Vec<_> =
                    all.into_iter().filter(|b| b.state == "quarantined").collect();
                Ok(json!({ "conflicts": conflicts }))
            }
            Asked::Release { address } => {
                self.server.release_address(address, now()).map_err(refuse)?;
                Ok(json!({ "released": address }))
            }
            Asked::Reserve { address, mac, client_id, hostname } => {
                let reservation = Reservation { mac, client_id, address, hostname };
                self.server
                    .reserve(reservation.clone())
                    .map_err(|refusal| Error::new("cannot-reserve", refusal))?;
                self.memory.reservations.retain(|old| old.address != address);
                self.memory.reservations.push(reservation);
                self.memory.save()?;
                Ok(json!({ "reserved": address }))
            }
            Asked::Clear { address } => {
                Ok(json!({ "cleared": self.server.clear(address).map_err(refuse)? }))
            }
            Asked::ClearConflicts { address } => {
                Ok(json!({ "cleared": self.server.clear_conflicts(address) }))
            }
            Asked::Configure { config } => {
                let config: Config = serde_json::from_value(config)
                    .map_err(|error| Error::new("bad-configuration", error))?;
                config.check().map_err(|error| Error::new("bad-configuration", error))?;
                self.configure(config);
                Ok(self.status())
            }
            Asked::Counters => {
                let [packets, malformed, replies, commits] = self.counters;
                Ok(
                    json!({ "packets": packets, "malformed": malformed, "replies": replies, "commits": commits }),
                )
            }
        }
    }

    fn status(&self) -> Value {
        json!({ "protocols": [{ "protocol": PROTOCOL, "on": self.is_on() }] })
    }
}

/// The admin socket's end of the driver.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Where requests go.
    pub driver: mpsc::Sender<(Asked, oneshot::Sender<Answer>)>,
}

impl node::admin::Admin for Desk {
    async fn answer(&self, request: Value, _items: mpsc::Sender<Value>) -> Answer {
        let asked: Asked = serde_json::from_value(request).map_err(|error| {
            Error::new("bad-request", format!("dhcpd does not understand the request: {error}")).help(
                "its ops are status, switch, bindings, pools, conflicts, release, reserve, clear, clear-conflicts, configure, counters",
            )
        })?;
        let (sender, receiver) = oneshot::channel();
        let gone = || Error::new("service-down", "the DHCP server is stopping");
        self.driver.send((asked, sender)).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}
