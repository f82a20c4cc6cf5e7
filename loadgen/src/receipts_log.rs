//! Writes `receipts.bin` (`measure::receipts`): everything that the client was told about its
//! transactions, so that somebody can check afterwards that nothing was lost or contradicted.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use measure::{MeasureError, ReceiptRecord, Receipts};
use types::batch::SessionId;

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
        buffer.extend_from_slice(&Receipts::header(sessions));
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

    /// Adds a record; a failure to write is told by the next [`ReceiptsLog::flush`].
    pub fn add(&mut self, record: &ReceiptRecord) {
        self.buffer.extend_from_slice(&record.encode());
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
