use super::*;
use crate::text;

fn round(kind: RecordType, line: &str) -> String {
    let origin = Name::complete("lab.test").unwrap();
    let data = parse(kind, &text::tokens(line).unwrap(), Some(&origin)).unwrap();
    let again = parse(kind, &text::tokens(&show(kind, &data)).unwrap(), None).unwrap();
    assert_eq!(data, again, "{line}");
    assert_eq!(read(kind, &data, 0, data.len()).unwrap(), data);
    show(kind, &data)
}

#[test]
fn rfc1035_5_every_type_goes_there_and_back() {
    use RecordType as T;
    for (kind, line, shown) in [
        (T::A, "10.0.0.1", "10.0.0.1"),
        (T::AAAA, "2001:DB8::1", "2001:db8::1"),
        (T::MX, "10 mail", "10 mail.lab.test."),
        (T::SOA, "ns admin 1 1h 15m 1w 60", "ns.lab.test. admin.lab.test. 1 3600 900 604800 60"),
        (T::TXT, "\"v=spf1 -all\" x", "\"v=spf1 -all\" \"x\""),
        (T::SRV, "0 5 25 @", "0 5 25 lab.test."),
        (T::CAA, "0 issue \"ca.test\"", "0 issue \"ca.test\""),
        (
            T::NAPTR,
            "1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            "1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
        ),
        (T::DS, "60485 ECDSAP256SHA256 1 2BB1 83AF", "60485 13 1 2BB183AF"),
        (T::NSEC, "host A MX RRSIG NSEC TYPE1234", "host.lab.test. A MX RRSIG NSEC TYPE1234"),
        (
            T::NSEC3,
            "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
            "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG",
        ),
        (
            T::RRSIG,
            "A 13 2 300 20260101000000 20250101000000 7 @ AAEC",
            "A 13 2 300 20260101000000 20250101000000 7 lab.test. AAEC",
        ),
        (T::TLSA, "3 1 1 AABB", "3 1 1 AABB"),
        (
            T::HTTPS,
            "1 . alpn=h2,h3 port=8443 ipv4hint=10.0.0.1",
            "1 . alpn=\"h2,h3\" port=8443 ipv4hint=10.0.0.1",
        ),
        (T(65280), "\\# 3 0a0B 0c", "\\# 3 0A0B0C"),
        (T::A, "\\# 4 0A000001", "10.0.0.1"),
    ] {
        assert_eq!(round(kind, line), shown);
    }
}

#[test]
fn rfc1035_5_wrong_data_is_refused_with_a_reason() {
    use RecordType as T;
    for (kind, line, part) in [
        (T::A, "10.0.0", "IPv4"),
        (T::A, "10.0.0.1 x", "too much"),
        (T::A, "", "needs more"),
        (T::MX, "mail", "0 to 65535"),
        (T::MX, "10", "needs more"),
        (T::TXT, "", "at least one"),
        (T::A, "\\# 3 000000", "not the data"),
        (T::A, "\\# 4 00", "1 follow"),
        (T(65280), "abc", "RFC 3597"),
        (T::SOA, "a b x 1 1 1 1", "4294967295"),
    ] {
        let error = parse(kind, &text::tokens(line).unwrap(), Some(&Name::root())).unwrap_err();
        assert!(error.contains(part), "{kind} {line}: {error}");
    }
    let long = format!("\"{}\"", "x".repeat(256));
    assert!(parse(T::TXT, &text::tokens(&long).unwrap(), None).unwrap_err().contains("255"));
}

#[test]
fn malformed_data_in_messages_is_refused() {
    use RecordType as T;
    for (kind, data) in [
        (T::A, &b"\x01\x02\x03"[..]),
        (T::TXT, b"\x05a"),
        (T::MX, b"\x00\x0a"),
        (T::NSEC, b"\x00\x00\x21"),
    ] {
        assert!(read(kind, data, 0, data.len()).is_err(), "{kind}");
    }
    assert!(read(T::A, b"\x01", 0, 4).is_err());
}
