//! Device icons, drawn around (0, 0) in a box of 64 by 48.

use crate::topology::DeviceKind;

/// The icon of a device as SVG elements.
pub fn device(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Pc => PC,
        DeviceKind::Server => SERVER,
        DeviceKind::Router => ROUTER,
    }
}

const PC: &str = r##"<rect x="-25" y="-22" width="50" height="33" rx="3" fill="#eef4fb" stroke="#2f5d8c" stroke-width="2"/>
<rect x="-20" y="-17" width="40" height="23" fill="#bcd6f0"/>
<path d="M-5 11h10l2 7h-14z" fill="#2f5d8c"/><rect x="-15" y="18" width="30" height="4" rx="2" fill="#2f5d8c"/>"##;

const SERVER: &str = r##"<rect x="-18" y="-24" width="36" height="48" rx="3" fill="#eef7ee" stroke="#3b7a45" stroke-width="2"/>
<path d="M-18 -8h36M-18 8h36" stroke="#3b7a45" stroke-width="2"/>
<path d="M-12 -16h14M-12 0h14M-12 16h14" stroke="#3b7a45" stroke-width="2" stroke-linecap="round"/>
<circle cx="10" cy="-16" r="2.5" fill="#3b7a45"/><circle cx="10" cy="0" r="2.5" fill="#3b7a45"/><circle cx="10" cy="16" r="2.5" fill="#3b7a45"/>"##;

const ROUTER: &str = r##"<circle r="25" fill="#f7efe2" stroke="#8a5a1f" stroke-width="2"/>
<g fill="none" stroke="#8a5a1f" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round">
<path d="M-17 0h11M-10 -4l4 4l-4 4"/><path d="M17 0h-11M10 -4l-4 4l4 4"/>
<path d="M0 -6v-11M-4 -13l4 -4l4 4"/><path d="M0 6v11M-4 13l4 4l4 -4"/></g>"##;

/// A switch, 72 by 28.
pub const SWITCH: &str = r##"<rect x="-36" y="-14" width="72" height="28" rx="4" fill="#f1edf8" stroke="#5f4a8b" stroke-width="2"/>
<g fill="none" stroke="#5f4a8b" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">
<path d="M-22 -4h18M-8 -8l4 4l-4 4"/><path d="M22 4h-18M8 0l-4 4l4 4"/></g>"##;
