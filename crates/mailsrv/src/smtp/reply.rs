//! Replies (RFC 5321, 4.2) with enhanced codes (RFC 2034).

/// One reply of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `250`.
    pub code: u16,
    /// `2.1.0`; none in greetings and EHLO.
    pub enhanced: Option<String>,
    /// The texts.
    pub lines: Vec<String>,
}

impl Reply {
    /// With an enhanced code.
    pub fn new(code: u16, enhanced: &str, text: impl Into<String>) -> Self {
        Self { code, enhanced: Some(enhanced.to_owned()), lines: vec![text.into()] }
    }

    /// Without an enhanced code.
    pub fn plain(code: u16, lines: Vec<String>) -> Self {
        Self { code, enhanced: None, lines }
    }

    /// From a text such as `451 4.3.0 later`, as faults give it.
    pub fn from_text(text: &str) -> Self {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        match code.parse() {
            Ok(code @ 200..=599) => {
                let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
                let numbers = first.split('.').filter(|n| n.parse::<u16>().is_ok()).count();
                if numbers == 3 && first.split('.').count() == 3 {
                    Self::new(code, first, one_line(after))
                } else {
                    Self::plain(code, vec![one_line(rest)])
                }
            }
            _ => Self::new(451, "4.3.0", one_line(text)),
        }
    }

    /// Whether it is a refusal.
    pub fn is_error(&self) -> bool {
        self.code >= 400
    }

    /// As bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            bytes.extend_from_slice(self.code.to_string().as_bytes());
            bytes.push(if at == last { b' ' } else { b'-' });
            if let Some(enhanced) = &self.enhanced {
                bytes.extend_from_slice(enhanced.as_bytes());
                bytes.push(b' ');
            }
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// As one line of text, for logs and notices.
    pub fn text(&self) -> String {
        let enhanced = self.enhanced.as_ref().map(|e| format!("{e} ")).unwrap_or_default();
        format!("{} {enhanced}{}", self.code, self.lines.join(" "))
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_code_and_enhanced_code() {
        let mut reply = Reply::new(250, "2.0.0", "a");
        reply.lines.push("b".into());
        assert_eq!(reply.write(), b"250-2.0.0 a\r\n250 2.0.0 b\r\n");
        assert_eq!(Reply::plain(220, vec!["x".into()]).write(), b"220 x\r\n");
        assert_eq!(Reply::from_text("451 4.3.0 later").text(), "451 4.3.0 later");
        assert_eq!(Reply::from_text("550 no\r\n250 x").write(), b"550 no  250 x\r\n");
    }
}
