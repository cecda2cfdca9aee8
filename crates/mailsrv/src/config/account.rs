//! Accounts, and the faults that they may have for lessons.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Error, yes};

/// A mail user. In the file either only the password or a map.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct Account {
    /// The password in plain text, or an argon2 hash (`$argon2id$…`). Nobody can log in where it
    /// is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Addresses that get a copy of each message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<String>,
    /// Whether a forwarded message is kept here as well.
    pub keep: bool,
    /// An answer to each sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_reply: Option<AutoReply>,
    /// Text put below each message that the user sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The most that the account may hold, in bytes; `limits.quota` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Faults for lessons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Account {
    /// An account with that password and nothing else.
    pub fn with_password(password: impl Into<String>) -> Self {
        Self { password: Some(password.into()), keep: true, ..Self::default() }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("forward", &self.forward)
            .field("keep", &self.keep)
            .field("auto_reply", &self.auto_reply)
            .field("quota", &self.quota)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// The long form of an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountMap {
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    forward: Vec<String>,
    #[serde(default = "yes")]
    keep: bool,
    #[serde(default)]
    auto_reply: Option<AutoReply>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    quota: Option<u64>,
    #[serde(default)]
    faults: Vec<Fault>,
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Account;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a password, or a map with `password` and the account's settings")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Account, E> {
                Ok(Account::with_password(text))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Account, E> {
                Ok(Account::with_password(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Account, E> {
                Ok(Account::with_password(number.to_string()))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Account, E> {
                Ok(Account { keep: true, ..Account::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Account, A::Error> {
                let map = AccountMap::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Account {
                    password: map.password,
                    forward: map.forward,
                    keep: map.keep,
                    auto_reply: map.auto_reply,
                    signature: map.signature,
                    quota: map.quota,
                    faults: map.faults,
                })
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// An automatic answer (RFC 3834).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoReply {
    /// The subject; `Auto: ` and the message's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    pub text: String,
    /// The same sender is answered again only after so many seconds.
    #[serde(default = "one_week")]
    pub every_s: u64,
}

/// Where in a dialogue a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Instead of the greeting.
    Connect,
    /// EHLO and HELO.
    Helo,
    /// AUTH, USER/PASS, LOGIN.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA and BDAT.
    Data,
    /// After the message.
    Message,
    /// SELECT and EXAMINE; in POP3 the opening of the mailbox after the login.
    Select,
    /// RETR, TOP and FETCH.
    Fetch,
}

/// A fault for a lesson.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where it strikes.
    pub stage: Stage,
    /// The reply instead of the true one, such as `451 4.3.0 come back later`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Waits so long first, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Closes the connection without a reply.
    #[serde(default)]
    pub drop: bool,
    /// How often it strikes: 0.0 never, 1.0 always.
    #[serde(default = "always")]
    pub probability: f64,
    /// Strikes only so many times, then never again; always where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Fault {
    /// Refuses values that mean nothing.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Error::Invalid(format!(
                "the probability of a fault is {}, it must be from 0 to 1",
                self.probability
            )));
        }
        Ok(())
    }
}

fn always() -> f64 {
    1.0
}

fn one_week() -> u64 {
    7 * 86_400
}
