//! What a response carries: a text, or a piece of a file that is read as it is sent.

use std::io::{Seek, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes read from a file at once.
const PIECE: usize = 64 << 10;

/// A response's content.
#[derive(Debug)]
pub struct Body {
    source: Source,
    left: u64,
}

#[derive(Debug)]
enum Source {
    Text(Bytes),
    /// A file that nothing was read from yet.
    Closed(Option<std::fs::File>),
    /// A file that is being read.
    Open(tokio::fs::File),
    /// A response to HEAD: the length counts, the content does not come.
    Nothing,
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self { left: text.len() as u64, source: Source::Text(text.into()) }
    }
}

impl Body {
    /// No content.
    pub fn empty() -> Self {
        Self::from(String::new())
    }

    /// The first `length` bytes of a file.
    pub fn file(file: std::fs::File, length: u64) -> Self {
        Self { source: Source::Closed(Some(file)), left: length }
    }

    /// A part of it.
    pub fn part(mut self, from: u64, length: u64) -> Self {
        self.left = length;
        match &mut self.source {
            Source::Text(bytes) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                *bytes = bytes.slice(from..from.saturating_add(length).min(bytes.len()));
                self.left = bytes.len() as u64;
            }
            Source::Closed(Some(file)) => {
                if file.seek(SeekFrom::Start(from)).is_err() {
                    self.source = Source::Closed(None);
                }
            }
            Source::Closed(None) | Source::Open(_) => {}
            Source::Nothing => {}
        }
        self
    }

    /// The same length, without content.
    pub fn without_content(mut self) -> Self {
        self.source = Source::Nothing;
        self
    }

    /// Bytes that are still to come.
    pub fn length(&self) -> u64 {
        self.left
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        if let Source::Closed(file) = &mut this.source {
            let Some(file) = file.take() else {
                let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Poll::Ready(Some(Err(error)));
            };
            this.source = Source::Open(tokio::fs::File::from_std(file));
        }
        match &mut this.source {
            Source::Nothing | Source::Closed(_) => Poll::Ready(None),
            Source::Text(bytes) => {
                this.left = 0;
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Source::Open(file) => {
                let most = usize::try_from(this.left).unwrap_or(usize::MAX).min(PIECE);
                let mut piece = vec![0; most];
                let mut buffer = ReadBuf::new(&mut piece);
                if let Err(error) = ready!(Pin::new(file).poll_read(context, &mut buffer)) {
                    return Poll::Ready(Some(Err(error)));
                }
                let length = buffer.filled().len();
                if length == 0 {
                    // The file became shorter than its length said: the client must notice.
                    let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Some(Err(error)));
                }
                piece.truncate(length);
                this.left -= length as u64;
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 || matches!(self.source, Source::Nothing)
    }
}
