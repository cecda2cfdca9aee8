//! The IOS-style console of a router: grammar, configuration, show commands.
//!
//! * [`config`]: what a router is told ([`RouterConfig`]);
//! * [`parse()`], [`parse_for`]: reading commands, with the place of what is not understood;
//! * [`Console`]: lines in, text and prompt out; [`system`]: the router behind it;
//! * [`commands`], [`grammar`], [`names`]: the commands of each mode, how they match;
//! * [`dhcp`]: the pools as the configuration of `dhcpd`.

mod apply;
pub mod commands;
pub mod config;
mod console;
pub mod dhcp;
pub mod grammar;
pub mod names;
mod parse;
mod rules;
mod running;
mod show;
pub mod system;
mod time;

pub use commands::Mode;
pub use config::RouterConfig;
pub use console::{Console, Output};
pub use names::Names;
pub use parse::{Problem, Wrong, parse, parse_for};
pub use system::System;
