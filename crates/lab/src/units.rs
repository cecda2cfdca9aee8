//! Quantities as an author writes them.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::decode::{Decode, Decoder};
use crate::yaml::Node;

/// A time in seconds: `10`, `2.5`, `500ms`, `10s`, `2m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

impl Seconds {
    /// Reads `10`, `2.5`, `500ms`, `10s`, `2m`, `1h`; at most a day.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, factor) = if let Some(n) = text.strip_suffix("ms") {
            (n, 0.001)
        } else if let Some(n) = text.strip_suffix('s') {
            (n, 1.0)
        } else if let Some(n) = text.strip_suffix('m') {
            (n, 60.0)
        } else if let Some(n) = text.strip_suffix('h') {
            (n, 3600.0)
        } else {
            (text, 1.0)
        };
        let seconds = number.trim().parse::<f64>().ok()? * factor;
        (seconds.is_finite() && (0.0..=86_400.0).contains(&seconds)).then_some(Self(seconds))
    }

    /// As a duration.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::try_from_secs_f64(self.0.max(0.0)).unwrap_or_default()
    }

    /// Whole milliseconds.
    pub fn millis(self) -> u64 {
        u64::try_from(self.duration().as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

impl Decode for Seconds {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text().and_then(Self::parse) {
            Some(time) => Some(time),
            None => decoder.expected(node, "a time up to a day", "10s"),
        }
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a time: 10 (seconds), 2.5, 500ms, 10s, 2m",
            "anyOf": [
                { "type": "number", "minimum": 0, "maximum": 86400 },
                { "type": "string", "pattern": "^[0-9.]+ *(ms|s|m|h)?$" }
            ]
        })
    }
}

/// Reads a share: `10%` or `0.1`.
pub fn share(text: &str) -> Option<f64> {
    let share = match text.trim().strip_suffix('%') {
        Some(number) => number.trim().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

/// Reads a rate in bits a second: `1mbit`, `64kbit`, `1000`.
pub fn rate(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let (number, factor) = ["gbit", "mbit", "kbit", "bit"]
        .iter()
        .zip([1e9, 1e6, 1e3, 1.0])
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .unwrap_or((&text, 1.0));
    let rate = number.trim().parse::<f64>().ok()? * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds checked")]
    (rate.is_finite() && (1.0..=1e12).contains(&rate)).then_some(rate as u64)
}

/// Reads a size in bytes: `64M`, `1G`, `100k`, `5000`.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let (number, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_shares_rates_and_sizes_are_read_as_they_are_written() {
        assert_eq!(Seconds::parse("500ms"), Some(Seconds(0.5)));
        assert_eq!(Seconds::parse("2m"), Some(Seconds(120.0)));
        assert_eq!(Seconds::parse("1.5"), Some(Seconds(1.5)));
        assert_eq!(Seconds::parse("-1"), None);
        assert_eq!(Seconds::parse("inf"), None);
        assert_eq!(share("10%"), Some(0.1));
        assert_eq!(share("1.5"), None);
        assert_eq!(rate("1mbit"), Some(1_000_000));
        assert_eq!(rate("0"), None);
        assert_eq!(bytes("64M"), Some(64 << 20));
        assert_eq!(bytes("1GiB"), Some(1 << 30));
        assert_eq!(bytes("x"), None);
        assert_eq!(bytes(""), None);
    }
}
