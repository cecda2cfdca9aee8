//! Frames: capture, dissection, streams, stories, pcapng.

pub mod capture;
pub mod dissect;
mod frame;

pub use frame::{Batch, Capture, Frame, Sighting, merge};
