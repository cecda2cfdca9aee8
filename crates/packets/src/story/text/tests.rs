use super::*;
use crate::dissect::by_port;

fn talk(port: u16, script: &[(bool, &str)]) -> Vec<String> {
    let mut talk = Talk::new(by_port(port));
    let mut said = Vec::new();
    for (client, bytes) in script {
        // Cut anywhere: it must not matter.
        for chunk in bytes.as_bytes().chunks(3) {
            for one in talk.hear(*client, chunk, &[1]) {
                said.push(format!("{} {}", if one.client { "C" } else { "S" }, one.text));
            }
        }
    }
    said
}

#[test]
fn smtp_is_told_line_by_line_and_the_message_as_one() {
    let said = talk(
        25,
        &[
            (false, "220 a\r\n"),
            (true, "EHLO b\r\n"),
            (false, "250-a\r\n250-SIZE\r\n250 HELP\r\n"),
            (true, "AUTH PLAIN AHUxAHB3\r\n"),
            (false, "235 ok\r\n"),
            (true, "DATA\r\n"),
            (false, "354 go\r\n"),
            (true, "Subject: x\r\n\r\n..hi\r\n.\r\n"),
            (false, "250 2.0.0 kept\r\n"),
        ],
    );
    assert_eq!(
        said,
        [
            "S 220 a",
            "C EHLO b",
            "S 250-a",
            "C AUTH PLAIN ********",
            "S 235 ok",
            "C DATA",
            "S 354 go",
            "C the message (3 lines)",
            "S puts the message on disk",
            "S 250 2.0.0 kept"
        ]
    );
}

#[test]
fn pop3_and_imap_hide_passwords_and_fold_messages() {
    let said = talk(
        110,
        &[
            (false, "+OK hi\r\n"),
            (true, "USER u\r\nPASS pw\r\n"),
            (false, "+OK\r\n+OK\r\n"),
            (true, "RETR 1\r\n"),
            (false, "+OK 3\r\na\r\n.\r\n"),
        ],
    );
    assert_eq!(
        said,
        [
            "S +OK hi",
            "C USER u",
            "C PASS ********",
            "S +OK",
            "S +OK",
            "C RETR 1",
            "S +OK 3",
            "S the message (1 lines)"
        ]
    );
    let said = talk(
        143,
        &[
            (true, "a LOGIN u pw\r\n"),
            (false, "a OK in\r\n"),
            (true, "b FETCH 1 BODY[]\r\n"),
            (false, "* 1 FETCH (BODY[] {4}\r\nab\r\n)\r\nb OK done\r\n"),
        ],
    );
    assert_eq!(
        said,
        [
            "C a LOGIN u ********",
            "S a OK in",
            "C b FETCH 1 BODY[]",
            "S * 1 FETCH (BODY[] {4}",
            "S a text of 4 bytes",
            "S )",
            "S b OK done"
        ]
    );
}

#[test]
fn http_has_head_and_page() {
    let said = talk(
        80,
        &[
            (true, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            (false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ],
    );
    assert_eq!(said, ["C GET / HTTP/1.1", "S HTTP/1.1 200 OK", "S the page, 5 bytes"]);
}
