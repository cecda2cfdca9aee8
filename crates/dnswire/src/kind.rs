//! Numbers and their words: types, classes, response codes, operation codes.

use std::fmt;
use std::str::FromStr;

/// A record type by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! types {
    ($($name:ident = $number:literal),* $(,)?) => {
        #[allow(missing_docs, reason = "the names are the types' own")]
        impl RecordType {
            $(pub const $name: Self = Self($number);)*

            fn word(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            fn by_word(word: &str) -> Option<Self> {
                $(if word.eq_ignore_ascii_case(stringify!($name)) { return Some(Self::$name); })*
                None
            }
        }
    };
}

types! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10,
    WKS = 11, PTR = 12, HINFO = 13, MINFO = 14, MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19,
    ISDN = 20, RT = 21, SIG = 24, KEY = 25, PX = 26, AAAA = 28, LOC = 29, SRV = 33, NAPTR = 35,
    KX = 36, CERT = 37, DNAME = 39, OPT = 41, APL = 42, DS = 43, SSHFP = 44, IPSECKEY = 45,
    RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50, NSEC3PARAM = 51, TLSA = 52,
    SMIMEA = 53, HIP = 55, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63,
    SVCB = 64, HTTPS = 65, SPF = 99, EUI48 = 108, EUI64 = 109, TKEY = 249, TSIG = 250,
    IXFR = 251, AXFR = 252, MAILB = 253, MAILA = 254, ANY = 255, URI = 256, CAA = 257,
}

impl RecordType {
    /// Whether it is asked for or carried in messages only, and never stands in a zone
    /// (RFC 6895 section 3.1).
    pub fn is_meta(self) -> bool {
        self == Self::OPT || self == Self::NULL || (128..=255).contains(&self.0) || self.0 == 0
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.pad(word),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for RecordType {
    type Err = String;

    /// A word such as `MX`, or `TYPE12345` (RFC 3597 section 5).
    fn from_str(word: &str) -> Result<Self, String> {
        let number = || {
            let (head, tail) = word.split_at_checked(4)?;
            let digits =
                head.eq_ignore_ascii_case("TYPE") && tail.bytes().all(|b| b.is_ascii_digit());
            if digits { tail.parse().ok().map(Self) } else { None }
        };
        Self::by_word(word)
            .or_else(number)
            .ok_or_else(|| format!("`{word}` is not a record type; A, MX, TXT and TYPE65280 are"))
    }
}

/// The word of a class: `IN`, `CH`, …
pub fn class_word(class: u16) -> String {
    match class {
        1 => "IN".into(),
        3 => "CH".into(),
        4 => "HS".into(),
        254 => "NONE".into(),
        255 => "ANY".into(),
        other => format!("CLASS{other}"),
    }
}

/// The word of a response code: `NOERROR`, `NXDOMAIN`, …
pub fn rcode_word(code: u16) -> String {
    const WORDS: [&str; 12] = [
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
        "DSOTYPENI",
    ];
    match (WORDS.get(usize::from(code)), code) {
        (Some(word), _) => (*word).into(),
        (None, 16) => "BADVERS".into(),
        (None, 23) => "BADCOOKIE".into(),
        _ => format!("RESERVED{code}"),
    }
}

/// The word of an operation code: `QUERY`, `NOTIFY`, …
pub fn opcode_word(code: u8) -> String {
    match code {
        0 => "QUERY".into(),
        1 => "IQUERY".into(),
        2 => "STATUS".into(),
        4 => "NOTIFY".into(),
        5 => "UPDATE".into(),
        6 => "DSO".into(),
        other => format!("RESERVED{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3597_5_types_without_a_word() {
        assert_eq!("type65280".parse::<RecordType>().unwrap().to_string(), "TYPE65280");
        assert_eq!("TYPE1".parse::<RecordType>().unwrap(), RecordType::A);
        assert_eq!("mx".parse::<RecordType>().unwrap().to_string(), "MX");
        for bad in ["", "TYPE", "TYPE65536", "TYPE-1", "MXX", "TYP€1"] {
            assert!(bad.parse::<RecordType>().is_err(), "{bad}");
        }
    }
}
