//! Tables.

use crate::story::{Story, ports};

/// The table of ports that services were seen to use.
pub fn ports_table(story: &Story) -> String {
    let rows = ports(story);
    if rows.is_empty() {
        return "no service was seen\n".into();
    }
    let mut table =
        vec![["SERVICE", "PORT", "TRANSPORT", "SERVER", "USED BY", "FRAMES"].map(str::to_owned)];
    for row in rows {
        table.push([
            row.service.to_uppercase(),
            row.port.to_string(),
            row.transport.to_uppercase(),
            row.servers.join(", "),
            row.clients.join(", "),
            row.frames.to_string(),
        ]);
    }
    let width =
        |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for row in &table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
