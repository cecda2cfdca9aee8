//! TLS in a story: the handshake, what stays secret, and the dialogue inside where the lab gives its
//! keys.

use crate::dissect::{Layer, shown};
use crate::tls::Event;

use super::explain;
use super::packets::Packet;
use super::tell::{Stream, Teller};

/// What may be added to the frames' layers of what was decrypted, in bytes.
const MAX_INSIDE: usize = 4 << 20;
/// Lines of one record that are shown as fields.
const MAX_LINES: usize = 60;

/// A step that more of the same is added to.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    step: usize,
    secret: bool,
}

impl Teller {
    /// Tells what a record of one side says.
    pub(super) fn tls(
        &mut self,
        packet: &Packet<'_>,
        stream: &mut Stream,
        side: usize,
        event: Event,
        frames: &[usize],
    ) {
        let (text, secret) = match event {
            Event::Hello(text) => {
                let mut step = self.step(packet, "tls", format!("TLS {text}"));
                step.explain = explain::tls(Some(&text));
                step.frames = frames.to_vec();
                self.push(step);
                stream.open = [None; 2];
                return;
            }
            Event::Data(bytes) => {
                self.decrypted(packet, stream, side, &bytes, frames);
                stream.open = [None; 2];
                return;
            }
            Event::Handshake(name) => (name, false),
            Event::Secret => ("sends encrypted data".to_owned(), true),
        };
        if let Some(open) = stream.open[side]
            && open.secret == secret
            && let Some(step) = self.steps.get_mut(open.step)
        {
            step.frames.extend(frames);
            if !secret {
                step.text.push_str(", ");
                step.text.push_str(&text);
            }
            return;
        }
        let text = if secret { text } else { format!("TLS {text}") };
        let mut step = self.step(packet, "tls", text);
        step.explain = if secret { explain::tls(None) } else { explain::tls_handshake() };
        step.frames = frames.to_vec();
        let step = self.push(step);
        // What the other side says next is an answer to this.
        stream.open[1 - side] = None;
        stream.open[side] = Some(Open { step, secret });
    }

    fn decrypted(
        &mut self,
        packet: &Packet<'_>,
        stream: &mut Stream,
        side: usize,
        bytes: &[u8],
        frames: &[usize],
    ) {
        stream.talk.decrypted();
        if let Some(frame) = frames.last()
            && self.inside_bytes + bytes.len() <= MAX_INSIDE
        {
            self.inside_bytes += bytes.len();
            let name = stream.talk.protocol().to_ascii_uppercase();
            let mut layer = Layer::new(&format!("{name}, decrypted"));
            for line in bytes.split(|byte| *byte == b'\n').take(MAX_LINES) {
                if !line.is_empty() {
                    layer.add(if side == 0 { "client" } else { "server" }, shown(line));
                }
            }
            self.inside.entry(*frame).or_default().push(layer);
        }
        for said in stream.talk.hear(side == 0, bytes, frames) {
            let step = self.said(packet, stream, said);
            self.push(step);
        }
    }
}
