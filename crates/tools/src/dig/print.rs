//! `dig`'s layout.

use std::net::SocketAddr;
use std::time::Duration;

use dnswire::{Message, Record, class_word, opcode_word};
use probes::dns::Exchange;

use super::options::Options;
use crate::getopt::line;

/// The data of the answers alone.
pub(super) fn short(message: &Message) {
    for record in &message.answers {
        line(record.text());
    }
}

/// Tabs from one column to another, one space where it has been passed.
fn tabs(from: usize, to: usize) -> String {
    if from >= to { " ".into() } else { "\t".repeat((to - from).div_ceil(8)) }
}

fn record(record: &Record) -> String {
    let name = record.name.to_string();
    let ttl = record.ttl.to_string();
    let class = class_word(record.class);
    let gap = tabs(name.len(), 24);
    format!("{name}{gap}{ttl}\t{class}\t{}\t{}", record.kind, record.text())
}

/// Records alone, one a line.
pub(super) fn lines(records: &[Record]) {
    for one in records {
        line(record(one));
    }
}

fn section(name: &str, records: &[Record], shown: bool, comments: bool) {
    if records.is_empty() || !shown {
        return;
    }
    if comments {
        line(format_args!(";; {name} SECTION:"));
    }
    for one in records {
        line(record(one));
    }
    if comments {
        line("");
    }
}

/// The whole answer.
pub(super) fn whole(options: &Options, exchange: &Exchange, server: SocketAddr, label: &str) {
    let message = &exchange.message;
    let show = options.show;
    if exchange.truncated && show.comments {
        line(";; Truncated, retrying in TCP mode.");
    }
    if show.comments {
        header(message);
    }
    if show.question {
        for question in &message.questions {
            if show.comments {
                line(";; QUESTION SECTION:");
            }
            let name = format!(";{}", question.name);
            let gap = tabs(name.len(), 32);
            line(format_args!("{name}{gap}{}\t{}", class_word(question.class), question.kind));
            line("");
        }
    }
    section("ANSWER", &message.answers, show.answer, show.comments);
    section("AUTHORITY", &message.authority, show.authority, show.comments);
    section("ADDITIONAL", &message.additional, show.additional, show.comments);
    if show.stats {
        stats(exchange.time, exchange.tcp, server, label);
        line(format_args!(";; MSG SIZE  rcvd: {}\n", exchange.size));
    }
}

fn header(message: &Message) {
    let (opcode, status) = (opcode_word(message.flags.opcode()), message.rcode_word());
    line(";; Got answer:");
    line(format_args!(";; ->>HEADER<<- opcode: {opcode}, status: {status}, id: {}", message.id));
    line(format_args!(
        ";; flags: {}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}",
        message.flags.words().join(" "),
        message.questions.len(),
        message.answers.len(),
        message.authority.len(),
        message.additional.len() + usize::from(message.edns.is_some()),
    ));
    let refused = message.flags.has(dnswire::Flags::RD) && !message.flags.has(dnswire::Flags::RA);
    if refused {
        line(";; WARNING: recursion requested but not available");
    }
    line("");
    if let Some(edns) = &message.edns {
        line(";; OPT PSEUDOSECTION:");
        let flags = if edns.dnssec { " do" } else { "" };
        line(format_args!("; EDNS: version: {}, flags:{flags}; udp: {}", edns.version, edns.size));
    }
}

fn stats(time: Duration, tcp: bool, server: SocketAddr, label: &str) {
    line(format_args!(";; Query time: {} msec", time.as_millis()));
    let transport = if tcp { "TCP" } else { "UDP" };
    line(format_args!(";; SERVER: {}#{}({label}) ({transport})", server.ip(), server.port()));
    line(format_args!(";; WHEN: {}", now()));
}

/// A zone, as AXFR brings it.
pub(super) fn transfer(
    options: &Options,
    records: &[Record],
    bytes: usize,
    time: Duration,
    server: SocketAddr,
    label: &str,
) {
    for one in records {
        line(if options.short { one.text() } else { record(one) });
    }
    if options.show.stats && !options.short {
        stats(time, true, server, label);
        line(format_args!(";; XFR size: {} records (bytes {bytes})\n", records.len()));
    }
}

/// The time as `date` prints it, UTC.
fn now() -> String {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    date(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

fn date(seconds: u32) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let stamp = dnswire::text::stamp(seconds);
    let part = |from: usize, to: usize| stamp.get(from..to).unwrap_or_default();
    let month = part(4, 6).parse::<usize>().unwrap_or(1);
    let month = MONTHS.get(month.saturating_sub(1)).copied().unwrap_or_default();
    let weekday = DAYS.get((seconds / 86_400 % 7) as usize).copied().unwrap_or_default();
    format!(
        "{weekday} {month} {} {}:{}:{} UTC {}",
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14),
        part(0, 4)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnswire::{Name, RecordType};

    #[test]
    fn columns_stand_where_dig_puts_them() {
        let data =
            dnswire::rdata::parse(RecordType::A, &dnswire::text::tokens("10.0.0.4").unwrap(), None)
                .unwrap();
        let name = Name::complete("web.lab.test").unwrap();
        let one = Record { name, kind: RecordType::A, class: 1, ttl: 300, data };
        assert_eq!(record(&one), "web.lab.test.\t\t300\tIN\tA\t10.0.0.4");
        assert_eq!(tabs(30, 24), " ");
        assert_eq!(date(1_700_000_000), "Tue Nov 14 22:13:20 UTC 2023");
    }
}
