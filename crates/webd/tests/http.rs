//! The whole server on loopback, spoken to byte by byte and by curl.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use webd::config::{Config, Limits, Site, Tls};
use webd::server::Server;

struct Lab {
    server: Arc<Server>,
    http: u16,
    https: u16,
    folder: tempfile::TempDir,
    authority: String,
}

/// Ports that were free a moment ago.
fn free_ports() -> (u16, u16) {
    let one = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let two = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    (one.local_addr().unwrap().port(), two.local_addr().unwrap().port())
}

fn config(folder: &std::path::Path, http: u16, https: u16, tls: Option<Tls>) -> Config {
    let root = folder.join("www");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("ten.txt"), "0123456789").unwrap();
    std::fs::write(root.join("sub/index.html"), "sub").unwrap();
    std::fs::write(folder.join("secret"), "secret").unwrap();
    Config {
        state: folder.join("state"),
        listen: "127.0.0.1".parse().unwrap(),
        http: Some(http),
        https: Some(https),
        tls,
        sites: vec![
            Site {
                names: vec!["www.mastertech.com".into(), "localhost".into()],
                root: Some(root),
                pages: [("index.html".to_owned(), "<h1>Welcome to {{ firm }}</h1>".to_owned())]
                    .into(),
                variables: [("firm".to_owned(), "MasterTech".to_owned())].into(),
                ..Site::default()
            },
            Site {
                names: vec!["other.com".into()],
                pages: [("404.html".to_owned(), "other has no {{ path }}".to_owned())].into(),
                ..Site::default()
            },
        ],
        limits: Limits { head_seconds: 1, ..Limits::default() },
        ..Config::default()
    }
}

async fn lab() -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let (http, https) = free_ports();
    let mut names = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    names.is_ca = rcgen::IsCa::NoCa;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = names.self_signed(&key).unwrap();
    let tls = Tls { certificate: certificate.pem(), key: key.serialize_pem(), keylog: None };
    let server = Server::start(config(folder.path(), http, https, Some(tls))).await.unwrap();
    Lab { server, http, https, folder, authority: certificate.pem() }
}

/// Says something and hears everything.
async fn say(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let reading = stream.read_to_end(&mut heard);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

async fn get(port: u16, path: &str, fields: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: www.mastertech.com\r\n{fields}");
    say(port, &format!("{head}Connection: close\r\n\r\n")).await
}

#[tokio::test]
async fn pages_files_folders_and_what_is_missing() {
    let lab = lab().await;
    let home = get(lab.http, "/", "").await;
    assert!(
        home.starts_with("HTTP/1.1 200 OK") && home.ends_with("<h1>Welcome to MasterTech</h1>")
    );
    assert!(get(lab.http, "/ten.txt", "").await.ends_with("\r\n\r\n0123456789"));
    let folder = get(lab.http, "/sub", "").await;
    assert!(
        folder.starts_with("HTTP/1.1 301") && folder.contains("location: /sub/\r\n"),
        "{folder}"
    );
    assert!(get(lab.http, "/sub/", "").await.ends_with("\r\n\r\nsub"));
    let missing = get(lab.http, "/none", "").await;
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("no such page"));
    let other = "GET /x HTTP/1.1\r\nHost: other.com:80\r\nConnection: close\r\n\r\n";
    let other = say(lab.http, other).await;
    assert!(
        other.starts_with("HTTP/1.1 404") && other.ends_with("other has no &#x2f;x"),
        "{other}"
    );
    for path in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/sub/..%00/x"] {
        let reply = get(lab.http, path, "").await;
        assert!(!reply.contains("secret") && !reply.starts_with("HTTP/1.1 2"), "{path}: {reply}");
    }
    assert!(lab.folder.path().join("secret").exists());
}

#[tokio::test]
async fn heads_conditions_ranges_and_other_methods() {
    let lab = lab().await;
    let head = "HEAD /ten.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let head = say(lab.http, head).await;
    assert!(head.contains("content-length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let same = get(lab.http, "/ten.txt", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(same.starts_with("HTTP/1.1 304") && same.ends_with("\r\n\r\n"), "{same}");
    let date = head.lines().find_map(|line| line.strip_prefix("last-modified: ")).unwrap();
    let same = get(lab.http, "/ten.txt", &format!("If-Modified-Since: {date}\r\n")).await;
    assert!(same.starts_with("HTTP/1.1 304"), "{same}");
    let part = get(lab.http, "/ten.txt", "Range: bytes=2-4\r\n").await;
    assert!(part.starts_with("HTTP/1.1 206") && part.contains("content-range: bytes 2-4/10\r\n"));
    assert!(part.ends_with("\r\n\r\n234"), "{part}");
    let far = get(lab.http, "/ten.txt", "Range: bytes=10-\r\n").await;
    assert!(far.starts_with("HTTP/1.1 416") && far.contains("content-range: bytes */10\r\n"));
    let post =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let post = say(lab.http, post).await;
    assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD\r\n"), "{post}");
}

#[tokio::test]
async fn bad_and_slow_visitors_are_shown_out() {
    let lab = lab().await;
    for bad in [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
    ] {
        let reply = say(lab.http, &bad).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
    }
    // Half a head and then nothing: the server ends it, not the visitor.
    let start = std::time::Instant::now();
    say(lab.http, "GET / HTTP/1.1\r\nHost: a\r\n").await;
    assert!(start.elapsed() < Duration::from_secs(8));
    assert!(get(lab.http, "/", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_protocol_that_is_off_refuses_and_stays_off_over_a_restart() {
    let lab = lab().await;
    let address = SocketAddr::from(([127, 0, 0, 1], lab.http));
    let idle = TcpStream::connect(address).await.unwrap();
    lab.server.switch(Some("http"), false).await.unwrap();
    assert_eq!(lab.server.protocols(), [("http", false), ("https", true)]);
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    drop(idle);
    assert!(lab.server.switch(Some("smtp"), false).await.is_err());
    let (http, https) = free_ports();
    let again = Server::start(config(lab.folder.path(), http, https, None)).await.unwrap();
    assert_eq!(again.protocols(), [("http", false)]);
    again.switch(None, true).await.unwrap();
    assert!(get(http, "/", "").await.starts_with("HTTP/1.1 200"));
    lab.server.switch(Some("http"), true).await.unwrap();
    assert!(get(lab.http, "/", "").await.starts_with("HTTP/1.1 200"));
    let (seen, _) = lab.server.journal.follow(10);
    assert_eq!(seen.last().map(|entry| (entry.status, entry.path.as_str())), Some((200, "/")));
}

#[tokio::test]
async fn curl_agrees_over_http_and_https() {
    let lab = lab().await;
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "curl is missing");
        eprintln!("SKIPPED: curl is not installed");
        return;
    }
    let authority = lab.folder.path().join("ca.pem");
    std::fs::write(&authority, &lab.authority).unwrap();
    for url in
        [format!("http://localhost:{}/", lab.http), format!("https://localhost:{}/", lab.https)]
    {
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--cacert"])
            .arg(&authority)
            .arg(&url)
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Welcome to MasterTech"), "{url}: {output:?}");
    }
}
