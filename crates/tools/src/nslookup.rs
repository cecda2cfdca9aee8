//! `nslookup`, as Windows and Unix print it; without a name it reads lines.

use std::ffi::OsString;
use std::io::BufRead as _;
use std::process::ExitCode;

use dnswire::RecordType;
use probes::Env;
use probes::dns::{Outcome, Record, Request, candidates};

use crate::getopt::{fail, line, print, run};

const USAGE: &str = "usage: nslookup [-type=TYPE] [-port=PORT] NAME [SERVER]";

/// What is asked of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    record: Option<String>,
    server: Option<String>,
    port: Option<u16>,
}

impl Settings {
    /// Takes an option (`type=MX`); false when it is not known.
    fn set(&mut self, option: &str) -> Result<(), String> {
        let unknown = || format!("*** Invalid option: {option}");
        match option.split_once('=') {
            Some(("type" | "ty" | "query" | "querytype" | "q", kind)) => {
                kind.parse::<RecordType>().map_err(|_| format!("unknown query type: {kind}"))?;
                self.record = Some(kind.to_ascii_uppercase());
            }
            Some(("port", port)) => self.port = Some(port.parse().map_err(|_| unknown())?),
            Some(("timeout" | "retry" | "domain" | "class", _)) | None if option != "all" => {}
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut settings = Settings::default();
    let mut words = Vec::new();
    for arg in args {
        let arg = arg.to_string_lossy().into_owned();
        match arg.strip_prefix('-') {
            // `nslookup - SERVER` begins to read lines.
            Some("") => {}
            Some(option) => {
                if let Err(why) = settings.set(option) {
                    return fail("nslookup", format_args!("{why}\n{USAGE}"), 1);
                }
            }
            None => words.push(arg),
        }
    }
    run(async move {
        match &words[..] {
            [] => lines(settings).await,
            [name] => lookup(name, &settings).await,
            [name, server] => {
                settings.server = Some(server.clone());
                lookup(name, &settings).await
            }
            _ => fail("nslookup", USAGE, 1),
        }
    })
}

/// Reads names and settings line by line.
async fn lines(mut settings: Settings) -> ExitCode {
    print("> ");
    for text in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            [] => {}
            ["exit" | "quit", ..] => return ExitCode::SUCCESS,
            ["server" | "lserver", server] => {
                settings.server = Some(server.into());
                line(format_args!(
                    "Default server: {server}\nAddress: {server}#{}",
                    settings.port.unwrap_or(53)
                ));
            }
            ["set", option] => {
                if let Err(why) = settings.set(option) {
                    line(why);
                }
            }
            [name] => {
                lookup(name, &settings).await;
            }
            [name, server] => {
                let once = Settings { server: Some(server.into()), ..settings.clone() };
                lookup(name, &once).await;
            }
            _ => line("*** A name, `server ADDRESS`, `set type=MX` or `exit`, please"),
        }
        print("> ");
    }
    ExitCode::SUCCESS
}

async fn lookup(name: &str, settings: &Settings) -> ExitCode {
    let env = Env::load();
    let address = name.parse::<std::net::IpAddr>().is_ok();
    let default = if address { "PTR" } else { "A" };
    let record = settings.record.clone().unwrap_or_else(|| default.into());
    let names = if address { vec![name.to_owned()] } else { candidates(name, &env.search) };
    let mut last = None;
    for candidate in names {
        let request = Request {
            name: candidate.clone(),
            record: record.clone(),
            server: settings.server.clone(),
            port: settings.port.unwrap_or(53),
            ..Request::default()
        };
        match probes::dns::run(&request, &env).await {
            Ok(outcome) => {
                let found = outcome.code == "NOERROR" && !outcome.records.is_empty();
                last = Some((candidate, request, outcome));
                if found {
                    break;
                }
            }
            Err(error) => {
                for evidence in &error.evidence {
                    line(format_args!(";; {evidence}"));
                }
                line(";; no servers could be reached");
                line(format_args!("{error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    let Some((candidate, request, mut outcome)) = last else { return ExitCode::FAILURE };
    let found = outcome.code == "NOERROR" && !outcome.records.is_empty();
    if found && settings.record.is_none() && !address {
        // The IPv6 addresses stand behind the IPv4 ones, as Unix' has them.
        let six = Request { record: "AAAA".into(), ..request };
        if let Ok(more) = probes::dns::run(&six, &env).await {
            outcome
                .records
                .extend(more.records.into_iter().filter(|record| record.record == "AAAA"));
        }
    }
    print(shown(&candidate, &outcome, settings.port.unwrap_or(53)));
    if found { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The text for an outcome.
fn shown(name: &str, outcome: &Outcome, port: u16) -> String {
    let mut text = format!("Server:\t\t{0}\nAddress:\t{0}#{port}\n\n", outcome.server);
    if outcome.code != "NOERROR" {
        text.push_str(&format!(
            "** server can't find {}: {}\n\n",
            name.trim_end_matches('.'),
            outcome.code
        ));
        return text;
    }
    if outcome.records.is_empty() {
        text.push_str(&format!("*** Can't find {name}: No answer\n\n"));
        return text;
    }
    if !outcome.authoritative {
        text.push_str("Non-authoritative answer:\n");
    }
    for record in &outcome.records {
        text.push_str(&one(record));
    }
    text.push('\n');
    text
}

fn one(record: &Record) -> String {
    let name = if record.name == "." { "." } else { record.name.trim_end_matches('.') };
    let data = &record.data;
    match record.record.as_str() {
        "A" | "AAAA" => format!("Name:\t{name}\nAddress: {data}\n"),
        "CNAME" => format!("{name}\tcanonical name = {data}\n"),
        "MX" => format!("{name}\tmail exchanger = {data}\n"),
        "NS" => format!("{name}\tnameserver = {data}\n"),
        "PTR" => format!("{name}\tname = {data}\n"),
        "TXT" => format!("{name}\ttext = {data}\n"),
        "SRV" => format!("{name}\tservice = {data}\n"),
        "SOA" => {
            let labels = ["origin", "mail addr", "serial", "refresh", "retry", "expire", "minimum"];
            let mut text = format!("{name}\n");
            for (label, word) in labels.iter().zip(data.split(' ')) {
                let word = if word.len() > 1 { word.trim_end_matches('.') } else { word };
                text.push_str(&format!("\t{label} = {word}\n"));
            }
            text
        }
        kind => format!("{name}\trdata_{kind} = {data}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: &str, records: &[(&str, &str, &str)]) -> Outcome {
        let records = records.iter().map(|(name, record, data)| Record {
            name: (*name).into(),
            record: (*record).into(),
            ttl: 300,
            data: (*data).into(),
        });
        Outcome {
            code: code.into(),
            authoritative: true,
            server: "192.168.1.5".into(),
            records: records.collect(),
            ..Outcome::default()
        }
    }

    #[test]
    fn answers_and_refusals_look_as_known() {
        let records =
            [("www.lab.test.", "CNAME", "web.lab.test."), ("web.lab.test.", "A", "10.0.0.4")];
        assert_eq!(
            shown("www.lab.test", &outcome("NOERROR", &records), 53),
            "Server:\t\t192.168.1.5\nAddress:\t192.168.1.5#53\n\nwww.lab.test\tcanonical name = web.lab.test.\n\
             Name:\tweb.lab.test\nAddress: 10.0.0.4\n\n"
        );
        assert!(
            shown("a.test", &outcome("NXDOMAIN", &[]), 53)
                .contains("** server can't find a.test: NXDOMAIN")
        );
        assert!(
            shown("a.test", &outcome("NOERROR", &[]), 53)
                .contains("*** Can't find a.test: No answer")
        );
        let soa = one(&outcome("", &[("a.", "SOA", "ns.a. admin.a. 1 2 3 4 5")]).records[0]);
        assert!(soa.contains("\tserial = 1\n") && soa.contains("\torigin = ns.a\n"));
    }

    #[test]
    fn options_are_taken_in_the_forms_that_are_known() {
        let mut settings = Settings::default();
        settings.set("type=mx").unwrap();
        settings.set("port=5353").unwrap();
        assert_eq!((settings.record.as_deref(), settings.port), (Some("MX"), Some(5353)));
        assert!(settings.set("type=xx").is_err() && settings.set("bogus=1").is_err());
    }
}
