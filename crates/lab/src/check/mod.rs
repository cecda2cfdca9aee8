//! The language of checks, scenarios and wrong variants: each type beside the way it is read from a
//! lab file.
//!
//! Every field has the name it has in a lab file, so the JSON form of a [`Check`] is also its YAML
//! form. Node names, network names and mail addresses are plain texts here; [`crate::load`] has
//! verified that they exist.
//!
//! | in a lab file | here |
//! | --- | --- |
//! | `checks:`: what every check takes | this file, [`expect`] |
//! | the kind of a check, and its name where none is given | [`kind`] |
//! | `link` `address` `lease` `ping` `route` `trace` `arp` | [`layers`] |
//! | `dns` `port` `http` | [`services`] |
//! | `mail` `imap` `pop3` `queue` `transcript` | [`mail`] |
//! | `ports` `exec` | [`observe`] |
//! | `scenarios:`, their steps and actions | [`scenario`], [`action`] |
//! | `wrong:` | [`wrong`] |

mod action;
mod expect;
mod kind;
mod layers;
mod mail;
mod observe;
mod read;
mod scenario;
mod services;
mod wrong;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use action::{
    Action, AddUser, Impair, IosLines, Plug, Record, RemoveUser, Service, SetAddress,
};
pub(crate) use action::{SERVICE_WORDS, service_of};
pub use expect::{Expect, Refusal, Way};
pub use kind::Kind;
pub(crate) use kind::title;
pub use layers::{Address, Arp, Lease, Link, Ping, Route, Trace};
pub use mail::{Imap, Mail, MailFetch, Pop3, Queue, Security, Transcript};
pub use observe::{Exec, Ports};
pub use scenario::{Scenario, Step, Tried};
pub use services::{Dns, DnsStatus, Http, Port, PortState, Transport};
pub use wrong::{Layer, Wrong};

use crate::decode::{Decode, Decoder, List};
use crate::units::Seconds;
use crate::yaml::Node;
use kind::{kind, kinds};
use read::{choice_schema, field, said, single};

/// The fields of a check beside its kind.
const CHECK_FIELDS: &[&str] = &["name", "points", "group", "needs", "within", "hint", "expect"];

/// One thing that must hold, tried by a node's own client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What it is called in reports; unique in the lab.
    pub name: String,
    /// What it is worth; 1 where the author said nothing.
    pub points: f64,
    /// The heading it stands under in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Names of checks that must pass first; it is `blocked` where one of them does not.
    #[serde(default, skip_serializing_if = "empty")]
    pub needs: List<String>,
    /// Tried again until it passes or this many seconds are over; tried once where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Seconds>,
    /// What the author tells a student whose check fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What counts as passing.
    #[serde(default, skip_serializing_if = "Expect::is_pass")]
    pub expect: Expect,
    /// Whether labctl added it because the author wrote no checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// The line of the lab file it stands on; 0 for a derived one.
    #[serde(default)]
    pub line: usize,
    /// What is tried.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Decode for Check {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let (key, value) = single(node, CHECK_FIELDS, "check", Kind::WORDS, decoder)?;
        let kind = kind(key, value, decoder);
        let mut complete = kind.is_some();
        let points = field::<f64>(node, "points", decoder, &mut complete).unwrap_or(1.0);
        if !(0.0..=10_000.0).contains(&points)
            && let Some(at) = node.get("points")
        {
            decoder.refuse::<()>(at, "check::points", "points are from 0 to 10000", "");
            complete = false;
        }
        let name = field::<String>(node, "name", decoder, &mut complete);
        let group = field(node, "group", decoder, &mut complete);
        let needs = field(node, "needs", decoder, &mut complete).unwrap_or_default();
        let within = field(node, "within", decoder, &mut complete);
        let hint = field(node, "hint", decoder, &mut complete);
        let expect = field(node, "expect", decoder, &mut complete).unwrap_or_default();
        let kind = kind?;
        complete.then(|| Self {
            name: name.unwrap_or_else(|| title(&kind)),
            points,
            group,
            needs,
            within,
            hint,
            expect,
            derived: false,
            line: decoder.line(node),
            kind,
        })
    }
}

impl JsonSchema for Check {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Check".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fixed = [
            ("name", said("what it is called in reports", json!({ "type": "string" }))),
            (
                "points",
                said(
                    "what it is worth; 1 where nothing is said",
                    json!({ "type": "number", "minimum": 0 }),
                ),
            ),
            ("group", said("the heading it stands under", json!({ "type": "string" }))),
            ("needs", generator.subschema_for::<List<String>>()),
            ("within", generator.subschema_for::<Seconds>()),
            ("hint", said("what a student reads whose check fails", json!({ "type": "string" }))),
            ("expect", generator.subschema_for::<Expect>()),
        ];
        choice_schema(
            &fixed,
            kinds(generator),
            "one thing that must hold, tried by a node's own client",
        )
    }
}

fn empty(list: &List<String>) -> bool {
    list.0.is_empty()
}
