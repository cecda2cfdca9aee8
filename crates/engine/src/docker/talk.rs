//! Talking to a running node: the relay to its agent, commands, logs.

use std::pin::Pin;
use std::sync::Arc;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use tokio_util::io::StreamReader;

use super::{Docker, connect, labels};
use crate::error::{Error, Result};
use crate::{Chunk, ExecOptions, LogLine, Session};

/// What an attached command says.
pub(crate) type Output =
    Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// The connection to a node's agent: one exec that stays open, made once.
pub async fn control(docker: &Docker, instance: &str, node: &str) -> Result<node::Client> {
    let key = (instance.to_owned(), node.to_owned());
    if let Some(client) = docker.relays.lock().await.get(&key)
        && client.closed().is_none()
    {
        return Ok(client.clone());
    }
    let command = vec![node::paths::PROGRAM.to_owned(), "relay".to_owned()];
    let options = ExecOptions { command, stdin: true, ..ExecOptions::default() };
    let (_, output, input) = start(docker, instance, node, &options).await?;
    let client = node::Client::from_halves(bytes(output), input);
    docker.relays.lock().await.insert(key, client.clone());
    Ok(client)
}

/// Runs a command.
pub async fn exec(
    docker: &Docker,
    instance: &str,
    node: &str,
    options: ExecOptions,
) -> Result<Session> {
    let (id, output, input) = start(docker, instance, node, &options).await?;
    let api = docker.api.clone();
    let resize = {
        let (api, id) = (api.clone(), id.clone());
        Box::new(move |size: crate::TerminalSize| {
            let (api, id) = (api.clone(), id.clone());
            async move {
                let size = ResizeExecOptions { height: size.rows, width: size.columns };
                api.resize_exec(&id, size)
                    .await
                    .map_err(|error| Error::failed("resize the terminal", connect::chain(&error)))
            }
            .boxed()
        })
    };
    if let Some(size) = options.terminal {
        // The process may be over already; then there is nothing to resize.
        let _ = (resize)(size).await;
    }
    // Docker reports a command that does not exist on the output, not as an error.
    let missing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = missing.clone();
    let output = output
        .map(move |item| match item {
            Ok(LogOutput::StdErr { message }) => Ok(Chunk::Err(message)),
            Ok(other) => {
                let bytes = other.into_bytes();
                if bytes.starts_with(b"OCI runtime exec failed") {
                    seen.store(true, std::sync::atomic::Ordering::Relaxed);
                    return Ok(Chunk::Err(bytes));
                }
                Ok(Chunk::Out(bytes))
            }
            Err(error) => Err(Error::failed("read from the node", connect::chain(&error))),
        })
        .boxed();
    let exit = async move {
        let state = api
            .inspect_exec(&id)
            .await
            .map_err(|error| Error::failed("ask how the command ended", connect::chain(&error)))?;
        let code = state.exit_code.unwrap_or(-1) as i32;
        let missing = missing.load(std::sync::atomic::Ordering::Relaxed);
        Ok(if missing && code == 126 { 127 } else { code })
    }
    .boxed();
    Ok(Session { output, input, resize, exit })
}

/// An attached command: its id, what it says, and its standard input.
pub(crate) type Attached = (String, Output, Pin<Box<dyn tokio::io::AsyncWrite + Send>>);

async fn start(
    docker: &Docker,
    instance: &str,
    node: &str,
    options: &ExecOptions,
) -> Result<Attached> {
    match attach(docker, &labels::container(instance, node), options).await {
        Ok(attached) => Ok(attached),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
            Err(docker.no_node(instance, node).await)
        }
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => {
            Err(Error::failed(
                format!("reach node {node}"),
                format!("it does not run; `labctl start {node}` starts it"),
            ))
        }
        Err(error) => Err(Error::failed(format!("reach node {node}"), connect::chain(&error))),
    }
}

/// Runs a command in a container and attaches to it.
pub(crate) async fn attach(
    docker: &Docker,
    container: &str,
    options: &ExecOptions,
) -> Result<Attached, bollard::errors::Error> {
    let tty = options.terminal.is_some();
    let mut env: Vec<String> = options.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    if tty && !env.iter().any(|pair| pair.starts_with("TERM=")) {
        env.push("TERM=xterm-256color".into());
    }
    let create = CreateExecOptions {
        attach_stdin: Some(options.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(tty),
        env: Some(env),
        cmd: Some(options.command.clone()),
        ..CreateExecOptions::default()
    };
    let created = docker.api.create_exec(container, create).await?;
    let started = StartExecOptions { detach: false, tty, output_capacity: Some(64 << 10) };
    match docker.api.start_exec(&created.id, Some(started)).await? {
        StartExecResults::Attached { output, input } => Ok((created.id, output, input)),
        StartExecResults::Detached => {
            Err(std::io::Error::other("Docker detached the command").into())
        }
    }
}

/// What a relay says on its standard output, as bytes; what it says on standard error is why it ends.
pub(crate) fn bytes(output: Output) -> impl tokio::io::AsyncRead + Send + Unpin {
    let bytes = output.filter_map(|item| {
        std::future::ready(match item {
            Ok(LogOutput::StdOut { message }) => Some(Ok::<Bytes, std::io::Error>(message)),
            Ok(LogOutput::StdErr { message }) => Some(Err(std::io::Error::other(
                String::from_utf8_lossy(&message).trim().to_owned(),
            ))),
            Ok(_) => None,
            Err(error) => Some(Err(std::io::Error::other(error))),
        })
    });
    StreamReader::new(Box::pin(bytes))
}

/// A node's log, line by line.
pub async fn logs(
    docker: &Docker,
    instance: &str,
    node: &str,
    follow: bool,
) -> Result<BoxStream<'static, Result<LogLine>>> {
    let name = docker.container(instance, node).await?;
    let options =
        LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).tail("all").build();
    let pieces = docker.api.logs(&name, Some(options));
    let node = node.to_owned();
    let mut rest = BytesMut::new();
    let lines = pieces
        .map(Some)
        .chain(futures::stream::iter([None]))
        .flat_map(move |piece| {
            let mut lines = Vec::new();
            let mut push = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned();
                lines.push(Ok(LogLine { node: node.clone(), text }));
            };
            match piece {
                Some(Ok(output)) => {
                    rest.extend_from_slice(&output.into_bytes());
                    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                        push(&rest.split_to(end + 1));
                    }
                }
                Some(Err(error)) => {
                    lines.push(Err(Error::failed("read the log", connect::chain(&error))));
                }
                None if !rest.is_empty() => push(&rest.split()),
                None => {}
            }
            futures::stream::iter(lines)
        })
        .boxed();
    Ok(lines)
}
