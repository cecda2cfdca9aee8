//! Pictures of a lab. Everything is deterministic: the same plan gives the same bytes.
//!
//! [`Topology`] is what is drawn, taken from a plan; [`layout`] says where; [`svg`], [`mermaid`],
//! [`dot`] and [`text`] draw it.

mod icons;
mod layout;
mod svg;
mod text;
mod topology;

pub use layout::{Layout, Point, layout};
pub use svg::svg;
pub use text::{dot, mermaid, text};
pub use topology::{Device, DeviceKind, End, Mark, Segment, Topology};
