//! Frames: capture, dissection, streams, stories, pcapng.
