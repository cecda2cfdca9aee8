//! `curl`: one request, printed as curl prints it.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use probes::http::{Outcome, Request};
use probes::{Env, Layer};

use crate::getopt::{Given, fail, run};

const USAGE: &str = "usage: curl [-v] [-i] [-I] [-s] [-k] [-o FILE] [-H 'Name: value'] [-X METHOD] [-m seconds] URL";

pub fn main(args: Vec<OsString>) -> ExitCode {
    run(async move {
        match curl(args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err((why, code)) => fail("curl", format_args!("({code}) {why}"), code),
        }
    })
}

async fn curl(args: Vec<OsString>) -> Result<(), (String, u8)> {
    let usage = |why: String| (format!("{why}\n{USAGE}"), 2);
    let given = Given::read(args, "viIskfSo:H:X:m:w:L").map_err(usage)?;
    let [url] = given.words.as_slice() else { return Err(usage("one URL, please".into())) };
    let seconds: u64 = given.number('m', 30).map_err(usage)?;
    let mut headers = Vec::new();
    for field in given.values('H') {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| usage(format!("a header field is `Name: value`, not {field:?}")))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let method = if given.has('I') { "HEAD" } else { "GET" };
    let request = Request {
        url: url.clone(),
        method: given.value('X').unwrap_or(method).to_owned(),
        headers,
        timeout_ms: seconds.clamp(1, 3600) * 1000,
        max_body: 16 << 20,
        insecure: given.has('k'),
        ..Request::default()
    };
    let outcome = tokio::select! {
        outcome = probes_run(&request) => outcome?,
        _ = tokio::signal::ctrl_c() => return Err(("interrupted".into(), 130)),
    };
    if given.has('v') {
        let _ = std::io::stderr().lock().write_all(verbose(&request, &outcome).as_bytes());
    }
    if given.has('f') && outcome.status >= 400 {
        return Err((format!("The requested URL returned error: {}", outcome.status), 22));
    }
    let mut bytes = Vec::new();
    if given.has('I') || given.has('i') {
        bytes.extend_from_slice(head(&outcome, "").as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(&outcome.raw);
    match given.value('o') {
        Some(file) if file != "-" => std::fs::write(file, bytes)
            .map_err(|error| (format!("cannot write {file}: {error}"), 23)),
        _ => {
            let mut output = std::io::stdout().lock();
            // A reader that has gone away wants no more.
            let _ = output.write_all(&bytes).and_then(|()| output.flush());
            Ok(())
        }
    }
}

async fn probes_run(request: &Request) -> Result<Outcome, (String, u8)> {
    probes::http::run(request, &Env::load()).await.map_err(|error| {
        // The numbers that curl's manual gives.
        let code = match (error.layer, error.code.as_str()) {
            (Layer::Name, _) => 6,
            (_, "silent") => 28,
            (Layer::Port | Layer::Route | Layer::Arp, _) => 7,
            (Layer::Banner, "certificate") => 60,
            (Layer::Banner, _) => 35,
            (Layer::Reply, "not-http") => 1,
            (Layer::Reply, _) => 56,
            _ => 3,
        };
        (error.to_string(), code)
    })
}

fn head(outcome: &Outcome, mark: &str) -> String {
    let mut text = format!("{mark}HTTP/1.1 {} {}\r\n", outcome.status, outcome.reason);
    for (name, value) in &outcome.headers {
        text.push_str(&format!("{mark}{name}: {value}\r\n"));
    }
    text
}

fn verbose(request: &Request, outcome: &Outcome) -> String {
    let mut text = format!("* Connected to {} port {}\n", outcome.address, outcome.port);
    if let Some(certificate) = &outcome.certificate {
        let trust = certificate
            .problem
            .as_deref()
            .map_or("trusted".to_owned(), |problem| format!("NOT trusted: {problem}"));
        text.push_str(&format!(
            "* {}, certificate {trust}, SHA-256 {}\n",
            certificate.protocol, certificate.sha256
        ));
    }
    if let Ok(url) = probes::http::Url::parse(&request.url) {
        text.push_str(&format!(
            "> {} {} HTTP/1.1\n> Host: {}\n",
            request.method, url.path, url.host
        ));
    }
    for (name, value) in &request.headers {
        text.push_str(&format!("> {name}: {value}\n"));
    }
    text.push_str(">\n");
    text.push_str(&head(outcome, "< ").replace("\r\n", "\n"));
    text.push_str("<\n");
    text
}
