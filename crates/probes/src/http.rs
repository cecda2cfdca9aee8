//! One HTTP/1.1 request (RFC 9112), over TLS where asked.

mod url;

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::{Env, Error, Layer};

pub use url::Url;

/// What to get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// `http://…` or `https://…`.
    pub url: String,
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// Connect to this address or name instead of the one in the URL.
    pub connect: Option<String>,
    /// Milliseconds for everything.
    pub timeout_ms: u64,
    /// Bytes of body kept.
    pub max_body: usize,
    /// Do not check the certificate.
    pub insecure: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            url: String::new(),
            method: "GET".into(),
            headers: Vec::new(),
            connect: None,
            timeout_ms: 5000,
            max_body: 256 << 10,
            insecure: false,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was asked.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Header fields as they came.
    pub headers: Vec<(String, String)>,
    /// The body as text, cut at `max_body`; bytes that are no text are replaced.
    pub body: String,
    /// The same as it came; only in the process that asked.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// Bytes of body received.
    pub body_bytes: u64,
    /// Whether the body was cut.
    pub cut: bool,
    /// The certificate, where TLS was spoken.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// Milliseconds for everything.
    pub ms: f64,
}

/// Facts of a server's certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whether the node trusts it for the name in the URL.
    pub trusted: bool,
    /// Why not.
    #[serde(default)]
    pub problem: Option<String>,
    /// SHA-256 of the certificate, hexadecimal.
    pub sha256: String,
    /// The protocol's version, `TLSv1.3`.
    pub protocol: String,
}

/// Bytes of a response's head at most.
const MAX_HEAD: usize = 64 << 10;

/// Asks.
///
/// # Errors
/// [`Layer::Name`], [`Layer::Route`], [`Layer::Arp`] or [`Layer::Port`] when the server is not
/// reached, [`Layer::Banner`] for TLS, [`Layer::Reply`] when what comes is not HTTP. A status,
/// whatever it is, is an outcome.
pub async fn run(request: &Request, env: &Env) -> Result<Outcome, Error> {
    let start = Instant::now();
    let url = Url::parse(&request.url)?;
    let limit = Duration::from_millis(request.timeout_ms);
    let work = async {
        let host = request.connect.as_deref().unwrap_or(&url.host);
        let address = crate::resolve(host, env).await?;
        let to = format!("{host} ({address}) port {}", url.port);
        let stream = TcpStream::connect((address, url.port))
            .await
            .map_err(|error| Error::connect(&to, &error))?;
        let mut outcome = if url.tls {
            let (mut stream, certificate) =
                crate::tls::connect(stream, &url.host, env, request.insecure).await?;
            let mut outcome = talk(&mut stream, request, &url, &to).await?;
            outcome.certificate = Some(certificate);
            outcome
        } else {
            let mut stream = stream;
            talk(&mut stream, request, &url, &to).await?
        };
        (outcome.address, outcome.port) = (address, url.port);
        Ok(outcome)
    };
    let mut outcome = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            Layer::Port,
            format!("{} does not answer within {} ms", request.url, request.timeout_ms),
        )
        .stage("connect")
        .code("silent"))
    })?;
    outcome.ms = start.elapsed().as_secs_f64() * 1000.0;
    Ok(outcome)
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request,
    url: &Url,
    to: &str,
) -> Result<Outcome, Error> {
    let broken = |error: std::io::Error| {
        Error::new(Layer::Reply, format!("{to} ended the exchange: {error}")).code("reset")
    };
    stream.write_all(&head(request, url)?).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut reader = Reader { stream, buffer: Vec::new() };
    loop {
        let head = reader.head().await.map_err(broken)?;
        let (status, reason, headers) = parse_head(&head).ok_or_else(|| {
            let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let line: String = line.trim_end().chars().take(120).collect();
            Error::new(Layer::Reply, format!("{to} does not speak HTTP"))
                .code("not-http")
                .evidence(if line.is_empty() { "it says nothing".into() } else { line })
        })?;
        // 100 and 103 come before the answer.
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let empty =
            request.method.eq_ignore_ascii_case("HEAD") || matches!(status, 101 | 204 | 304);
        let (body, bytes) = if empty {
            (Vec::new(), 0)
        } else {
            reader.body(&headers, request.max_body).await.map_err(broken)?
        };
        return Ok(Outcome {
            address: Ipv4Addr::UNSPECIFIED,
            port: 0,
            status,
            reason,
            cut: bytes > body.len() as u64,
            body: String::from_utf8_lossy(&body).into_owned(),
            raw: body,
            body_bytes: bytes,
            headers,
            certificate: None,
            ms: 0.0,
        });
    }
}

/// The request; what could smuggle a second line is refused.
fn head(request: &Request, url: &Url) -> Result<Vec<u8>, Error> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, url.path);
    let given = |name: &str| request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let standard = [
        ("Host", url.host_field()),
        ("User-Agent", "labctl".to_owned()),
        ("Accept", "*/*".to_owned()),
        ("Connection", "close".to_owned()),
    ];
    for (name, value) in standard {
        if !given(name) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in &request.headers {
        if format!("{name}{value}").contains(['\r', '\n']) {
            return Err(
                Error::new(Layer::Probe, "a header field holds a line end").code("bad-request")
            );
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Ok(head.into_bytes())
}

type Head = (u16, String, Vec<(String, String)>);

/// Status line and header fields.
fn parse_head(head: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let mut words = lines.next()?.splitn(3, ' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.parse().ok().filter(|status| (100..1000).contains(status))?;
    let reason = words.next().unwrap_or_default().trim().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Some((status, reason, headers))
}

/// A response's first header field of a name.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

struct Reader<'a, S> {
    stream: &'a mut S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<'_, S> {
    /// Reads more; `false` at the end.
    async fn more(&mut self) -> std::io::Result<bool> {
        let mut chunk = [0; 8192];
        let length = match self.stream.read(&mut chunk).await {
            // Many servers end TLS without saying so.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        self.buffer.extend(&chunk[..length]);
        Ok(length > 0)
    }

    /// Everything up to the empty line, or all there is.
    async fn head(&mut self) -> std::io::Result<Vec<u8>> {
        loop {
            let end = self
                .buffer
                .windows(4)
                .position(|w| w == b"\r\n\r\n")
                .map(|at| at + 4)
                .or_else(|| self.buffer.windows(2).position(|w| w == b"\n\n").map(|at| at + 2));
            if let Some(end) = end {
                return Ok(self.buffer.drain(..end).collect());
            }
            if self.buffer.len() > MAX_HEAD || !self.more().await? {
                return Ok(std::mem::take(&mut self.buffer));
            }
        }
    }

    /// One line without its end.
    async fn line(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.buffer.len() > MAX_HEAD || !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// The body, kept up to `max` bytes, and how long it was (as far as it was read).
    async fn body(
        &mut self,
        headers: &[(String, String)],
        max: usize,
    ) -> std::io::Result<(Vec<u8>, u64)> {
        let mut kept = Vec::new();
        let mut total = 0;
        if header(headers, "transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
        {
            while let Some(line) = self.line().await? {
                let size = line.split(';').next().unwrap_or_default().trim();
                let Ok(size) = u64::from_str_radix(size, 16) else { break };
                if size == 0 || !self.take(size, max, &mut kept, &mut total).await? {
                    break;
                }
                self.line().await?;
            }
        } else {
            let length = header(headers, "content-length").and_then(|value| value.parse().ok());
            self.take(length.unwrap_or(u64::MAX), max, &mut kept, &mut total).await?;
        }
        Ok((kept, total))
    }

    /// Moves `left` bytes into `kept`; `false` when there is no need or no way to go on.
    async fn take(
        &mut self,
        mut left: u64,
        max: usize,
        kept: &mut Vec<u8>,
        total: &mut u64,
    ) -> std::io::Result<bool> {
        while left > 0 {
            if self.buffer.is_empty() && !self.more().await? {
                return Ok(false);
            }
            let here = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let room = max.saturating_sub(kept.len()).min(here);
            kept.extend(self.buffer.drain(..here).take(room));
            left -= here as u64;
            *total += here as u64;
            if *total > max as u64 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(reply: &'static [u8], max_body: usize) -> Result<Outcome, Error> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(reply).await;
            let _ = stream.shutdown().await;
        });
        let url = format!("http://127.0.0.1:{port}/x");
        run(&Request { url, max_body, ..Request::default() }, &Env::default()).await
    }

    #[tokio::test]
    async fn bodies_by_length_by_chunks_and_to_the_end_are_read() {
        let by_length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellogarbage";
        let outcome = get(by_length, 99).await.unwrap();
        assert_eq!((outcome.status, outcome.body.as_str()), (200, "hello"));
        let by_chunks = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n\
            3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        let outcome = get(by_chunks, 99).await.unwrap();
        assert_eq!((outcome.status, outcome.body.as_str()), (404, "hello"));
        assert_eq!(outcome.reason, "Not Found");
        let outcome = get(b"HTTP/1.0 200\n\nhello", 3).await.unwrap();
        assert_eq!((outcome.body.as_str(), outcome.cut), ("hel", true));
    }

    #[tokio::test]
    async fn what_is_no_http_and_what_is_refused_are_named() {
        let error = get(b"220 mail ready\r\n", 9).await.unwrap_err();
        assert_eq!((error.layer, error.code.as_str()), (Layer::Reply, "not-http"));
        assert_eq!(error.evidence, ["220 mail ready"]);
        let request = Request { url: "http://127.0.0.1:1/".into(), ..Request::default() };
        let error = run(&request, &Env::default()).await.unwrap_err();
        assert_eq!((error.layer, error.code.as_str()), (Layer::Port, "refused"));
    }

    #[test]
    fn urls_are_read_and_headers_cannot_smuggle_lines() {
        let url = Url::parse("https://www.x:8443?a=b#c").unwrap();
        assert_eq!((url.tls, url.port, url.path.as_str()), (true, 8443, "/?a=b"));
        assert_eq!(url.host_field(), "www.x:8443");
        assert_eq!(Url::parse("www.x").unwrap().path, "/");
        for bad in ["ftp://x", "http://", "http://x:99999", "http://x/ y", "http://x/\r\nA: b"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
        let url = Url::parse("www.x").unwrap();
        let request =
            Request { headers: vec![("A".into(), "b\r\nC: d".into())], ..Request::default() };
        assert!(head(&request, &url).is_err());
    }
}
