//! The drawing as SVG: self-contained, readable in print, on light and dark pages.

use std::fmt::Write;

use crate::icons;
use crate::layout::{Layout, Point, layout};
use crate::topology::{DeviceKind, Mark, Topology};

const STYLE: &str = "text{font-family:ui-sans-serif,system-ui,'DejaVu Sans',sans-serif;fill:#1d2733}\
.title{font-size:18px;font-weight:600}.name{font-size:14px;font-weight:600}\
.small{font-size:12px;fill:#4a5868}.end{font-size:11px;fill:#4a5868}\
.halo{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}";

/// Draws it.
pub fn svg(topology: &Topology) -> String {
    let places = layout(topology);
    let mut out = String::new();
    let (width, height) = (places.width, places.height);
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"30\" y=\"36\">{}</text>",
        escape(&topology.title),
        escape(&topology.title),
    );
    links(&mut out, topology, &places);
    for (index, segment) in topology.segments.iter().enumerate() {
        let at = places.segments[index];
        if segment.cable {
            let _ = writeln!(
                out,
                "<text class=\"small halo\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{} {}</text>",
                at.x,
                at.y - 8.0,
                escape(&segment.name),
                segment.subnet,
            );
        } else {
            let _ = writeln!(
                out,
                "<g data-network=\"{0}\" transform=\"translate({1:.1} {2:.1})\">{3}\
                 <text class=\"name halo\" x=\"44\" y=\"-2\">{0}</text>\
                 <text class=\"small halo\" x=\"44\" y=\"14\">{4}</text></g>",
                escape(&segment.name),
                at.x,
                at.y,
                icons::SWITCH,
                segment.subnet,
            );
        }
    }
    for (index, device) in topology.devices.iter().enumerate() {
        let at = places.devices[index];
        let _ = write!(
            out,
            "<g data-key=\"{}\" class=\"device\" transform=\"translate({:.1} {:.1})\">{}",
            escape(&device.name),
            at.x,
            at.y,
            icons::device(device.kind),
        );
        if let Some(mark) = device.mark {
            let (colour, sign) = match mark {
                Mark::Good => ("#2e8b57", "M-4 0l3 3l6 -6"),
                Mark::Bad => ("#c0392b", "M-4 -4l8 8M4 -4l-8 8"),
            };
            let _ = write!(
                out,
                "<g transform=\"translate(27 -20)\"><circle r=\"9\" fill=\"{colour}\"/>\
                 <path d=\"{sign}\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2.4\" \
                 stroke-linecap=\"round\"/></g>"
            );
        }
        let mut y = 40.0;
        if device.kind == DeviceKind::Router {
            // Its links leave below: the name stands above.
            let _ = write!(
                out,
                "<text class=\"name halo\" text-anchor=\"middle\" y=\"-33\">{}</text>",
                escape(&device.name)
            );
        } else {
            let _ = write!(
                out,
                "<text class=\"name\" text-anchor=\"middle\" y=\"{y}\">{}</text>",
                escape(&device.name)
            );
            let addresses: Vec<&str> = device
                .ends
                .iter()
                .map(|end| end.address.as_str())
                .filter(|address| !address.is_empty())
                .collect();
            for text in [addresses.join(", "), device.services.join(" · ")] {
                if !text.is_empty() {
                    y += 16.0;
                    let _ = write!(
                        out,
                        "<text class=\"small\" text-anchor=\"middle\" y=\"{y}\">{text}</text>"
                    );
                }
            }
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// Lines first, so that devices cover their ends; a router's addresses stand at its end of a line.
fn links(out: &mut String, topology: &Topology, places: &Layout) {
    let mut labels = String::new();
    for (index, device) in topology.devices.iter().enumerate() {
        let from = places.devices[index];
        for (place, end) in device.ends.iter().enumerate() {
            let to = places.segments[end.segment];
            let colour = if topology.segments[end.segment].cable { "#b04a3a" } else { "#7a8794" };
            let way = match places.rails[index].filter(|_| place == 0) {
                Some(rail) => format!("V{rail:.1}H{:.1}V{:.1}", to.x, to.y),
                None => format!("L{:.1} {:.1}", to.x, to.y),
            };
            let _ = writeln!(
                out,
                "<path d=\"M{:.1} {:.1}{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                from.x, from.y
            );
            if device.kind == DeviceKind::Router || place > 0 {
                let cable = topology.segments[end.segment].cable;
                let at = label_place(from, to, cable);
                let anchor = match (cable, at.x - from.x) {
                    (true, dx) if dx > 0.0 => "start",
                    (true, _) => "end",
                    // Beside the line, on the side that it leans to, so that two do not meet.
                    (false, dx) if dx > 8.0 => "start",
                    (false, dx) if dx < -8.0 => "end",
                    (false, _) => "middle",
                };
                let _ = writeln!(
                    labels,
                    "<text class=\"end halo\" text-anchor=\"{anchor}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    at.x, at.y, end.address
                );
            }
        }
    }
    out.push_str(&labels);
}

/// On a line to a switch, below the router; on a cable, beside the router and under it.
fn label_place(from: Point, to: Point, cable: bool) -> Point {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    if cable {
        return Point { x: from.x + 30.0 * dx.signum(), y: from.y + 16.0 };
    }
    let length = dx.hypot(dy).max(1.0);
    // Flat lines part only farther down.
    let along = if dx.abs() > dy.abs() { 0.45 } else { (58.0 / length).min(0.45) };
    let beside = if dx.abs() * along > 8.0 { 4.0 * dx.signum() } else { 0.0 };
    Point { x: from.x + dx * along + beside, y: from.y + dy * along + 4.0 }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
