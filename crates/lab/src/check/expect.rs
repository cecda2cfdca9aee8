//! What counts as passing.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::decode::{Decode, Decoder, suggestion, words};
use crate::yaml::Node;

/// What counts as passing. In a lab file: `expect: pass`, `expect: unreachable`,
/// `expect: { refused: 550 }`, `expect: { fetch: connection }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// It works.
    #[default]
    Pass,
    /// It must not work, for whatever reason (a positive control must).
    Fail,
    /// No answer and no way: ping lost or answered with ICMP unreachable, no route.
    Unreachable,
    /// A connection gets no answer at all (filtered).
    Silent,
    /// Sending, connecting or asking is refused in this way.
    Refused(Refusal),
    /// Sending works; fetching is refused in this way.
    Fetch(Refusal),
}

impl Expect {
    /// Whether it must simply work.
    pub fn is_pass(&self) -> bool {
        *self == Self::Pass
    }
}

/// How something is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Refusal {
    /// With this SMTP or HTTP code.
    Code(u16),
    /// In this way.
    Way(Way),
}

words! {
    /// A way of being refused that has no number.
    pub enum Way {
        /// In any way.
        Any = "any",
        /// The connection is refused (nothing listens) or reset.
        Connection = "connection",
        /// The user name or the password is wrong.
        Login = "login",
        /// The server does not relay for this client.
        Relay = "relay",
        /// The certificate is not trusted or not for this name.
        Certificate = "certificate",
        /// The name does not resolve.
        Name = "name",
        /// Nothing arrived in the mailbox.
        Mailbox = "mailbox",
    }
}

impl Decode for Expect {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        const WORDS: &[&str] = &["pass", "fail", "unreachable", "silent", "refused", "fetch"];
        let example = "expect: { refused: 550 }";
        if let Some(text) = node.text() {
            return match text {
                "pass" => Some(Self::Pass),
                "fail" => Some(Self::Fail),
                "unreachable" | "blocked" => Some(Self::Unreachable),
                "silent" => Some(Self::Silent),
                "refused" => Some(Self::Refused(Refusal::Way(Way::Any))),
                other => decoder.refuse(
                    node,
                    "check::expect",
                    format!("`{other}` cannot be expected"),
                    suggestion(other, WORDS.iter().copied()),
                ),
            };
        }
        match node.entries() {
            [(key, value)] if key.name == "refused" => {
                Decode::decode(value, decoder).map(Self::Refused)
            }
            [(key, value)] if key.name == "fetch" => {
                Decode::decode(value, decoder).map(Self::Fetch)
            }
            [(key, _)] => decoder.refuse(
                node,
                "check::expect",
                format!("`{}` cannot be expected", key.name),
                suggestion(&key.name, WORDS.iter().copied()),
            ),
            _ => decoder.expected(node, "what is expected", example),
        }
    }
}

impl Decode for Refusal {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Some(code) = node.text().and_then(|text| text.parse::<u16>().ok()) {
            return match code {
                300..=599 => Some(Self::Code(code)),
                _ => decoder.refuse(
                    node,
                    "check::expect",
                    format!("{code} is not the code of a refusal"),
                    "codes of refusals are from 300 to 599",
                ),
            };
        }
        Way::decode(node, decoder).map(Self::Way)
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expect".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let refusal = json!({ "anyOf": [{ "type": "integer", "minimum": 300, "maximum": 599 }, { "enum": Way::WORDS }] });
        json_schema!({ "description": "what counts as passing", "anyOf": [
            { "enum": ["pass", "fail", "unreachable", "blocked", "silent", "refused"] },
            { "type": "object", "properties": { "refused": refusal, "fetch": refusal }, "additionalProperties": false }
        ] })
    }
}
