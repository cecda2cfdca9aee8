//! TCP connections put together again, with bounded memory: order, retransmissions, ends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::dissect::Tcp;

/// Bytes that came too early and are kept for one direction.
const MAX_EARLY: usize = 256 << 10;

/// The two ends of a connection: the client, then the server.
pub type Ends = ((IpAddr, u16), (IpAddr, u16));

/// One direction.
#[derive(Debug, Default)]
pub struct Direction {
    /// The sequence number that comes next.
    next: Option<u32>,
    /// What came too early: by its distance from `next` when it came.
    early: BTreeMap<u32, (Vec<u8>, Vec<usize>)>,
    early_bytes: usize,
    /// Segments that were sent again.
    pub retransmissions: u32,
    /// Whether bytes are missing that will not come.
    pub gaps: u32,
}

/// Bytes in order, with the frames that brought them.
pub type Piece = (Vec<u8>, Vec<usize>);

impl Direction {
    /// The sequence number after a SYN.
    pub fn begin(&mut self, sequence: u32) {
        self.next = Some(sequence.wrapping_add(1));
    }

    /// Takes a segment; gives what is in order now.
    pub fn segment(&mut self, tcp: &Tcp, payload: &[u8], frames: &[usize]) -> Vec<Piece> {
        if tcp.length == 0 {
            return Vec::new();
        }
        let next = *self.next.get_or_insert(tcp.sequence);
        let ahead = tcp.sequence.wrapping_sub(next);
        if ahead > u32::MAX / 2 {
            // It begins before what is known: what is new of it counts.
            let old = usize::try_from(next.wrapping_sub(tcp.sequence)).unwrap_or(usize::MAX);
            if old >= tcp.length {
                self.retransmissions += 1;
                return Vec::new();
            }
            let fresh = payload.get(old..).unwrap_or_default().to_vec();
            return self.take(fresh, tcp.length - old, frames.to_vec());
        }
        if ahead > 0 {
            if self.early_bytes + payload.len() <= MAX_EARLY {
                self.early_bytes += payload.len();
                self.early.insert(tcp.sequence, (payload.to_vec(), frames.to_vec()));
                return Vec::new();
            }
            // Too much is missing: go on from here.
            self.gaps += 1;
            self.early.clear();
            self.early_bytes = 0;
            self.next = Some(tcp.sequence);
        }
        self.take(payload.to_vec(), tcp.length, frames.to_vec())
    }

    fn take(&mut self, bytes: Vec<u8>, length: usize, frames: Vec<usize>) -> Vec<Piece> {
        let step =
            |next: u32, length: usize| next.wrapping_add(u32::try_from(length).unwrap_or(u32::MAX));
        let mut next = step(self.next.unwrap_or(0), length);
        let mut pieces = vec![(bytes, frames)];
        // What came too early may follow now.
        while let Some(sequence) =
            self.early.keys().copied().find(|s| next.wrapping_sub(*s) < u32::MAX / 2)
        {
            let Some((bytes, frames)) = self.early.remove(&sequence) else { break };
            self.early_bytes = self.early_bytes.saturating_sub(bytes.len());
            let old = usize::try_from(next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
            if let Some(fresh) = bytes.get(old..)
                && !fresh.is_empty()
            {
                next = step(next, fresh.len());
                pieces.push((fresh.to_vec(), frames));
            }
        }
        self.next = Some(next);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(direction: &mut Direction, sequence: u32, payload: &[u8]) -> String {
        let tcp = Tcp {
            source: 1,
            destination: 2,
            sequence,
            acknowledgment: 0,
            flags: Tcp::ACK,
            payload: 0..0,
            length: payload.len(),
        };
        let pieces = direction.segment(&tcp, payload, &[1]);
        pieces.into_iter().map(|(bytes, _)| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn segments_are_put_in_order_across_the_wrap() {
        let mut direction = Direction::default();
        direction.begin(u32::MAX - 3);
        assert_eq!(segment(&mut direction, u32::MAX - 2, b"ab"), "ab");
        assert_eq!(segment(&mut direction, 1, b"ef"), "");
        assert_eq!(segment(&mut direction, u32::MAX - 2, b"ab"), "");
        assert_eq!(direction.retransmissions, 1);
        assert_eq!(segment(&mut direction, u32::MAX, b"cd"), "cdef");
        assert_eq!(segment(&mut direction, 2, b"fgh"), "gh");
    }

    #[test]
    fn memory_is_bounded() {
        let mut direction = Direction::default();
        direction.begin(0);
        for n in 1..1_000_u32 {
            let _ = segment(&mut direction, n * 10_000, &[b'x'; 5_000]);
        }
        assert!(direction.early_bytes <= MAX_EARLY);
        assert!(direction.gaps > 0);
    }
}
