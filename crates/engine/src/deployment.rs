//! All that an engine needs to know of a lab.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Instance;

/// One instance as it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The lab's name.
    pub lab: String,
    /// The instance's name: lower-case letters, digits, dashes; unique on the engine.
    pub instance: String,
    /// The networks.
    pub networks: Vec<Network>,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// Kept with the instance, outside of every node, and given back by
    /// [`crate::Engine::document`]: the lab as it was started. May hold expected answers.
    pub document: String,
    /// Labels of the instance's own, such as those of a class.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Bounds for the whole instance, where the engine can set them; the nodes' own otherwise.
    #[serde(default)]
    pub limits: Limits,
}

/// One L2 segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name in the lab.
    pub name: String,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// What its agent is told.
    pub config: node::Config,
    /// A foreign image that runs beside the agent in the node's network namespace.
    #[serde(default)]
    pub image: Option<String>,
    /// Its command; the image's own where empty.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// Bounds of a node or an instance; `None` is the engine's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Processes and threads.
    #[serde(default)]
    pub processes: Option<u32>,
    /// Share of one processor, 1.0 being a whole one.
    #[serde(default)]
    pub cpu: Option<f64>,
    /// Bytes of disk (its writable folders).
    #[serde(default)]
    pub disk: Option<u64>,
}

/// The label with the second (since the epoch) at which an instance's time is over. The embedded
/// engine ends it then; on Docker the next labctl removes it.
pub const EXPIRES: &str = "expires";

impl Deployment {
    /// When its time is over, since the epoch.
    pub fn expires(&self) -> Option<Duration> {
        let seconds: u64 = self.labels.get(EXPIRES)?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

impl Instance {
    /// Whether its time is over.
    pub fn expired(&self, now: i64) -> bool {
        let end: Option<i64> = self.labels.get(EXPIRES).and_then(|text| text.parse().ok());
        end.is_some_and(|end| end <= now)
    }
}

impl NodeSpec {
    /// The node's name.
    pub fn name(&self) -> &str {
        &self.config.node
    }

    /// Two nodes with equal hashes need not be replaced. 16 hex digits.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
