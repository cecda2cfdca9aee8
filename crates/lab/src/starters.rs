//! Labs to begin with: `labctl init`.

/// A lab to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starter {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub title: &'static str,
    /// The lab file.
    pub text: &'static str,
}

macro_rules! starters {
    ($($name:literal: $title:literal),* $(,)?) => {
        &[$( Starter { name: $name, title: $title, text: include_str!(concat!("../../../labs/", $name, ".yaml")) } ),*]
    };
}

const STARTERS: &[Starter] = starters![
    "mail-local": "a mail server that two PCs know by its address",
    "lab06": "SMTP and POP3 for mail.com, with a DNS server",
    "mastertech": "two routers with RIP, DHCP for three departments, web and mail",
    "djelfa": "univ-djelfa.com, and what happens without SMTP and without POP3",
    "djelfa-homework": "the same with a router as DHCP server",
    "vaamonde": "eight mail users, smtp.vaamonde.pti and pop3.vaamonde.pti",
    "foreign": "a container image of somebody else beside our PCs (Docker only)",
    "smart": "an own mail server and a relay service, TLS, IMAP against POP3",
];

/// All starters, in the order of the course.
pub fn starters() -> &'static [Starter] {
    STARTERS
}

/// The starter of that name.
pub fn starter(name: &str) -> Option<&'static Starter> {
    STARTERS.iter().find(|starter| starter.name == name)
}
