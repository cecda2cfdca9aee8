//! Whether a tap lets frames gather before it takes them.
//!
//! Waking up costs more than a small frame does. On a link that carries a steady stream of small
//! frames a tap therefore waits a moment, as the kernel's own ring does before it hands over a
//! block, and takes what came in one go. A quiet link, a burst and a fast stream are taken at once:
//! there the kernel's buffer, which is small in a node, would be full before the moment is over.

use std::time::{Duration, Instant};

/// How long frames gather. The runtime's clock may make it one millisecond longer.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);
/// Over so long a time the stream is measured.
const WINDOW: Duration = Duration::from_millis(4);
/// Fewer frames than so many a millisecond are not worth waiting for.
const WORTH: u128 = 4;
/// What the kernel charges for a frame beside its bytes, about.
const CHARGE: u128 = 1024;
/// The share of the kernel's buffer that may fill while frames gather, as a divisor: a stream may
/// grow to four times its rate before anything is lost.
const SHARE: u128 = 4;

/// Measures the stream of one interface.
#[derive(Debug)]
pub(crate) struct Pace {
    buffer: u128,
    since: Instant,
    frames: u128,
    bytes: u128,
    steady: bool,
}

impl Pace {
    /// For a socket of which the kernel keeps so many bytes.
    pub(crate) fn new(buffer: usize, now: Instant) -> Self {
        Self { buffer: buffer as u128, since: now, frames: 0, bytes: 0, steady: false }
    }

    /// A frame of that length was taken.
    pub(crate) fn saw(&mut self, length: u32) {
        self.frames += 1;
        self.bytes += u128::from(length);
    }

    /// Whether to let frames gather now.
    pub(crate) fn gathers(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        if passed >= WINDOW {
            let micros = passed.as_micros();
            let charged = self.bytes + self.frames * CHARGE;
            let longest = 2 * MOMENT.as_micros();
            self.steady = self.frames * 1000 >= WORTH * micros
                && charged * longest * SHARE <= self.buffer * micros;
            (self.since, self.frames, self.bytes) = (now, 0, 0);
        }
        self.steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said after 10 ms of so many frames of that length, in a node's usual buffer.
    fn after(frames: u32, length: u32) -> bool {
        let start = Instant::now();
        let mut pace = Pace::new(425_984, start);
        for _ in 0..frames {
            pace.saw(length);
        }
        assert!(!pace.gathers(start + Duration::from_millis(3)), "measured for too short a time");
        pace.gathers(start + Duration::from_millis(10))
    }

    #[test]
    fn only_a_steady_stream_that_fits_the_buffer_gathers() {
        assert!(!after(0, 60), "a quiet link");
        assert!(!after(30, 60), "a dialogue");
        assert!(after(300, 590), "thirty small segments a millisecond");
        assert!(!after(3000, 590), "they would not fit");
        assert!(!after(300, 65_000), "large frames would not fit");
    }

    #[test]
    fn a_stream_that_ends_is_taken_at_once_again() {
        let start = Instant::now();
        let mut pace = Pace::new(425_984, start);
        (0..100).for_each(|_| pace.saw(590));
        assert!(pace.gathers(start + Duration::from_millis(5)));
        pace.saw(60);
        assert!(pace.gathers(start + Duration::from_millis(6)), "of the last window");
        assert!(!pace.gathers(start + Duration::from_millis(10)));
    }
}
