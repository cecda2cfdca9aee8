//! Which proofs of absence an answer needs (RFC 4035 section 3.1.3, RFC 5155 section 7.2).

use std::borrow::Cow;

use dnswire::{Name, RecordType};
use ring::digest;

use crate::zone::{Nsec3, Proofs, Set, Zone};

/// What is to be proved.
#[derive(Clone, Copy, Debug)]
pub enum What<'z> {
    /// The name does not exist, and no wildcard stands for it.
    Name,
    /// The name exists, the type does not.
    Type,
    /// A wildcard (this one) stands for the name, but it has not the type.
    WildcardType(&'z [u8]),
    /// A wildcard stands for the name, because it does not exist itself.
    Expansion,
    /// The delegation is not signed.
    Delegation,
}

/// The records that prove it, each once; none in a zone without signatures.
pub fn proofs<'z>(
    zone: &'z Zone,
    name: &[u8],
    encloser: &[u8],
    what: What<'_>,
) -> Vec<(Cow<'z, Name>, &'z Set)> {
    let (Ok(name), Ok(encloser)) = (Name::from_wire(name), Name::from_wire(encloser)) else {
        return Vec::new();
    };
    let mut found: Vec<(Cow<'z, Name>, &'z Set)> = Vec::new();
    let mut add = |proof: Option<(Cow<'z, Name>, &'z Set)>| {
        if let Some((owner, set)) = proof
            && !found.iter().any(|(known, _)| *known == owner)
        {
            found.push((owner, set));
        }
    };
    match &zone.proofs {
        Proofs::None => {}
        Proofs::Nsec(names) => {
            let wildcard = encloser.child(b"*").ok();
            match what {
                What::Type | What::Delegation => add(nsec(zone, names, &name)),
                What::Expansion => add(nsec(zone, names, &name)),
                What::Name => {
                    add(nsec(zone, names, &name));
                    add(wildcard.and_then(|wildcard| nsec(zone, names, &wildcard)));
                }
                What::WildcardType(_) => {
                    add(nsec(zone, names, &name));
                    add(wildcard.and_then(|wildcard| nsec(zone, names, &wildcard)));
                }
            }
        }
        Proofs::Nsec3(chain) => {
            let closer = next_closer(&name, &encloser);
            let wildcard = encloser.child(b"*").ok();
            match what {
                What::Type | What::Delegation => match chain.matching(&name) {
                    Some(proof) => add(Some(proof)),
                    // Opt-out: the delegation has no hash of its own.
                    None => {
                        let encloser = name.parent().unwrap_or_else(Name::root);
                        add(chain.matching(&encloser));
                        add(chain.covering(&name));
                    }
                },
                What::Expansion => add(closer.and_then(|closer| chain.covering(&closer))),
                What::Name => {
                    add(chain.matching(&encloser));
                    add(closer.and_then(|closer| chain.covering(&closer)));
                    add(wildcard.and_then(|wildcard| chain.covering(&wildcard)));
                }
                What::WildcardType(_) => {
                    add(chain.matching(&encloser));
                    add(closer.and_then(|closer| chain.covering(&closer)));
                    add(wildcard.and_then(|wildcard| chain.matching(&wildcard)));
                }
            }
        }
    }
    found
}

/// The NSEC at a name or the one that covers it.
fn nsec<'z>(zone: &'z Zone, names: &'z [Name], name: &Name) -> Option<(Cow<'z, Name>, &'z Set)> {
    let place = names.partition_point(|known| known <= name);
    let owner = names.get(place.checked_sub(1)?)?;
    let set = zone.node(owner.wire())?.set(RecordType::NSEC)?;
    Some((Cow::Borrowed(owner), set))
}

/// The name one label longer than the encloser on the way to `name`.
fn next_closer(name: &Name, encloser: &Name) -> Option<Name> {
    let mut closer = name.clone();
    while let Some(parent) = closer.parent() {
        if parent == *encloser {
            return Some(closer);
        }
        closer = parent;
    }
    None
}

/// The hash of a name (RFC 5155 section 5).
pub fn hash(name: &Name, salt: &[u8], iterations: u16) -> Vec<u8> {
    let lower = name.lower();
    let mut input = [lower.wire(), salt].concat();
    for _ in 0..=iterations {
        let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &input);
        input = [sum.as_ref(), salt].concat();
    }
    input.truncate(digest::SHA1_OUTPUT_LEN);
    input
}

impl Nsec3 {
    fn matching(&self, name: &Name) -> Option<(Cow<'_, Name>, &Set)> {
        let hash = hash(name, &self.salt, self.iterations);
        let place = self.chain.binary_search_by(|(known, ..)| known[..].cmp(&hash)).ok()?;
        self.chain.get(place).map(|(_, owner, set)| (Cow::Borrowed(owner), set))
    }

    fn covering(&self, name: &Name) -> Option<(Cow<'_, Name>, &Set)> {
        let hash = hash(name, &self.salt, self.iterations);
        let place = self.chain.partition_point(|(known, ..)| known[..] <= hash[..]);
        // Before the first, the last one covers: the chain is a circle.
        let place = place.checked_sub(1).or_else(|| self.chain.len().checked_sub(1))?;
        self.chain.get(place).map(|(_, owner, set)| (Cow::Borrowed(owner), set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5155_appendix_a_hashes() {
        let salt = [0xaa, 0xbb, 0xcc, 0xdd];
        for (name, text) in [
            ("example", "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"),
            ("a.example", "35MTHGPGCU1QG68FAB165KLNSNK3DPVL"),
            ("*.w.example", "R53BQ7CC2UVMUBFU5OCMM6PERS9TK9EN"),
        ] {
            let hash = hash(&Name::complete(name).unwrap(), &salt, 12);
            assert_eq!(dnswire::text::base32hex(&hash), text);
        }
    }
}
