//! What files say and what is refused.

use super::*;

#[test]
fn the_sheets_short_form_is_enough() {
    let config = Config::parse(
        "hostname: mail.com\ndomains: [{name: mail.com}]\naccounts: {client1: admin, client2: 1234}\nstate: /tmp/x\n",
    )
    .unwrap();
    assert_eq!(config.accounts["client1"].password.as_deref(), Some("admin"));
    assert_eq!(config.accounts["client2"].password.as_deref(), Some("1234"));
    assert!(config.accounts["client1"].keep);
    assert_eq!(config.port(Protocol::Pop3s), 995);
    assert!(config.is_on(Protocol::Imap));
}

#[test]
fn the_long_form_says_everything() {
    let config = Config::parse(
        r#"
hostname: mx.a.test
domains:
  - { name: a.test, aliases: [b.test], catch_all: u1 }
protocols:
  smtp: { port: 2525 }
  imap: { on: false }
accounts:
  u1:
    password: geheim
    forward: [u2@c.test]
    keep: false
    auto_reply: { text: away }
    faults: [ { stage: rcpt, reply: "451 4.3.0 later", probability: 0.5 } ]
relay: { networks: [10.0.0.0/8], smarthost: { host: out.test, user: x, password: y, tls: starttls } }
dns: [ 127.0.0.1, "127.0.0.1:5300" ]
limits: { message: 1000 }
state: /tmp/x
"#,
    )
    .unwrap();
    assert!(!config.is_on(Protocol::Imap));
    assert_eq!(config.port(Protocol::Smtp), 2525);
    assert_eq!(config.dns[1].0.port(), 5300);
    assert!(!format!("{config:?}").contains("geheim"));
}

#[test]
fn what_is_unknown_or_senseless_is_refused() {
    for (text, words) in [
        ("hostname: a\ndomains: [{name: a}]\nstate: x\nport: 3\n", "port"),
        ("hostname: a\ndomains: []\nstate: x\n", "domains"),
        (
            "hostname: a\ndomains: [{name: a}]\nstate: x\naccounts: {u: {faults: [{stage: rcpt, probability: 2}]}}\n",
            "probability",
        ),
    ] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
