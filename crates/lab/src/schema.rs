//! The JSON Schema of a lab file, for editors.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::file::File;

/// The schema, draft 2020-12. `schema/lab.schema.json` is kept equal to it by a test.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema =
        serde_json::to_value(generator.into_root_schema_for::<File>()).unwrap_or_default();
    if let Some(map) = schema.as_object_mut() {
        map.insert("title".to_owned(), "labctl lab file".into());
    }
    no_nulls(&mut schema);
    schema
}

/// An absent field is left out in YAML, so `null` beside a type only makes messages longer. The
/// schema does not say defaults of `null` either.
fn no_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            // `vars:` and patches may be anything.
            for key in ["anyOf", "oneOf"] {
                if let Some(Value::Array(list)) = map.get_mut(key) {
                    list.retain(|item| item.get("type").and_then(Value::as_str) != Some("null"));
                    if let [only] = list.as_mut_slice() {
                        let only = only.take();
                        map.remove(key);
                        if let Value::Object(fields) = only {
                            map.extend(fields);
                        }
                    }
                }
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            map.values_mut().for_each(no_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(no_nulls),
        _ => {}
    }
}
