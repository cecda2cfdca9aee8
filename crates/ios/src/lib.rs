//! The IOS-style console of a router: grammar, configuration, show commands.
