//! Trace files: a header of 64 octets, then TraceRecords as the engine made them.
//!
//!   byte  size  field
//!      0     8  "SHUNTTRC"
//!      8     4  version of this form, 1
//!     12     4  octets of a record, 64
//!     16     4  the engine's ABI version
//!     20     4  (zero)
//!     24     8  the engine's clock at the start, microseconds
//!     32     8  Unix time at the start, microseconds
//!     40    24  (zero)

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::abi;
use crate::engine::now_us;

/// How long written records may stay in the buffer.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// A trace being written.
pub struct TraceFile {
    file: BufWriter<File>,
    records: u64,
    flushed: Instant,
}

impl TraceFile {
    /// Makes `path`, replacing what is there.
    pub fn create(path: &str) -> io::Result<TraceFile> {
        let mut header = [0; 64];
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        header[0..8].copy_from_slice(b"SHUNTTRC");
        header[8..12].copy_from_slice(&1u32.to_le_bytes());
        header[12..16].copy_from_slice(&abi::TRACE_RECORD_SIZE.to_le_bytes());
        header[16..20].copy_from_slice(&abi::ABI_VERSION.to_le_bytes());
        header[24..32].copy_from_slice(&now_us().to_le_bytes());
        header[32..40].copy_from_slice(&(unix.as_micros() as u64).to_le_bytes());
        let mut file = BufWriter::with_capacity(1 << 18, File::create(path)?);
        file.write_all(&header)?;
        Ok(TraceFile { file, records: 0, flushed: Instant::now() })
    }

    /// Appends whole records.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.records += records.len() as u64 / u64::from(abi::TRACE_RECORD_SIZE);
        self.file.write_all(records)
    }

    /// Writes the buffer out if that is due. Returns when it is due next, none with nothing to write.
    pub fn flush_if_due(&mut self) -> io::Result<Option<Duration>> {
        if self.file.buffer().is_empty() {
            return Ok(None);
        }
        let age = self.flushed.elapsed();
        if age < FLUSH_EVERY {
            return Ok(Some(FLUSH_EVERY - age));
        }
        self.flushed = Instant::now();
        self.file.flush()?;
        Ok(None)
    }

    /// Writes everything out. Returns the number of records.
    pub fn finish(mut self) -> io::Result<u64> {
        self.file.flush()?;
        Ok(self.records)
    }
}
