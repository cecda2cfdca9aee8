//! Finding a name: exact, delegated, renamed, by a wildcard, or not at all (RFC 1034 section
//! 4.3.2, RFC 4592 section 3.3.1).

use dnswire::{RecordType, parent_of};

use super::{Node, Place, Set, Zone};

/// What a zone has for a name.
#[derive(Clone, Copy, Debug)]
pub enum Look<'z> {
    /// The name, or a wildcard for it.
    Node {
        /// Its key; the wildcard's own where `wildcard`.
        key: &'z [u8],
        /// Its sets.
        node: &'z Node,
        /// Whether a wildcard stands for it.
        wildcard: bool,
    },
    /// Another server knows.
    Cut {
        /// The delegated name.
        key: &'z [u8],
        /// Its NS set and perhaps DS.
        node: &'z Node,
    },
    /// A DNAME above it (RFC 6672).
    Renamed {
        /// The DNAME's owner.
        key: &'z [u8],
        /// The owner's node.
        node: &'z Node,
        /// The DNAME.
        set: &'z Set,
    },
    /// It does not exist.
    Nothing,
}

impl Zone {
    /// Looks a name (lower-case wire bytes, within the zone) up. Gives the closest encloser's key
    /// (the name itself where it exists) and what was found.
    pub fn look(&self, name: &[u8], kind: RecordType) -> (&[u8], Look<'_>) {
        if let Some((key, node)) = self.nodes.get_key_value(name) {
            match node.place {
                Place::Inside => return (key, Look::Node { key, node, wildcard: false }),
                // The parent answers for DS (RFC 4035 section 3.1.4.1).
                Place::Cut if kind == RecordType::DS => {
                    return (key, Look::Node { key, node, wildcard: false });
                }
                Place::Cut => return (key, Look::Cut { key, node }),
                Place::Below => {}
            }
        }
        let mut rest = name;
        let mut encloser = None;
        while let Some(parent) = parent_of(rest).filter(|parent| parent.len() >= self.key.len()) {
            rest = parent;
            let Some((key, node)) = self.nodes.get_key_value(parent) else { continue };
            let encloser = *encloser.get_or_insert(&key[..]);
            match node.place {
                Place::Below => {}
                Place::Cut => return (encloser, Look::Cut { key, node }),
                Place::Inside => {
                    if let Some(set) = node.set(RecordType::DNAME) {
                        return (encloser, Look::Renamed { key, node, set });
                    }
                    return (encloser, self.wildcard(encloser));
                }
            }
        }
        (encloser.unwrap_or(&self.key), Look::Nothing)
    }

    /// The wildcard below the closest encloser.
    fn wildcard(&self, encloser: &[u8]) -> Look<'_> {
        let mut name = [0u8; 257];
        let size = encloser.len() + 2;
        name[..2].copy_from_slice(b"\x01*");
        let Some(room) = name.get_mut(2..size) else { return Look::Nothing };
        room.copy_from_slice(encloser);
        match self.nodes.get_key_value(&name[..size]) {
            Some((key, node)) => Look::Node { key, node, wildcard: true },
            None => Look::Nothing,
        }
    }
}
