//! `dns`: a name server answers as it should.

use lab::check::{Dns, DnsStatus, Transport, Way};
use probes::{Layer, Probe, dns};

use super::Seen;
use crate::trial::{Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Dns) -> Seen {
    let server = match &check.server {
        Some(server) => Some(world.target(&check.from, server).await?.host),
        None => None,
    };
    let kind = check.r#type.to_ascii_uppercase();
    let request = dns::Request {
        name: check.name.clone(),
        record: kind.clone(),
        server,
        tcp: check.transport == Transport::Tcp,
        timeout_ms: 1500,
        ..dns::Request::default()
    };
    let outcome: dns::Outcome = world.probe(&check.from, Probe::Dns(request)).await?;
    let records: Vec<&dns::Record> =
        outcome.records.iter().filter(|record| record.record == kind || kind == "ANY").collect();
    let seen = match outcome.code.as_str() {
        "NOERROR" if records.is_empty() => "nodata",
        "NOERROR" => "noerror",
        "NXDOMAIN" => "nxdomain",
        "SERVFAIL" => "servfail",
        "REFUSED" => "refused",
        other => other,
    };
    let wanted = match check.status {
        DnsStatus::Noerror => "noerror",
        DnsStatus::Nxdomain => "nxdomain",
        DnsStatus::Servfail => "servfail",
        DnsStatus::Refused => "refused",
        DnsStatus::Nodata => "nodata",
    };
    let said = outcome
        .records
        .iter()
        .map(|record| format!("{} {} {} {}", record.name, record.ttl, record.record, record.data));
    let evidence: Vec<String> =
        std::iter::once(format!("{} says {}", outcome.server, outcome.code)).chain(said).collect();
    let broken = |message: String| {
        let mut failure = Failure::on(Layer::Name, message).who(&check.from);
        failure.evidence.clone_from(&evidence);
        failure.way = matches!(seen, "nxdomain" | "nodata").then_some(Way::Name);
        Err(Unasked::from(failure))
    };
    let what = format!("{} {kind}", check.name);
    if seen != wanted {
        return broken(format!("the server says {seen} to {what}, and should say {wanted}"));
    }
    if let Some(wanted) = check.authoritative
        && outcome.authoritative != wanted
    {
        let is = |yes: bool| if yes { "authoritative" } else { "not authoritative" };
        return broken(format!("the answer is {}, and should be {}", is(!wanted), is(wanted)));
    }
    if !check.answer.is_empty() && !world.is_renamed() {
        let mut got: Vec<String> = records.iter().map(|record| plain(&record.data)).collect();
        let mut right: Vec<String> = check.answer.iter().map(|data| plain(data)).collect();
        got.sort();
        right.sort();
        if got != right {
            return broken(format!(
                "{what} is {}, and should be {}",
                got.join(" and "),
                right.join(" and ")
            ));
        }
    }
    let data: Vec<&str> = records.iter().map(|record| record.data.as_str()).collect();
    Ok(if data.is_empty() { format!("{what}: {seen}") } else { data.join(", ") })
}

/// Record data as it is compared: names without case and final dot, one blank between words.
fn plain(data: &str) -> String {
    if data.contains('"') {
        return data.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let words = data.split_whitespace().map(|word| match word.strip_suffix('.') {
        Some("") | None => word.to_ascii_lowercase(),
        Some(name) => name.to_ascii_lowercase(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn data_is_compared_as_dns_means_it() {
        assert_eq!(plain("10  Mail.COM."), plain("10 mail.com"));
        assert_eq!(plain("0 ."), "0 .");
        assert_ne!(plain("\"V=spf1 a\""), plain("\"v=spf1 a\""));
    }
}
