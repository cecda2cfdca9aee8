//! Netlink attributes, written and read.

/// The mark of an attribute that holds attributes.
const NESTED: u16 = 0x8000;

/// Attributes being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds one.
    pub(super) fn add(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(crate::link::nla(kind, value));
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The number of an attribute that holds attributes.
pub(super) fn nested(kind: u16) -> u16 {
    kind | NESTED
}

/// A string with its end.
pub(super) fn string(text: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    bytes.push(0);
    bytes
}

/// The attributes in `bytes`, number and value; stops at what is not one.
pub(super) fn read(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(0..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !NESTED, value))
    })
}

/// The value of one attribute.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    read(bytes).find(|(have, _)| *have == kind).map(|(_, value)| value)
}

/// A 64-bit number, big-endian as all of this subsystem.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_written_and_garbage_ends_them() {
        let mut attributes = Attributes::default();
        attributes.add(1, &string("abcd"));
        attributes.add(nested(2), &7u64.to_be_bytes());
        let bytes = attributes.bytes();
        assert_eq!(find(bytes, 1), Some(&b"abcd\0"[..]));
        assert_eq!(find(bytes, 2).and_then(number), Some(7));
        assert_eq!(find(bytes, 3), None);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).count() <= 2);
        }
        assert_eq!(read(&[0, 0, 0, 0, 1, 1]).count(), 0);
        assert_eq!(read(&[3, 0, 1, 0]).count(), 0);
    }
}
