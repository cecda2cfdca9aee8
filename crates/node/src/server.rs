//! The agent's end of the connection.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::frame::{Codec, Frame, Kind};
use crate::request::{Error, Request};

/// Requests that one connection may have open at once.
const MAX_OPEN: usize = 1024;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; `channel` takes items and bytes on the way.
    fn handle(
        &self,
        request: Request,
        channel: Channel,
    ) -> impl Future<Output = Result<Value, Error>> + Send;
}

/// The way back for items and bytes of one request.
#[derive(Debug)]
pub struct Channel {
    id: u32,
    out: mpsc::Sender<Frame>,
    bytes: mpsc::Receiver<Bytes>,
}

impl Channel {
    /// Sends one item; fails when the client is gone.
    pub async fn item<T: Serialize>(&self, item: &T) -> Result<(), Error> {
        let payload = serde_json::to_vec(item).map_err(|e| Error::new("internal", e))?;
        self.send(Kind::Item, payload.into()).await
    }

    async fn send(&self, kind: Kind, payload: Bytes) -> Result<(), Error> {
        let frame = Frame { kind, channel: self.id, payload };
        self.out.send(frame).await.map_err(|_| Error::new("lost", "the client is gone"))
    }

    /// Joins the channel to a byte stream until both directions have ended. Says so to the client
    /// by one empty item first.
    pub async fn splice<S>(mut self, io: S) -> Result<Value, Error>
    where
        S: AsyncRead + AsyncWrite + Send,
    {
        self.item(&Value::Null).await?;
        let (mut read, mut write) = tokio::io::split(io);
        let Channel { id, out, bytes } = &mut self;
        let outward = async {
            let mut buffer = vec![0; 16 << 10];
            loop {
                match read.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => {
                        let payload = Bytes::copy_from_slice(&buffer[..n]);
                        let frame = Frame { kind: Kind::Data, channel: *id, payload };
                        if out.send(frame).await.is_err() {
                            return;
                        }
                    }
                }
            }
            let _ = out.send(Frame { kind: Kind::Eof, channel: *id, payload: Bytes::new() }).await;
        };
        let inward = async {
            while let Some(chunk) = bytes.recv().await {
                if write.write_all(&chunk).await.is_err() {
                    break;
                }
            }
            let _ = write.shutdown().await;
        };
        tokio::join!(outward, inward);
        Ok(Value::Null)
    }
}

/// Serves one connection until it ends; what is still running for it is then cancelled.
pub async fn serve<I, H>(io: I, handler: Arc<H>)
where
    I: AsyncRead + AsyncWrite + Send + 'static,
    H: Handler,
{
    let (read, write) = tokio::io::split(io);
    let (out, mut outgoing) = mpsc::channel::<Frame>(64);
    let writer = tokio::spawn(async move {
        let mut sink = Box::pin(FramedWrite::new(write, Codec));
        while let Some(frame) = outgoing.recv().await {
            if sink.send(frame).await.is_err() {
                break;
            }
        }
    });
    let mut frames = Box::pin(FramedRead::new(read, Codec));
    let mut open: HashMap<u32, (JoinHandle<()>, Option<mpsc::Sender<Bytes>>)> = HashMap::new();
    while let Some(Ok(frame)) = frames.next().await {
        open.retain(|_, (task, _)| !task.is_finished());
        match frame.kind {
            Kind::Open => {
                let (sender, bytes) = mpsc::channel(64);
                let channel = Channel { id: frame.channel, out: out.clone(), bytes };
                if open.len() >= MAX_OPEN {
                    let error = Error::new("busy", "too many requests are open on this connection");
                    finish(&out, frame.channel, Err(error)).await;
                    continue;
                }
                let request = serde_json::from_slice::<Request>(&frame.payload);
                let (handler, out, id) = (handler.clone(), out.clone(), frame.channel);
                let task = tokio::spawn(async move {
                    let result = match request {
                        Ok(request) => handler.handle(request, channel).await,
                        Err(error) => Err(Error::new(
                            "bad-request",
                            format!("the request is not understood: {error}"),
                        )
                        .help("the node may run an older labctl: `labctl up` replaces it")),
                    };
                    finish(&out, id, result).await;
                });
                open.insert(frame.channel, (task, Some(sender)));
            }
            Kind::Data => {
                let sender = open.get(&frame.channel).and_then(|(_, sender)| sender.clone());
                if let Some(sender) = sender {
                    let _ = sender.send(frame.payload).await;
                }
            }
            Kind::Eof => {
                if let Some((_, sender)) = open.get_mut(&frame.channel) {
                    *sender = None;
                }
            }
            Kind::Cancel => {
                if let Some((task, _)) = open.remove(&frame.channel) {
                    task.abort();
                }
            }
            Kind::Item | Kind::Done | Kind::Fail => break,
        }
    }
    for (task, _) in open.into_values() {
        task.abort();
    }
    drop(out);
    let _ = writer.await;
}

async fn finish(out: &mpsc::Sender<Frame>, channel: u32, result: Result<Value, Error>) {
    let (kind, payload) = match &result {
        Ok(value) => (Kind::Done, serde_json::to_vec(value)),
        Err(error) => (Kind::Fail, serde_json::to_vec(error)),
    };
    let payload = payload.unwrap_or_default().into();
    let _ = out.send(Frame { kind, channel, payload }).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Client, Event};
    use serde_json::json;

    struct Echo;

    impl Handler for Echo {
        async fn handle(&self, request: Request, channel: Channel) -> Result<Value, Error> {
            match request {
                Request::Probe(value) => {
                    channel.item(&json!("on the way")).await?;
                    Ok(value)
                }
                Request::Connect { .. } => {
                    let (ours, theirs) = tokio::io::duplex(1024);
                    tokio::spawn(async move {
                        let (mut read, mut write) = tokio::io::split(theirs);
                        let _ = tokio::io::copy(&mut read, &mut write).await;
                        let _ = write.shutdown().await;
                    });
                    channel.splice(ours).await
                }
                Request::Status => std::future::pending().await,
                _ => Err(Error::new("no", "not here").help("elsewhere")),
            }
        }
    }

    fn pair() -> Client {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(serve(theirs, Arc::new(Echo)));
        Client::new(ours)
    }

    #[tokio::test]
    async fn requests_are_pipelined_and_answered_each_on_its_channel() {
        let client = pair();
        let calls = (0..100).map(|n| {
            let client = client.clone();
            async move { client.call::<u32>(&Request::Probe(json!(n))).await }
        });
        let answers = futures::future::join_all(calls).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n as u32);
        }
    }

    #[tokio::test]
    async fn items_come_before_the_answer_and_errors_keep_their_help() {
        let client = pair();
        let mut replies = client.stream(&Request::Probe(json!(1))).await.unwrap();
        assert!(matches!(replies.next().await.unwrap(), Event::Item(_)));
        assert!(matches!(replies.next().await.unwrap(), Event::Done(_)));
        let error = client.call::<Value>(&Request::Snapshot).await.unwrap_err();
        assert_eq!(error.help.as_deref(), Some("elsewhere"));
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_end() {
        let client = pair();
        let mut stream = client.connect("x", 1).await.unwrap();
        let sent = vec![7u8; 300_000];
        let copy = sent.clone();
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let (_, got) = tokio::join!(
            async move {
                write.write_all(&copy).await.unwrap();
                write.shutdown().await.unwrap();
            },
            async move {
                let mut got = Vec::new();
                read.read_to_end(&mut got).await.unwrap();
                got
            }
        );
        assert_eq!(got, sent);
    }

    #[tokio::test]
    async fn a_lost_connection_fails_what_waits() {
        let (ours, theirs) = tokio::io::duplex(4096);
        let server = tokio::spawn(serve(theirs, Arc::new(Echo)));
        let client = Client::new(ours);
        let mut replies = client.stream(&Request::Status).await.unwrap();
        server.abort();
        let _ = server.await;
        assert_eq!(replies.next().await.unwrap_err().code, "lost");
        assert_eq!(client.call::<Value>(&Request::Status).await.unwrap_err().code, "lost");
    }
}
