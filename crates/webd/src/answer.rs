//! From a request to its response (RFC 9110): methods, conditions, ranges.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::body::Body;
use crate::path::{Refusal, names};
use crate::sites::{Found, Sites, Visit};

/// The ends of a connection, as text.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The visitor.
    pub client: String,
    /// The server's own address.
    pub server: String,
}

/// Answers one request.
pub fn answer<B>(request: &Request<B>, sites: &Sites, ends: &Ends) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let mut response = respond(request, sites, ends);
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("webd (labctl)"));
    if head {
        let length = HeaderValue::from(response.body().length());
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
        response.map(Body::without_content)
    } else {
        response
    }
}

fn respond<B>(request: &Request<B>, sites: &Sites, ends: &Ends) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "This server only gives pages.");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(host) = host(request) else {
        return page(StatusCode::BAD_REQUEST, "The request names no host, or two.");
    };
    let path = request.uri().path();
    let visit =
        Visit { host: &host, path, client: ends.client.clone(), server: ends.server.clone() };
    let (names, folder) = match names(path) {
        Ok(found) => found,
        Err(Refusal::Bad) => return page(StatusCode::BAD_REQUEST, "The path is not one."),
        Err(Refusal::Outside) => return missing(sites, &visit),
    };
    match sites.find(&visit, &names, folder) {
        Found::Page { text, media } => {
            let tag = tag_of(&text);
            given(request.headers(), &tag, None, text.len() as u64, media, Body::from(text))
        }
        Found::File { file, length, changed, media } => {
            let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
            let tag = format!("\"{length:x}-{:x}\"", since.as_nanos());
            given(request.headers(), &tag, Some(changed), length, media, Body::file(file, length))
        }
        Found::Folder => moved(&format!("{path}/")),
        Found::Nothing => missing(sites, &visit),
        Found::Broken(why) => {
            tracing::error!("{host}{path}: {why}");
            page(StatusCode::INTERNAL_SERVER_ERROR, "The page's template does not work.")
        }
    }
}

/// The host that is meant: of the URI, or of the one `Host` field (RFC 9112 section 3.2).
fn host<B>(request: &Request<B>) -> Option<String> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return None;
    }
    let name = match (request.uri().authority(), field) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(field)) => field.to_str().ok()?,
        // HTTP/1.0 had no names.
        (None, None) if request.version() == hyper::Version::HTTP_10 => "",
        (None, None) => return None,
    };
    Some(name.rsplit_once(':').map_or(name, |(name, _)| name).to_owned())
}

/// Strong: equal tags mean equal bytes.
fn tag_of(text: &str) -> String {
    // FNV-1a, 128 bits: not against an adversary, only against chance.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in text.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    }
    format!("\"{hash:032x}\"")
}

/// The content, as much of it as the request's conditions and range ask for.
fn given(
    headers: &HeaderMap,
    tag: &str,
    changed: Option<SystemTime>,
    length: u64,
    media: &'static str,
    body: Body,
) -> Response<Body> {
    let modified = changed.map(http_date);
    let mut response = if fresh(headers, tag, changed) {
        plain(StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        match range(headers, tag, modified.as_deref(), length) {
            Range::Whole => plain(StatusCode::OK, body),
            Range::Part(first, last) => {
                let mut response =
                    plain(StatusCode::PARTIAL_CONTENT, body.part(first, last - first + 1));
                set(
                    &mut response,
                    header::CONTENT_RANGE,
                    &format!("bytes {first}-{last}/{length}"),
                );
                response
            }
            Range::Impossible => {
                let mut response =
                    page(StatusCode::RANGE_NOT_SATISFIABLE, "The page is not that long.");
                set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
                return response;
            }
        }
    };
    set(&mut response, header::ETAG, tag);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    if let Some(modified) = modified {
        set(&mut response, header::LAST_MODIFIED, &modified);
    }
    if response.status() != StatusCode::NOT_MODIFIED {
        set(&mut response, header::CONTENT_TYPE, media);
    }
    response
}

/// Whether what the client has is what there is (RFC 9110 section 13.2.2).
fn fresh(headers: &HeaderMap, tag: &str, changed: Option<SystemTime>) -> bool {
    if headers.contains_key(header::IF_NONE_MATCH) {
        return headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).any(
            |list| {
                list.split(',')
                    .map(|one| one.trim().trim_start_matches("W/"))
                    .any(|one| one == "*" || one == tag)
            },
        );
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    match (since.and_then(parse_date), changed) {
        (Some(since), Some(changed)) => {
            changed.duration_since(UNIX_EPOCH).is_ok_and(|at| at.as_secs() <= since)
        }
        _ => false,
    }
}

enum Range {
    Whole,
    Part(u64, u64),
    Impossible,
}

/// One range of bytes; several, or what is none, get the whole (RFC 9110 section 14.2).
fn range(headers: &HeaderMap, tag: &str, modified: Option<&str>, length: u64) -> Range {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(spec) = text(header::RANGE).and_then(|value| value.strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    if text(header::IF_RANGE).is_some_and(|wanted| wanted != tag && Some(wanted) != modified) {
        return Range::Whole;
    }
    let Some((first, last)) = spec.split_once('-') else { return Range::Whole };
    let (first, last) = (first.trim(), last.trim());
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) || (first.is_empty() && last.is_empty()) {
        return Range::Whole;
    }
    if first.is_empty() {
        return match last.parse::<u64>().unwrap_or(u64::MAX).min(length) {
            0 => Range::Impossible,
            count => Range::Part(length - count, length - 1),
        };
    }
    let first = first.parse::<u64>().unwrap_or(u64::MAX);
    let last = if last.is_empty() { u64::MAX } else { last.parse().unwrap_or(u64::MAX) };
    if last < first {
        return Range::Whole;
    }
    if first >= length { Range::Impossible } else { Range::Part(first, last.min(length - 1)) }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .unwrap_or_default()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// Seconds since the epoch.
fn parse_date(text: &str) -> Option<u64> {
    let text = text.strip_suffix(" GMT")?;
    let time = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", text).ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
    u64::try_from(at.as_second()).ok()
}

fn missing(sites: &Sites, visit: &Visit<'_>) -> Response<Body> {
    match sites.missing(visit) {
        Some(text) => {
            let mut response = plain(StatusCode::NOT_FOUND, Body::from(text));
            set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
            response
        }
        None => page(StatusCode::NOT_FOUND, "There is no such page on this server."),
    }
}

fn moved(to: &str) -> Response<Body> {
    let mut response = page(StatusCode::MOVED_PERMANENTLY, "The page is a folder.");
    // Never `//host/`, which a browser takes for another host.
    set(&mut response, header::LOCATION, &format!("/{}", to.trim_start_matches('/')));
    response
}

/// A small page of the server's own.
fn page(status: StatusCode, text: &str) -> Response<Body> {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let html = format!(
        "<!doctype html><html lang=\"en\"><title>{title}</title><h1>{title}</h1><p>{text}</p></html>\n"
    );
    let mut response = plain(status, Body::from(html));
    set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
    response
}

fn plain(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(spec: &str, length: u64) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, spec.parse().unwrap());
        match range(&headers, "\"t\"", None, length) {
            Range::Whole => "whole".into(),
            Range::Impossible => "416".into(),
            Range::Part(a, b) => format!("{a}-{b}"),
        }
    }

    #[test]
    fn ranges_are_those_of_the_rfc() {
        for (spec, expected) in [
            ("bytes=0-4", "0-4"),
            ("bytes=5-", "5-9"),
            ("bytes=-3", "7-9"),
            ("bytes=-99", "0-9"),
            ("bytes=0-99", "0-9"),
            ("bytes=10-", "416"),
            ("bytes=-0", "416"),
            ("bytes=4-2", "whole"),
            ("bytes=0-1,3-4", "whole"),
            ("lines=1-2", "whole"),
            ("bytes=-", "whole"),
            ("bytes=+1-2", "whole"),
            ("bytes=99999999999999999999-", "416"),
        ] {
            assert_eq!(part(spec, 10), expected, "{spec}");
        }
        assert_eq!(part("bytes=0-", 0), "416");
    }

    #[test]
    fn dates_go_both_ways() {
        let at = UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_date("yesterday"), None);
    }
}
