//! The DHCP service of a router, made to follow what its console says.

use std::path::Path;
use std::sync::Arc;

use dhcpd::config::Config;
use ios::RouterConfig;
use serde_json::{Value, json};

use super::Router;
use crate::agent::Agent;
use crate::{files, log};

/// The service's name.
pub(crate) const SERVICE: &str = "dhcp";
/// Its program and its configuration's name, where the lab has not given it any.
pub(crate) const PROGRAM: &str = "dhcpd";
pub(crate) const FILE: &str = "dhcpd.yaml";

impl Router {
    /// Takes the service's configuration as the lab has written it.
    pub(crate) fn read_dhcp(&self, path: &Path) {
        if let Ok(written) = Config::read(path)
            && let Ok(written) = serde_json::to_value(written)
        {
            let _ = self.written_dhcp.set(written);
        }
    }

    /// Whether the running configuration has anything to serve or relay.
    pub(crate) fn serves_dhcp(&self) -> bool {
        dhcp_config(self, &self.config()).is_some()
    }

    /// Whether the console has changed what is served.
    pub(crate) fn has_other_dhcp(&self) -> bool {
        ios::dhcp::server_config(&self.written) != ios::dhcp::server_config(&self.config())
    }
}

impl Agent {
    /// Writes the service's configuration anew and has it taken; starts the service with the first
    /// pool and stops it with the last.
    pub(crate) async fn serve_dhcp(self: &Arc<Self>, router: &Router, config: &RouterConfig) {
        let Some(service) = self.service(SERVICE) else { return };
        let Some(whole) = dhcp_config(router, config) else {
            return service.switch(false).await;
        };
        let path = files::place(FILE);
        // JSON is YAML.
        if let Err(error) = std::fs::write(&path, whole.to_string()) {
            return log::line(
                SERVICE,
                format_args!("{} cannot be written: {error}", path.display()),
            );
        }
        if !service.is_on() {
            return service.switch(self.kept.get().services.get(SERVICE) != Some(&false)).await;
        }
        let request = json!({"op": "configure", "config": whole});
        if let Err(error) = node::admin::ask(&service.socket(), &request, async |_| Ok(())).await {
            log::line(SERVICE, error);
        }
    }
}

/// The lab's own configuration of the service, with the pools and relays of the console in
/// the place of those that came from the router's configuration. `None` when nothing is left.
fn dhcp_config(router: &Router, config: &RouterConfig) -> Option<Value> {
    let mut whole = match router.written_dhcp.get() {
        Some(written) => written.clone(),
        None => json!({
            "state": Path::new(node::paths::STATE).join(SERVICE),
            "admin": Path::new(node::paths::RUN).join(format!("{SERVICE}.sock")),
        }),
    };
    let empty = || json!({"pools": [], "relay": []});
    let written = ios::dhcp::server_config(&router.written).unwrap_or_else(empty);
    let running = ios::dhcp::server_config(config).unwrap_or_else(empty);
    for (list, key) in [("pools", "name"), ("relay", "interface")] {
        let mut kept = entries(&whole, list);
        let gone = entries(&written, list);
        kept.retain(|entry| !gone.iter().any(|gone| gone[key] == entry[key]));
        kept.extend(entries(&running, list));
        whole[list] = kept.into();
    }
    if let Some(probe) = running.get("probe_ms") {
        whole["probe_ms"] = probe.clone();
    }
    let nothing = entries(&whole, "pools").is_empty() && entries(&whole, "relay").is_empty();
    (!nothing).then_some(whole)
}

fn entries(config: &Value, list: &str) -> Vec<Value> {
    config.get(list).and_then(Value::as_array).cloned().unwrap_or_default()
}
