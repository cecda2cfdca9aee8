//! `labctl exec`: a command in a node, with the terminal where there is one.

use std::io::{IsTerminal, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::thread::JoinHandle;

use engine::{Chunk, ExecOptions, Session, TerminalSize};
use futures::StreamExt;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::context::{Context, Running};
use crate::failure::{Failure, Outcome};
use crate::{output, terminal};

/// The size of a terminal that does not tell its own.
const UNKNOWN: TerminalSize = TerminalSize { columns: 80, rows: 24 };

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
        terminal: tty.then(|| terminal::size().unwrap_or(UNKNOWN)),
        stdin: true,
        env: Vec::new(),
    };
    let Session { mut output, input, resize, exit } =
        running.engine.exec(&running.name, node, options).await?;
    let raw = if tty { terminal::Raw::enter() } else { None };
    let sending = tokio::spawn(send(Keys::read()?, input));
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
    // Nothing reads standard input any more when this returns.
    let _ = sending.await;
    if let Some(error) = failed {
        return Err(Failure::from(error));
    }
    Ok(u8::try_from(exit.await?.rem_euclid(256)).unwrap_or(u8::MAX))
}

/// Standard input, read on a thread of its own that can be called off at any time. A read that had
/// begun would take what is typed after the command's end, for the prompt or the next command.
struct Keys {
    typed: Option<mpsc::Receiver<Vec<u8>>>,
    /// Closing it ends the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    fn read() -> std::io::Result<Self> {
        let (stopped, stop) = std::io::pipe()?;
        let (sender, typed) = mpsc::channel(1);
        let thread = std::thread::Builder::new().spawn(move || copy(&stopped, &sender))?;
        Ok(Self { typed: Some(typed), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        drop((self.typed.take(), self.stop.take()));
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn copy(stopped: &PipeReader, typed: &mpsc::Sender<Vec<u8>>) {
    let stdin = std::io::stdin();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let mut ready = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if ready[1].any().unwrap_or(true) {
            return;
        }
        match nix::unistd::read(stdin.as_fd(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if typed.blocking_send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Standard input to the command until its end.
async fn send(mut keys: Keys, mut input: std::pin::Pin<Box<dyn AsyncWrite + Send>>) {
    let Some(typed) = keys.typed.as_mut() else { return };
    while let Some(bytes) = typed.recv().await {
        if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}
