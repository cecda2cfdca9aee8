//! A report in the forms that people and programs read.

mod csv;
mod html;
mod junit;
mod markdown;
mod table;

pub use csv::csv;
pub use html::html;
pub use junit::{junit, junit_all};
pub use markdown::markdown;
pub use table::{Row, details, summary, table};

use crate::verdict::Report;

/// As JSON, the form with [`crate::SCHEMA`].
pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap_or_default()
}

/// Points without needless zeros.
pub(crate) fn points(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time in seconds as people read it.
pub(crate) fn seconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.2} s") } else { format!("{value:.1} s") }
}
