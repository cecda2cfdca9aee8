//! The keys of one direction, made from its secret, and the decryption of a record: TLS 1.3
//! (RFC 8446, 5.2 and 7.3) and 1.2 (RFC 5246, 5 and 6.3; RFC 5288, RFC 7905).

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};
use ring::{hkdf, hmac};

/// A cipher suite that can be read.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    aead: &'static Algorithm,
    hkdf: hkdf::Algorithm,
    hmac: hmac::Algorithm,
    /// Whether TLS 1.2 uses it as GCM: a salt of 4 bytes, and the rest of the nonce in each record.
    gcm: bool,
}

impl Suite {
    /// The suite of a number; `None` where it is not one of AES-GCM or ChaCha20-Poly1305.
    pub fn by_number(number: u16) -> Option<Self> {
        let (aead, gcm, sha384) = match number {
            0x1301 | 0xc02b | 0xc02f | 0x009c | 0x009e => (&AES_128_GCM, true, false),
            0x1302 | 0xc02c | 0xc030 | 0x009d | 0x009f => (&AES_256_GCM, true, true),
            0x1303 | 0xcca8..=0xccaa => (&CHACHA20_POLY1305, false, false),
            _ => return None,
        };
        let (hkdf, hmac) = match sha384 {
            true => (hkdf::HKDF_SHA384, hmac::HMAC_SHA384),
            false => (hkdf::HKDF_SHA256, hmac::HMAC_SHA256),
        };
        Some(Self { aead, hkdf, hmac, gcm })
    }

    /// The length of its hash, in bytes.
    fn hash_length(self) -> usize {
        self.hmac.digest_algorithm().output_len()
    }
}

/// How a nonce is made.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// TLS 1.3: the number of the record in the whole IV; the type is inside.
    Thirteen,
    /// TLS 1.2 with GCM: salt, then eight bytes of the record.
    Salt,
    /// TLS 1.2 with ChaCha20-Poly1305: as in 1.3, the type outside.
    Whole,
}

/// The keys of one direction.
#[derive(Debug)]
pub struct Keys {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    form: Form,
    record: u64,
}

impl Keys {
    /// TLS 1.3, from a traffic secret.
    pub fn thirteen(suite: Suite, secret: &[u8]) -> Option<Self> {
        let key = expand(suite, secret, "key", suite.aead.key_len())?;
        let iv = expand(suite, secret, "iv", NONCE_LEN)?;
        Self::new(suite, &key, &iv, Form::Thirteen)
    }

    /// TLS 1.2, both directions from the master secret: the client's, the server's.
    pub fn twelve(
        suite: Suite,
        master: &[u8],
        client: &[u8; 32],
        server: &[u8; 32],
    ) -> Option<[Self; 2]> {
        let (key, iv, form) = match suite.gcm {
            true => (suite.aead.key_len(), 4, Form::Salt),
            false => (suite.aead.key_len(), NONCE_LEN, Form::Whole),
        };
        let seed = [&server[..], &client[..]].concat();
        let block = prf(suite, master, b"key expansion", &seed, 2 * (key + iv));
        let (keys, ivs) = block.split_at_checked(2 * key)?;
        let (own, other) = (
            Self::new(suite, &keys[..key], &ivs[..iv], form)?,
            Self::new(suite, &keys[key..], &ivs[iv..], form)?,
        );
        Some([own, other])
    }

    fn new(suite: Suite, key: &[u8], iv: &[u8], form: Form) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(suite.aead, key).ok()?);
        let mut whole = [0; NONCE_LEN];
        whole.get_mut(..iv.len())?.copy_from_slice(iv);
        Some(Self { key, iv: whole, form, record: 0 })
    }

    /// Decrypts a record: its five bytes of head, and the rest. Gives the type of what was inside,
    /// and that; `None` where these are not the keys of it.
    pub fn open(&mut self, head: &[u8; 5], body: &[u8]) -> Option<(u8, Vec<u8>)> {
        let mut nonce = self.iv;
        let mut sealed = body;
        match self.form {
            Form::Salt => {
                let (explicit, rest) = body.split_at_checked(8)?;
                nonce[4..].copy_from_slice(explicit);
                sealed = rest;
            }
            Form::Thirteen | Form::Whole => {
                for (byte, number) in nonce[4..].iter_mut().zip(self.record.to_be_bytes()) {
                    *byte ^= number;
                }
            }
        }
        let mut associated = Vec::with_capacity(13);
        if !matches!(self.form, Form::Thirteen) {
            associated.extend_from_slice(&self.record.to_be_bytes());
        }
        associated.extend_from_slice(head);
        if !matches!(self.form, Form::Thirteen) {
            let plain = sealed.len().checked_sub(self.key.algorithm().tag_len())?;
            associated[11..].copy_from_slice(&u16::try_from(plain).ok()?.to_be_bytes());
        }
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.key.open_in_place(nonce, Aad::from(&associated), &mut bytes).ok()?.len();
        bytes.truncate(length);
        self.record += 1;
        if !matches!(self.form, Form::Thirteen) {
            return Some((head[0], bytes));
        }
        // The type is the last byte that is not padding.
        let last = bytes.iter().rposition(|byte| *byte != 0)?;
        let kind = bytes[last];
        bytes.truncate(last);
        Some((kind, bytes))
    }
}

/// The secret that follows another after a key update (RFC 8446, 7.2).
pub fn updated(suite: Suite, secret: &[u8]) -> Option<Vec<u8>> {
    expand(suite, secret, "traffic upd", suite.hash_length())
}

/// HKDF-Expand-Label with an empty context (RFC 8446, 7.1).
fn expand(suite: Suite, secret: &[u8], label: &str, length: usize) -> Option<Vec<u8>> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    if secret.len() != suite.hash_length() {
        return None;
    }
    let name = [b"tls13 ", label.as_bytes()].concat();
    let (long, short) =
        (u16::try_from(length).ok()?.to_be_bytes(), [u8::try_from(name.len()).ok()?]);
    let info = [&long[..], &short, &name, &[0]];
    let mut out = vec![0; length];
    let secret = hkdf::Prk::new_less_safe(suite.hkdf, secret);
    secret.expand(&info, Length(length)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

/// The pseudorandom function of TLS 1.2 (RFC 5246, 5).
fn prf(suite: Suite, secret: &[u8], label: &[u8], seed: &[u8], length: usize) -> Vec<u8> {
    let key = hmac::Key::new(suite.hmac, secret);
    let seed = [label, seed].concat();
    let mut out = Vec::with_capacity(length + 48);
    let mut a = hmac::sign(&key, &seed);
    while out.len() < length {
        out.extend_from_slice(hmac::sign(&key, &[a.as_ref(), &seed].concat()).as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    out.truncate(length);
    out
}
