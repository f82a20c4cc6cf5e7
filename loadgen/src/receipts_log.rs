//! `receipts.bin`: every receipt that the client holds, so that after a crash of replicas somebody
//! can check that none is contradicted. All integers little endian:
//!
//! ```text
//! "RFRECPT1" sessions:u32 { id[16] }*sessions
//! { session:u32 seq:u64 height:u64 position:u32 outcome[2] }*
//! ```
//! `outcome` as in the codec; a torn tail shows in the length (26 bytes per receipt).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use measure::MeasureError;
use types::Wire;
use types::batch::SessionId;
use types::client::Entry;

/// Bytes gathered before they are written.
const BUFFER_LEN_BYTES: usize = 256 << 10;

/// Appends receipts.
#[derive(Debug)]
pub struct ReceiptsLog {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    failure: Option<std::io::Error>,
}

impl ReceiptsLog {
    /// Creates the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, sessions: &[SessionId]) -> Result<ReceiptsLog, MeasureError> {
        let mut buffer = Vec::with_capacity(BUFFER_LEN_BYTES + 64);
        buffer.extend_from_slice(b"RFRECPT1");
        (sessions.len() as u32).put(&mut buffer);
        sessions.iter().for_each(|id| buffer.extend_from_slice(id));
        let file = File::create(path).map_err(|source| io_error("create", path, source))?;
        let mut log = ReceiptsLog {
            file,
            path: path.to_path_buf(),
            buffer,
            failure: None,
        };
        log.flush()?;
        Ok(log)
    }

    /// Adds a receipt; a failure to write is told by the next [`ReceiptsLog::flush`].
    pub fn add(&mut self, session: u32, entry: &Entry) {
        session.put(&mut self.buffer);
        entry.put(&mut self.buffer);
        if self.buffer.len() >= BUFFER_LEN_BYTES {
            self.write();
        }
    }

    fn write(&mut self) {
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.failure.get_or_insert(error);
        }
        self.buffer.clear();
    }

    /// Hands everything to the kernel.
    ///
    /// # Errors
    /// The first failure since the last call.
    pub fn flush(&mut self) -> Result<(), MeasureError> {
        self.write();
        match self.failure.take() {
            None => Ok(()),
            Some(source) => Err(io_error("append to", &self.path, source)),
        }
    }
}

fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> MeasureError {
    MeasureError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}
