//! The sent date of a message: `Date:` (RFC 5322, 3.3 and 4.3), read as RFC 5256, 2.2 wants it.

use super::date::{DAY, day_of};
use super::mime;
use super::parameters::without_comments;

/// When a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The day as it stands there, in days since 1970: what SEARCH compares.
    pub day: i64,
    /// Seconds since 1970 in UTC: what SORT and THREAD compare.
    pub seconds: i64,
}

/// The sent date in a header; `None` where `Date:` is missing or names no day.
pub fn sent(header: &[u8]) -> Option<Sent> {
    read(&String::from_utf8_lossy(&mime::field(header, "date")?))
}

fn read(value: &str) -> Option<Sent> {
    let plain = without_comments(value);
    // Old dates have spaces around the colons.
    let plain = plain.split(':').map(str::trim).collect::<Vec<_>>().join(":");
    let mut words = plain.split([' ', '\t', ',']).filter(|word| !word.is_empty()).peekable();
    // The day of the week.
    words.next_if(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    let day = number(words.next()?, 1..=2)?;
    let month = words.next()?;
    let year = words.next()?;
    let full = number(year, 2..=4)?;
    let year = match year.len() {
        // RFC 5322, 4.3.
        2 if full < 50 => 2000 + full,
        2 | 3 => 1900 + full,
        _ => full,
    };
    let day = day_of(i64::from(year), month.get(..3)?, day)?;
    // A time that is wrong is midnight, a zone that is wrong is UTC.
    let time = words.next().and_then(clock).unwrap_or(0);
    let zone = words.next().and_then(zone).unwrap_or(0);
    Some(Sent { day, seconds: day * DAY + time - zone })
}

/// `hh:mm` or `hh:mm:ss` in seconds.
fn clock(word: &str) -> Option<i64> {
    let mut parts = word.split(':').map(|part| number(part, 1..=2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let good = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    good.then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// A zone in seconds east of Greenwich.
fn zone(word: &str) -> Option<i64> {
    let sign = match word.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => {
            let hours = match word.to_ascii_uppercase().as_str() {
                "EDT" => -4,
                "EST" | "CDT" => -5,
                "CST" | "MDT" => -6,
                "MST" | "PDT" => -7,
                "PST" => -8,
                // UT, GMT and the letters of the military, which everybody got wrong.
                _ => 0,
            };
            return Some(hours * 3600);
        }
    };
    let offset = number(&word[1..], 4..=4).filter(|offset| offset % 100 < 60)?;
    Some(sign * i64::from(offset / 100 * 3600 + offset % 100 * 60))
}

fn number(word: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let good = digits.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    if good { word.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5256_2_2_sent_dates() {
        let utc = |value: &str| read(value).map(|sent| sent.seconds);
        // The RFC's own example.
        assert_eq!(utc("31 Dec 2000 16:01:33 -0800"), utc("1 Jan 2001 00:01:33 +0000"));
        assert_eq!(read("31 Dec 2000 16:01:33 -0800").unwrap().day, 11_322);
        assert_eq!(utc("Mon, 7 Feb 1994 21:52:25 -0800 (PST)"), Some(760_686_745));
        // Obsolete forms of RFC 5322.
        assert_eq!(utc("Fri, 21 Nov 97 09(comment):   55  :  06 -0600"), Some(880_127_706));
        assert_eq!(utc("21 Nov 97 10:55 EST"), utc("21 Nov 1997 15:55:00 +0000"));
        assert_eq!(utc("1 Jan 101 00:00 Z"), utc("1 Jan 2001 00:00:00 GMT"));
        // A wrong zone is UTC, a wrong time is midnight.
        assert_eq!(utc("1 Jan 2001 10:00:00 +9999"), utc("1 Jan 2001 10:00:00 +0000"));
        assert_eq!(utc("1 Jan 2001 25:00:00 nonsense"), utc("1 Jan 2001 00:00:00 +0000"));
        assert_eq!(utc("1 Jan 2001"), utc("1 Jan 2001 00:00:00 +0000"));
        for wrong in
            ["", "31 Feb 2001 10:00:00 +0000", "Mon", "1 Foo 2001", "x y z", "ä ö ü", "1 Jän 2001"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
