//! Headers: finding fields in a message, writing dates and fields.

use jiff::Timestamp;

/// The length of the header, its empty line included.
pub fn length(message: &[u8]) -> usize {
    if message.starts_with(b"\r\n") {
        return 2;
    }
    message.windows(4).position(|w| w == b"\r\n\r\n").map_or(message.len(), |at| at + 4)
}

/// The fields of a header: name and raw value, folds included.
pub fn fields(message: &[u8]) -> Vec<(String, String)> {
    let header = String::from_utf8_lossy(&message[..length(message)]).into_owned();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push_str("\r\n");
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim_end().to_owned(), value.trim_start().to_owned()));
        }
    }
    fields
}

/// The first field of that name, unfolded.
pub fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    let (_, value) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value.replace("\r\n", "").trim().to_owned())
}

/// A time as RFC 5322 writes it.
pub fn date(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    jiff::fmt::strtime::format("%a, %-d %b %Y %H:%M:%S +0000", time).unwrap_or_default()
}

/// Seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Takes control characters out of what goes into a header line.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A name that a client gave, as a Received line may have it (RFC 5321, 4.4): what no domain and no
/// address literal holds becomes `?`.
pub fn host_word(name: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    name.chars().map(|c| if good(c) { c } else { '?' }).collect()
}

/// The domain of the first address in a From field.
pub fn from_domain(fields: &[(String, String)]) -> Option<String> {
    let from = field(fields, "From")?;
    let address = match (from.rfind('<'), from.rfind('>')) {
        (Some(start), Some(end)) if start < end => &from[start + 1..end],
        _ => from.as_str(),
    };
    let (_, domain) = address.rsplit_once('@')?;
    crate::address::check_domain(domain.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_unfolded() {
        let message = b"From: A <a@B.test>\r\nSubject: x\r\n y\r\nX-Y:\r\n\r\nTo: body\r\n";
        let fields = fields(message);
        assert_eq!(length(message), message.len() - 10);
        assert_eq!(field(&fields, "subject").as_deref(), Some("x y"));
        assert_eq!(field(&fields, "to"), None);
        assert_eq!(from_domain(&fields).as_deref(), Some("b.test"));
        assert_eq!(date(0), "Thu, 1 Jan 1970 00:00:00 +0000");
    }
}
