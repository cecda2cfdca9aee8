//! RIP version 2 (RFC 2453) with MD5 authentication (RFC 2082).
//!
//! * [`Speaker`]: the protocol without sockets and clocks;
//! * [`run`]: the speaker at work, with a [`RouteTable`] for what it learns;
//! * [`Settings`]: what it is told; [`wire`]: messages as bytes.

mod driver;
mod settings;
mod speaker;
pub mod wire;

pub use driver::{Command, RouteTable, run};
pub use settings::{Interface, Settings, Timers};
pub use speaker::{Output, Route, Shown, Speaker};
