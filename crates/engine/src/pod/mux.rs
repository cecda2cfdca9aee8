//! Many conversations over one pair of byte streams, such as those of an attached `exec`.
//!
//! The protocol is yamux: each conversation has its own window, so one that nobody reads (the log of
//! a node behind a pager) holds up no other.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use yamux::{Config, Connection, Mode};

/// Conversations at once: one a node of the largest lab, and commands beside.
const CONVERSATIONS: usize = 2048;

/// One conversation; dropping it ends it on both sides.
pub(crate) type Stream = Compat<yamux::Stream>;

/// The side that begins conversations. Clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Mux {
    wanted: mpsc::Sender<oneshot::Sender<Stream>>,
    over: Arc<OnceLock<String>>,
}

impl Mux {
    /// Speaks over two halves; must be called in a tokio runtime.
    pub(crate) fn new<R, W>(read: R, write: W) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (wanted, asked) = mpsc::channel(16);
        let over = Arc::new(OnceLock::new());
        let why = over.clone();
        tokio::spawn(async move {
            let mut side =
                Opening { connection: connection(read, write, Mode::Client), asked, next: None };
            let end = poll_fn(|context| side.poll(context)).await;
            // Set before the channel closes, so that whoever sees it closed can say why.
            let _ = why.set(end.map_or_else(|error| error.to_string(), |()| "it has ended".into()));
        });
        Self { wanted, over }
    }

    /// Whether the connection is gone, and why.
    pub(crate) fn closed(&self) -> Option<&str> {
        self.over.get().map(String::as_str)
    }

    /// Begins a conversation.
    pub(crate) async fn open(&self) -> io::Result<Stream> {
        let (give, get) = oneshot::channel();
        let broken = || {
            let why = self.closed().unwrap_or("it has ended").to_owned();
            io::Error::new(io::ErrorKind::BrokenPipe, why)
        };
        self.wanted.send(give).await.map_err(|_| broken())?;
        get.await.map_err(|_| broken())
    }
}

fn connection<R, W>(read: R, write: W, mode: Mode) -> Connection<Compat<tokio::io::Join<R, W>>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut config = Config::default();
    config.set_max_num_streams(CONVERSATIONS);
    Connection::new(tokio::io::join(read, write).compat(), config, mode)
}

/// The work of the side that begins.
struct Opening<T> {
    connection: Connection<T>,
    asked: mpsc::Receiver<oneshot::Sender<Stream>>,
    next: Option<oneshot::Sender<Stream>>,
}

impl<T: futures::AsyncRead + futures::AsyncWrite + Unpin> Opening<T> {
    /// Gives what is asked for and moves bytes; ready when the connection has ended.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), yamux::ConnectionError>> {
        loop {
            // Without handles nothing new is asked for; what was opened goes on.
            if self.next.is_none()
                && let Poll::Ready(asked) = self.asked.poll_recv(context)
            {
                self.next = asked;
            }
            if let Some(next) = self.next.take() {
                match self.connection.poll_new_outbound(context) {
                    Poll::Ready(Ok(stream)) => {
                        // Whoever asked may be gone; then the conversation ends at once.
                        let _ = next.send(stream.compat());
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => self.next = Some(next),
                }
            }
            return match self.connection.poll_next_inbound(context) {
                // The other side begins none; one that comes is refused by dropping it.
                Poll::Ready(Some(Ok(_))) => continue,
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
                Poll::Ready(None) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

/// The side that answers: takes conversations until the connection ends.
pub(crate) async fn serve<R, W>(read: R, write: W, mut answer: impl FnMut(Stream)) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut connection = connection(read, write, Mode::Server);
    while let Some(stream) =
        poll_fn(|context| Pin::new(&mut connection).get_mut().poll_next_inbound(context)).await
    {
        answer(stream.map_err(io::Error::other)?.compat());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A connection whose other side sends back what it gets.
    fn echo() -> (Mux, tokio::task::JoinHandle<io::Result<()>>) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(theirs);
        let serving = tokio::spawn(async move {
            serve(read, write, |stream| {
                tokio::spawn(async move {
                    let (mut read, mut write) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                });
            })
            .await
        });
        let (read, write) = tokio::io::split(ours);
        (Mux::new(read, write), serving)
    }

    #[tokio::test]
    async fn a_conversation_that_nobody_reads_holds_up_no_other() {
        let (mux, _serving) = echo();
        let mut stuck = mux.open().await.unwrap();
        let stuffing = tokio::spawn(async move {
            // More than any window: it stops when nobody takes the echo.
            let _ = stuck.write_all(&vec![7; 64 << 20]).await;
            stuck
        });
        for number in 0..100u8 {
            let mut stream = mux.open().await.unwrap();
            stream.write_all(&[number; 1000]).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut back = Vec::new();
            stream.read_to_end(&mut back).await.unwrap();
            assert_eq!(back, [number; 1000]);
        }
        assert!(!stuffing.is_finished(), "without a window the echo would fill the memory");
        stuffing.abort();
    }

    #[tokio::test]
    async fn the_end_of_the_connection_is_told() {
        let (mux, serving) = echo();
        mux.open().await.unwrap().write_all(b"x").await.unwrap();
        assert_eq!(mux.closed(), None);
        serving.abort();
        let end = async {
            while mux.open().await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::PATIENCE, end).await.unwrap();
        assert!(mux.closed().is_some());
    }
}
