//! A static web server with templated pages.
//!
//! `webd --config web.yaml` serves each [`config::Site`] on HTTP and, with a certificate, HTTPS.
//! The way of a request: [`server`] accepts, [`answer`] decides, [`path`] and [`sites`] say what is
//! there, [`body`] sends it, [`journal`] keeps who came. [`admin`] switches protocols.

pub mod admin;
pub mod answer;
pub mod body;
pub mod config;
pub mod journal;
pub mod path;
pub mod server;
pub mod sites;
mod tls;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// A static web server with templated pages.
#[derive(Debug, Parser)]
#[command(name = "webd", version)]
struct Args {
    /// Its configuration, YAML.
    #[arg(long)]
    config: PathBuf,
    /// Only check the configuration.
    #[arg(long)]
    check: bool,
}

/// Runs `webd`; `args` without the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args = match Args::try_parse_from(std::iter::once("webd".into()).chain(args)) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let result = runtime.block_on(serve(&args));
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &Args) -> Result<(), String> {
    let config = config::Config::load(&args.config).map_err(|error| error.to_string())?;
    if args.check {
        return sites::Sites::new(config.sites, config.limits).map(|_| ());
    }
    let admin = config.admin.clone();
    let server = server::Server::start(config).await.map_err(|error| error.to_string())?;
    let mut desk = tokio::task::JoinSet::new();
    if let Some(path) = admin {
        let listener = node::admin::bind(&path)
            .map_err(|error| format!("cannot open the socket {}: {error}", path.display()))?;
        desk.spawn(node::admin::serve(listener, Arc::new(admin::Desk(server.clone()))));
    }
    tracing::info!("serving {} sites", server.sites.list().count());
    let mut end = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = end.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
