//! The IOS-style console of a router: grammar, configuration, show commands.

pub mod config;

pub use config::RouterConfig;
