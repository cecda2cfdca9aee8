//! SPF and DMARC in a lab: its own DNS server says who may send, its mail servers hold to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use common::{Labctl, engines, eventually};

#[test]
fn who_may_not_send_for_a_domain_is_refused_and_told() {
    for engine in engines() {
        let labctl = Labctl::new(engine, "policy");
        labctl.ok(&["up", "--no-verify", "tests/data/policy.yaml"]);
        let lists = |words: &str| labctl.exec("pcb", &["mail", "list"]).out.contains(words);
        let sent = labctl.exec("pca", &["mail", "send", "bob@b.edu", "-s", "truth", "-m", "x"]);
        assert_eq!(sent.code, 0, "{}", sent.err);
        eventually("the true mail", || lists("truth"));
        let head = labctl.ok(&["mail", "mailb", "message", "bob@b.edu", "1", "headers"]);
        for words in ["Authentication-Results: mail.b.edu;", "spf=pass", "dkim=pass", "dmarc=pass"]
        {
            assert!(head.contains(words), "{engine}: no `{words}` in\n{head}");
        }
        // b.edu's own server is not among those that may send for b.edu.
        let sent = labctl.exec("pcb", &["mail", "send", "ann@a.edu", "-s", "lie", "-m", "x"]);
        assert_eq!(sent.code, 0, "{}", sent.err);
        eventually("the notice", || lists("Undelivered"));
        let notice = labctl.exec("pcb", &["mail", "read", "2"]).out;
        assert!(notice.contains("reject (DMARC)"), "{notice}");
        assert!(labctl.exec("pca", &["mail", "list"]).out.contains("no messages"));
        // A check that waits in vain says where the message ended.
        if engine == "embedded" {
            let ran = labctl.run(&["verify"]);
            assert_eq!(ran.code, 1, "{}", ran.out);
            let why = "mailb took the message for ann@a.edu, but maila refused it: 550 5.7.1";
            assert!(ran.out.contains(why), "{}", ran.out);
        }
    }
}
