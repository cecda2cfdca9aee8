//! Where everything is drawn: routers above, switches in the middle, hosts below their switch.

use crate::topology::{DeviceKind, Topology};

/// A place, in the units of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// Places for everything.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By device.
    pub devices: Vec<Point>,
    /// By segment: its switch, or the middle of the cable.
    pub segments: Vec<Point>,
    /// By device: the height of the line that its row of hosts hangs on, where its switch has
    /// several rows; straight lines to the lower rows would cross the upper ones.
    pub rails: Vec<Option<f64>>,
    /// Width of the picture.
    pub width: f64,
    /// Height of the picture.
    pub height: f64,
}

/// A host with its three lines of text.
const CELL: f64 = 150.0;
/// From a host up to the rail of its row.
const RAIL: f64 = 44.0;
/// A letter of a name.
const LETTER: f64 = 8.8;
const ROW: f64 = 132.0;
/// Hosts side by side under one switch.
const ACROSS: usize = 4;
const GAP: f64 = 44.0;
const TOP: f64 = 118.0;
const MARGIN: f64 = 30.0;

/// Works the places out.
pub fn layout(topology: &Topology) -> Layout {
    let order = order(topology);
    let mut devices = vec![Point::default(); topology.devices.len()];
    let mut segments = vec![Point::default(); topology.segments.len()];
    let mut rails = vec![None; topology.devices.len()];
    // A host stands under the first network it is on.
    let hosts_of = |segment: usize| -> Vec<usize> {
        (0..topology.devices.len())
            .filter(|index| {
                let device = &topology.devices[*index];
                device.kind != DeviceKind::Router
                    && device.ends.first().is_some_and(|end| end.segment == segment)
            })
            .collect()
    };
    let routers: Vec<usize> = (0..topology.devices.len())
        .filter(|index| topology.devices[*index].kind == DeviceKind::Router)
        .collect();
    let switch_row = if routers.is_empty() { TOP } else { TOP + ROW + 24.0 };
    let mut x = MARGIN;
    let mut bottom = switch_row;
    for segment in order.iter().copied().filter(|segment| !topology.segments[*segment].cable) {
        let hosts = hosts_of(segment);
        let across = hosts.len().clamp(1, ACROSS);
        let name = |host: &usize| topology.devices[*host].name.chars().count();
        let longest = hosts.iter().map(name).max().unwrap_or(0);
        let cell = CELL.max(longest as f64 * LETTER + 20.0);
        // The switch's own text stands to its right.
        let own = &topology.segments[segment];
        let letters = own.name.chars().count().max(own.subnet.len()) as f64;
        let width = (across as f64 * cell).max(2.0 * (48.0 + letters * 8.5));
        segments[segment] = Point { x: x + width / 2.0, y: switch_row };
        for (place, host) in hosts.iter().enumerate() {
            let (row, column) = (place / across, place % across);
            // A short last row stands in the middle.
            let in_row = (hosts.len() - row * across).min(across);
            let left = x + (width - in_row as f64 * cell) / 2.0;
            devices[*host] = Point {
                x: left + (column as f64 + 0.5) * cell,
                y: switch_row + 112.0 + row as f64 * ROW,
            };
            bottom = bottom.max(devices[*host].y);
            rails[*host] = (hosts.len() > across).then_some(devices[*host].y - RAIL);
        }
        x += width + GAP;
    }
    // Hosts on no network stand at the end.
    for (index, device) in topology.devices.iter().enumerate() {
        if device.kind != DeviceKind::Router && device.ends.is_empty() {
            devices[index] = Point { x: x + CELL / 2.0, y: switch_row + 112.0 };
            bottom = bottom.max(devices[index].y);
            x += CELL;
        }
    }
    let mut width = (x - GAP + MARGIN).max(420.0);
    place_routers(topology, &routers, &order, &segments, &mut devices, &mut width);
    for (index, segment) in topology.segments.iter().enumerate() {
        if segment.cable {
            let ends: Vec<Point> = topology
                .devices
                .iter()
                .enumerate()
                .filter(|(_, device)| device.ends.iter().any(|end| end.segment == index))
                .map(|(device, _)| devices[device])
                .collect();
            segments[index] = Point {
                x: ends.iter().map(|point| point.x).sum::<f64>() / ends.len().max(1) as f64,
                y: ends.iter().map(|point| point.y).sum::<f64>() / ends.len().max(1) as f64,
            };
        }
    }
    Layout { devices, segments, rails, width, height: bottom + 84.0 }
}

/// Segments in the order in which a walk over the routers meets them, so that neighbours stand side
/// by side.
fn order(topology: &Topology) -> Vec<usize> {
    let count = topology.segments.len();
    let mut order = Vec::with_capacity(count);
    for start in 0..count {
        let mut queue = vec![start];
        while !queue.is_empty() {
            let segment = queue.remove(0);
            if order.contains(&segment) {
                continue;
            }
            order.push(segment);
            for device in &topology.devices {
                if device.ends.len() > 1 && device.ends.iter().any(|end| end.segment == segment) {
                    queue.extend(device.ends.iter().map(|end| end.segment));
                }
            }
        }
    }
    order
}

/// Routers stand above the middle of their switches, not too near to each other.
fn place_routers(
    topology: &Topology,
    routers: &[usize],
    order: &[usize],
    segments: &[Point],
    devices: &mut [Point],
    width: &mut f64,
) {
    let wish = |router: usize| -> f64 {
        let ends = &topology.devices[router].ends;
        let below: Vec<f64> = ends
            .iter()
            .filter(|end| !topology.segments[end.segment].cable)
            .map(|end| segments[end.segment].x)
            .collect();
        if below.is_empty() { *width / 2.0 } else { below.iter().sum::<f64>() / below.len() as f64 }
    };
    let rank = |router: usize| -> usize {
        let ends = &topology.devices[router].ends;
        ends.iter()
            .filter_map(|end| order.iter().position(|segment| *segment == end.segment))
            .min()
            .unwrap_or(usize::MAX)
    };
    let mut row: Vec<(f64, usize, usize)> =
        routers.iter().map(|router| (wish(*router), rank(*router), *router)).collect();
    row.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let apart = 230.0;
    let mut last = f64::NEG_INFINITY;
    for (x, ..) in &mut row {
        *x = x.max(last + apart).max(MARGIN + CELL / 2.0);
        last = *x;
    }
    // What was pushed out to the right is taken back as far as there is room.
    let mut next = (*width - MARGIN - CELL / 2.0).max(last.min(*width));
    for (x, ..) in row.iter_mut().rev() {
        if *x > next {
            *x = next;
        }
        next = *x - apart;
    }
    let left = row.first().map_or(0.0, |(x, ..)| *x);
    let shift = (MARGIN + CELL / 2.0 - left).max(0.0);
    for (x, _, router) in row {
        devices[router] = Point { x: x + shift, y: TOP };
        *width = width.max(x + shift + CELL / 2.0 + MARGIN);
    }
}
