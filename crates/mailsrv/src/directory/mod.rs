//! Who has mail here: domains, accounts, aliases, lists. Changed at run time, kept over a restart.
//!
//! Every account is known by its whole address in lower case; that is also its name in the store.

mod expand;
mod persist;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub use expand::{Expansion, Sender, Verdict};
pub use persist::{Error as PersistError, fingerprint};

use crate::address::{self, Address};
use crate::config::{AutoReply, Config, Domain, Fault, Limits, List, Policy, Protocol};
use crate::password::Credentials;

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such account, alias, list or domain.
    #[error("there is no {what} `{name}`; there are: {known}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is.
        known: String,
    },
    /// The name is taken.
    #[error("`{0}` exists already; remove it first or choose another name")]
    Exists(String),
    /// Not an address.
    #[error("`{text}` cannot be an address here: {reason}")]
    Address {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// The domain is not one of this server.
    #[error("`{0}` is not a domain of this server; add it with the request domains")]
    Domain(String),
    /// A password hash that is none.
    #[error(transparent)]
    Hash(#[from] crate::password::BadHash),
    /// The change could not be kept.
    #[error(transparent)]
    Persist(#[from] PersistError),
}

/// One account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its password; nobody can log in without one.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Who gets a copy.
    #[serde(default)]
    pub forward: Vec<String>,
    /// Whether the message stays here as well.
    #[serde(default = "yes")]
    pub keep: bool,
    /// An automatic answer.
    #[serde(default)]
    pub auto_reply: Option<AutoReply>,
    /// Text below each message that it sends.
    #[serde(default)]
    pub signature: Option<String>,
    /// Bytes it may hold.
    #[serde(default)]
    pub quota: Option<u64>,
    /// Faults for lessons.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

fn yes() -> bool {
    true
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            credentials: None,
            forward: Vec::new(),
            keep: true,
            auto_reply: None,
            signature: None,
            quota: None,
            faults: Vec::new(),
        }
    }
}

/// Everything that can be changed at run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Own domains; the first one completes names without one.
    pub domains: Vec<Domain>,
    /// By whole address.
    pub accounts: BTreeMap<String, Entry>,
    /// By whole address.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// By whole address.
    pub lists: BTreeMap<String, List>,
    /// Protocols that were switched, with their state.
    #[serde(default)]
    pub switches: BTreeMap<Protocol, bool>,
    /// Bounds.
    pub limits: Limits,
    /// What is asked of clients.
    pub policy: Policy,
    /// Faults that strike whoever it is.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// The directory of one server.
pub struct Directory {
    data: Mutex<Data>,
    file: PathBuf,
    fingerprint: String,
}

impl Directory {
    /// From the configuration, or what was kept of changes to the same configuration. Hashes
    /// passwords: some milliseconds each.
    pub fn load(config: &Config) -> Result<Self, Error> {
        let file = config.state.join("directory.json");
        let fingerprint = persist::fingerprint(config)?;
        let data = match persist::load(&file, &fingerprint)? {
            Some(data) => data,
            None => from_config(config)?,
        };
        Ok(Self { data: Mutex::new(data), file, fingerprint })
    }

    /// A look at the data. Short: everything waits meanwhile.
    pub fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the data and keeps it; nothing is changed where `change` or the disk fails.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Data) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut data = self.data();
        let mut changed = data.clone();
        let result = change(&mut changed)?;
        persist::save(&self.file, &self.fingerprint, &changed)?;
        *data = changed;
        Ok(result)
    }

    /// The account that a login name means: its whole address, or its local part.
    pub fn login(&self, user: &str) -> Option<(String, Entry)> {
        let data = self.data();
        let name = data.account_name(user)?;
        data.accounts.get(&name).map(|entry| (name.clone(), entry.clone()))
    }

    /// The bounds that hold now.
    pub fn limits(&self) -> Limits {
        self.data().limits.clone()
    }

    /// The policy that holds now.
    pub fn policy(&self) -> Policy {
        self.data().policy.clone()
    }

    /// Bytes that an account may hold.
    pub fn quota(&self, account: &str) -> u64 {
        let data = self.data();
        data.accounts.get(account).and_then(|e| e.quota).unwrap_or(data.limits.quota)
    }
}

impl Data {
    /// Completes a name to an address of an own domain and resolves domain aliases.
    pub fn complete(&self, name: &str) -> Result<String, Error> {
        let bad = |reason: address::Error| Error::Address {
            text: name.to_owned(),
            reason: reason.to_string(),
        };
        let mut address = Address::parse(name, true).map_err(bad)?;
        if address.domain.is_empty() {
            address.domain = self.domains.first().map(|d| d.name.clone()).unwrap_or_default();
        }
        let domain =
            self.own_domain(&address.domain).ok_or(Error::Domain(address.domain.clone()))?;
        address.domain = domain.name.clone();
        Ok(address.key())
    }

    /// The domain of that name or alias.
    pub fn own_domain(&self, name: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| {
            domain.name.eq_ignore_ascii_case(name)
                || domain.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }

    /// The account that a login name means.
    pub fn account_name(&self, user: &str) -> Option<String> {
        if let Ok(name) = self.complete(user)
            && self.accounts.contains_key(&name)
        {
            return Some(name);
        }
        // A local part that only one domain has.
        let local = format!("{}@", user.to_lowercase());
        let mut found = self.accounts.keys().filter(|name| name.starts_with(&local));
        match (found.next(), found.next()) {
            (Some(name), None) if !user.contains('@') => Some(name.clone()),
            _ => None,
        }
    }

    /// The account of that name, for changing it.
    pub fn account_mut(&mut self, name: &str) -> Result<&mut Entry, Error> {
        let known = || self.accounts.keys().cloned().collect::<Vec<_>>().join(", ");
        let Some(found) = self.account_name(name) else {
            return Err(Error::Unknown { what: "account", name: name.into(), known: known() });
        };
        Ok(self.accounts.entry(found).or_default())
    }

    /// Whether an address is an account, alias or list.
    pub fn is_taken(&self, address: &str) -> bool {
        self.accounts.contains_key(address)
            || self.aliases.contains_key(address)
            || self.lists.contains_key(address)
    }
}

fn from_config(config: &Config) -> Result<Data, Error> {
    let mut data = Data {
        domains: config.domains.clone(),
        accounts: BTreeMap::new(),
        aliases: BTreeMap::new(),
        lists: BTreeMap::new(),
        switches: BTreeMap::new(),
        limits: config.limits.clone(),
        policy: config.policy.clone(),
        faults: Vec::new(),
    };
    for (name, account) in &config.accounts {
        let credentials = account
            .password
            .as_deref()
            .map(|password| Credentials::from_config(password, config.policy.cram_md5))
            .transpose()?;
        let address = data.complete(name)?;
        let entry = Entry {
            credentials,
            forward: account.forward.clone(),
            keep: account.keep,
            auto_reply: account.auto_reply.clone(),
            signature: account.signature.clone(),
            quota: account.quota,
            faults: account.faults.clone(),
        };
        if data.accounts.insert(address.clone(), entry).is_some() {
            return Err(Error::Exists(address));
        }
    }
    for (name, targets) in &config.aliases {
        let address = data.complete(name)?;
        data.aliases.insert(address, targets.clone());
    }
    for (name, list) in &config.lists {
        let address = data.complete(name)?;
        data.lists.insert(address, list.clone());
    }
    Ok(data)
}
