//! `mailsrv --config FILE`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::admin::Answerer;
use crate::config::Config;
use crate::server::Server;

/// Threads that write message files at once.
const WRITERS: usize = 24;

/// A mail server: SMTP, submission, POP3 and IMAP.
#[derive(Parser)]
#[command(name = "mailsrv", version)]
struct Arguments {
    /// The configuration (YAML).
    #[arg(long, short)]
    config: PathBuf,
    /// Only check the configuration.
    #[arg(long)]
    check: bool,
}

/// Runs the server until SIGTERM or SIGINT. `args` is without the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let name = std::iter::once(OsString::from("mailsrv"));
    let arguments = match Arguments::try_parse_from(name.chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // A second server in one process (tests) keeps the first one's log.
    let chosen = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let _ = tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .with_target(false)
                .with_filter(
                    chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)),
                ),
        )
        .try_init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "mailsrv: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    crate::memory::frugal();
    let config = Config::load(&arguments.config)?;
    if arguments.check {
        writeln!(std::io::stdout().lock(), "{} is good", arguments.config.display())?;
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(WRITERS)
        .thread_stack_size(512 << 10)
        .thread_keep_alive(Duration::from_secs(2))
        .build()?;
    let result = runtime.block_on(serve(config));
    // A thread that still writes a message nobody was told about need not be waited for.
    runtime.shutdown_background();
    result
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let socket = config.admin.clone();
    let server = Server::open(config)?;
    server.start().await?;
    if let Some(path) = socket {
        let listener = node::admin::bind(&path)
            .map_err(|error| format!("cannot make the admin socket {}: {error}", path.display()))?;
        tokio::spawn(node::admin::serve(listener, Arc::new(Answerer(server.clone()))));
    }
    tracing::info!("ready");
    crate::memory::started();
    // Everything that was answered for is on disk: there is nothing to finish.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopped");
    Ok(())
}
