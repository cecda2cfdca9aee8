//! `curl`: one request, printed as curl prints it.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use probes::http::{Outcome, Request, Url};
use probes::{Env, Layer};

use crate::getopt::{Given, fail, run};

/// The largest body that is kept, in bytes.
const MAX_BODY: usize = 16 << 20;
/// So many redirects are followed, as by curl.
const MAX_REDIRECTS: usize = 50;

const USAGE: &str = "usage: curl [-v] [-i] [-I] [-s] [-k] [-L] [-f] [-o FILE] [-w FORMAT] [-H 'Name: value'] [-X METHOD] [-m seconds] URL";

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
        max_body: MAX_BODY,
        insecure: given.has('k'),
        ..Request::default()
    };
    let visits = tokio::select! {
        visits = visit(request, given.has('L')) => visits?,
        _ = tokio::signal::ctrl_c() => return Err(("interrupted".into(), 130)),
    };
    if given.has('v') {
        for (request, outcome) in &visits {
            let _ = std::io::stderr().lock().write_all(verbose(request, outcome).as_bytes());
        }
    }
    let Some((last, outcome)) = visits.last() else { return Ok(()) };
    if given.has('f') && outcome.status >= 400 {
        return Err((format!("The requested URL returned error: {}", outcome.status), 22));
    }
    // A part of a file looks like the file: curl's number for one that is larger than allowed.
    if outcome.cut {
        let (came, kept) = (outcome.body_bytes, MAX_BODY >> 20);
        return Err((format!("{came} bytes came, more than the {kept} MiB that are kept"), 63));
    }
    let mut bytes = Vec::new();
    if given.has('I') || given.has('i') {
        for (_, outcome) in &visits {
            bytes.extend_from_slice(head(outcome, "").as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes.extend_from_slice(&outcome.raw);
    let ms = visits.iter().map(|(_, outcome)| outcome.ms).sum();
    let after = given.value('w').map(|format| written(format, last, outcome, visits.len() - 1, ms));
    match given.value('o') {
        Some(file) if file != "-" => {
            std::fs::write(file, bytes)
                .map_err(|error| (format!("cannot write {file}: {error}"), 23))?;
            bytes = Vec::new();
        }
        _ => {}
    }
    bytes.extend_from_slice(after.unwrap_or_default().as_bytes());
    let mut output = std::io::stdout().lock();
    // A reader that has gone away wants no more.
    let _ = output.write_all(&bytes).and_then(|()| output.flush());
    Ok(())
}

/// Asks, and goes on where the answer says so; every request with its answer.
async fn visit(
    mut request: Request,
    follow: bool,
) -> Result<Vec<(Request, Outcome)>, (String, u8)> {
    let mut visits = Vec::new();
    loop {
        let mut outcome = probes_run(&request).await?;
        let mut fields = outcome.headers.iter();
        let location = fields.find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let next = location
            .filter(|_| follow && matches!(outcome.status, 301 | 302 | 303 | 307 | 308))
            .and_then(|(_, location)| Some(Url::parse(&request.url).ok()?.join(location)));
        if next.is_some() {
            // What stands at a redirect is not shown, and fifty of them would fill a node.
            (outcome.raw, outcome.body, outcome.cut) = (Vec::new(), String::new(), false);
        }
        // `-m` is for all of them.
        let left = request.timeout_ms.saturating_sub(outcome.ms as u64).max(1);
        visits.push((request.clone(), outcome));
        request.timeout_ms = left;
        match next {
            None => return Ok(visits),
            Some(_) if visits.len() > MAX_REDIRECTS => {
                return Err((format!("Maximum ({MAX_REDIRECTS}) redirects followed"), 47));
            }
            Some(url) => request.url = url,
        }
    }
}

/// What `-w` asks for: `%{name}` in a text.
fn written(
    format: &str,
    request: &Request,
    outcome: &Outcome,
    redirects: usize,
    ms: f64,
) -> String {
    let field = |name: &str| {
        let mut fields = outcome.headers.iter();
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let format = format.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r");
    let mut text = String::new();
    let mut rest = format.as_str();
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('%') {
            text.push('%');
            rest = after;
        } else if let Some((name, after)) =
            rest.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            text.push_str(&match name {
                "http_code" | "response_code" => format!("{:03}", outcome.status),
                "size_download" => outcome.body_bytes.to_string(),
                "time_total" => format!("{:.6}", ms / 1000.0),
                "url_effective" => request.url.clone(),
                "num_redirects" => redirects.to_string(),
                "content_type" => field("content-type").unwrap_or_default(),
                "remote_ip" => outcome.address.to_string(),
                "remote_port" => outcome.port.to_string(),
                "method" => request.method.clone(),
                _ => String::new(),
            });
            rest = after;
        } else {
            text.push('%');
        }
    }
    text + rest
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
    if let Ok(url) = Url::parse(&request.url) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_w_asks_for_is_written() {
        let outcome: Outcome = serde_json::from_value(serde_json::json!({
            "address": "10.0.0.2", "port": 80, "status": 404, "reason": "Not Found",
            "headers": [["Content-Type", "text/html"]], "body": "", "body_bytes": 7,
            "cut": false, "ms": 1.5,
        }))
        .unwrap();
        let request = Request { url: "http://a/".into(), ..Request::default() };
        let text =
            "%{http_code} %{size_download} %{time_total} 100%% %{content_type}\\n%{nothing}%";
        assert_eq!(written(text, &request, &outcome, 0, 1.5), "404 7 0.001500 100% text/html\n%");
        let text = "%{url_effective} %{num_redirects} %{remote_ip}:%{remote_port}";
        assert_eq!(written(text, &request, &outcome, 2, 1.5), "http://a/ 2 10.0.0.2:80");
    }
}
