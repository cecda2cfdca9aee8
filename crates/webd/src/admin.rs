//! The admin socket: `status`, `switch`, `sites`, `log`.

use std::sync::Arc;

use node::Error;
use node::admin::Admin;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

use crate::server::Server;

/// A request; `docs/webd.md` shows each.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Op {
    Status {},
    Switch {
        #[serde(default)]
        protocol: Option<String>,
        on: bool,
    },
    Sites {},
    Log {
        #[serde(default)]
        follow: bool,
        #[serde(default = "hundred")]
        last: usize,
    },
}

fn hundred() -> usize {
    100
}

/// Answers for a server.
#[derive(Debug)]
pub struct Desk(pub Arc<Server>);

impl Desk {
    fn status(&self) -> Value {
        let protocols: Vec<Value> = self
            .0
            .protocols()
            .into_iter()
            .map(|(protocol, on)| json!({ "protocol": protocol, "on": on }))
            .collect();
        json!({ "protocols": protocols })
    }
}

impl Admin for Desk {
    async fn answer(&self, request: Value, items: mpsc::Sender<Value>) -> Result<Value, Error> {
        let op: Op = serde_json::from_value(request).map_err(|error| {
            Error::new("bad-request", format!("webd does not know this request: {error}"))
                .help("it knows status, switch, sites and log")
        })?;
        match op {
            Op::Status {} => Ok(self.status()),
            Op::Switch { protocol, on } => {
                self.0
                    .switch(protocol.as_deref(), on)
                    .await
                    .map_err(|error| Error::new("switch", error))?;
                Ok(self.status())
            }
            Op::Sites {} => Ok(json!(self.0.sites.list().collect::<Vec<_>>())),
            Op::Log { follow, last } => {
                let (old, mut new) = self.0.journal.follow(last);
                let count = old.len();
                for entry in old {
                    if items.send(json!(entry)).await.is_err() {
                        return Ok(json!(count));
                    }
                }
                if !follow {
                    return Ok(json!(count));
                }
                loop {
                    match new.recv().await {
                        Ok(entry) => {
                            if items.send(json!(entry)).await.is_err() {
                                break;
                            }
                        }
                        Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => break,
                    }
                }
                Ok(json!(count))
            }
        }
    }
}
