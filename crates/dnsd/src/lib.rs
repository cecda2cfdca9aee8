//! An authoritative, forwarding and recursing DNS server for labs.
//!
//! [`answer::answer`] is the core: bytes to bytes, without sockets or clocks. Around it stand the
//! zones ([`zone`], [`authority`], [`master`]), what changes them ([`edit`], [`secondary`],
//! [`sign`]), the resolver ([`resolve`]) and the sockets ([`server`]).

pub mod admin;
pub mod answer;
pub mod authority;
pub mod cache;
pub mod config;
pub mod denial;
pub mod edit;
pub mod log;
pub mod master;
pub mod query;
pub mod resolve;
pub mod secondary;
pub mod server;
pub mod service;
pub mod sign;
pub mod store;
pub mod transfer;
pub mod upstream;
pub mod zone;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Config;
use crate::service::Service;

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Service(#[from] service::Error),
    #[error(transparent)]
    Listen(#[from] server::Error),
    #[error("the admin socket {}: {source}", path.display())]
    Admin { path: std::path::PathBuf, source: std::io::Error },
    #[error("the runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Runs the server: `--config FILE`, or `--zone NAME=FILE` and `--listen ADDRESS:PORT`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let ended = Config::from_args(&args).map_err(Ended::from).and_then(|config| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(config))
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "dnsd: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), Ended> {
    let (service, tasks) = Service::new(config)?;
    if let Some(path) = &service.config.admin {
        let failed = |source| Ended::Admin { path: path.clone(), source };
        let listener = node::admin::bind(path).map_err(failed)?;
        tokio::spawn(node::admin::serve(listener, Arc::new(admin::Admin(service.clone()))));
    }
    let background = tokio::spawn(secondary::run(service.clone(), tasks));
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let serving = server::run(service.clone());
    tokio::pin!(serving);
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended.map_err(Ended::from),
            _ = terminate.recv() => break Ok(()),
            _ = tokio::signal::ctrl_c() => break Ok(()),
            _ = hangup.recv() => if let Err(error) = service.reload() {
                service.say(&format!("not reloaded: {error}"));
            },
        }
    };
    background.abort();
    ended
}
