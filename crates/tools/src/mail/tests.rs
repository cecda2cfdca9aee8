//! The program against a server of few words.

use super::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A server that says one of `replies` first and one after each line that it wants answered;
/// an empty reply waits for a further line.
async fn server(replies: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        for reply in replies {
            stream.get_mut().write_all(reply.as_bytes()).await.unwrap();
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            // The message after 354 is one thing.
            while reply.starts_with("354") && line != ".\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
            }
        }
    });
    port
}

fn env() -> Env {
    let mail = MailSettings {
        address: "client1@mail.com".into(),
        user: "client1".into(),
        password: "admin".into(),
        outgoing: "127.0.0.1".into(),
        incoming: "127.0.0.1".into(),
        ..MailSettings::default()
    };
    Env { node: "pc0".into(), mail: Some(mail), ..Env::default() }
}

async fn say(port: u16, words: &[&str]) -> (Result<(), String>, String) {
    let port = port.to_string();
    let words = [&["mail"], words, &["--port", &port]].concat();
    let cli = Cli::try_parse_from(words).unwrap();
    let mut out = Vec::new();
    let result = run(cli, &env(), &mut out).await;
    (result, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_message_is_sent_and_the_dialogue_shown() {
    let port = server(&[
        "220 mail.com\r\n",
        "250 mail.com\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 2.0.0 kept\r\n",
        "221 bye\r\n",
    ])
    .await;
    let (result, out) =
        say(port, &["send", "client2@mail.com", "-s", "Hello", "-m", "Hi", "-v"]).await;
    result.unwrap();
    assert!(out.contains("C: RCPT TO:<client2@mail.com>\n"), "{out}");
    assert!(out.contains("C: Subject: Hello\n"), "{out}");
    assert!(out.ends_with("sent to client2@mail.com: 250 2.0.0 kept\n"), "{out}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let port = server(&[
        "220 mail.com\r\n",
        "250 mail.com\r\n",
        "250 ok\r\n",
        "550 5.1.1 nobody here\r\n",
        "221 bye\r\n",
    ])
    .await;
    let (result, _) = say(port, &["send", "nobody@mail.com", "-m", "Hi"]).await;
    assert_eq!(result.unwrap_err(), "<nobody@mail.com>: user unknown: 550 5.1.1 nobody here");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (result, _) = say(closed, &["list"]).await;
    assert_eq!(
        result.unwrap_err(),
        format!("127.0.0.1: the server refused the connection on port {closed}")
    );
}

#[tokio::test]
async fn messages_are_listed_by_pop3() {
    let port = server(&[
        "+OK hi\r\n",
        "+OK\r\n",
        "+OK\r\n",
        "+OK 1 60\r\n",
        "+OK\r\n1 x\r\n.\r\n",
        "+OK\r\nFrom: <a@b>\r\nSubject: Hello\r\n\r\nHi\r\n.\r\n",
        "+OK bye\r\n",
    ])
    .await;
    let (result, out) = say(port, &["list"]).await;
    result.unwrap();
    assert!(out.contains("   1  a@b                          Hello"), "{out}");
}

#[tokio::test]
async fn a_node_without_settings_says_what_to_do() {
    let cli = Cli::try_parse_from(["mail", "list"]).unwrap();
    let error = run(cli, &Env::default(), &mut Vec::new()).await.unwrap_err();
    assert!(error.contains("`mail:` in the lab file"), "{error}");
}
