//! `labctl exec`: a command in a node, with the terminal where there is one.

use std::io::IsTerminal;

use engine::{Chunk, ExecOptions, Session};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::{Context, Running};
use crate::failure::{Failure, Outcome};
use crate::{output, terminal};

/// Runs the verb.
pub async fn run(context: &Context, node: &str, no_tty: bool, command: Vec<String>) -> Outcome {
    let running = context.running().await?;
    let tty = !no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    interact(&running, node, command, tty).await
}

/// Runs a command and joins it to this process's input and output; its exit code is ours.
pub async fn interact(running: &Running, node: &str, command: Vec<String>, tty: bool) -> Outcome {
    let options = ExecOptions {
        command,
        terminal: if tty { terminal::size() } else { None },
        stdin: true,
        env: Vec::new(),
    };
    let Session { mut output, input, resize, exit } =
        running.engine.exec(&running.name, node, options).await?;
    let raw = if tty { terminal::Raw::enter() } else { None };
    let sending = tokio::spawn(send(input));
    let mut resized = signal(SignalKind::window_change())?;
    let failed = loop {
        tokio::select! {
            chunk = output.next() => match chunk {
                Some(Ok(Chunk::Out(bytes))) => output::put(&bytes)?,
                Some(Ok(Chunk::Err(bytes))) => {
                    use std::io::Write;
                    std::io::stderr().lock().write_all(&bytes)?;
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            },
            _ = resized.recv(), if tty => {
                if let Some(size) = terminal::size() {
                    let _ = resize(size).await;
                }
            }
        }
    };
    drop(raw);
    sending.abort();
    if let Some(error) = failed {
        return Err(Failure::from(error));
    }
    Ok(u8::try_from(exit.await?.rem_euclid(256)).unwrap_or(u8::MAX))
}

/// Standard input to the command until its end.
async fn send(mut input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => {
                if input.write_all(&buffer[..n]).await.is_err() || input.flush().await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = input.shutdown().await;
}
