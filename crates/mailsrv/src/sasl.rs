//! SASL, the server's side, the same for SMTP, POP3 and IMAP: PLAIN (RFC 4616), LOGIN,
//! SCRAM-SHA-256 (RFC 7677) and, where the instructor asks, CRAM-MD5 (RFC 2195).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::directory::Directory;
use crate::password::{self, Scram};

/// A mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// User and password in one response.
    Plain,
    /// User and password in two responses.
    Login,
    /// Proof of the password in both directions.
    ScramSha256,
    /// Needs the password in plain text on the server.
    CramMd5,
}

impl Mechanism {
    /// By its name.
    pub fn by_name(name: &str) -> Option<Self> {
        let all = [Self::Plain, Self::Login, Self::ScramSha256, Self::CramMd5];
        all.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::CramMd5 => "CRAM-MD5",
        }
    }

    /// Those to offer: passwords in the clear only where they may be.
    pub fn offered(plain_allowed: bool, cram_md5: bool) -> Vec<Self> {
        let mut offered = Vec::new();
        if plain_allowed {
            offered.extend([Self::Plain, Self::Login]);
        }
        offered.push(Self::ScramSha256);
        if cram_md5 {
            offered.push(Self::CramMd5);
        }
        offered
    }

    /// Whether the password itself crosses the wire.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this (base64) and wait for the response.
    Challenge(String),
    /// Ask whether this password is right.
    Verify {
        /// The login name.
        user: String,
        /// The password.
        password: String,
    },
    /// The account is authenticated.
    Done(String),
    /// The password or proof was wrong.
    Failed,
    /// The response was not what the mechanism wants.
    Malformed(&'static str),
}

/// One exchange.
pub struct Exchange {
    state: State,
    hostname: String,
}

enum State {
    Plain,
    LoginUser,
    LoginPassword { user: String },
    ScramFirst,
    ScramFinal(Box<ScramFinal>),
    ScramAck { account: String },
    Cram { challenge: String },
    Ended,
}

struct ScramFinal {
    account: Option<String>,
    keys: Scram,
    gs2: String,
    nonce: String,
    /// client-first-bare `,` server-first `,`
    so_far: String,
}

impl Exchange {
    /// Begins. `nonce` must be unguessable and new.
    pub fn start(
        mechanism: Mechanism,
        initial: Option<&str>,
        directory: &Directory,
        hostname: &str,
        nonce: u128,
    ) -> (Self, Step) {
        let mut exchange = Self { state: State::Ended, hostname: hostname.to_owned() };
        exchange.state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::ScramSha256 => State::ScramFirst,
            Mechanism::CramMd5 => {
                let challenge = format!("<{nonce}@{hostname}>");
                let step = Step::Challenge(BASE64.encode(&challenge));
                exchange.state = State::Cram { challenge };
                let step = if initial.is_some() {
                    Step::Malformed("CRAM-MD5 has no initial response")
                } else {
                    step
                };
                return (exchange, step);
            }
        };
        let step = match initial {
            Some(initial) => exchange.respond(initial, directory, nonce),
            None => Step::Challenge(match mechanism {
                Mechanism::Login => BASE64.encode("Username:"),
                _ => String::new(),
            }),
        };
        (exchange, step)
    }

    /// Takes one response (base64; `=` is an empty one).
    pub fn respond(&mut self, response: &str, directory: &Directory, nonce: u128) -> Step {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let response = if response == "=" { "" } else { response };
        let Ok(bytes) = BASE64.decode(response) else {
            return Step::Malformed("the response is not base64");
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return Step::Malformed("the response is not UTF-8");
        };
        match state {
            State::Plain => plain(&text, directory),
            State::LoginUser => {
                self.state = State::LoginPassword { user: text };
                Step::Challenge(BASE64.encode("Password:"))
            }
            State::LoginPassword { user } => Step::Verify { user, password: text },
            State::ScramFirst => self.scram_first(&text, directory, nonce),
            State::ScramFinal(state) => self.scram_final(&text, &state),
            State::ScramAck { account } if text.is_empty() => Step::Done(account),
            State::ScramAck { .. } => Step::Malformed("nothing was expected any more"),
            State::Cram { challenge } => cram(&text, &challenge, directory),
            State::Ended => Step::Malformed("the exchange has ended"),
        }
    }

    fn scram_first(&mut self, text: &str, directory: &Directory, nonce: u128) -> Step {
        let bad = Step::Malformed("not a SCRAM client-first-message");
        let Some((flag, rest)) = text.split_once(',') else { return bad };
        if flag != "n" && flag != "y" {
            return Step::Malformed("channel binding is not offered");
        }
        let Some((authzid, bare)) = rest.split_once(',') else { return bad };
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|a| a.strip_prefix("n="));
        let theirs = attributes.next().and_then(|a| a.strip_prefix("r="));
        let (Some(user), Some(theirs)) = (user, theirs) else { return bad };
        if theirs.is_empty() || !theirs.chars().all(|c| c.is_ascii_graphic()) {
            return bad;
        }
        let name = |text: &str| text.replace("=2C", ",").replace("=3D", "=");
        let user = name(user);
        let acts_for = match authzid {
            "" => String::new(),
            other => match other.strip_prefix("a=") {
                Some(other) => name(other),
                None => return bad,
            },
        };
        if !is_same(&acts_for, &user, directory) {
            return Step::Failed;
        }
        let found = directory.login(&user).and_then(|(name, entry)| {
            let keys = entry.credentials?.scram()?.clone();
            Some((name, keys))
        });
        // Unknown users get a salt as well, the same each time (RFC 5802, 5.1 e).
        let (account, keys) = match found {
            Some((name, keys)) => (Some(name), keys),
            None => {
                let salt = password::mac(self.hostname.as_bytes(), user.as_bytes());
                let nothing = BASE64.encode([0; 32]);
                let keys = Scram {
                    salt: BASE64.encode(&salt[..16]),
                    iterations: 4096,
                    stored_key: nothing.clone(),
                    server_key: nothing,
                };
                (None, keys)
            }
        };
        let nonce = format!("{theirs}{nonce:032x}");
        let server_first = format!("r={nonce},s={},i={}", keys.salt, keys.iterations);
        let so_far = format!("{bare},{server_first},");
        let gs2 = BASE64.encode(format!("{flag},{authzid},"));
        self.state = State::ScramFinal(Box::new(ScramFinal { account, keys, gs2, nonce, so_far }));
        Step::Challenge(BASE64.encode(server_first))
    }

    fn scram_final(&mut self, text: &str, state: &ScramFinal) -> Step {
        let bad = Step::Malformed("not a SCRAM client-final-message");
        let Some((without_proof, proof)) = text.rsplit_once(",p=") else { return bad };
        let binding = format!("c={},r={}", state.gs2, state.nonce);
        // Extensions may stand between nonce and proof (RFC 5802, 7).
        let rest = without_proof.strip_prefix(&binding);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(',')) {
            return Step::Failed;
        }
        let decode = |text: &str| BASE64.decode(text).ok();
        let (Some(proof), Some(stored), Some(server)) =
            (decode(proof), decode(&state.keys.stored_key), decode(&state.keys.server_key))
        else {
            return bad;
        };
        let message = format!("{}{without_proof}", state.so_far);
        let signature = password::mac(&stored, message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        let good = proof.len() == 32 && password::equal(&Sha256::digest(client_key), &stored);
        match &state.account {
            Some(account) if good => {
                self.state = State::ScramAck { account: account.clone() };
                let verifier = BASE64.encode(password::mac(&server, message.as_bytes()));
                Step::Challenge(BASE64.encode(format!("v={verifier}")))
            }
            _ => Step::Failed,
        }
    }
}

/// Whether the identity to act for, where one is named, is the user's own (RFC 4616, 2).
fn is_same(acts_for: &str, user: &str, directory: &Directory) -> bool {
    let account = |name: &str| directory.login(name).map(|(account, _)| account);
    acts_for.is_empty()
        || acts_for.eq_ignore_ascii_case(user)
        || account(acts_for).is_some_and(|found| account(user) == Some(found))
}

fn plain(text: &str, directory: &Directory) -> Step {
    let mut parts = text.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(authzid), Some(user), Some(password), None) if !user.is_empty() => {
            if !is_same(authzid, user, directory) {
                return Step::Failed;
            }
            Step::Verify { user: user.to_owned(), password: password.to_owned() }
        }
        _ => Step::Malformed("PLAIN wants: NUL user NUL password"),
    }
}

fn cram(text: &str, challenge: &str, directory: &Directory) -> Step {
    let Some((user, digest)) = text.rsplit_once(' ') else {
        return Step::Malformed("CRAM-MD5 wants: user, space, digest");
    };
    let found = directory.login(user).and_then(|(name, entry)| {
        let plain = entry.credentials?.plain()?.to_owned();
        Some((name, plain))
    });
    let Some((name, plain)) = found else { return Step::Failed };
    if password::equal(
        hmac_md5(&plain, challenge).as_bytes(),
        digest.to_ascii_lowercase().as_bytes(),
    ) {
        Step::Done(name)
    } else {
        Step::Failed
    }
}

fn hmac_md5(key: &str, text: &str) -> String {
    let Ok(mac) = Hmac::<Md5>::new_from_slice(key.as_bytes()) else { return String::new() };
    hex(&mac.chain_update(text).finalize().into_bytes())
}

/// APOP's digest (RFC 1939, 7).
pub fn apop(timestamp: &str, password: &str) -> String {
    hex(&Md5::digest(format!("{timestamp}{password}")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Account, Config};

    fn directory(folder: &std::path::Path) -> Directory {
        let mut config = Config::new("a.test", folder);
        config.policy.cram_md5 = true;
        config.accounts.insert("user".into(), Account::with_password("pencil"));
        Directory::load(&config).unwrap()
    }

    fn b64(text: &str) -> String {
        BASE64.encode(text)
    }

    #[test]
    fn plain_and_login_ask_for_a_verify() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(folder.path());
        let start = |mechanism, initial: Option<&str>| {
            Exchange::start(mechanism, initial, &directory, "h", 1)
        };
        let verify = || Step::Verify { user: "user".into(), password: "pw".into() };
        assert_eq!(start(Mechanism::Plain, Some(&b64("\0user\0pw"))).1, verify());
        let (mut exchange, step) = start(Mechanism::Login, None);
        assert_eq!(step, Step::Challenge(b64("Username:")));
        assert_eq!(
            exchange.respond(&b64("user"), &directory, 1),
            Step::Challenge(b64("Password:"))
        );
        assert_eq!(exchange.respond(&b64("pw"), &directory, 1), verify());
        for bad in ["!", &b64("user\0pw"), &b64("\0\0"), "="] {
            assert!(matches!(start(Mechanism::Plain, Some(bad)).1, Step::Malformed(_)), "{bad}");
        }
        assert_eq!(start(Mechanism::Plain, Some(&b64("other\0user\0pw"))).1, Step::Failed);
    }

    #[test]
    fn scram_takes_the_proof_and_gives_one() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(folder.path());
        for (password, good) in [("pencil", true), ("pen", false)] {
            let first = b64("n,,n=user,r=abc");
            let (mut exchange, step) =
                Exchange::start(Mechanism::ScramSha256, Some(&first), &directory, "h", 5);
            let Step::Challenge(challenge) = step else { panic!("{step:?}") };
            let server_first = String::from_utf8(BASE64.decode(challenge).unwrap()).unwrap();
            let nonce = server_first.split(',').next().unwrap().strip_prefix("r=").unwrap();
            let salt = server_first.split(',').nth(1).unwrap().strip_prefix("s=").unwrap();
            let salted = password::pbkdf2(password.as_bytes(), &BASE64.decode(salt).unwrap(), 4096);
            let key = password::mac(&salted, b"Client Key");
            let without = format!("c=biws,r={nonce}");
            let message = format!("n=user,r=abc,{server_first},{without}");
            let signature = password::mac(&Sha256::digest(key), message.as_bytes());
            let proof: Vec<u8> = key.iter().zip(signature).map(|(k, s)| k ^ s).collect();
            let last = b64(&format!("{without},p={}", BASE64.encode(proof)));
            let step = exchange.respond(&last, &directory, 5);
            if good {
                assert!(matches!(step, Step::Challenge(_)), "{step:?}");
                let done = exchange.respond("", &directory, 5);
                assert_eq!(done, Step::Done("user@a.test".into()));
            } else {
                assert_eq!(step, Step::Failed);
            }
        }
    }

    #[test]
    fn cram_md5_takes_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let directory = directory(folder.path());
        let (mut exchange, step) = Exchange::start(Mechanism::CramMd5, None, &directory, "h", 9);
        assert_eq!(step, Step::Challenge(b64("<9@h>")));
        let answer = b64(&format!("user {}", hmac_md5("pencil", "<9@h>")));
        assert_eq!(exchange.respond(&answer, &directory, 9), Step::Done("user@a.test".into()));
        // RFC 2195, 2.
        assert_eq!(
            hmac_md5("tanstaaftanstaaf", "<1896.697170952@postoffice.reston.mci.net>"),
            "b913a602c7eda7a495b4e6e7334d3890"
        );
        // RFC 1939, 7.
        assert_eq!(
            apop("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf"),
            "c4c9334bac560ecc979e58001b3e22fb"
        );
    }
}
