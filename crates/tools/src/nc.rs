//! `nc` and `telnet`: bytes to and from a port.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use node::config::Transport;
use probes::port::{Request, State};
use probes::{Env, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::getopt::{Given, fail, line, run};

const USAGE: &str = "usage: nc [-u] [-v] [-z] [-w seconds] HOST PORT\n       nc -l [-u] [-p] PORT";

pub fn nc(args: Vec<OsString>) -> ExitCode {
    run(async move { ended("nc", netcat(args).await) })
}

pub fn telnet(args: Vec<OsString>) -> ExitCode {
    run(async move { ended("telnet", telnet_to(args).await) })
}

fn ended(name: &str, result: Result<ExitCode, String>) -> ExitCode {
    result.unwrap_or_else(|why| fail(name, why, 1))
}

async fn netcat(args: Vec<OsString>) -> Result<ExitCode, String> {
    let given = Given::read(args, "uvzlnw:p:q:").map_err(|why| format!("{why}\n{USAGE}"))?;
    let seconds: u64 = given.number('w', 10)?;
    let wait = Duration::from_secs(seconds.clamp(1, 86_400));
    if given.has('l') {
        let port = match given.words.last() {
            Some(port) => port.parse().map_err(|_| format!("{port} is not a port"))?,
            None => given.number('p', 0)?,
        };
        return listen(port, given.has('u')).await;
    }
    let [host, port] = given.words.as_slice() else { return Err(USAGE.into()) };
    let port: u16 = port.parse().map_err(|_| format!("{port} is not a port"))?;
    let env = Env::load();
    if given.has('z') {
        return knock(host, port, given.has('u'), wait, &env).await;
    }
    let address =
        probes::resolve(host, &env).await.map_err(|error| crate::ping::unresolved(host, &error))?;
    if given.has('u') {
        return udp(address, port).await;
    }
    let stream = connect(host, address, port, wait).await?;
    if given.has('v') {
        said(format_args!("Connection to {host} ({address}) {port} port [tcp] succeeded!"));
    }
    talk(stream).await;
    Ok(ExitCode::SUCCESS)
}

fn said(what: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{what}");
}

async fn knock(
    host: &str,
    port: u16,
    udp: bool,
    wait: Duration,
    env: &Env,
) -> Result<ExitCode, String> {
    let request = Request {
        to: host.into(),
        port,
        transport: if udp { Transport::Udp } else { Transport::Tcp },
        timeout_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        ..Request::default()
    };
    let outcome = probes::port::run(&request, env).await.map_err(|error| error.to_string())?;
    let name = if udp { "udp" } else { "tcp" };
    let what = match outcome.state {
        State::Open => {
            said(format_args!("Connection to {host} {port} port [{name}] succeeded!"));
            return Ok(ExitCode::SUCCESS);
        }
        State::Refused => "Connection refused",
        State::Silent => "timed out: no answer",
        State::Unreachable => "No route to host",
        State::Prohibited => "prohibited by a packet filter",
    };
    Err(format!("connect to {host} ({}) port {port} ({name}) failed: {what}", outcome.address))
}

async fn connect(
    host: &str,
    address: Ipv4Addr,
    port: u16,
    wait: Duration,
) -> Result<TcpStream, String> {
    let said = |error: &std::io::Error| {
        Error::connect(format!("{host} ({address}) port {port}"), error).to_string()
    };
    tokio::time::timeout(wait, TcpStream::connect((address, port)))
        .await
        .map_err(|_| format!("connect to {host} ({address}) port {port} failed: timed out"))?
        .map_err(|error| said(&error))
}

/// Standard input to the stream, the stream to standard output, until the other side ends.
async fn talk(stream: TcpStream) {
    let (mut read, mut write) = stream.into_split();
    let outward = async move {
        let mut input = tokio::io::stdin();
        let _ = tokio::io::copy(&mut input, &mut write).await;
        let _ = write.shutdown().await;
        std::future::pending::<()>().await;
    };
    let inward = async move {
        let mut output = tokio::io::stdout();
        let mut buffer = vec![0; 16 << 10];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    if output.write_all(&buffer[..length]).await.is_err()
                        || output.flush().await.is_err()
                    {
                        break;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = outward => {}
        () = inward => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn listen(port: u16, udp: bool) -> Result<ExitCode, String> {
    let any = (Ipv4Addr::UNSPECIFIED, port);
    let failed = |error: std::io::Error| format!("cannot listen on port {port}: {error}");
    if udp {
        let socket = UdpSocket::bind(any).await.map_err(failed)?;
        let mut buffer = vec![0; 65_536];
        let (length, peer) = socket.recv_from(&mut buffer).await.map_err(failed)?;
        socket.connect(peer).await.map_err(failed)?;
        crate::getopt::print(String::from_utf8_lossy(&buffer[..length]));
        return datagrams(socket).await;
    }
    let listener = TcpListener::bind(any).await.map_err(failed)?;
    let (stream, _) = listener.accept().await.map_err(failed)?;
    talk(stream).await;
    Ok(ExitCode::SUCCESS)
}

async fn udp(address: Ipv4Addr, port: u16) -> Result<ExitCode, String> {
    let failed = |error: std::io::Error| Error::connect(format!("{address}"), &error).to_string();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(failed)?;
    socket.connect((address, port)).await.map_err(failed)?;
    datagrams(socket).await
}

/// Each piece of input is one datagram.
async fn datagrams(socket: UdpSocket) -> Result<ExitCode, String> {
    let mut input = tokio::io::stdin();
    let mut typed = vec![0; 16 << 10];
    let mut heard = vec![0; 65_536];
    let mut open = true;
    loop {
        tokio::select! {
            read = input.read(&mut typed), if open => match read {
                Ok(0) | Err(_) => open = false,
                Ok(length) => {
                    socket.send(&typed[..length]).await.map_err(|error| error.to_string())?;
                }
            },
            received = socket.recv(&mut heard) => {
                let length = received.map_err(|error| error.to_string())?;
                crate::getopt::print(String::from_utf8_lossy(&heard[..length]));
            }
            // Nobody will say more after the input's end.
            () = tokio::time::sleep(Duration::from_secs(2)), if !open => {
                return Ok(ExitCode::SUCCESS);
            }
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
        }
    }
}

async fn telnet_to(args: Vec<OsString>) -> Result<ExitCode, String> {
    let given = Given::read(args, "")?;
    let (host, port) = match given.words.as_slice() {
        [host] => (host, 23),
        [host, port] => (host, port.parse().map_err(|_| format!("{port} is not a port"))?),
        _ => return Err("usage: telnet HOST [PORT]".into()),
    };
    let env = Env::load();
    let address =
        probes::resolve(host, &env).await.map_err(|error| crate::ping::unresolved(host, &error))?;
    line(format_args!("Trying {address}..."));
    let stream = connect(host, address, port, Duration::from_secs(10)).await?;
    line(format_args!("Connected to {host}."));
    talk(stream).await;
    line("Connection closed by foreign host.");
    Ok(ExitCode::SUCCESS)
}
