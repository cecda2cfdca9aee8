//! Frames: capture, dissection, streams, stories, pcapng.
//!
//! [`capture`] runs in a node and hands over [`Batch`]es; labctl gathers them in a [`Capture`] per
//! node. [`merge`] joins those, [`pcapng`] writes them, [`story::tell`] tells what happened, and
//! [`render`] shows it.

pub mod capture;
pub mod dissect;
pub mod filter;
mod frame;
mod pace;
pub mod pcapng;
mod receive;
pub mod render;
pub mod sniff;
pub mod story;
pub mod tls;
mod topology;

pub use filter::Filter;
pub use frame::{Batch, Capture, Frame, Sighting, merge};
pub use story::{PortUse, Step, Story};
pub use topology::{Link, Node, Topology};
