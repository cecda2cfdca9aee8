//! What was done to the node while it ran, kept over a restart of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use node::config::Address;
use node::request::HostChange;
use serde::{Deserialize, Serialize};

use crate::log;

/// What was done to the node, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// Networks whose cable is pulled.
    pub(crate) pulled: BTreeSet<String>,
    /// Networks whose link is bad.
    pub(crate) impaired: BTreeMap<String, Impairment>,
    /// Addresses given since the node was made, by network.
    pub(crate) addresses: BTreeMap<String, Address>,
    /// Addresses last leased, by network: asked for again after a restart.
    pub(crate) leases: BTreeMap<String, Ipv4Addr>,
    /// Services that are started although the configuration has them off, and the reverse.
    pub(crate) services: BTreeMap<String, bool>,
    /// How the host was set up by hand.
    pub(crate) host: HostChange,
    /// A router's running configuration, as its console left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) router: Option<serde_json::Value>,
}

/// How bad a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Impairment {
    /// Share of frames lost, 0 to 1.
    pub(crate) loss: Option<f64>,
    /// Delay in milliseconds.
    pub(crate) delay_ms: Option<u64>,
    /// Rate in bits a second.
    pub(crate) rate_bps: Option<u64>,
}

/// The state and the file that it is kept in.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    state: Mutex<State>,
}

impl Kept {
    /// Reads the file; a node without one was never changed. One that is not understood is put
    /// aside, for a node that comes up unchanged is better than none.
    pub(crate) fn load(path: PathBuf) -> Self {
        let state = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                log::say(format_args!(
                    "{} is not understood, starting anew: {error}",
                    path.display()
                ));
                let _ = std::fs::rename(&path, path.with_extension("damaged"));
                State::default()
            }),
            Err(_) => State::default(),
        };
        Self { path, state: Mutex::new(state) }
    }

    /// The state now.
    pub(crate) fn get(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the state and keeps it. When it cannot be kept, the change holds until the node
    /// restarts, and the log says so.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        if let Err(error) = self.write(&state) {
            log::say(format_args!("{} cannot be written: {error}", self.path.display()));
        }
        result
    }

    /// Reads the file again, after somebody else has put another there.
    pub(crate) fn reload(&self) {
        let fresh = Self::load(self.path.clone());
        let fresh = fresh.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    fn write(&self, state: &State) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let fresh = self.path.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec_pretty(state)?)?;
        std::fs::rename(&fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_there_after_a_restart_and_damage_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent/state.json");
        let kept = Kept::load(path.clone());
        kept.change(|state| state.pulled.insert("lan".into()));
        kept.change(|state| state.services.insert("mail".into(), false));
        let again = Kept::load(path.clone());
        assert_eq!(again.get(), kept.get());
        assert!(again.get().pulled.contains("lan"));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Kept::load(path.clone()).get(), State::default());
        assert!(path.with_extension("damaged").exists());
    }
}
