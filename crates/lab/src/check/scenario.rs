//! Scenarios: ordered steps of actions and checks.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::action::{ACTIONS, action, describe};
use super::kind::{kind, kinds};
use super::read::{choice_schema, either, field, known, said, single};
use super::{Action, Expect, IosLines, Kind, empty};
use crate::decode::{Decode, Decoder, List};
use crate::diagnostic::Problem;
use crate::units::Seconds;
use crate::yaml::Node;

/// The fields of a step beside its action.
pub(super) const STEP_FIELDS: &[&str] = &["name", "expect", "within"];

/// An ordered list of actions and checks; the lab is put back as it was at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called in reports; unique in the lab.
    pub name: String,
    /// What it is worth when every step is as expected; 0 where the author said nothing.
    #[serde(default)]
    pub points: f64,
    /// The heading it stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Names of checks that must pass first.
    #[serde(default, skip_serializing_if = "empty")]
    pub needs: List<String>,
    /// What the author tells a student whose scenario fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The line of the lab file it stands on.
    #[serde(default)]
    pub line: usize,
}

impl Decode for Scenario {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        const FIELDS: &[&str] = &["name", "points", "group", "needs", "hint", "steps"];
        let mut complete = known(node, FIELDS, "a scenario with name and steps", decoder)?;
        let name = field::<String>(node, "name", decoder, &mut complete);
        let points = field(node, "points", decoder, &mut complete).unwrap_or(0.0);
        let group = field(node, "group", decoder, &mut complete);
        let needs = field(node, "needs", decoder, &mut complete).unwrap_or_default();
        let hint = field(node, "hint", decoder, &mut complete);
        let steps: Option<List<Step>> = field(node, "steps", decoder, &mut complete);
        if node.get("steps").is_none_or(|steps| steps.items().is_empty()) {
            return decoder.refuse(
                node,
                "yaml::missing-field",
                "the scenario has no steps",
                "add `steps: [{ off: mail.smtp }, …]`",
            );
        }
        let steps = steps?;
        complete.then(|| Self {
            name: name.unwrap_or_else(|| "scenario".to_owned()),
            points,
            group,
            needs,
            hint,
            steps: steps.0,
            line: decoder.line(node),
        })
    }
}

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it is called in reports; made from the action where the author gave none.
    pub name: String,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// For `check` and `until`: what counts as passing.
    #[serde(default, skip_serializing_if = "Expect::is_pass")]
    pub expect: Expect,
    /// For `check` and `until`: the deadline; `until` reports the time it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Seconds>,
    /// The line of the lab file it stands on.
    #[serde(default)]
    pub line: usize,
}

impl Decode for Step {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let (key, value) = single(node, STEP_FIELDS, "step", ACTIONS, decoder)?;
        let mut complete = true;
        let action = action(key, value, decoder);
        let name = field::<String>(node, "name", decoder, &mut complete);
        let mut expect = field(node, "expect", decoder, &mut complete).unwrap_or_default();
        let mut within: Option<Seconds> = field(node, "within", decoder, &mut complete);
        // `check: { mail: …, expect: … }`: what stands inside counts as well.
        if matches!(key.name.as_str(), "check" | "until") {
            if let Some(inner) = field(value, "expect", decoder, &mut complete) {
                expect = inner;
            }
            if let Some(inner) = field(value, "within", decoder, &mut complete) {
                within = Some(inner);
            }
        } else if let Some((key, _)) = node.entry("expect").or_else(|| node.entry("within")) {
            decoder.problems.push(
                Problem::error(
                    "check::expect",
                    key.span,
                    format!("`{}` belongs to `check` and `until` steps", key.name),
                )
                .help("write a `check` step after this one"),
            );
            complete = false;
        }
        let action = action?;
        complete.then(|| Self {
            name: name.unwrap_or_else(|| describe(&action)),
            action,
            expect,
            within,
            line: decoder.line(node),
        })
    }
}

/// What a `check:` or `until:` step tries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// A check of the lab, by its name.
    Named(String),
    /// One of its own.
    Kind(Kind),
}

/// Reads what a `check` or `until` step tries.
pub(super) fn tried(node: &Node, decoder: &mut Decoder<'_>) -> Option<Tried> {
    if let Some(name) = node.text() {
        return Some(Tried::Named(name.to_owned()));
    }
    let (key, value) = single(node, &["expect", "within"], "check", Kind::WORDS, decoder)?;
    kind(key, value, decoder).map(Tried::Kind)
}

impl JsonSchema for Scenario {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scenario".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "an ordered list of actions and checks; the lab is put back afterwards",
            "required": ["steps"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "description": "what it is called in reports" },
                "points": { "type": "number", "minimum": 0, "description": "what it is worth" },
                "group": { "type": "string", "description": "the heading it stands under" },
                "needs": generator.subschema_for::<List<String>>(),
                "hint": { "type": "string", "description": "what a student reads whose scenario fails" },
                "steps": { "type": "array", "items": generator.subschema_for::<Step>() }
            }
        })
    }
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = |description: &str| said(description, json!({ "type": "string" }));
        let fixed = [
            ("name", text("what it is called in reports")),
            ("expect", generator.subschema_for::<Expect>()),
            ("within", generator.subschema_for::<Seconds>()),
        ];
        let mut tried = kinds(generator);
        tried.push(("expect", generator.subschema_for::<Expect>()));
        tried.push(("within", generator.subschema_for::<Seconds>()));
        let tried = either(choice_schema(&[], tried, "a check by its name, or one of its own"));
        let choices = vec![
            ("off", text("switches a service or protocol off: mail.smtp, dns")),
            ("on", text("switches it on")),
            ("down", text("pulls a cable: pc0:lan")),
            ("up", text("plugs it in")),
            ("stop", text("stops a node")),
            ("start", text("starts a node")),
            ("restart", text("restarts a node")),
            (
                "impair",
                said(
                    "makes a link bad; only the link: good again",
                    json!({ "anyOf": [
                { "type": "string" },
                { "type": "object", "required": ["link"], "additionalProperties": false, "properties": {
                    "link": { "type": "string" }, "loss": { "type": ["string", "number"] },
                    "delay": { "type": ["string", "number"] }, "rate": { "type": ["string", "number"] } } } ] }),
                ),
            ),
            ("add_user", generator.subschema_for::<crate::check::AddUser>()),
            ("remove_user", generator.subschema_for::<crate::check::RemoveUser>()),
            ("record", generator.subschema_for::<crate::check::Record>()),
            (
                "address",
                said(
                    "gives an interface another address",
                    json!({ "type": "object", "required": ["link", "is"],
                "additionalProperties": false, "properties": { "link": { "type": "string" }, "is": { "type": "string" } } }),
                ),
            ),
            ("ios", generator.subschema_for::<IosLines>()),
            ("check", tried.clone()),
            ("until", tried),
        ];
        choice_schema(&fixed, choices, "one step: an action or a check")
    }
}
