//! The lab file: types, diagnostics, lint, plan, schema, templates.

pub mod check;
mod decode;
mod diagnostic;
mod read_check;
mod source;
pub mod units;
pub mod yaml;

pub use decode::{List, Map};
pub use diagnostic::{Diagnostic, Related, Report, Severity};
