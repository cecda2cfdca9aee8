//! The lab file: types, diagnostics, lint, plan, schema, templates.
//!
//! [`load`] reads a lab file, tells everything that is wrong with it in one [`Report`], and gives a
//! [`Lab`] with its [`Plan`]: the lab with every default and derived value worked out.

mod build;
pub mod check;
mod decode;
mod diagnostic;
pub mod file;
mod lint;
mod load;
pub mod plan;
pub mod render;
mod router;
mod schema;
mod secrets;
mod source;
mod starters;
mod template;
pub mod todo;
pub mod units;
pub mod yaml;

pub use decode::{List, Map};
pub use diagnostic::{Diagnostic, Related, Report, Severity};
pub use file::{File, NodeKind};
pub use load::{Lab, Vars, load, load_bytes, load_text};
pub use plan::Plan;
pub use schema::schema;
pub use secrets::{Dkim, Leaf, Secrets};
pub use starters::{Starter, starter, starters};
