//! To other servers: where they are, and how the message gets there.

mod client;
mod reply;
mod resolver;
mod target;

pub(crate) use client::{Attempt, Fate, Outbound};
pub(crate) use reply::read as read_reply;
pub use resolver::{Failure, Mx, Resolver};
pub(crate) use target::hosts;
