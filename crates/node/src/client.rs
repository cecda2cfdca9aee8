//! labctl's end of the connection to an agent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::frame::{Codec, Frame, Kind};
use crate::request::{Error, Request};

/// Bytes a byte stream may be ahead of its reader.
const WINDOW: usize = 64 << 10;

/// A handle on one agent. Clones share the connection; requests are pipelined over it.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    out: mpsc::Sender<Frame>,
    waiting: Mutex<Waiting>,
    next: AtomicU32,
}

#[derive(Debug, Default)]
struct Waiting {
    channels: HashMap<u32, mpsc::UnboundedSender<Frame>>,
    closed: Option<String>,
}

/// What comes back on a channel.
#[derive(Debug)]
pub enum Event {
    /// One item of a stream.
    Item(Value),
    /// The answer; nothing follows.
    Done(Value),
}

/// The replies to one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct Replies {
    shared: Arc<Shared>,
    channel: u32,
    frames: mpsc::UnboundedReceiver<Frame>,
    ended: bool,
}

impl Client {
    /// Speaks over `io`; must be called in a tokio runtime.
    pub fn new<I>(io: I) -> Self
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(io);
        Self::from_halves(read, write)
    }

    /// Speaks over two halves, as an attached `exec` gives them.
    pub fn from_halves<R, W>(read: R, write: W) -> Self
    where
        R: AsyncRead + Send + 'static,
        W: AsyncWrite + Send + 'static,
    {
        let (out, mut outgoing) = mpsc::channel::<Frame>(64);
        let shared = Arc::new(Shared { out, waiting: Mutex::default(), next: AtomicU32::new(1) });
        tokio::spawn(async move {
            let mut sink = Box::pin(FramedWrite::new(write, Codec));
            while let Some(frame) = outgoing.recv().await {
                if sink.send(frame).await.is_err() {
                    break;
                }
            }
            let _ = sink.close().await;
        });
        let weak = Arc::downgrade(&shared);
        tokio::spawn(async move {
            let mut frames = Box::pin(FramedRead::new(read, Codec));
            let why = loop {
                match frames.next().await {
                    Some(Ok(frame)) => {
                        let Some(shared) = weak.upgrade() else { return };
                        shared.deliver(frame);
                    }
                    Some(Err(error)) => break error.to_string(),
                    None => break "the node closed the connection".into(),
                }
            };
            if let Some(shared) = weak.upgrade() {
                let mut waiting = shared.waiting();
                waiting.closed = Some(why);
                waiting.channels.clear();
            }
        });
        Self { shared }
    }

    /// Whether the connection is gone, and why.
    pub fn closed(&self) -> Option<String> {
        self.shared.waiting().closed.clone()
    }

    /// Asks and takes the replies as they come.
    pub async fn stream(&self, request: &Request) -> Result<Replies, Error> {
        let payload =
            serde_json::to_vec(request).map_err(|error| Error::new("bad-request", error))?;
        let channel = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, frames) = mpsc::unbounded_channel();
        {
            let mut waiting = self.shared.waiting();
            if let Some(why) = &waiting.closed {
                return Err(lost(why));
            }
            waiting.channels.insert(channel, sender);
        }
        let replies = Replies { shared: self.shared.clone(), channel, frames, ended: false };
        let frame = Frame { kind: Kind::Open, channel, payload: payload.into() };
        if self.shared.out.send(frame).await.is_err() {
            return Err(lost("it cannot be written to"));
        }
        Ok(replies)
    }

    /// Asks and waits for the answer; items on the way are dropped.
    pub async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        let mut replies = self.stream(request).await?;
        loop {
            if let Event::Done(value) = replies.next().await? {
                return serde_json::from_value(value).map_err(|error| {
                    Error::new("bad-reply", format!("the node's answer is not understood: {error}"))
                        .help("the node may run another version of labctl: `labctl up` replaces it")
                });
            }
        }
    }

    /// Opens a TCP connection from inside the node.
    pub async fn connect(&self, host: &str, port: u16) -> Result<DuplexStream, Error> {
        let mut replies = self.stream(&Request::Connect { host: host.into(), port }).await?;
        // The agent says that it is connected by one item; after that, bytes.
        match replies.next().await? {
            Event::Item(_) => {}
            Event::Done(_) => return Err(Error::new("bad-reply", "the node did not connect")),
        }
        let (ours, theirs) = tokio::io::duplex(WINDOW);
        tokio::spawn(pump(replies, theirs));
        Ok(ours)
    }
}

fn lost(why: &str) -> Error {
    Error::new("lost", format!("the connection to the node is lost: {why}"))
}

/// Moves the bytes of a channel in both directions until both sides are done.
async fn pump(mut replies: Replies, io: DuplexStream) {
    let (mut read, mut write) = tokio::io::split(io);
    let out = replies.shared.out.clone();
    let channel = replies.channel;
    let sending = async move {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    let payload = Bytes::copy_from_slice(&buffer[..n]);
                    if out.send(Frame { kind: Kind::Data, channel, payload }).await.is_err() {
                        break;
                    }
                }
            }
        }
        let _ = out.send(Frame { kind: Kind::Eof, channel, payload: Bytes::new() }).await;
    };
    let receiving = async {
        while let Some(frame) = replies.frames.recv().await {
            match frame.kind {
                Kind::Data => {
                    if write.write_all(&frame.payload).await.is_err() {
                        break;
                    }
                }
                Kind::Eof => {
                    let _ = write.shutdown().await;
                }
                _ => {
                    replies.ended = true;
                    break;
                }
            }
        }
        let _ = write.shutdown().await;
    };
    tokio::select! {
        () = async { tokio::join!(sending, receiving); } => {}
    }
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, frame: Frame) {
        let mut waiting = self.waiting();
        let last = matches!(frame.kind, Kind::Done | Kind::Fail);
        let channel = frame.channel;
        if let Some(sender) = waiting.channels.get(&channel) {
            let _ = sender.send(frame);
        }
        if last {
            waiting.channels.remove(&channel);
        }
    }
}

impl Replies {
    /// The next item, or the answer.
    pub async fn next(&mut self) -> Result<Event, Error> {
        let Some(frame) = self.frames.recv().await else {
            let why = self.shared.waiting().closed.clone();
            self.ended = true;
            return Err(lost(why.as_deref().unwrap_or("no answer")));
        };
        let parse = |payload: &[u8]| -> Result<Value, Error> {
            serde_json::from_slice(payload)
                .map_err(|error| Error::new("bad-reply", format!("not JSON: {error}")))
        };
        match frame.kind {
            Kind::Item => Ok(Event::Item(parse(&frame.payload)?)),
            Kind::Done => {
                self.ended = true;
                Ok(Event::Done(parse(&frame.payload)?))
            }
            Kind::Fail => {
                self.ended = true;
                Err(serde_json::from_slice(&frame.payload)
                    .unwrap_or_else(|error| Error::new("bad-reply", error)))
            }
            kind => Err(Error::new("bad-reply", format!("a {kind:?} frame out of place"))),
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.shared.waiting().channels.remove(&self.channel);
        let frame = Frame { kind: Kind::Cancel, channel: self.channel, payload: Bytes::new() };
        if let Err(mpsc::error::TrySendError::Full(frame)) = self.shared.out.try_send(frame) {
            let out = self.shared.out.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { out.send(frame).await });
            }
        }
    }
}
