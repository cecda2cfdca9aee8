//! What is in a frame, layer by layer, field by field.
//!
//! Total: any bytes give a [`Dissection`]; what is cut off or malformed ends the layers with one
//! that says so. Checksums are told but never judged: veth leaves them undone.

mod application;
mod dhcp;
mod dns;
mod icmp;
mod ip;
mod link;
mod reader;
mod rip;
mod tls;
mod transport;
mod types;

pub use application::{Application, by_port, shown};
pub use dhcp::Dhcp;
pub use dns::Dns;
pub use tls::{Hello, hello as tls_hello, message_name, read_hello};
pub use types::{Arp, Dissection, Icmp, Ip, Layer, Mac, Tcp, Udp};

/// Reads a frame that begins with its Ethernet header.
pub fn dissect(data: &[u8]) -> Dissection {
    read(data, Dissection::default())
}

/// The same without the layers' fields, in half the time: for filters and one line a frame.
pub fn summarize(data: &[u8]) -> Dissection {
    read(data, Dissection { brief: true, ..Dissection::default() })
}

fn read(data: &[u8], mut found: Dissection) -> Dissection {
    if link::ethernet(data, &mut found).is_err() {
        let mut layer = found.layer("Cut off");
        layer.add("note", "the frame ends within the next layer");
        found.layers.push(layer);
        if found.info.is_empty() {
            found.info = "cut off".into();
        }
    }
    if found.protocol.is_empty() {
        found.protocol = "ethernet".into();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = dissect(&data);
        }

        #[test]
        fn any_payload_is_read(port in prop_oneof![Just(53u16), Just(67), Just(520), Just(25), Just(443), Just(80), Just(143)],
            tcp in any::<bool>(), payload in proptest::collection::vec(any::<u8>(), 0..300))
        {
            let mut frame = vec![2; 12];
            frame.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, if tcp { 6 } else { 17 }, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
            frame.extend(port.to_be_bytes());
            frame.extend(port.to_be_bytes());
            if tcp {
                frame.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 24, 0, 0, 0, 0, 0, 0]);
            } else {
                frame.extend([0, 0, 0, 0]);
            }
            frame.extend(payload);
            let (whole, brief) = (dissect(&frame), summarize(&frame));
            prop_assert!(brief.layers.iter().all(|layer| layer.fields.is_empty()));
            let told = |found: &Dissection| (found.ends(), found.ports(), found.protocol.clone(), found.info.clone());
            prop_assert_eq!(told(&whole), told(&brief));
        }
    }

    #[test]
    fn padding_is_not_payload() {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 25, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0]);
        frame.extend([0; 6]);
        let found = dissect(&frame);
        let tcp = found.tcp.unwrap();
        assert_eq!((tcp.source, tcp.length, tcp.flags), (25, 0, Tcp::SYN | Tcp::ACK));
        assert_eq!(found.info, "port 25 to port 49152, SYN, ACK, 0 bytes");
    }

    #[test]
    fn arp_tells_what_it_asks() {
        let mut frame = vec![0xff; 6];
        frame.extend([
            2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0,
            0, 0, 0, 10, 0, 0, 2,
        ]);
        assert_eq!(dissect(&frame).info, "who has 10.0.0.2? tell 10.0.0.1");
    }
}
