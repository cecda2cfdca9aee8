//! labctl's end of a command in a node. Without a terminal the command's streams are pipes that are
//! handed over with the request; with one, the terminal comes back. Either way the bytes do not
//! pass through the supervisor.
#![allow(unsafe_code)] // An ioctl tells a terminal its size; a terminal is watched by the runtime.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};

use super::client;
use super::wire::{self, Reply, Request};
use crate::{Chunk, Error, ExecOptions, Result, Session, TerminalSize};

/// Pieces of output that may wait for the reader.
const AHEAD: usize = 16;

/// Starts a command; returns when it has been started.
pub(super) async fn open(
    mut stream: UnixStream,
    node: &str,
    options: ExecOptions,
) -> Result<Session> {
    let what = || format!("running `{}` in {node}", options.command.join(" "));
    let fail = |error: io::Error| Error::failed(what(), error);
    if options.command.is_empty() {
        return Err(Error::failed(format!("running a command in {node}"), "there is none"));
    }
    let request = Request::Exec {
        node: node.to_owned(),
        command: options.command.clone(),
        env: options.env.clone(),
        terminal: options.terminal.map(|size| (size.columns, size.rows)),
    };
    let (sender, output) = mpsc::channel(AHEAD);
    let (over, is_over) = watch::channel(false);
    let input: Pin<Box<dyn AsyncWrite + Send>>;
    let resize: Option<Arc<AsyncFd<File>>>;
    if options.terminal.is_some() {
        wire::send(&mut stream, &request, &[]).await.map_err(fail)?;
        let fd = started(&mut stream).await?.into_iter().next();
        let fd = fd.ok_or_else(|| Error::failed(what(), "no terminal came back"))?;
        let terminal = terminal(fd).map_err(fail)?;
        tokio::spawn(pump(Terminal(terminal.clone()), Chunk::Out, sender, is_over));
        input = Box::pin(Terminal(terminal.clone()));
        resize = Some(terminal);
    } else {
        let (theirs, ours) = io::pipe().map_err(fail)?;
        let (out, out_theirs) = io::pipe().map_err(fail)?;
        let (err, err_theirs) = io::pipe().map_err(fail)?;
        let theirs = match options.stdin {
            true => OwnedFd::from(theirs),
            false => OwnedFd::from(File::open("/dev/null").map_err(fail)?),
        };
        let fds = [theirs.as_fd(), out_theirs.as_fd(), err_theirs.as_fd()];
        wire::send(&mut stream, &request, &fds).await.map_err(fail)?;
        drop((theirs, out_theirs, err_theirs));
        started(&mut stream).await?;
        let out = pipe::Receiver::from_owned_fd(out.into()).map_err(fail)?;
        let err = pipe::Receiver::from_owned_fd(err.into()).map_err(fail)?;
        tokio::spawn(pump(out, Chunk::Out, sender.clone(), is_over.clone()));
        tokio::spawn(pump(err, Chunk::Err, sender, is_over));
        input = match options.stdin {
            true => Box::pin(Input(Some(pipe::Sender::from_owned_fd(ours.into()).map_err(fail)?))),
            false => Box::pin(tokio::io::sink()),
        };
        resize = None;
    }
    let (mut tell, exit) = oneshot::channel();
    tokio::spawn(async move {
        let result = tokio::select! {
            result = ending(&mut stream) => result,
            // The session was dropped: closing the connection ends the command.
            () = tell.closed() => return,
        };
        let _ = over.send(true);
        let _ = tell.send(result);
    });
    Ok(Session {
        output: tokio_stream(output).boxed(),
        input,
        resize: Box::new(move |size| {
            let result = resize.as_ref().map_or(Ok(()), |terminal| set_size(terminal, size));
            Box::pin(async move { result })
        }),
        exit: Box::pin(async move {
            exit.await.unwrap_or_else(|_| Err(Error::failed("waiting for a command", "it is lost")))
        }),
    })
}

fn tokio_stream(
    output: mpsc::Receiver<Result<Chunk>>,
) -> impl futures::Stream<Item = Result<Chunk>> + Send {
    futures::stream::unfold(output, |mut output| async move {
        let chunk = output.recv().await?;
        Some((chunk, output))
    })
}

/// Waits for the command's start; the terminal comes with it.
async fn started(stream: &mut UnixStream) -> Result<Vec<OwnedFd>> {
    match wire::receive::<Reply>(stream).await {
        Ok(Some((Reply::Started, fds))) => Ok(fds),
        Ok(Some((Reply::Failed(failure), _))) => Err(failure.into()),
        Ok(Some((other, _))) => Err(client::unexpected(&other)),
        Ok(None) => Err(Error::failed("starting a command", "the supervisor has ended")),
        Err(error) => Err(Error::failed("starting a command", error)),
    }
}

async fn ending(stream: &mut UnixStream) -> Result<i32> {
    match client::next(stream).await? {
        Reply::Exit(code) => Ok(code),
        other => Err(client::unexpected(&other)),
    }
}

/// Moves output until its end, or, once the command has ended, until nothing more is there: what
/// it left running in the background may hold the pipe for ever.
async fn pump<R: AsyncRead + AsFd + Unpin>(
    mut from: R,
    kind: fn(Bytes) -> Chunk,
    to: mpsc::Sender<Result<Chunk>>,
    mut over: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut ended = false;
    loop {
        let read = if ended {
            // Not by the runtime, which may not have heard yet that there is something to read.
            match nix::unistd::read(from.as_fd(), &mut buffer) {
                Err(nix::errno::Errno::EAGAIN) => return,
                other => other.map_err(io::Error::from),
            }
        } else {
            tokio::select! {
                biased;
                read = from.read(&mut buffer) => read,
                _ = over.wait_for(|over| *over) => {
                    ended = true;
                    continue;
                }
            }
        };
        match read {
            Ok(0) => return,
            Ok(n) => {
                if to.send(Ok(kind(Bytes::copy_from_slice(&buffer[..n])))).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal's other side is closed.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return,
            Err(error) => {
                let _ = to.send(Err(Error::failed("reading a command's output", error))).await;
                return;
            }
        }
    }
}

fn terminal(fd: OwnedFd) -> io::Result<Arc<AsyncFd<File>>> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    // SAFETY: a file's descriptor stays the same and open as long as it lives.
    Ok(Arc::new(unsafe { AsyncFd::register(File::from(fd)) }?))
}

fn set_size(terminal: &AsyncFd<File>, size: TerminalSize) -> Result<()> {
    let size =
        libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads the structure above.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    match nix::errno::Errno::result(result) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::failed("telling the terminal its size", error)),
    }
}

/// A command's standard input; shutting it down closes the pipe, which is its end of file.
struct Input(Option<pipe::Sender>);

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(pipe) => Pin::new(pipe).poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

/// The master side of a terminal.
struct Terminal(Arc<AsyncFd<File>>);

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl AsyncRead for Terminal {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let space = buffer.initialize_unfilled();
            match guard.try_io(|inner| inner.get_ref().read(space)) {
                Ok(Ok(n)) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            match guard.try_io(|inner| inner.get_ref().write(bytes)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// End of file, as a person types it.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        const END: &[u8] = &[4];
        self.poll_write(context, END).map_ok(|_| ())
    }
}
