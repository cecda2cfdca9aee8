//! What an instance keeps secret: its certificate authority, the servers' keys, the DKIM keys.
//!
//! They are made once per instance and kept with its document, so that rendering again gives the
//! same files and `up` twice changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::plan::{Node, Plan};

/// Why the secrets of an instance could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate.
    #[error("{node}: {error}")]
    Certificate {
        /// For which node.
        node: String,
        /// Why.
        error: pki::Error,
    },
    /// No DKIM key.
    #[error("the DKIM key of {domain} cannot be made: {error}")]
    Dkim {
        /// For which domain.
        domain: String,
        /// Why.
        error: rcgen::Error,
    },
}

/// The secrets of one instance.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The authority (`pki::Authority::to_pem`).
    pub authority: String,
    /// Its certificate, PEM: what the nodes trust.
    pub ca: String,
    /// Certificates by node.
    pub leaves: BTreeMap<String, Leaf>,
    /// DKIM keys by domain.
    #[serde(default)]
    pub dkim: BTreeMap<String, Dkim>,
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The names and addresses in it.
    pub names: Vec<String>,
    /// The chain, PEM.
    pub cert: String,
    /// The private key, PEM.
    pub key: String,
}

/// A DKIM key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// Its selector.
    pub selector: String,
    /// The private key, PEM.
    pub key: String,
    /// The text of its DNS record.
    pub record: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&String> = self.leaves.keys().collect();
        f.debug_struct("Secrets").field("leaves", &nodes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("names", &self.names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Dkim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dkim").field("selector", &self.selector).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Makes what the plan needs and keeps what `previous` has of it: a certificate is made again
    /// only when its names change.
    ///
    /// # Errors
    /// Where a name cannot stand in a certificate.
    pub fn make(plan: &Plan, previous: Option<Self>, now: SystemTime) -> Result<Self, Error> {
        let mut secrets = previous.unwrap_or_default();
        let wrap = |node: &str| {
            let node = node.to_owned();
            move |error| Error::Certificate { node, error }
        };
        let authority = match pki::Authority::from_pem(&secrets.authority, now) {
            Ok(authority) if !secrets.authority.is_empty() => authority,
            _ => {
                let authority =
                    pki::Authority::generate(&plan.lab, now).map_err(wrap("the lab"))?;
                secrets = Self {
                    authority: authority.to_pem(),
                    ca: authority.ca_pem().to_owned(),
                    ..Self::default()
                };
                authority
            }
        };
        let mut leaves = BTreeMap::new();
        for node in plan
            .nodes
            .iter()
            .filter(|n| n.services.mail.is_some() || n.services.web.as_ref().is_some_and(|w| w.tls))
        {
            let (names, addresses) = subject(plan, node);
            let listed: Vec<String> =
                names.iter().cloned().chain(addresses.iter().map(ToString::to_string)).collect();
            let leaf = match secrets.leaves.remove(&node.name) {
                Some(leaf) if leaf.names == listed => leaf,
                _ => {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let leaf = authority.issue(&names, &addresses).map_err(wrap(&node.name))?;
                    Leaf { names: listed, cert: leaf.cert_pem, key: leaf.key_pem }
                }
            };
            leaves.insert(node.name.clone(), leaf);
        }
        secrets.leaves = leaves;
        let mut dkim = BTreeMap::new();
        for mail in
            plan.nodes.iter().filter_map(|n| n.services.mail.as_ref()).filter(|m| m.settings.dkim)
        {
            for domain in &mail.domains {
                let key = match secrets.dkim.remove(&domain.name) {
                    Some(key) => key,
                    None => dkim_key(&domain.name)?,
                };
                dkim.insert(domain.name.clone(), key);
            }
        }
        secrets.dkim = dkim;
        Ok(secrets)
    }
}

fn dkim_key(domain: &str) -> Result<Dkim, Error> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
        .map_err(|error| Error::Dkim { domain: domain.to_owned(), error })?;
    let public = base64::engine::general_purpose::STANDARD.encode(pair.public_key_raw());
    Ok(Dkim {
        selector: "labctl".to_owned(),
        key: pair.serialize_pem(),
        record: format!("v=DKIM1; k=ed25519; p={public}"),
    })
}

/// The names a server is called by in its lab, and its addresses.
fn subject(plan: &Plan, node: &Node) -> (Vec<String>, Vec<IpAddr>) {
    let addresses: Vec<IpAddr> = node.addresses().map(|net| IpAddr::V4(net.addr())).collect();
    let mut names = BTreeSet::new();
    let mut first = Vec::new();
    if let Some(mail) = &node.services.mail {
        first.push(mail.hostname.clone());
        first.extend(
            mail.domains.iter().flat_map(|d| std::iter::once(&d.name).chain(&d.aliases)).cloned(),
        );
    }
    first.extend(
        node.services.web.iter().flat_map(|web| &web.sites).flat_map(|site| &site.names).cloned(),
    );
    first.push(node.name.clone());
    let records = || {
        plan.nodes
            .iter()
            .filter_map(|n| n.services.dns.as_ref())
            .flat_map(|dns| &dns.zones)
            .flat_map(|zone| &zone.records)
    };
    for record in records().filter(|r| r.r#type == "A") {
        if record.data.parse::<IpAddr>().is_ok_and(|address| addresses.contains(&address)) {
            names.insert(record.name.clone());
        }
    }
    // Aliases of those, a few steps deep.
    for _ in 0..4 {
        let more: Vec<String> = records()
            .filter(|r| r.r#type == "CNAME" && names.contains(&r.data))
            .map(|r| r.name.clone())
            .collect();
        names.extend(more);
    }
    let mut all: Vec<String> = Vec::new();
    for name in first.into_iter().chain(names) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let good = !name.is_empty()
            && name.is_ascii()
            && name.split('.').all(|l| {
                !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        if good && name.parse::<IpAddr>().is_err() && !all.contains(&name) {
            all.push(name);
        }
    }
    (all, addresses)
}
