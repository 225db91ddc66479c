//! Capture files: classic pcap with nanosecond time stamps, readable by tcpdump and Wireshark.

use std::fs::File;
use std::io::{BufWriter, Result, Write};

/// Marks a pcap file with nanosecond time stamps.
const MAGIC_NS: u32 = 0xa1b2_3c4d;
/// Link type Ethernet.
const ETHERNET: u32 = 1;
/// Largest stored frame, bytes.
const SNAP: u32 = 65_535;

/// An open capture of one link, both directions.
pub struct Pcap {
    out: BufWriter<File>,
}

impl Pcap {
    /// Creates the file, replacing an old one.
    pub fn create(path: &str) -> Result<Pcap> {
        let mut out = BufWriter::with_capacity(1 << 18, File::create(path)?);
        for word in [MAGIC_NS, 4 << 16 | 2, 0, 0, SNAP, ETHERNET] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Pcap { out })
    }

    /// Adds a frame. `now_ns` is CLOCK_MONOTONIC, so that captures and the trace of a proxy share one axis.
    pub fn write(&mut self, now_ns: u64, frame: &[u8]) -> Result<()> {
        let kept = frame.len().min(SNAP as usize);
        let (seconds, nanos) = (now_ns / 1_000_000_000, now_ns % 1_000_000_000);
        for word in [seconds as u32, nanos as u32, kept as u32, frame.len() as u32] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(&frame[..kept])
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_records_have_the_documented_sizes() {
        let path = std::env::temp_dir().join(format!("emulator-{}.pcap", std::process::id()));
        let mut pcap = Pcap::create(path.to_str().unwrap()).unwrap();
        pcap.write(1_500_000_007, &[1, 2, 3]).unwrap();
        pcap.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(bytes.len(), 24 + 16 + 3);
        assert_eq!(bytes[4..8], [2, 0, 4, 0]);
        assert_eq!(bytes[24..32], [1, 0, 0, 0, 0x07, 0x65, 0xcd, 0x1d]);
    }
}
