//! A folder of segment files on a real file system.
//!
//! A segment is written under a temporary name and renamed when it is durable, so that a visible segment
//! always has a valid head and, if it is a base, all of it.
use std::cell::RefCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pwritev};

use crate::StorageError;
use crate::store::Store;

const LOCK_NAME: &str = "LOCK";
const VISIBLE: &str = "segment";
const BEGUN: &str = "begun";
/// Linux takes no more slices in one call (`IOV_MAX`).
const SLICES_MAX: usize = 1024;

/// The files of one journal; holds the folder's lock for as long as it lives.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    _lock: File,
    current: Option<Current>,
    reading: RefCell<Option<(u64, File)>>,
}

#[derive(Debug)]
struct Current {
    segment: u64,
    file: File,
    path: PathBuf,
}

impl Folder {
    /// Makes the folder if need be, locks it, and clears away segments that were never finished.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(dir).map_err(|e| StorageError::io("create folder", dir, e))?;
        let lock_path = dir.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| StorageError::io("open", &lock_path, e))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StorageError::Locked { dir: dir.into() },
            TryLockError::Error(e) => StorageError::io("lock", &lock_path, e),
        })?;
        let folder = Self {
            dir: dir.into(),
            _lock: lock,
            current: None,
            reading: RefCell::new(None),
        };
        for number in folder.numbers(BEGUN)? {
            folder.unlink(number, BEGUN)?;
        }
        // A rename seen now may not have been durable when its process died.
        folder.sync_dir()?;
        Ok(folder)
    }

    fn name(&self, segment: u64, extension: &str) -> PathBuf {
        self.dir.join(format!("{segment:016x}.{extension}"))
    }

    fn numbers(&self, extension: &str) -> Result<Vec<u64>, StorageError> {
        let failed = |e| StorageError::io("list", &self.dir, e);
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let path = PathBuf::from(entry.map_err(failed)?.file_name());
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            let is_ours = path.extension().is_some_and(|found| found == extension);
            if let (true, 16, Ok(number)) = (is_ours, stem.len(), u64::from_str_radix(stem, 16)) {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn unlink(&self, segment: u64, extension: &str) -> Result<(), StorageError> {
        let path = self.name(segment, extension);
        std::fs::remove_file(&path).map_err(|e| StorageError::io("delete", path, e))
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| StorageError::io("sync folder", &self.dir, e))
    }

    fn current(&self) -> Result<&Current, StorageError> {
        self.current.as_ref().ok_or_else(|| {
            StorageError::io(
                "write",
                &self.dir,
                io::Error::other("no segment is being written"),
            )
        })
    }
}

impl Store for Folder {
    fn list(&self) -> Result<Vec<u64>, StorageError> {
        self.numbers(VISIBLE)
    }

    fn len_bytes(&self, segment: u64) -> Result<u64, StorageError> {
        let path = self.path(segment);
        std::fs::metadata(&path)
            .map(|m| m.len())
            .map_err(|e| StorageError::io("stat", path, e))
    }

    fn read_at(&self, segment: u64, offset: u64, out: &mut [u8]) -> Result<(), StorageError> {
        let path = self.path(segment);
        let mut reading = self.reading.borrow_mut();
        if reading
            .as_ref()
            .is_none_or(|(number, _)| *number != segment)
        {
            let file = File::open(&path).map_err(|e| StorageError::io("open", &path, e))?;
            *reading = Some((segment, file));
        }
        match reading.as_ref() {
            Some((_, file)) => file
                .read_exact_at(out, offset)
                .map_err(|e| StorageError::io("read", path, e)),
            None => Ok(()),
        }
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.name(segment, VISIBLE)
    }

    fn resume(&mut self, segment: u64) -> Result<(), StorageError> {
        let path = self.path(segment);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|e| StorageError::io("open", &path, e))?;
        *self.reading.borrow_mut() = None;
        self.current = Some(Current {
            segment,
            file,
            path,
        });
        Ok(())
    }

    fn begin(&mut self, segment: u64, len_bytes: u64) -> Result<(), StorageError> {
        let path = self.name(segment, BEGUN);
        let failed = |op| {
            let path = path.clone();
            move |e| StorageError::io(op, path, e)
        };
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(failed("create"))?;
        match fallocate(&file, FallocateFlags::empty(), 0, len_bytes) {
            // Without preallocation a full disk shows at the write instead.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                file.set_len(len_bytes).map_err(failed("set length of"))?;
            }
            outcome => outcome
                .map_err(io::Error::from)
                .map_err(failed("preallocate"))?,
        }
        self.current = Some(Current {
            segment,
            file,
            path,
        });
        Ok(())
    }

    fn write(&mut self, mut offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), StorageError> {
        let Current { file, path, .. } = self.current()?;
        let mut rest = slices;
        // A count of 0 would otherwise loop for ever on slices that are all empty.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let now = rest.len().min(SLICES_MAX);
            match pwritev(file, &rest[..now], offset) {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Err(StorageError::io("write", path, error));
                }
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(StorageError::io("write", path, errno.into())),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let Current { file, path, .. } = self.current()?;
        file.sync_data()
            .map_err(|e| StorageError::io("sync", path, e))
    }

    fn publish(&mut self) -> Result<(), StorageError> {
        let Current {
            segment,
            file,
            path,
        } = self.current()?;
        let visible = self.path(*segment);
        file.sync_all()
            .map_err(|e| StorageError::io("sync", path, e))?;
        std::fs::rename(path, &visible).map_err(|e| StorageError::io("rename", path, e))?;
        self.sync_dir()?;
        if let Some(current) = &mut self.current {
            current.path = visible;
        }
        Ok(())
    }

    fn remove(&mut self, segments: &[u64]) -> Result<(), StorageError> {
        *self.reading.borrow_mut() = None;
        segments
            .iter()
            .try_for_each(|segment| self.unlink(*segment, VISIBLE))?;
        self.sync_dir()
    }
}
