//! Wrong variants of a lab: how an author tests it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Step;
use super::read::{field, known};
use crate::decode::{Decode, Decoder, List, words};
use crate::yaml::Node;

words! {
    /// The layers of an explanation, from the bottom: the first broken one is named.
    pub enum Layer {
        /// The node runs.
        Node = "node",
        /// Its link is up.
        Link = "link",
        /// It has its address (mask, gateway).
        Address = "address",
        /// There is a way.
        Route = "route",
        /// The neighbour answers.
        Arp = "arp",
        /// The name resolves.
        Name = "name",
        /// The port is open.
        Port = "port",
        /// The server greets.
        Banner = "banner",
        /// The login is accepted.
        Login = "login",
        /// The server's reply is good.
        Reply = "reply",
        /// The message is in the mailbox.
        Mailbox = "mailbox",
    }
}

/// A wrong variant of the lab, and what labctl must find: how an author tests a lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// What is wrong, as a title.
    pub name: String,
    /// A merge patch (RFC 7396) on the lab file: `null` removes. Applied by
    /// [`crate::Lab::patched`].
    #[serde(default)]
    pub patch: serde_json::Value,
    /// Actions after the lab is up.
    #[serde(default, rename = "do")]
    pub actions: Vec<Step>,
    /// The points that are still earned.
    #[serde(default)]
    pub earned: Option<f64>,
    /// The checks that fail (`fail` or `blocked`): exactly these, where the list is not empty.
    #[serde(default)]
    pub fails: List<String>,
    /// The first broken layer that the first failing check's explanation names.
    #[serde(default)]
    pub layer: Option<Layer>,
    /// A text that the explanation contains.
    #[serde(default)]
    pub says: Option<String>,
    /// The line of the lab file it stands on.
    #[serde(default)]
    pub line: usize,
}

impl Decode for Wrong {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        const FIELDS: &[&str] = &["name", "patch", "do", "earned", "fails", "layer", "says"];
        let mut complete = known(node, FIELDS, "a wrong variant with name and patch", decoder)?;
        let name = field::<String>(node, "name", decoder, &mut complete);
        let actions: Option<List<Step>> = field(node, "do", decoder, &mut complete);
        let earned = field(node, "earned", decoder, &mut complete);
        let fails = field(node, "fails", decoder, &mut complete).unwrap_or_default();
        let layer = field(node, "layer", decoder, &mut complete);
        let says = field(node, "says", decoder, &mut complete);
        let patch = node.get("patch").map_or(serde_json::Value::Null, Node::to_json);
        if patch.is_null() && node.get("do").is_none() {
            return decoder.refuse(
                node,
                "check::nothing-to-do",
                "this wrong variant changes nothing",
                "give a `patch:` or `do:` steps",
            );
        }
        let Some(name) = name else {
            return decoder.refuse(
                node,
                "yaml::missing-field",
                "the field `name` is missing",
                "add `name: …`",
            );
        };
        complete.then(|| Self {
            name,
            patch,
            actions: actions.unwrap_or_default().0,
            earned,
            fails,
            layer,
            says,
            line: decoder.line(node),
        })
    }
}

impl JsonSchema for Wrong {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wrong".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "a wrong variant of the lab, and what labctl must find",
            "required": ["name"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "description": "what is wrong" },
                "patch": { "type": "object", "description": "a merge patch on the lab: null removes" },
                "do": { "type": "array", "items": generator.subschema_for::<Step>(), "description": "actions after the lab is up" },
                "earned": { "type": "number", "description": "the points that are still earned" },
                "fails": generator.subschema_for::<List<String>>(),
                "layer": generator.subschema_for::<crate::check::Layer>(),
                "says": { "type": "string", "description": "a text in the explanation" }
            }
        })
    }
}
