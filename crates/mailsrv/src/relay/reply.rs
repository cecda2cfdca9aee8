//! Replies of another server: bounded, and total over what it may say.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Bytes of one line at most.
const MAX_LINE: u64 = 4096;
/// Lines of one reply at most.
const MAX_LINES: usize = 100;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    pub fn is(&self, class: u16) -> bool {
        self.code / 100 == class
    }

    /// As one line.
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }

    /// The parameters of an extension, where EHLO's reply has it.
    pub fn extension(&self, keyword: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let (first, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            first.eq_ignore_ascii_case(keyword).then_some(rest)
        })
    }
}

/// Reads one reply; `each` sees its lines.
pub(crate) async fn read(
    from: &mut (impl AsyncBufRead + Unpin),
    mut each: impl FnMut(&[u8]),
) -> io::Result<Reply> {
    let mut reply = Reply { code: 0, lines: Vec::new() };
    loop {
        let mut line = Vec::new();
        from.take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
        }
        each(&line);
        let (code, more, text) = parse(&line)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it does not speak SMTP"))?;
        reply.code = code;
        reply.lines.push(text);
        if !more {
            return Ok(reply);
        }
        if reply.lines.len() >= MAX_LINES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its reply does not end"));
        }
    }
}

/// Code, whether more lines follow, text.
fn parse(line: &[u8]) -> Option<(u16, bool, String)> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    let code = text.get(..3)?.parse().ok().filter(|code| (200..=599).contains(code))?;
    let (more, rest) = match text.as_bytes().get(3) {
        None => (false, ""),
        Some(b' ') => (false, &text[4..]),
        Some(b'-') => (true, &text[4..]),
        Some(_) => return None,
    };
    Some((code, more, rest.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replies_of_several_lines_end_with_a_space() {
        let mut bytes: &[u8] = b"250-a.test hi\r\n250-SIZE 100\r\n250 AUTH=PLAIN LOGIN\r\n220\r\nx";
        let reply = read(&mut bytes, |_| {}).await.unwrap();
        assert_eq!((reply.code, reply.lines.len()), (250, 3));
        assert_eq!(reply.extension("size"), Some("100"));
        assert_eq!(reply.extension("auth"), Some("PLAIN LOGIN"));
        assert_eq!(reply.extension("a.test"), None);
        assert_eq!(read(&mut bytes, |_| {}).await.unwrap().code, 220);
        read(&mut bytes, |_| {}).await.unwrap_err();
    }

    #[tokio::test]
    async fn nonsense_and_endless_replies_are_errors() {
        for text in
            ["", "SSH-2.0\r\n", "25\r\n", "250?x\r\n", "999 x\r\n", &"250-x\r\n".repeat(200)]
        {
            read(&mut text.as_bytes(), |_| {}).await.unwrap_err();
        }
    }
}
