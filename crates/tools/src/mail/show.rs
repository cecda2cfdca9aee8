//! Messages and lists of them, for people or as JSON.

use std::io::Write;

use probes::mail::{Letter, Outcome};

use super::desk::Desk;

impl Desk<'_> {
    pub(super) fn show_list(&self, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
        if self.common.json {
            return json(&outcome.letters, out);
        }
        if outcome.letters.is_empty() {
            return writeln!(out, "no messages");
        }
        writeln!(out, "{:>4}  {:<28} {:<32} {:>8}", "No", "From", "Subject", "Bytes")?;
        for (at, letter) in outcome.letters.iter().enumerate() {
            writeln!(
                out,
                "{:>4}  {:<28} {:<32} {:>8}",
                at + 1,
                letter.from,
                letter.subject,
                letter.size
            )?;
        }
        Ok(())
    }

    pub(super) fn show_all(&self, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
        if self.common.json {
            return json(outcome, out);
        }
        if outcome.letters.is_empty() {
            return writeln!(out, "no messages");
        }
        for (at, letter) in outcome.letters.iter().enumerate() {
            writeln!(out, "--- message {} of {} ---", at + 1, outcome.letters.len())?;
            show(letter, false, out)?;
        }
        Ok(())
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T, out: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

pub(super) fn show(letter: &Letter, headers: bool, out: &mut impl Write) -> std::io::Result<()> {
    if headers {
        for (name, value) in &letter.headers {
            writeln!(out, "{name}: {value}")?;
        }
    } else {
        match letter.from_name.as_str() {
            "" => writeln!(out, "From:    {}", letter.from)?,
            name => writeln!(out, "From:    {name} <{}>", letter.from)?,
        }
        writeln!(out, "To:      {}", letter.to.join(", "))?;
        writeln!(out, "Subject: {}", letter.subject)?;
        writeln!(out, "Date:    {}", letter.date)?;
    }
    for file in &letter.attachments {
        writeln!(out, "File:    {} ({}, {} bytes)", file.name, file.media_type, file.size)?;
    }
    writeln!(out, "\n{}\n", printable(letter.body.trim_end()))
}

/// The text without what would command the terminal.
fn printable(text: &str) -> String {
    text.replace('\r', "")
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '?' } else { c })
        .collect()
}
