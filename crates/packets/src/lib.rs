//! Frames: capture, dissection, streams, stories, pcapng.

pub mod capture;
mod frame;

pub use frame::{Batch, Capture, Frame, Sighting, merge};
