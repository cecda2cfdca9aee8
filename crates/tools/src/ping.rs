//! `ping`, printed as iputils prints it.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use probes::ping::{Progress, Reply, Request};
use probes::{Env, Error};

use crate::getopt::{Given, fail, line, print, run};

const USAGE: &str =
    "usage: ping [-c count] [-i seconds] [-s bytes] [-t ttl] [-W seconds] [-q] HOST";

pub fn main(args: Vec<OsString>) -> ExitCode {
    run(async move {
        match ping(args).await {
            Ok(code) => code,
            Err(why) => fail("ping", why, 2),
        }
    })
}

async fn ping(args: Vec<OsString>) -> Result<ExitCode, String> {
    let given = Given::read(args, "4c:n:i:s:t:W:q").map_err(|why| format!("{why}\n{USAGE}"))?;
    let [host] = given.words.as_slice() else { return Err(format!("one host, please\n{USAGE}")) };
    let count = given.number('n', given.number('c', 4_u32)?)?.max(1);
    let request = Request {
        to: host.clone(),
        count,
        interval_ms: milliseconds(given.number('i', 1.0)?),
        // As long as the kernel asks for a neighbour before it says that there is none.
        timeout_ms: milliseconds(given.number('W', 3.5)?),
        ttl: given.value('t').map(|_| given.number('t', 64)).transpose()?,
        size: given.number('s', 56)?,
    };
    let env = Env::load();
    let address = probes::resolve(host, &env).await.map_err(|error| unresolved(host, &error))?;
    let size = request.size.max(8);
    line(format_args!("PING {host} ({address}) {size}({}) bytes of data.", size + 28));

    let mut tally = Tally::new(host.clone());
    let quiet = given.has('q');
    let work = probes::ping::ping(address, &request, |progress| match progress {
        Progress::Sent(sent) => tally.sent = sent,
        Progress::Reply(reply) => {
            tally.count(reply);
            if !quiet {
                line(shown(reply, address));
            }
        }
    });
    let failed = tokio::select! {
        result = work => result.err(),
        _ = tokio::signal::ctrl_c() => None,
    };
    if let Some(error) = failed {
        return Err(format!("connect: {error}"));
    }
    print(tally.summary());
    Ok(if tally.times.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds.clamp(0.002, 3600.0) * 1000.0) as u64
}

/// What ping says of a name without an address.
pub fn unresolved(host: &str, error: &Error) -> String {
    match error.code.as_str() {
        "nxdomain" | "no-data" => format!("{host}: Name or service not known"),
        _ => format!("{host}: Temporary failure in name resolution ({error})"),
    }
}

fn shown(reply: &Reply, own: Ipv4Addr) -> String {
    match &reply.error {
        Some(error) if reply.from.is_unspecified() => {
            format!("ping: sendmsg: {error} ({own}, icmp_seq={})", reply.seq)
        }
        Some(error) => format!("From {} icmp_seq={} {error}", reply.from, reply.seq),
        None => format!(
            "{} bytes from {}: icmp_seq={} ttl={} time={} ms",
            reply.bytes,
            reply.from,
            reply.seq,
            reply.ttl,
            time(reply.ms)
        ),
    }
}

/// Three digits that mean something, as iputils prints them.
fn time(ms: f64) -> String {
    match ms {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms if ms >= 1.0 => format!("{ms:.2}"),
        ms => format!("{ms:.3}"),
    }
}

struct Tally {
    host: String,
    start: Instant,
    sent: u32,
    errors: u32,
    times: Vec<f64>,
    last: Duration,
}

impl Tally {
    fn new(host: String) -> Self {
        Self {
            host,
            start: Instant::now(),
            sent: 0,
            errors: 0,
            times: Vec::new(),
            last: Duration::ZERO,
        }
    }

    fn count(&mut self, reply: &Reply) {
        self.last = self.start.elapsed();
        if reply.error.is_some() {
            self.errors += 1;
        } else {
            self.times.push(reply.ms);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of packets are small")]
    fn summary(&self) -> String {
        let received = self.times.len();
        let loss = if self.sent == 0 {
            0.0
        } else {
            100.0 * (1.0 - received as f64 / f64::from(self.sent)).max(0.0)
        };
        let errors =
            if self.errors > 0 { format!(" +{} errors,", self.errors) } else { String::new() };
        let elapsed = if received > 0 { self.last } else { self.start.elapsed() }.as_millis();
        let mut text = format!(
            "\n--- {} ping statistics ---\n{} packets transmitted, {received} received,{errors} \
             {}% packet loss, time {elapsed}ms\n",
            self.host,
            self.sent,
            percent(loss),
        );
        if received > 0 {
            let n = received as f64;
            let average = self.times.iter().sum::<f64>() / n;
            let square = self.times.iter().map(|t| (t - average).powi(2)).sum::<f64>() / n;
            let least = self.times.iter().copied().fold(f64::INFINITY, f64::min);
            let most = self.times.iter().copied().fold(0.0, f64::max);
            text.push_str(&format!(
                "rtt min/avg/max/mdev = {least:.3}/{average:.3}/{most:.3}/{:.3} ms\n",
                square.sqrt()
            ));
        }
        text
    }
}

fn percent(loss: f64) -> String {
    if (loss - loss.round()).abs() < 1e-9 { format!("{loss:.0}") } else { format!("{loss:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(seq: u32, ms: f64, error: Option<&str>) -> Reply {
        Reply {
            seq,
            from: Ipv4Addr::new(192, 168, 1, 2),
            ms,
            ttl: 64,
            bytes: 64,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn lines_and_summary_are_those_of_linux() {
        let own = Ipv4Addr::new(192, 168, 1, 2);
        assert_eq!(
            shown(&reply(1, 0.0456, None), own),
            "64 bytes from 192.168.1.2: icmp_seq=1 ttl=64 time=0.046 ms"
        );
        assert_eq!(
            shown(&reply(2, 0.0, Some("Destination Host Unreachable")), own),
            "From 192.168.1.2 icmp_seq=2 Destination Host Unreachable"
        );
        let mut tally = Tally::new("mail.com".into());
        tally.sent = 3;
        tally.count(&reply(1, 1.0, None));
        tally.count(&reply(2, 3.0, None));
        tally.count(&reply(3, 0.0, Some("x")));
        let summary = tally.summary();
        assert!(summary.contains("--- mail.com ping statistics ---"), "{summary}");
        assert!(
            summary.contains("3 packets transmitted, 2 received, +1 errors, 33.3333% packet loss")
        );
        assert!(summary.contains("rtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms"), "{summary}");
    }
}
