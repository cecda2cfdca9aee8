//! Dialogues with the IMAP server, as text files by RFC section in `tests/dialogues/imap/`.
//!
//! `C: …` is sent, `S: …` must come next; `…` in an `S:` line stands for anything. `C2:` and `S2:`
//! are a second connection, and so on. `C: …{lit}` followed by `L: …` lines sends them as one
//! synchronising literal after the server's `+`. `MAIL: user` delivers the following `L:` lines to
//! an INBOX as SMTP would. `#` begins a remark.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod imap_common;

use std::collections::BTreeMap;
use std::path::Path;

use imap_common::{Lab, Line};

#[tokio::test]
async fn every_dialogue_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues/imap");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        play(&file).await;
    }
}

async fn play(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy();
    let lab = Lab::start().await;
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    let script: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while let Some(step) = script.get(at) {
        at += 1;
        let place = format!("{name}:{at}");
        let Some((who, rest)) = step.split_once(':') else { continue };
        if who.starts_with('#') {
            continue;
        }
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if who == "MAIL" {
            let message = literal(&script, &mut at);
            lab.deliver(rest, message.as_bytes()).await;
            continue;
        }
        let key = who[1..].to_owned();
        if !lines.contains_key(&key) {
            lines.insert(key.clone(), lab.connect().await);
        }
        let line = lines.get_mut(&key).unwrap();
        match &who[..1] {
            "C" => match rest.strip_suffix("{lit}") {
                Some(head) => {
                    let message = literal(&script, &mut at);
                    line.send(&format!("{head}{{{}}}", message.len())).await;
                    let go = line.read(&place).await;
                    assert!(go.starts_with('+'), "{place}: wanted `+`, got `{go}`");
                    line.send(&message).await;
                }
                None => line.send(rest).await,
            },
            "S" => {
                let got = line.read(&place).await;
                assert!(
                    imap_common::matches(rest, &got),
                    "{place}:\n  wanted `{rest}`\n  got    `{got}`"
                );
            }
            _ => panic!("{place}: `{step}` is not a line of a dialogue"),
        }
    }
}

/// The `L:` lines that follow, with CRLF.
fn literal(script: &[&str], at: &mut usize) -> String {
    let mut text = String::new();
    while let Some(line) = script.get(*at).and_then(|line| line.strip_prefix("L:")) {
        text.push_str(line.strip_prefix(' ').unwrap_or(line));
        text.push_str("\r\n");
        *at += 1;
    }
    text
}
