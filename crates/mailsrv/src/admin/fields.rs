//! The fields of a request, forgiving about text that means a number, a flag or a list.

use node::Error;
use serde_json::{Map, Value};

/// A request.
pub struct Fields {
    op: String,
    map: Map<String, Value>,
}

impl Fields {
    /// From a JSON object with `op`.
    pub fn new(request: Value) -> Result<Self, Error> {
        let Value::Object(map) = request else {
            return Err(Error::new("bad-request", "a request is an object: {\"op\": …}"));
        };
        let op = map.get("op").and_then(Value::as_str).map(str::to_owned);
        let op = op.ok_or_else(|| Error::new("bad-request", "the request has no `op`"))?;
        Ok(Self { op, map })
    }

    /// The operation.
    pub fn op(&self) -> &str {
        &self.op
    }

    /// A text that must be there.
    pub fn text(&self, name: &str) -> Result<&str, Error> {
        self.optional(name)
            .ok_or_else(|| Error::new("bad-request", format!("`{}` needs `{name}`", self.op)))
    }

    /// A text.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.map.get(name).and_then(Value::as_str)
    }

    /// Whether the field is there at all, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A field as it is.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A text or a number as text: passwords are often numbers.
    pub fn word(&self, name: &str) -> Result<String, Error> {
        match self.map.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            _ => Err(Error::new("bad-request", format!("`{}` needs `{name}`", self.op))),
        }
    }

    /// A number that must be there.
    pub fn number(&self, name: &str) -> Result<u64, Error> {
        self.optional_number(name)?.ok_or_else(|| {
            Error::new("bad-request", format!("`{}` needs the number `{name}`", self.op))
        })
    }

    /// A number.
    pub fn optional_number(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
            Some(Value::String(text)) if text.parse::<u64>().is_ok() => Ok(text.parse().ok()),
            Some(other) => {
                Err(Error::new("bad-request", format!("`{name}` must be a number, not {other}")))
            }
        }
    }

    /// A flag that must be there.
    pub fn flag(&self, name: &str) -> Result<bool, Error> {
        self.optional_flag(name)?.ok_or_else(|| {
            Error::new("bad-request", format!("`{}` needs `{name}`: true or false", self.op))
        })
    }

    /// A flag.
    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "on" | "yes") => {
                Ok(Some(true))
            }
            Some(Value::String(text)) if matches!(text.as_str(), "false" | "off" | "no") => {
                Ok(Some(false))
            }
            Some(other) => Err(Error::new(
                "bad-request",
                format!("`{name}` must be true or false, not {other}"),
            )),
        }
    }

    /// A list: an array, or one text with commas.
    pub fn list(&self, name: &str) -> Result<Vec<String>, Error> {
        let bad = || Error::new("bad-request", format!("`{name}` must be a list of texts"));
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(bad)).collect()
            }
            Some(Value::String(text)) => Ok(text
                .split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect()),
            Some(_) => Err(bad()),
        }
    }

    /// All fields but `op`.
    pub fn rest(&self) -> Map<String, Value> {
        let mut map = self.map.clone();
        map.remove("op");
        map
    }
}
