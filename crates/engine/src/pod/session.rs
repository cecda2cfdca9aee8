//! labctl's end of a command in a pod: its streams come as pieces over one conversation.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt;
use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use super::mux::Stream;
use super::pieces::{self, Piece};
use crate::embedded::wire::{self, Reply};
use crate::{Chunk, Error, Result, Session};

/// Pieces that may wait, each way.
const AHEAD: usize = 16;

/// The session of a command that was asked for on `stream`; returns when it has been started.
pub(super) async fn open(mut stream: Stream, what: String) -> Result<Session> {
    match wire::get::<Reply>(&mut stream).await {
        Ok(Some(Reply::Started)) => {}
        Ok(Some(Reply::Failed(failure))) => return Err(failure.into()),
        Ok(Some(other)) => return Err(Error::failed(what, format!("the pod answered {other:?}"))),
        Ok(None) => return Err(Error::failed(what, "the pod has ended")),
        Err(error) => return Err(Error::failed(what, error)),
    }
    let (to, outgoing) = mpsc::channel(AHEAD);
    let (give, output) = mpsc::channel(AHEAD);
    let (tell, exit) = oneshot::channel();
    tokio::spawn(carry(stream, outgoing, give, tell));
    let resize = to.clone();
    Ok(Session {
        output: futures::stream::unfold(output, |mut output| async move {
            let chunk = output.recv().await?;
            Some((chunk, output))
        })
        .boxed(),
        input: Box::pin(Input { to: PollSender::new(to), ended: false }),
        resize: Box::new(move |size| {
            let resize = resize.clone();
            Box::pin(async move {
                // A command that has ended has no terminal any more.
                let _ = resize.send(Piece::Resize(size)).await;
                Ok(())
            })
        }),
        exit: Box::pin(async move {
            exit.await
                .unwrap_or_else(|_| Err(Error::failed(what, "the connection to its pod is lost")))
        }),
    })
}

/// Carries pieces until the command has ended. When nobody waits for its end any more, the
/// conversation ends, and with it the command.
async fn carry(
    stream: Stream,
    mut outgoing: mpsc::Receiver<Piece>,
    give: mpsc::Sender<Result<Chunk>>,
    mut tell: oneshot::Sender<Result<i32>>,
) {
    let (mut from, mut to) = tokio::io::split(stream);
    let inward = async move {
        loop {
            let chunk = match pieces::get(&mut from).await {
                Ok(Some(Piece::Out(bytes))) => Chunk::Out(bytes),
                Ok(Some(Piece::Err(bytes))) => Chunk::Err(bytes),
                Ok(Some(Piece::Exit(code))) => return Ok(code),
                Ok(Some(Piece::Lost(why))) => return Err(Error::failed("a command in a pod", why)),
                Ok(Some(_)) => continue,
                Ok(None) => return Err(Error::failed("a command in a pod", "its pod has ended")),
                Err(error) => return Err(Error::failed("a command in a pod", error)),
            };
            // Output that nobody wants is dropped; the command's end is still waited for.
            let _ = give.send(Ok(chunk)).await;
        }
    };
    let outward = async {
        while let Some(piece) = outgoing.recv().await {
            if pieces::put(&mut to, &piece).await.is_err() {
                break;
            }
        }
        // The end is told by the other side.
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = inward => result,
        () = outward => return,
        () = tell.closed() => return,
    };
    let _ = tell.send(result);
}

/// A command's standard input or terminal.
struct Input {
    to: PollSender<Piece>,
    ended: bool,
}

fn over<T>(_: T) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(over(())));
        }
        ready!(self.to.poll_reserve(context)).map_err(over)?;
        let bytes = &bytes[..bytes.len().min(64 << 10)];
        self.to.send_item(Piece::In(Bytes::copy_from_slice(bytes))).map_err(over)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.to.poll_reserve(context)).map_err(over)?;
            self.to.send_item(Piece::End).map_err(over)?;
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}
