//! The way into a pod: `labctl supervisor relay`, which labctl keeps open by one `docker exec`.
//!
//! Standard input and output carry many conversations (`crate::pod::mux`), each with one
//! [`Call`]. The relay is the client of the supervisor beside it: what a supervisor hands over as
//! descriptors (an agent's socket, a command's streams or terminal) it carries as bytes.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::folder::Folder;
use super::wire::{self, Call, Reply, Request};
use super::{client, session};
use crate::pod::mux::{self, Stream};
use crate::pod::pieces::{self, Piece};
use crate::{Chunk, Error, ExecOptions, Result, Session, TerminalSize};

/// How long a pod that is only starting may take until its supervisor listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves conversations until standard input ends. Exit code 1 when it could not.
pub(super) fn main(folder: &Path) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.and_then(|runtime| {
        let result = runtime.block_on(serve(folder));
        // A blocked reader of standard input must not keep the process.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "relay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(folder: &Path) -> io::Result<()> {
    let root = folder.parent().unwrap_or(folder);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let folder = Folder::new(root, &name).map_err(io::Error::other)?;
    let descriptor = io::stdin().as_fd().try_clone_to_owned()?;
    mux::serve(input(descriptor), tokio::io::stdout(), |stream| {
        let folder = folder.clone();
        tokio::spawn(async move { converse(stream, &folder).await });
    })
    .await
}

/// Standard input: a pipe where an engine attaches it, else whatever it is.
fn input(descriptor: OwnedFd) -> Box<dyn AsyncRead + Send + Unpin> {
    match pipe::Receiver::from_owned_fd(descriptor) {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(tokio::io::stdin()),
    }
}

async fn converse(mut stream: Stream, folder: &Folder) {
    let Ok(Some(call)) = wire::get::<Call>(&mut stream).await else { return };
    if let Err(error) = answer(&mut stream, folder, call).await {
        // Whoever asked may be gone.
        let _ = wire::put(&mut stream, &Reply::Failed(error.into())).await;
    }
    let _ = stream.shutdown().await;
}

async fn answer(stream: &mut Stream, folder: &Folder, call: Call) -> Result<()> {
    let lost = |error: io::Error| Error::failed("speaking with labctl", error);
    let mut supervisor = connect(folder).await?;
    match call.request {
        Request::Exec { node, command, env, terminal } => {
            let terminal = terminal.map(|(columns, rows)| TerminalSize { columns, rows });
            let options = ExecOptions { command, terminal, stdin: call.stdin, env };
            let session = session::open(supervisor, &node, options).await?;
            wire::put(stream, &Reply::Started).await.map_err(lost)?;
            // After this the conversation is one of pieces; that it broke cannot be told on it.
            let _ = carry(stream, session).await;
        }
        Request::Control { .. } => {
            let mut agent = client::descriptor(supervisor, &call.request).await?;
            wire::put(stream, &Reply::Done).await.map_err(lost)?;
            let _ = tokio::io::copy_bidirectional(stream, &mut agent).await;
        }
        request => {
            client::say(&mut supervisor, &request).await?;
            let _ = tokio::io::copy_bidirectional(stream, &mut supervisor).await;
        }
    }
    Ok(())
}

/// Connects to the supervisor, as soon as it listens.
async fn connect(folder: &Folder) -> Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(stream) = folder.connect().await? {
            return Ok(stream);
        }
        if Instant::now() > deadline {
            return Err(Error::failed(
                "asking the pod's supervisor",
                format!(
                    "it has not listened for {} s; `docker logs` of the pod's container has its words",
                    PATIENCE.as_secs()
                ),
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Carries a command's streams until it has ended, or until labctl goes away, which ends it.
async fn carry(stream: &mut Stream, session: Session) -> io::Result<()> {
    let Session { mut output, mut input, resize, exit } = session;
    let (mut from, mut to) = tokio::io::split(stream);
    let inward = async {
        loop {
            match pieces::get(&mut from).await {
                // A command that has closed its input is not disturbed by more of it.
                Ok(Some(Piece::In(bytes))) => {
                    let _ = input.write_all(&bytes).await;
                    let _ = input.flush().await;
                }
                Ok(Some(Piece::End)) => drop(input.shutdown().await),
                Ok(Some(Piece::Resize(size))) => drop(resize(size).await),
                _ => return,
            }
        }
    };
    let outward = async {
        while let Some(chunk) = output.next().await {
            let piece = match chunk {
                Ok(Chunk::Out(bytes)) => Piece::Out(bytes),
                Ok(Chunk::Err(bytes)) => Piece::Err(bytes),
                Err(error) => Piece::Lost(error.to_string()),
            };
            pieces::put(&mut to, &piece).await?;
        }
        let last = match exit.await {
            Ok(code) => Piece::Exit(code),
            Err(error) => Piece::Lost(error.to_string()),
        };
        pieces::put(&mut to, &last).await
    };
    tokio::select! {
        result = outward => result,
        () = inward => Ok(()),
    }
}
