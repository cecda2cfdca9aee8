//! A command that runs in a node, with or without a terminal.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

use crate::error::Result;

/// What to run and how.
#[derive(Clone, Debug, Default)]
pub struct ExecOptions {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// A terminal of this size; none where absent.
    pub terminal: Option<TerminalSize>,
    /// Whether standard input is connected.
    pub stdin: bool,
    /// Environment beside the node's own.
    pub env: Vec<(String, String)>,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Standard output, or the terminal's.
    Out(Bytes),
    /// Standard error.
    Err(Bytes),
}

/// A running command.
pub struct Session {
    /// Its output; ends when the command has ended and all is read.
    pub output: BoxStream<'static, Result<Chunk>>,
    /// Its input; shut down for end of file.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Tells the terminal its new size.
    pub resize: Box<dyn Fn(TerminalSize) -> BoxFuture<'static, Result<()>> + Send + Sync>,
    /// The exit code; to be awaited after the output has ended. 128 + n for signal n, 127 for a
    /// command that does not exist.
    pub exit: BoxFuture<'static, Result<i32>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}
