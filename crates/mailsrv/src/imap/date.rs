//! Dates as IMAP writes them.

/// The months.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Days since 1970 of a civil date (Gregorian calendar).
fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from((month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day out of days since 1970.
fn civil(days: i64) -> (i64, usize, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

/// `" 1-Feb-2020 10:00:00 +0000"` without the quotes.
pub fn internal(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let rest = seconds.rem_euclid(DAY);
    let month = MONTHS[(month - 1) % 12];
    format!(
        "{day:2}-{month}-{year:04} {:02}:{:02}:{:02} +0000",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// `1-Feb-2020` as days since 1970.
pub fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.trim_start().splitn(3, '-');
    let day: u32 = number(parts.next()?, 2)?;
    let month = parts.next()?;
    let year = parts.next()?;
    let year = if year.len() == 4 { i64::from(number(year, 4)?) } else { return None };
    day_of(year, month, day)
}

/// Days since 1970 of a date whose month is a name; `None` where there is no such day.
pub fn day_of(year: i64, month: &str, day: u32) -> Option<i64> {
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let month = u32::try_from(month).ok()? + 1;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=length).contains(&day).then(|| days(year, month, day))
}

/// `" 1-Feb-2020 10:00:00 +0100"` as seconds since 1970.
pub fn parse_internal(text: &str) -> Option<i64> {
    let mut words = text.trim_start().split(' ');
    let day = parse_day(words.next()?)?;
    let mut clock = words.next()?.split(':');
    let hour: u32 = number(clock.next()?, 2)?;
    let minute: u32 = number(clock.next()?, 2)?;
    let second: u32 = number(clock.next()?, 2)?;
    let zone = words.next()?;
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let offset = number(zone.get(1..)?, 4).filter(|_| zone.len() == 5)?;
    let good = hour < 24 && minute < 60 && second <= 60 && offset % 100 < 60;
    if !good || words.next().is_some() || clock.next().is_some() {
        return None;
    }
    let offset = i64::from(offset / 100 * 60 + offset % 100) * 60 * sign;
    Some(day * DAY + i64::from(hour * 3600 + minute * 60 + second) - offset)
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let good = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for seconds in [0, 951_782_399, 951_782_400, 1_796_043_600, -1] {
            assert_eq!(parse_internal(&internal(seconds)), Some(seconds));
        }
        assert_eq!(internal(1_796_043_600), "30-Nov-2026 13:00:00 +0000");
        assert_eq!(parse_day("31-Feb-2020"), None);
        assert_eq!(parse_internal("1-Feb-2020 10:00:00 0100"), None);
    }
}
