//! What labctl and a supervisor say to each other.
//!
//! One request a connection. A frame is a 4-byte big-endian length and JSON; file descriptors
//! travel with the length (`SCM_RIGHTS`). The socket lies in a folder only its owner may enter, so
//! there is no other check of who asks.
#![allow(unsafe_code)] // Descriptors that the kernel has just handed over become owned ones.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use crate::{Changes, Deployment, Error, NodeState};

/// The most bytes of one frame: a lab with its site's pages must fit.
const MAX_FRAME: usize = 256 << 20;

/// The most descriptors with one frame.
const MAX_FDS: usize = 4;

/// What a supervisor is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// [`Reply::Status`].
    Status,
    /// [`Reply::Event`]s, then [`Reply::Changes`].
    Apply {
        /// What the instance shall be.
        deployment: Box<Deployment>,
    },
    /// [`Reply::Started`], then [`Reply::Exit`]. Without a terminal the request brings the
    /// command's standard input, output and error; with one, `Started` brings the terminal.
    Exec {
        /// Where.
        node: String,
        /// What.
        command: Vec<String>,
        /// Beside the node's own.
        env: Vec<(String, String)>,
        /// Columns and rows.
        terminal: Option<(u16, u16)>,
    },
    /// [`Reply::Line`]s, then [`Reply::Done`].
    Logs {
        /// Whose.
        node: String,
        /// Whether to go on at the end.
        follow: bool,
    },
    /// [`Reply::Done`] with a descriptor connected to the node's agent.
    Control {
        /// Whose.
        node: String,
    },
    /// [`Reply::Done`].
    Stop {
        /// Whom.
        node: String,
    },
    /// [`Reply::Done`].
    Start {
        /// Whom.
        node: String,
    },
    /// [`Reply::Memory`].
    Memory {
        /// Whose.
        node: String,
    },
    /// [`Reply::Event`]s, then [`Reply::Changes`]; then the supervisor ends.
    Remove,
}

/// What labctl asks through the relay of a pod, where no descriptor can travel.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// What. After [`Reply::Started`] of a command its streams follow as pieces, after the
    /// [`Reply::Done`] of [`Request::Control`] the agent's bytes.
    pub(crate) request: Request,
    /// Whether a command's standard input is connected.
    #[serde(default)]
    pub(crate) stdin: bool,
}

/// What a supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Status(Box<Status>),
    Event { subject: String, what: String },
    Changes(Changes),
    Started,
    Exit(i32),
    Line(String),
    Memory(Option<u64>),
    Done,
    Failed(Failure),
}

/// An instance as its supervisor sees it. Supervisors of older and newer builds must be understood
/// well enough to be listed and removed, so what is missing has a default.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// Which build of the program supervisor and nodes run.
    pub(crate) program: String,
    pub(crate) instance: String,
    pub(crate) lab: String,
    pub(crate) created: i64,
    pub(crate) labels: std::collections::BTreeMap<String, String>,
    pub(crate) networks: Vec<String>,
    pub(crate) nodes: Vec<NodeStatus>,
}

/// A node as its supervisor sees it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeStatus {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) detail: String,
    pub(crate) pid: Option<u32>,
    pub(crate) hash: String,
}

impl From<NodeStatus> for NodeState {
    fn from(node: NodeStatus) -> Self {
        Self { name: node.name, state: node.state, detail: node.detail, pid: node.pid }
    }
}

/// An [`Error`] on its way from the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    Unavailable { message: String, help: String },
    Unsupported { message: String, help: String },
    NotFound(String),
    Failed { what: String, why: String },
    Many(Vec<Failure>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable { message, help } => Self::Unavailable { message, help },
            Error::Unsupported { message, help } => Self::Unsupported { message, help },
            Error::NotFound(what) => Self::NotFound(what),
            Error::Failed { what, why } => Self::Failed { what, why },
            Error::Many(errors) => Self::Many(errors.into_iter().map(Self::from).collect()),
            Error::Agent(error) => {
                Self::Failed { what: "asking the agent".into(), why: error.to_string() }
            }
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { message, help } => Self::Unavailable { message, help },
            Failure::Unsupported { message, help } => Self::Unsupported { message, help },
            Failure::NotFound(what) => Self::NotFound(what),
            Failure::Failed { what, why } => Self::Failed { what, why },
            Failure::Many(errors) => Self::Many(errors.into_iter().map(Self::from).collect()),
        }
    }
}

/// The names of events are static in [`crate::Event`].
pub(crate) fn event_name(what: &str) -> &'static str {
    const KNOWN: [&str; 8] = [
        "creating",
        "created",
        "starting",
        "started",
        "removing",
        "removed",
        "replacing",
        "failed",
    ];
    KNOWN.into_iter().find(|known| *known == what).unwrap_or("changed")
}

/// Sends one frame, with descriptors.
pub(crate) async fn send<T: Serialize>(
    stream: &mut UnixStream,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message).map_err(io::Error::other)?;
    if body.len() > MAX_FRAME || fds.len() > MAX_FDS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    let head = (body.len() as u32).to_be_bytes();
    if fds.is_empty() {
        stream.write_all(&head).await?;
    } else {
        let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let sent = loop {
            stream.writable().await?;
            let result = stream.try_io(Interest::WRITABLE, || {
                let rights = [ControlMessage::ScmRights(&raw)];
                let iov = [IoSlice::new(&head)];
                let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
                Ok(sendmsg::<UnixAddr>(stream.as_raw_fd(), &iov, &rights, flags, None)?)
            });
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => break other?,
            }
        };
        stream.write_all(&head[sent..]).await?;
    }
    stream.write_all(&body).await
}

/// Sends one frame over what carries no descriptors.
pub(crate) async fn put<T: Serialize>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    let body = serde_json::to_vec(message).map_err(io::Error::other)?;
    if body.len() > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    stream.write_all(&(body.len() as u32).to_be_bytes()).await?;
    stream.write_all(&body).await?;
    stream.flush().await
}

/// Takes one frame from what carries no descriptors; `None` at the end of the connection.
pub(crate) async fn get<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut head = [0u8; 4];
    match stream.read(&mut head).await? {
        0 => return Ok(None),
        n => stream.read_exact(&mut head[n..]).await?,
    };
    body(stream, head).await.map(Some)
}

/// The rest of a frame after its length.
async fn body<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    head: [u8; 4],
) -> io::Result<T> {
    let length = u32::from_be_bytes(head) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame of labctl's"));
    }
    // Grown as the bytes come, so that a false length costs nothing.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Takes one frame; `None` at the end of the connection.
pub(crate) async fn receive<T: DeserializeOwned>(
    stream: &mut UnixStream,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut head = [0u8; 4];
    let (mut have, mut fds) = (0, Vec::new());
    while have < head.len() {
        stream.readable().await?;
        let result = stream
            .try_io(Interest::READABLE, || take(stream.as_raw_fd(), &mut head[have..], &mut fds));
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
        }
    }
    Ok(Some((body(stream, head).await?, fds)))
}

/// Takes bytes until the other side closes, at most 4 KiB, with the descriptors that come along.
pub(crate) async fn receive_bytes(stream: &mut UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut bytes, mut have, mut fds) = (vec![0; 4096], 0, Vec::new());
    while have < bytes.len() {
        stream.readable().await?;
        let result = stream
            .try_io(Interest::READABLE, || take(stream.as_raw_fd(), &mut bytes[have..], &mut fds));
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) => break,
            other => have += other?,
        }
    }
    bytes.truncate(have);
    Ok((bytes, fds))
}

fn take(socket: RawFd, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MAX_FDS]);
    let mut iov = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<UnixAddr>(socket, &mut iov, Some(&mut space), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just installed these descriptors for this process alone.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(message.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[tokio::test]
    async fn descriptors_travel_with_their_frame() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(&mut ours, &Request::Status, &[]).await.unwrap();
        let request = Request::Exec {
            node: "pc0".into(),
            command: vec!["true".into()],
            env: Vec::new(),
            terminal: None,
        };
        send(&mut ours, &request, &[writer.as_fd()]).await.unwrap();
        drop((writer, ours));
        let (first, fds) = receive::<Request>(&mut theirs).await.unwrap().unwrap();
        assert!(matches!(first, Request::Status) && fds.is_empty());
        let (second, fds) = receive::<Request>(&mut theirs).await.unwrap().unwrap();
        assert!(matches!(second, Request::Exec { .. }));
        let [fd] = <[OwnedFd; 1]>::try_from(fds).unwrap();
        std::fs::File::from(fd).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert!(receive::<Request>(&mut theirs).await.unwrap().is_none());
    }

    #[test]
    fn a_supervisor_of_another_build_is_understood() {
        let old = r#"{"status":{"version":"0.0.9","lab":"lab06","nodes":[{"name":"pc0"}]}}"#;
        let Ok(Reply::Status(status)) = serde_json::from_str(old) else { panic!("not understood") };
        assert_eq!((status.lab.as_str(), status.nodes[0].name.as_str()), ("lab06", "pc0"));
        assert_ne!(status.program, "this one's", "so `up` replaces it");
    }

    #[tokio::test]
    async fn foreign_bytes_are_an_error() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(receive::<Request>(&mut theirs).await.is_err());
    }
}
