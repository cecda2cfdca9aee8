//! The clients that checks use: ping, trace, arp, port, http, dns, mail, and the node's own facts.
//!
//! One file a kind, each with a `Request`, an `Outcome` and `async fn run(&Request, &Env)`.
//! [`Probe`] joins them: what labctl sends in [`node::Request::Probe`] and what [`answer`] runs.
//!
//! A probe that ran and saw something gives an outcome, also when what it saw is a refusal.
//! A probe that could not get as far as its question gives an [`Error`] that names the [`Layer`]
//! on which it ended.

pub mod arp;
pub mod dns;
mod env;
mod error;
pub mod facts;
pub mod http;
mod icmp;
pub mod mail;
pub mod ping;
pub mod port;
mod raw;
pub mod resolve;
mod tls;
pub mod trace;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use env::{Deadline, Env, MailSettings};
pub use error::{Error, Layer};
pub use resolve::resolve;

/// One probe of any kind.
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way to JSON")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// ICMP echo.
    Ping(ping::Request),
    /// The hops to a host.
    Trace(trace::Request),
    /// Who has an address on a link.
    Arp(arp::Request),
    /// A TCP or UDP port.
    Port(port::Request),
    /// One HTTP or HTTPS request.
    Http(http::Request),
    /// One DNS question.
    Dns(dns::Request),
    /// Sending and fetching mail.
    Mail(mail::Request),
    /// The node's links, addresses, routes and neighbours.
    Facts(facts::Request),
}

/// How a probe's result travels: `{"ok": outcome}` or `{"failed": error}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The kind's own `Outcome`.
    Ok(Value),
    /// Where it ended.
    Failed(Error),
}

impl Answer {
    /// The outcome, read as the kind's own type.
    ///
    /// # Errors
    /// What ended the probe, or [`Layer::Probe`] when the outcome is of another version.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        match self {
            Self::Ok(value) => serde_json::from_value(value).map_err(|error| {
                Error::new(Layer::Probe, format!("the node's answer is not understood: {error}"))
            }),
            Self::Failed(error) => Err(error),
        }
    }
}

/// Runs one probe; the outcome as JSON.
///
/// # Errors
/// Where the probe ended.
pub async fn run(probe: Probe, env: &Env) -> Result<Value, Error> {
    match probe {
        Probe::Ping(request) => json(ping::run(&request, env).await?),
        Probe::Trace(request) => json(trace::run(&request, env).await?),
        Probe::Arp(request) => json(arp::run(&request, env).await?),
        Probe::Port(request) => json(port::run(&request, env).await?),
        Probe::Http(request) => json(http::run(&request, env).await?),
        Probe::Dns(request) => json(dns::run(&request, env).await?),
        Probe::Mail(request) => json(mail::run(request, env).await),
        Probe::Facts(request) => json(facts::run(&request, env).await?),
    }
}

/// Runs the probe that is in a [`node::Request::Probe`]; gives an [`Answer`] as JSON.
///
/// # Errors
/// `bad-request` when the probe is not one that this version knows.
pub async fn answer(probe: Value, env: &Env) -> Result<Value, node::Error> {
    let probe: Probe = serde_json::from_value(probe).map_err(|error| {
        node::Error::new("bad-request", format!("the probe is not understood: {error}"))
            .help("the node may run an older labctl: `labctl up` replaces it")
    })?;
    let answer = match run(probe, env).await {
        Ok(value) => Answer::Ok(value),
        Err(error) => Answer::Failed(error),
    };
    serde_json::to_value(answer).map_err(|error| node::Error::new("internal", error))
}

fn json<T: Serialize>(outcome: T) -> Result<Value, Error> {
    serde_json::to_value(outcome).map_err(|error| Error::new(Layer::Probe, error))
}
