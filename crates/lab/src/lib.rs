//! The lab file: types, diagnostics, lint, plan, schema, templates.
