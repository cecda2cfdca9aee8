//! IMAP where it is thrown at a raw socket: cut anywhere, pipelined, too long, hostile; many
//! sessions at once that each check every number they hear; faults at each stage.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod imap_common;

use std::time::{Duration, Instant};

use imap_common::{Lab, Line};
use mailsrv::config::{Account, Fault, Protocol, Stage};

const CLOSED: &str = "<closed>";

async fn logged_in(lab: &Lab) -> Line {
    let mut line = lab.connect().await;
    line.read("greeting").await;
    let answer = line.ask("a", "LOGIN u1 pw").await;
    assert!(answer.last().unwrap().starts_with("a OK"), "{answer:?}");
    line
}

#[tokio::test]
async fn a_dialogue_may_be_cut_anywhere_and_sent_at_once() {
    let lab = Lab::start().await;
    let dialogue = b"a LOGIN u1 pw\r\nb SELECT INBOX\r\nc APPEND INBOX (\\Seen) {19+}\r\nSubject: x\r\n\r\ntext\r\n\r\n\
d UID SEARCH SUBJECT {1+}\r\nx\r\ne IDLE\r\nDONE\r\nf FETCH 1 (BODY[]<8.3> FLAGS)\r\ng LOGOUT\r\n";
    let mut answers = Vec::new();
    for piece in [1, 7, dialogue.len()] {
        let mut line = lab.connect().await;
        for bytes in dialogue.chunks(piece) {
            line.raw(bytes).await;
        }
        let mut lines = Vec::new();
        loop {
            let one = line.read("pipelined").await;
            if one == CLOSED {
                break;
            }
            lines.push(one);
        }
        let found = lines.iter().find(|l| l.starts_with("* SEARCH")).unwrap().clone();
        let tagged: Vec<String> = lines
            .iter()
            .filter(|line| line.as_bytes().get(1) == Some(&b' ') && !line.starts_with(['*', '+']))
            .map(|line| line.chars().take(4).collect())
            .collect();
        assert_eq!(tagged, ["a OK", "b OK", "c OK", "d OK", "e OK", "f OK", "g OK"], "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("* 1 FETCH (BODY[]<8> {3}")), "{lines:?}");
        answers.push(found);
    }
    assert_eq!(answers, ["* SEARCH 1", "* SEARCH 1 2", "* SEARCH 1 2 3"]);
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_ends_nothing_else() {
    let lab = Lab::start().await;
    // Before the login little is taken.
    let mut line = lab.connect().await;
    line.read("greeting").await;
    assert!(line.ask("a", "LOGIN {5000}").await[0].starts_with("a NO [TOOBIG]"));
    line.raw(b"b LOGIN {5000+}\r\n").await;
    line.raw(&[b'x'; 5000]).await;
    line.raw(b" pw\r\n").await;
    assert!(line.read("b").await.starts_with("b NO [TOOBIG]"));
    for n in 0..18 {
        assert!(line.ask("c", "BOGUS").await[0].starts_with("c BAD"), "{n}");
    }
    // Each of them was an error: too many close the connection.
    until_closed(&mut line, "* BYE").await;

    let mut line = logged_in(&lab).await;
    line.ask("b", "SELECT INBOX").await;
    line.ask("b", "APPEND INBOX {1+}\r\nx").await;
    // A set that a client of a large mailbox may send, and one that takes no time all the same.
    let numbers = "1:4294967295,*:1,".repeat(3_700) + "1";
    assert!(numbers.len() > 60_000);
    let begun = Instant::now();
    let answer = line.ask("c", &format!("UID SEARCH UID {numbers}")).await;
    assert_eq!(answer, ["* SEARCH 1", "c OK SEARCH done"]);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let deep = format!("SEARCH {}ALL", "NOT ".repeat(15_000));
    assert!(line.ask("d", &deep).await[0].starts_with("d BAD"));
    let deep = format!("SEARCH {}ALL{}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(line.ask("d", &deep).await[0].starts_with("d BAD"));
    assert!(
        line.ask("e", &format!("LIST \"\" {}", "*".repeat(2_000))).await[0].starts_with("e BAD")
    );
    assert!(
        line.ask("f", &format!("CREATE {}", "x".repeat(300))).await[0].starts_with("f NO [CANNOT]")
    );
    line.raw(&vec![b'x'; 70_000]).await;
    until_closed(&mut line, "* BYE").await;
}

async fn until_closed(line: &mut Line, start: &str) {
    let mut said = false;
    loop {
        let one = line.read("the end").await;
        if one == CLOSED {
            break;
        }
        said |= one.starts_with(start);
    }
    assert!(said, "no `{start}` before the end");
}

#[tokio::test]
async fn passwords_show_nowhere_in_the_transcript() {
    let lab = Lab::start_with(|config| {
        config.accounts.insert("u3".into(), Account::with_password("s3cret-p4ss"));
    })
    .await;
    for login in [
        "a LOGIN u3 s3cret-p4ss",
        "a  login  u3  s3cret-p4ss",
        "LOGIN u3 s3cret-p4ss",
        "a LOGIN {2+}\r\nu3 {11+}\r\ns3cret-p4ss",
        "a LOGIN \"u3\" \"s3cret-p4ss\"",
        "a AUTHENTICATE PLAIN AHUzAHMzY3JldC1wNHNz",
        "a AUTHENTICATE PLAIN\r\nAHUzAHMzY3JldC1wNHNz",
    ] {
        let mut line = lab.connect().await;
        line.send(login).await;
        line.ask("z", "NOOP").await;
    }
    let lines = lab.server.transcript.lines(Some("imap"), None);
    assert!(lines.iter().any(|line| line.text.contains("***")));
    for line in lines {
        for secret in ["s3cret", "AHUzAHM"] {
            assert!(!line.text.contains(secret), "{}", line.text);
        }
    }
}

#[tokio::test]
async fn faults_strike_at_login_select_and_fetch() {
    let fault = |stage, reply: Option<&str>, drop| Fault {
        stage,
        reply: reply.map(str::to_owned),
        delay_ms: 0,
        drop,
        probability: 1.0,
        times: Some(1),
    };
    let slow = Fault { delay_ms: 400, ..fault(Stage::Fetch, None, false) };
    let faults = [
        fault(Stage::Auth, Some("451 4.3.0 come back later"), false),
        fault(Stage::Auth, None, true),
        fault(Stage::Select, Some("550 5.2.0 this mailbox is being repaired"), false),
        fault(Stage::Select, None, true),
        fault(Stage::Fetch, Some("BAD of the lesson"), false),
        slow,
        fault(Stage::Fetch, None, true),
    ];
    let lab = Lab::start_with(|config| {
        let account = config.accounts.get_mut("u1").unwrap();
        account.faults.extend(faults);
    })
    .await;
    lab.deliver("u1", b"Subject: x\r\n\r\n").await;
    let mut line = lab.connect().await;
    line.read("greeting").await;
    assert_eq!(
        line.ask("a", "LOGIN u1 pw").await,
        ["a NO [UNAVAILABLE] 451 4.3.0 come back later"]
    );
    // A drop says nothing, however one logs in.
    assert_eq!(line.ask("b", "AUTHENTICATE PLAIN AHUxAHB3").await, [CLOSED]);
    let mut line = logged_in(&lab).await;
    assert_eq!(
        line.ask("b", "SELECT INBOX").await,
        ["b NO [CONTACTADMIN] 550 5.2.0 this mailbox is being repaired"]
    );
    assert_eq!(line.ask("c", "EXAMINE INBOX").await, [CLOSED]);
    let mut line = logged_in(&lab).await;
    assert!(line.ask("b", "SELECT INBOX").await.last().unwrap().starts_with("b OK"));
    assert_eq!(line.ask("c", "FETCH 1 UID").await, ["c BAD of the lesson"]);
    let begun = Instant::now();
    assert_eq!(line.ask("d", "FETCH 1 UID").await, ["* 1 FETCH (UID 1)", "d OK FETCH done"]);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(line.ask("e", "UID FETCH 1 BODY[]").await, [CLOSED]);
    // Each struck once; another account was never touched.
    let mut line = logged_in(&lab).await;
    line.ask("b", "SELECT INBOX").await;
    assert_eq!(line.ask("c", "FETCH 1 UID").await, ["* 1 FETCH (UID 1)", "c OK FETCH done"]);
}

#[tokio::test]
async fn a_fault_instead_of_the_greeting_speaks_imap() {
    let lab = Lab::start().await;
    let fault = Fault {
        stage: Stage::Connect,
        reply: Some("421 4.3.2 not now".into()),
        delay_ms: 0,
        drop: false,
        probability: 1.0,
        times: Some(1),
    };
    lab.server
        .directory
        .change(|data| {
            data.faults.push(fault);
            Ok(())
        })
        .unwrap();
    let mut line = lab.connect().await;
    assert_eq!(line.read("BYE").await, "* BYE [UNAVAILABLE] 421 4.3.2 not now");
    assert_eq!(line.read("the end").await, CLOSED);
    let mut line = lab.connect().await;
    assert!(line.read("greeting").await.starts_with("* OK"));
}

#[tokio::test]
async fn the_same_faults_strike_pop3() {
    let fault = |stage, reply: Option<&str>| Fault {
        stage,
        reply: reply.map(str::to_owned),
        delay_ms: 0,
        drop: reply.is_none(),
        probability: 1.0,
        times: Some(1),
    };
    let faults = [
        fault(Stage::Auth, Some("451 4.3.0 come back later")),
        fault(Stage::Auth, None),
        fault(Stage::Select, Some("550 5.2.0 this mailbox is being repaired")),
        fault(Stage::Select, None),
    ];
    let lab = Lab::start_with(|config| {
        config.accounts.get_mut("u1").unwrap().faults.extend(faults);
    })
    .await;
    let login = async |line: &mut Line| {
        line.send("USER u1").await;
        line.read("USER").await;
        line.send("PASS pw").await;
        line.read("PASS").await
    };
    let mut line = lab.connect_to(Protocol::Pop3).await;
    line.read("greeting").await;
    assert_eq!(login(&mut line).await, "-ERR [SYS/TEMP] 451 4.3.0 come back later");
    assert_eq!(login(&mut line).await, CLOSED);
    let mut line = lab.connect_to(Protocol::Pop3).await;
    line.read("greeting").await;
    let refused = "-ERR [SYS/PERM] 550 5.2.0 this mailbox is being repaired";
    assert_eq!(login(&mut line).await, refused);
    assert_eq!(login(&mut line).await, CLOSED);
    let mut line = lab.connect_to(Protocol::Pop3).await;
    line.read("greeting").await;
    assert!(login(&mut line).await.starts_with("+OK"));
}

#[tokio::test]
async fn subscriptions_uids_and_flags_are_kept_over_a_restart() {
    let lab = Lab::start().await;
    let mut line = logged_in(&lab).await;
    line.ask("b", "CREATE &AOQ-/keep").await;
    line.ask("c", "SUBSCRIBE \"&AOQ-/keep\"").await;
    line.ask("d", "UNSUBSCRIBE Trash").await;
    line.ask("e", "APPEND &AOQ-/keep ($kw \\Draft) \" 1-Feb-2020 10:00:00 +0100\" {1+}\r\nx").await;
    let before = line.ask("f", "STATUS &AOQ-/keep (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)").await;
    line.ask("g", "LOGOUT").await;
    let lab = lab.restart().await;
    let mut line = logged_in(&lab).await;
    let after = line.ask("f", "STATUS &AOQ-/keep (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)").await;
    assert_eq!(before, after);
    let subscribed = line.ask("b", "LSUB \"\" *").await;
    assert!(subscribed.contains(&"* LSUB () \"/\" \"&AOQ-/keep\"".to_owned()), "{subscribed:?}");
    assert!(!subscribed.iter().any(|line| line.contains("Trash")), "{subscribed:?}");
    line.ask("c", "EXAMINE &AOQ-/keep").await;
    let fetched = line.ask("d", "FETCH 1 (FLAGS INTERNALDATE UID)").await;
    assert_eq!(
        fetched[0],
        "* 1 FETCH (FLAGS (\\Draft $kw \\Recent) INTERNALDATE \" 1-Feb-2020 09:00:00 +0000\" UID 1)"
    );
}

#[tokio::test]
async fn plaintext_sent_ahead_of_tls_is_never_a_command() {
    let lab = Lab::start().await;
    let mut line = lab.connect().await;
    line.read("greeting").await;
    line.raw(b"a STARTTLS\r\nb LOGIN u1 pw\r\n").await;
    assert!(line.read("STARTTLS").await.starts_with("a OK"));
    // What follows is taken for the handshake, and the login was not done.
    line.raw(b"c NOOP\r\n").await;
    let _ = line.read("the end").await;
    let said = lab.server.transcript.lines(Some("imap"), None);
    assert!(!said.iter().any(|line| line.text.contains("logged in")));
    assert!(lab.port(Protocol::Imaps).await > 0);
}

/// What a client knows of its mailbox: UIDs by number; 0 where it was not told yet.
struct Model {
    line: Line,
    name: usize,
    known: Vec<u32>,
    dice: u64,
}

impl Model {
    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap() % sides.max(1)
    }

    /// Sends a command and holds every untagged answer against what is known.
    async fn ask(&mut self, command: &str) {
        let by_number = ["FETCH", "STORE", "SEARCH"].iter().any(|verb| command.starts_with(verb));
        let answer = self.line.ask("t", command).await;
        let place = format!("session {} `{command}`: {answer:?}", self.name);
        for line in &answer {
            let words: Vec<&str> = line.split(' ').collect();
            let number = words.get(1).and_then(|word| word.parse::<usize>().ok());
            match (words.first(), number, words.get(2)) {
                (Some(&"*"), Some(count), Some(&"EXISTS")) => {
                    assert!(count >= self.known.len(), "EXISTS shrinks: {place}");
                    self.known.resize(count, 0);
                }
                (Some(&"*"), Some(number), Some(&"EXPUNGE")) => {
                    assert!(!by_number, "EXPUNGE moves numbers: {place}");
                    assert!((1..=self.known.len()).contains(&number), "{place}");
                    self.known.remove(number - 1);
                }
                (Some(&"*"), Some(number), Some(&"FETCH")) => {
                    assert!((1..=self.known.len()).contains(&number), "{place}");
                    let uid = line.split_once("UID ").and_then(|(_, rest)| {
                        rest.split([' ', ')']).next().and_then(|uid| uid.parse::<u32>().ok())
                    });
                    if let Some(uid) = uid {
                        let known = &mut self.known[number - 1];
                        assert!(
                            *known == 0 || *known == uid,
                            "number {number} was {known}: {place}"
                        );
                        *known = uid;
                    }
                }
                (Some(&"*"), None, _) if line.starts_with("* SEARCH") => {
                    for word in &words[2..] {
                        let number: usize = word.parse().unwrap();
                        assert!((1..=self.known.len()).contains(&number), "{place}");
                    }
                }
                _ => {}
            }
        }
        let last = answer.last().unwrap();
        let empty = self.known.is_empty() && last.starts_with("t BAD");
        assert!(
            last.starts_with("t OK") || last.starts_with("t NO [EXPUNGEISSUED]") || empty,
            "{place}"
        );
        let told: Vec<u32> = self.known.iter().copied().filter(|uid| *uid > 0).collect();
        assert!(told.is_sorted_by(|a, b| a < b), "UIDs do not rise: {place}");
    }

    async fn act(&mut self) {
        let number = self.roll(self.known.len()) + 1;
        let to = number + self.roll(self.known.len().saturating_sub(number) + 1);
        let uid = self.known.get(number - 1).copied().filter(|uid| *uid > 0).unwrap_or(1);
        let any = !self.known.is_empty();
        let command = match self.roll(13) {
            0 | 1 => "APPEND INBOX {15+}\r\nSubject: x\r\n\r\n.".to_owned(),
            2 | 3 if any => format!("STORE {number}:{to} +FLAGS (\\Deleted $k{})", number % 5),
            4 if any => format!("STORE {number} -FLAGS.SILENT (\\Deleted)"),
            5 => "EXPUNGE".to_owned(),
            6 if any => format!("FETCH {number}:{to} (UID FLAGS)"),
            7 if any => format!("COPY {number} INBOX"),
            8 if any => format!("MOVE {number} Trash"),
            9 => format!("UID EXPUNGE {uid}:*"),
            10 => "SEARCH NOT DELETED".to_owned(),
            11 => format!("UID STORE {uid}:* +FLAGS (\\Seen)"),
            12 => "UID FETCH 1:* (FLAGS)".to_owned(),
            _ => "NOOP".to_owned(),
        };
        self.ask(&command).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_agree_on_every_number() {
    let lab = Lab::start().await;
    let mut tasks = Vec::new();
    for name in 0..6_usize {
        let mut line = logged_in(&lab).await;
        let mut known = Vec::new();
        for one in line.ask("s", "SELECT INBOX").await {
            if let Some(count) = one.strip_suffix(" EXISTS").and_then(|one| one.strip_prefix("* "))
            {
                known.resize(count.parse().unwrap(), 0);
            }
        }
        let mut model = Model { line, name, known, dice: 7 + name as u64 };
        tasks.push(tokio::spawn(async move {
            for _ in 0..80 {
                model.act().await;
            }
            model
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    let mut seen = Vec::new();
    for model in &mut ends {
        model.ask("NOOP").await;
        if !model.known.is_empty() {
            model.ask("FETCH 1:* UID").await;
        }
        seen.push(model.known.clone());
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[tokio::test]
async fn no_password_in_the_clear_where_the_policy_says_so() {
    let lab = Lab::start_with(|config| config.policy.plain_passwords = false).await;
    let mut line = lab.connect().await;
    let greeting = line.read("greeting").await;
    assert!(greeting.contains(" STARTTLS LOGINDISABLED ") && !greeting.contains("AUTH=PLAIN"));
    assert!(greeting.contains("AUTH=SCRAM-SHA-256"), "{greeting}");
    assert!(line.ask("a", "LOGIN u1 pw").await[0].starts_with("a NO [PRIVACYREQUIRED]"));
    assert!(
        line.ask("b", "AUTHENTICATE PLAIN AHUxAHB3").await[0].starts_with("b NO [PRIVACYREQUIRED]")
    );
    assert!(line.ask("c", "AUTHENTICATE CRAM-MD5").await[0].starts_with("c NO [CANNOT]"));
    // Wrong proofs are errors as wrong passwords are.
    let mut said = 0;
    loop {
        line.send("d AUTHENTICATE SCRAM-SHA-256 biwsbj11MSxyPWZ5a28=").await;
        let challenge = line.read("challenge").await;
        if challenge == CLOSED || challenge.starts_with("* BYE") {
            break;
        }
        assert!(challenge.starts_with("+ "), "{challenge}");
        line.send("Yz1iaXdzLHI9bm9wZSxwPW5vcGU=").await;
        assert!(line.read("refusal").await.starts_with("d "), "no answer");
        said += 1;
        assert!(said < 40, "guessing has no end");
    }
}

#[tokio::test]
async fn a_full_account_takes_nothing_more() {
    let lab = Lab::start_with(|config| {
        config.accounts.get_mut("u1").unwrap().quota = Some(3_000);
    })
    .await;
    let mut line = logged_in(&lab).await;
    let message = "x".repeat(1_000);
    let append = format!("APPEND INBOX {{1000+}}\r\n{message}");
    for _ in 0..2 {
        assert!(line.ask("b", &append).await.last().unwrap().starts_with("b OK"));
    }
    line.ask("c", "SELECT INBOX").await;
    assert!(line.ask("d", "COPY 1:2 Trash").await.last().unwrap().starts_with("d NO [OVERQUOTA]"));
    let status = line.ask("e", "STATUS Trash (MESSAGES)").await;
    assert_eq!(status[0], "* STATUS \"Trash\" (MESSAGES 0)");
    assert!(line.ask("f", &append).await.last().unwrap().starts_with("f OK"));
    assert!(line.ask("g", &append).await.last().unwrap().starts_with("g NO [OVERQUOTA]"));
    let quota = line.ask("h", "GETQUOTAROOT INBOX").await;
    assert_eq!(quota[1], "* QUOTA \"\" (STORAGE 3 2)");
    // MOVE needs no room, and an EXPUNGE makes some.
    assert!(line.ask("i", "MOVE 1 Trash").await.last().unwrap().starts_with("i OK"));
    line.ask("j", "STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    let status = line.ask("k", "STATUS INBOX (DELETED DELETED-STORAGE)").await;
    assert_eq!(status[0], "* STATUS \"INBOX\" (DELETED 1 DELETED-STORAGE 1000)");
    line.ask("l", "EXPUNGE").await;
    assert!(line.ask("m", &append).await.last().unwrap().starts_with("m OK"));
}
