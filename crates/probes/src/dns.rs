//! DNS questions, asked of one server as a stub resolver asks (RFC 1034 section 5.3.1).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dnswire::{Edns, Flags, Message, Name, RecordType};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::{Env, Error, Layer};

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The name asked for.
    pub name: String,
    /// `A`, `MX`, `TXT`, …; `PTR` of an address turns it round.
    pub record: String,
    /// Which server (address or name); the node's own where absent.
    pub server: Option<String>,
    /// The server's port.
    pub port: u16,
    /// Ask over TCP at once; else over UDP, and over TCP when the answer was truncated.
    pub tcp: bool,
    /// Ask the server to ask others (RD).
    pub recursion: bool,
    /// Ask for DNSSEC records (DO).
    pub dnssec: bool,
    /// Milliseconds to wait for each answer.
    pub timeout_ms: u64,
    /// How often UDP is tried.
    pub tries: u32,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            name: String::new(),
            record: "A".into(),
            server: None,
            port: 53,
            tcp: false,
            recursion: true,
            dnssec: false,
            timeout_ms: 2000,
            tries: 2,
        }
    }
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its owner, with the final dot.
    pub name: String,
    /// Its type.
    pub record: String,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// Its data as a master file has it.
    pub data: String,
}

/// The answer of one server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, …
    pub code: String,
    /// The data of the answer section, one record a line, without name, TTL and class.
    pub answers: Vec<String>,
    /// Whether the answer is authoritative (AA).
    pub authoritative: bool,
    /// Whether the server asks others (RA).
    pub recursion: bool,
    /// Whether the server has validated the answer (AD).
    pub validated: bool,
    /// Whether the answer came over UDP truncated, so that TCP was asked.
    pub truncated: bool,
    /// The server that answered.
    pub server: String,
    /// The answer section in full.
    pub records: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section.
    pub additional: Vec<Record>,
    /// Milliseconds from question to answer.
    pub ms: f64,
}

/// A message and how it came.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The answer.
    pub message: Message,
    /// Its length in bytes.
    pub size: usize,
    /// From question to answer.
    pub time: Duration,
    /// Whether it came over TCP.
    pub tcp: bool,
    /// Whether UDP was truncated first.
    pub truncated: bool,
}

/// Asks.
///
/// # Errors
/// [`Layer::Name`] with the code `no-resolver`, `silent` or `refused-port`; [`Layer::Probe`] for a
/// request that is none.
pub async fn run(request: &Request, env: &Env) -> Result<Outcome, Error> {
    let (name, kind) = question(&request.name, &request.record)?;
    let servers = servers(request.server.as_deref(), env).await?;
    let mut last = None;
    for server in servers {
        let server = SocketAddr::new(server, request.port);
        match exchange(&name, kind, server, request).await {
            Ok(exchange) => return Ok(outcome(&exchange, server)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_resolver))
}

/// The name and type that are meant; an address stands for its reverse name.
///
/// # Errors
/// [`Layer::Probe`], code `bad-request`.
pub fn question(name: &str, record: &str) -> Result<(Name, RecordType), Error> {
    let wrong = |why: String| Error::new(Layer::Probe, why).code("bad-request");
    let kind: RecordType =
        if record.is_empty() { Ok(RecordType::A) } else { record.parse() }.map_err(wrong)?;
    let address = name.parse::<IpAddr>().ok().filter(|_| kind == RecordType::PTR);
    let name = match address {
        Some(address) => Name::reverse(address),
        None => Name::complete(name).map_err(|error| wrong(error.to_string()))?,
    };
    Ok((name, kind))
}

fn no_resolver() -> Error {
    Error::new(Layer::Name, "no DNS server is configured on this node")
        .code("no-resolver")
        .evidence("/etc/resolv.conf names no server")
}

async fn servers(named: Option<&str>, env: &Env) -> Result<Vec<IpAddr>, Error> {
    let servers = match named {
        None => env.servers.clone(),
        Some(text) => match text.parse::<IpAddr>() {
            Ok(address) => vec![address],
            // A server by its name is found by the node's own servers; boxed, as it comes back here.
            Err(_) => {
                let found = Box::pin(crate::resolve::resolve_all(text, env)).await?;
                found.into_iter().map(IpAddr::V4).collect()
            }
        },
    };
    if servers.is_empty() { Err(no_resolver()) } else { Ok(servers) }
}

/// One question to one server: UDP with repetition, TCP where asked for or truncated.
///
/// # Errors
/// [`Layer::Name`], codes `silent`, `refused-port`, `unreachable`, `bad-answer`.
pub async fn exchange(
    name: &Name,
    kind: RecordType,
    server: SocketAddr,
    request: &Request,
) -> Result<Exchange, Error> {
    let id = rand::random::<u16>();
    let mut query = Message::query(id, name.clone(), kind, request.recursion);
    query.edns = Some(Edns { size: 1232, dnssec: request.dnssec, ..Edns::default() });
    // Transfers are made over TCP alone (RFC 5936 section 4.2).
    let tcp = request.tcp || kind == RecordType::AXFR;
    send(
        &query,
        server,
        tcp,
        Duration::from_millis(request.timeout_ms.max(1)),
        request.tries.max(1),
    )
    .await
}

/// Sends a whole message and waits for its answer.
///
/// # Errors
/// As [`exchange`].
pub async fn send(
    query: &Message,
    server: SocketAddr,
    tcp: bool,
    wait: Duration,
    tries: u32,
) -> Result<Exchange, Error> {
    let bytes = query.write(65_535);
    let started = Instant::now();
    let mut truncated = false;
    if !tcp {
        let reply = udp(query, &bytes, server, wait, tries).await?;
        let message = Message::read(&reply).map_err(|error| bad_answer(server, error))?;
        if !message.flags.has(Flags::TC) {
            let time = started.elapsed();
            return Ok(Exchange { message, size: reply.len(), time, tcp: false, truncated });
        }
        truncated = true;
    }
    let reply = tokio::time::timeout(wait, over_tcp(&bytes, server));
    let reply = reply.await.map_err(|_| silent(server, "TCP"))??;
    let message = Message::read(&reply).map_err(|error| bad_answer(server, error))?;
    if !answers(&message, query) {
        return Err(bad_answer(server, "it answers another question"));
    }
    let time = started.elapsed();
    Ok(Exchange { message, size: reply.len(), time, tcp: true, truncated })
}

async fn udp(
    query: &Message,
    bytes: &[u8],
    server: SocketAddr,
    wait: Duration,
    tries: u32,
) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| transport(server, &error);
    let any: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    // Connected: only this server's packets come, and so do its refusals (ICMP).
    socket.connect(server).await.map_err(failed)?;
    let mut buffer = vec![0; 65_535];
    for _ in 0..tries {
        socket.send(bytes).await.map_err(failed)?;
        let until = tokio::time::Instant::now() + wait;
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
            let reply = &buffer[..received.map_err(failed)?];
            // A late answer to another question, or a forged one, is not ours: wait on.
            if reply.get(..2) == bytes.get(..2)
                && Message::read(reply).is_ok_and(|message| answers(&message, query))
            {
                return Ok(reply.to_vec());
            }
        }
    }
    Err(silent(server, "UDP"))
}

/// Whether a message is the answer to this query. A server that refuses may leave the question out.
fn answers(message: &Message, query: &Message) -> bool {
    message.flags.has(Flags::QR)
        && message.id == query.id
        && (message.questions.is_empty() && message.rcode != 0
            || message.questions == query.questions)
}

async fn over_tcp(bytes: &[u8], server: SocketAddr) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| transport(server, &error);
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&size, bytes].concat()).await.map_err(failed)?;
    let mut size = [0; 2];
    stream.read_exact(&mut size).await.map_err(failed)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut reply).await.map_err(failed)?;
    Ok(reply)
}

/// Asks for a whole zone (AXFR, RFC 5936); gives its records, the SOA at both ends, and the bytes
/// that came.
///
/// # Errors
/// As [`exchange`]; [`Layer::Name`] with the response code where it is refused.
pub async fn zone(
    name: &Name,
    server: SocketAddr,
    wait: Duration,
) -> Result<(Vec<dnswire::Record>, usize), Error> {
    let query = Message {
        edns: None,
        ..Message::query(rand::random(), name.clone(), RecordType::AXFR, false)
    };
    let failed = |error: std::io::Error| transport(server, &error);
    let timed = |_| silent(server, "TCP");
    let mut stream = tokio::time::timeout(wait, TcpStream::connect(server))
        .await
        .map_err(timed)?
        .map_err(failed)?;
    let bytes = query.write(65_535);
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&size[..], &bytes].concat()).await.map_err(failed)?;
    let (mut records, mut bytes): (Vec<dnswire::Record>, usize) = (Vec::new(), 0);
    loop {
        let next = async {
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            Ok(reply)
        };
        let reply: Vec<u8> =
            tokio::time::timeout(wait, next).await.map_err(timed)?.map_err(failed)?;
        bytes += reply.len();
        let message = Message::read(&reply).map_err(|error| bad_answer(server, error))?;
        if message.rcode != 0 || message.answers.is_empty() {
            let code = message.rcode_word();
            let text =
                format!("the DNS server {} does not give the zone {name}: {code}", server.ip());
            return Err(Error::new(Layer::Name, text).code(code.to_ascii_lowercase()));
        }
        records.extend(message.answers);
        let soa = |record: &&dnswire::Record| record.kind == RecordType::SOA;
        if records.len() > 1 && records.last().filter(soa).is_some() {
            return Ok((records, bytes));
        }
    }
}

fn silent(server: SocketAddr, transport: &str) -> Error {
    Error::new(Layer::Name, format!("the DNS server {} does not answer", server.ip()))
        .code("silent")
        .evidence(format!("asked {server} over {transport}: no answer in time"))
}

fn bad_answer(server: SocketAddr, why: impl std::fmt::Display) -> Error {
    Error::new(Layer::Name, format!("the DNS server {} gave a wrong answer: {why}", server.ip()))
        .code("bad-answer")
        .evidence(format!("asked {server}"))
}

fn transport(server: SocketAddr, error: &std::io::Error) -> Error {
    use std::io::ErrorKind as Kind;
    let (code, what) = match error.kind() {
        Kind::ConnectionRefused => ("refused-port", "has nothing on its DNS port"),
        Kind::HostUnreachable | Kind::NetworkUnreachable => ("unreachable", "cannot be reached"),
        Kind::TimedOut => ("silent", "does not answer"),
        Kind::UnexpectedEof | Kind::ConnectionReset => ("cut", "cut the connection"),
        _ => ("failed", "cannot be asked"),
    };
    Error::new(Layer::Name, format!("the DNS server {} {what}", server.ip()))
        .code(code)
        .evidence(format!("asked {server}: {error}"))
}

fn section(records: &[dnswire::Record]) -> Vec<Record> {
    let one = |record: &dnswire::Record| Record {
        name: record.name.to_string(),
        record: record.kind.to_string(),
        ttl: record.ttl,
        data: record.text(),
    };
    records.iter().map(one).collect()
}

fn outcome(exchange: &Exchange, server: SocketAddr) -> Outcome {
    let message = &exchange.message;
    Outcome {
        code: message.rcode_word(),
        answers: message.answers.iter().map(dnswire::Record::text).collect(),
        authoritative: message.flags.has(Flags::AA),
        recursion: message.flags.has(Flags::RA),
        validated: message.flags.has(Flags::AD),
        truncated: exchange.truncated,
        server: server.ip().to_string(),
        records: section(&message.answers),
        authority: section(&message.authority),
        additional: section(&message.additional),
        ms: exchange.time.as_secs_f64() * 1000.0,
    }
}

/// The names to try for `name`, in order (as resolv.conf(5): a name with a dot first as it stands).
pub fn candidates(name: &str, search: &[String]) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.into()];
    }
    let searched = search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.')));
    if name.contains('.') {
        std::iter::once(name.to_owned()).chain(searched).collect()
    } else {
        searched.chain(std::iter::once(name.to_owned())).collect()
    }
}

/// The IPv4 addresses of a name by the node's servers, its search list applied.
///
/// # Errors
/// [`Layer::Name`], codes `no-resolver`, `silent`, `refused-port`, `nxdomain`, `no-data`,
/// `servfail`, `refused`; the evidence names the server asked.
pub async fn addresses(name: &str, env: &Env) -> Result<Vec<Ipv4Addr>, Error> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let mut first = None;
    for candidate in candidates(name, &env.search) {
        let request = Request { name: candidate.clone(), ..Request::default() };
        let outcome = run(&request, env).await?;
        let error = match outcome.code.as_str() {
            "NOERROR" => {
                let found = outcome.records.iter().filter(|record| record.record == "A");
                let found: Vec<_> = found.filter_map(|record| record.data.parse().ok()).collect();
                if !found.is_empty() {
                    return Ok(found);
                }
                let aliases: Vec<_> = outcome
                    .records
                    .iter()
                    .map(|r| format!("{} {} {}", r.name, r.record, r.data))
                    .collect();
                let error = Error::new(Layer::Name, format!("{candidate} has no IPv4 address"))
                    .code("no-data");
                aliases.into_iter().fold(error, Error::evidence)
            }
            "NXDOMAIN" => Error::new(Layer::Name, format!("the name {candidate} does not exist"))
                .code("nxdomain"),
            code => Error::new(
                Layer::Name,
                format!("the DNS server {} answers {code} for {candidate}", outcome.server),
            )
            .code(code.to_ascii_lowercase()),
        };
        let error = error.evidence(format!("asked {}: {}", outcome.server, outcome.code));
        // What was said of the name as it stands tells more than what a search domain added.
        if first.is_none() || candidate == name {
            first = Some(error);
        }
    }
    Err(first.unwrap_or_else(|| {
        Error::new(Layer::Name, format!("`{name}` is not a name")).code("bad-request")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server of one socket that answers by a function.
    async fn server(answer: impl Fn(Message) -> Option<Message> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
                let query = Message::read(&buffer[..size]).unwrap();
                if let Some(reply) = answer(query) {
                    socket.send_to(&reply.write(1232), from).await.unwrap();
                }
            }
        });
        address
    }

    fn reply(mut query: Message, address: &str) -> Message {
        query.flags = Flags(Flags::QR | Flags::AA | Flags::RD);
        let tokens = dnswire::text::tokens(address).unwrap();
        let data = dnswire::rdata::parse(RecordType::A, &tokens, None).unwrap();
        let name = query.questions[0].name.clone();
        query.answers =
            vec![dnswire::Record { name, kind: RecordType::A, class: 1, ttl: 60, data }];
        query
    }

    fn request(name: &str, server: SocketAddr) -> Request {
        Request {
            name: name.into(),
            server: Some(server.ip().to_string()),
            port: server.port(),
            timeout_ms: 200,
            tries: 1,
            ..Request::default()
        }
    }

    #[tokio::test]
    async fn an_answer_has_its_code_flags_and_records() {
        let address = server(|query| Some(reply(query, "10.0.0.7"))).await;
        let outcome = run(&request("www.lab.test", address), &Env::default()).await.unwrap();
        assert_eq!((outcome.code.as_str(), outcome.authoritative), ("NOERROR", true));
        assert_eq!(outcome.answers, ["10.0.0.7"]);
        assert_eq!(outcome.records[0].name, "www.lab.test.");
        assert_eq!(outcome.server, "127.0.0.1");
    }

    #[tokio::test]
    async fn rfc5452_9_1_an_answer_to_another_question_is_not_taken() {
        let forged = server(|query| {
            let mut reply = reply(query, "10.0.0.7");
            reply.questions[0].name = Name::complete("other.test").unwrap();
            Some(reply)
        })
        .await;
        let error = run(&request("www.lab.test", forged), &Env::default()).await.unwrap_err();
        assert_eq!((error.layer, error.code.as_str()), (Layer::Name, "silent"));
    }

    #[tokio::test]
    async fn silence_a_closed_port_and_no_server_are_told_apart() {
        let silent = server(|_| None).await;
        let error = run(&request("a.test", silent), &Env::default()).await.unwrap_err();
        assert_eq!(error.code, "silent");
        assert!(error.evidence[0].contains("127.0.0.1"));
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = run(&request("a.test", closed), &Env::default()).await.unwrap_err();
        assert_eq!(error.code, "refused-port");
        let request = Request { name: "a.test".into(), ..Request::default() };
        assert_eq!(run(&request, &Env::default()).await.unwrap_err().code, "no-resolver");
        assert_eq!(question("a..b", "A").unwrap_err().code, "bad-request");
    }

    #[test]
    fn search_domains_follow_or_lead_by_the_dots() {
        let search = ["lab.test".to_owned()];
        assert_eq!(candidates("www", &search), ["www.lab.test", "www"]);
        assert_eq!(candidates("a.b", &search), ["a.b", "a.b.lab.test"]);
        assert_eq!(candidates("a.", &search), ["a."]);
        assert_eq!(question("10.0.0.1", "PTR").unwrap().0.short(), "1.0.0.10.in-addr.arpa");
    }
}
