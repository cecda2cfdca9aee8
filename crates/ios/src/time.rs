//! Times as consoles print them.

use std::time::Duration;

/// Hours, minutes, seconds: `00:01:12`.
pub(crate) fn hms(age: Duration) -> String {
    let seconds = age.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month from 1, day of a number of days since 1970 (Gregorian calendar).
fn civil(days: u64) -> (u64, u64, u64) {
    // Years begin in March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

/// `Mar 02 2025 06:00 AM`, in UTC.
pub(crate) fn date(at: u64) -> String {
    let (year, month, day) = civil(at / 86_400);
    let (hour, minute) = (at / 3600 % 24, at / 60 % 60);
    let (twelve, half) =
        (if hour % 12 == 0 { 12 } else { hour % 12 }, if hour < 12 { "AM" } else { "PM" });
    format!("{} {day:02} {year} {twelve:02}:{minute:02} {half}", MONTHS[(month - 1) as usize % 12])
}

/// `18:05:09 UTC Mar 2 2025`.
pub(crate) fn clock(at: u64) -> String {
    let (year, month, day) = civil(at / 86_400);
    let time = hms(Duration::from_secs(at % 86_400));
    format!("{time} UTC {} {day} {year}", MONTHS[(month - 1) as usize % 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(1_740_895_200), "Mar 02 2025 06:00 AM");
        assert_eq!(clock(951_782_400), "00:00:00 UTC Feb 29 2000");
        assert_eq!(date(0), "Jan 01 1970 12:00 AM");
    }
}
