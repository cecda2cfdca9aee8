//! Captures on one interface into a pcapng file: `capture INTERFACE FILE SECONDS`. Prints how many
//! frames came and how many the kernel had to drop. Used by `bench/capture.sh`.

use std::io::Write;
use std::time::Duration;

use packets::capture::{Interface, run};
use packets::pcapng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, interface, file, seconds] = arguments.as_slice() else {
        return Err("usage: capture INTERFACE FILE SECONDS".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (sender, mut batches) = tokio::sync::mpsc::channel(64);
        let interfaces = vec![Interface { name: interface.clone(), network: interface.clone() }];
        let capturing = tokio::spawn(run(interfaces, 128, sender));
        let file = std::io::BufWriter::with_capacity(64 << 10, std::fs::File::create(file)?);
        let mut writer = pcapng::Writer::new(file, 128, "")?;
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds.parse()?);
        let (mut frames, mut dropped) = (0_u64, 0_u64);
        while let Ok(Some(batch)) = tokio::time::timeout_at(end, batches.recv()).await {
            dropped += batch.dropped;
            for frame in batch.frames() {
                frames += 1;
                writer.packet(&pcapng::Packet {
                    interface: frame.interface,
                    at_ns: frame.at_ns,
                    data: frame.data,
                    length: frame.length,
                    comment: None,
                })?;
            }
        }
        writer.flush()?;
        drop(batches);
        capturing.await??;
        writeln!(std::io::stdout().lock(), "{frames} captured, {dropped} dropped")?;
        Ok(())
    })
}
