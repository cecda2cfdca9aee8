//! The local socket of a service: JSON lines over a Unix socket.
//!
//! A client sends one request a line. The service answers with any number of
//! `{"item": …}` lines and ends with one `{"ok": …}` or `{"error": {code, message, help}}`.
//! A connection serves one request after the other; closing it cancels.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::request::Error;

/// The longest request line, in bytes.
const MAX_LINE: u64 = 4 << 20;

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// An item of a stream.
    Item(Value),
    /// The answer.
    Ok(Value),
    /// The refusal.
    Error(Error),
}

/// Answers admin requests of one service.
pub trait Admin: Send + Sync + 'static {
    /// Answers one request; `items` takes what is streamed on the way.
    fn answer(
        &self,
        request: Value,
        items: mpsc::Sender<Value>,
    ) -> impl Future<Output = Result<Value, Error>> + Send;
}

/// Binds the socket, readable by the owner only, over what an earlier process left there.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Tells whoever started this process that it answers, as sd_notify(3) does.
fn announce() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return;
    };
    // Who does not listen finds out by itself.
    let _ = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(b"READY=1\n", path)
    });
}

/// Serves admin requests for ever.
pub async fn serve<A: Admin>(listener: UnixListener, admin: Arc<A>) {
    announce();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let admin = admin.clone();
                tokio::spawn(async move {
                    let _ = connection(stream, admin).await;
                });
            }
            // Out of descriptors: let the ones in use end before the next try.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn connection<A: Admin>(stream: UnixStream, admin: Arc<A>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        (&mut read).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let request = match serde_json::from_slice::<Value>(&line) {
            Ok(request) => request,
            Err(error) => {
                let error = Error::new("bad-request", format!("the request is not JSON: {error}"));
                put(&mut write, &Line::Error(error)).await?;
                continue;
            }
        };
        let (sender, mut items) = mpsc::channel(64);
        let answering = admin.answer(request, sender);
        tokio::pin!(answering);
        let last = loop {
            tokio::select! {
                biased;
                Some(item) = items.recv() => put(&mut write, &Line::Item(item)).await?,
                result = &mut answering => break result,
                // A client that closed its end is not waiting any more.
                buffered = read.fill_buf() => if buffered?.is_empty() { return Ok(()) } else {
                    break answering.await
                },
            }
        };
        while let Ok(item) = items.try_recv() {
            put(&mut write, &Line::Item(item)).await?;
        }
        put(&mut write, &last.map_or_else(Line::Error, Line::Ok)).await?;
    }
}

async fn put(write: &mut tokio::net::unix::OwnedWriteHalf, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    write.write_all(&text).await
}

/// Asks a service; `on_item` sees what is streamed on the way.
pub async fn ask(
    path: &Path,
    request: &Value,
    mut on_item: impl AsyncFnMut(Value) -> Result<(), Error>,
) -> Result<Value, Error> {
    let gone = |error: std::io::Error| {
        Error::new("service-down", format!("the service does not answer on its socket: {error}"))
    };
    let stream = UnixStream::connect(path).await.map_err(gone)?;
    let (read, mut write) = stream.into_split();
    let mut text = serde_json::to_vec(request).map_err(|e| Error::new("bad-request", e))?;
    text.push(b'\n');
    write.write_all(&text).await.map_err(gone)?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await.map_err(gone)? {
        let line = serde_json::from_str::<Line>(&line)
            .map_err(|error| Error::new("bad-reply", format!("not a service's answer: {error}")))?;
        match line {
            Line::Item(item) => on_item(item).await?,
            Line::Ok(value) => return Ok(value),
            Line::Error(error) => return Err(error),
        }
    }
    Err(Error::new("service-down", "the service closed its socket without an answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Counter;

    impl Admin for Counter {
        async fn answer(&self, request: Value, items: mpsc::Sender<Value>) -> Result<Value, Error> {
            let n =
                request.as_u64().ok_or_else(|| Error::new("bad-request", "a number, please"))?;
            for i in 0..n {
                let _ = items.send(json!(i)).await;
            }
            Ok(json!(n))
        }
    }

    #[tokio::test]
    async fn a_service_streams_items_then_answers_or_refuses() {
        let folder = std::env::temp_dir().join(format!("labctl-admin-{}", std::process::id()));
        let path = folder.join("counter.sock");
        let listener = bind(&path).unwrap();
        let server = tokio::spawn(serve(listener, Arc::new(Counter)));
        let mut seen = Vec::new();
        let answer = ask(&path, &json!(200), async |item| {
            seen.push(item);
            Ok(())
        })
        .await;
        assert_eq!(answer.unwrap(), json!(200));
        assert_eq!(seen.len(), 200);
        let refused = ask(&path, &json!("x"), async |_| Ok(())).await;
        assert_eq!(refused.unwrap_err().code, "bad-request");
        server.abort();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
