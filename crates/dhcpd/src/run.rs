//! The program: `dhcpd --config FILE.yaml`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::sync::mpsc;

use crate::admin::Desk;
use crate::config::Config;
use crate::driver::Driver;

/// A DHCP server and relay.
#[derive(Debug, Parser)]
#[command(name = "dhcpd", version, no_binary_name = true)]
struct Arguments {
    /// The configuration, YAML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only check the configuration.
    #[arg(long)]
    check: bool,
}

/// Runs the server until SIGTERM or SIGINT; `args` without the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_max_level(tracing::Level::INFO)
        .try_init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr().lock(), "dhcpd: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let config = Config::read(&arguments.config).map_err(|error| error.to_string())?;
    if arguments.check {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot start: {error}"))?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let admin = config.admin.clone();
    let driver = Driver::new(config).map_err(|error| error.to_string())?;
    let (sender, receiver) = mpsc::channel(64);
    if let Some(path) = admin {
        let listener = node::admin::bind(&path).map_err(|error| {
            format!("the admin socket {} cannot be made: {error}", path.display())
        })?;
        tokio::spawn(node::admin::serve(listener, Arc::new(Desk { driver: sender.clone() })));
    }
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut int = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    tokio::select! {
        result = driver.run(receiver) => result.map_err(|error| error.to_string()),
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    }
}
