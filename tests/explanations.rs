//! Labs broken on purpose in more than 25 ways: each is blamed on the right layer, in the right
//! words, and costs exactly the checks that it must.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use common::{Labctl, usable};

fn blamed_rightly(name: &str, at_least: usize) {
    if !usable("embedded") {
        return;
    }
    let labctl = Labctl::new("embedded", name);
    let file = format!("crates/checks/tests/{name}.yaml");
    let ran = labctl.run(&["test-lab", &file]);
    assert_eq!(ran.code, 0, "{name}:\n{}\n{}", ran.out, ran.err);
    let right = ran.out.lines().filter(|line| line.trim_start().starts_with("OK")).count();
    assert!(right >= at_least, "{right} variants of {at_least}:\n{}", ran.out);
}

#[test]
fn what_students_get_wrong_is_named() {
    blamed_rightly("breakages", 23);
}

#[test]
fn what_goes_wrong_with_dhcp_is_named() {
    blamed_rightly("breakages-dhcp", 5);
}
