//! A simulated disk: segments in memory, with everything a power cut can do to them.
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::StorageError;
use crate::log::Salts;
use crate::store::Store;

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR_BYTES: u64 = 512;

/// A handle; the contents outlive the log that writes them, as a disk outlives a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    visible: BTreeMap<u64, Image>,
    begun: Option<(u64, Image)>,
    current: u64,
    unsynced: Vec<Write>,
    /// Deleted, but not yet durably so.
    removed: Vec<(u64, Image)>,
    /// A cut came while `begun` was made visible: either may have happened.
    publishing: bool,
    /// Room for segments; the disk is full beyond.
    pub capacity_bytes: Option<u64>,
    /// The next sync fails.
    pub fail_sync: bool,
    /// Operations until the power is cut.
    pub steps_left: Option<u64>,
}

/// A segment; what was never written reads as zeros.
#[derive(Debug, Clone, Default)]
struct Image {
    bytes: Vec<u8>,
    len_bytes: u64,
}

#[derive(Debug)]
struct Write {
    segment: u64,
    offset: u64,
    old: Vec<u8>,
}

impl Image {
    fn read(&self, offset: u64, out: &mut [u8]) {
        let from = (offset as usize).min(self.bytes.len());
        let have = (self.bytes.len() - from).min(out.len());
        out[..have].copy_from_slice(&self.bytes[from..from + have]);
        out[have..].fill(0);
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let from = offset as usize;
        if self.bytes.len() < from + bytes.len() {
            self.bytes.resize(from + bytes.len(), 0);
        }
        self.bytes[from..from + bytes.len()].copy_from_slice(bytes);
    }
}

impl SimStore {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Loses what a power cut loses: of the unsynced writes nothing, all, all but a prefix of their bytes, or any
    /// set of sectors.
    pub fn crash(&mut self, rng: &mut Salts) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let total: u64 = unsynced.iter().map(|write| write.old.len() as u64).sum();
        let prefix = rng.next() % (total + 1);
        let sector_seed = rng.next();
        let mode = rng.next() % 6;
        let mut before = total;
        for write in unsynced.into_iter().rev() {
            before -= write.old.len() as u64;
            let Some(image) = self.visible.get_mut(&write.segment) else {
                continue;
            };
            for (index, old) in (0u64..).zip(&write.old) {
                let at = write.offset + index;
                let sector = (write.segment << 40) | (at / SECTOR_BYTES);
                let survives = match mode {
                    0 => false,
                    1 => true,
                    2 | 3 => before + index < prefix,
                    _ => !Salts(sector_seed ^ sector).next().is_multiple_of(4),
                };
                if !survives {
                    image.bytes[at as usize] = *old;
                }
            }
        }
        for (segment, image) in std::mem::take(&mut self.removed) {
            if rng.coin() {
                self.visible.insert(segment, image);
            }
        }
        self.end_process(rng);
    }

    /// What a killed process leaves: everything it wrote, synced or not, since the page cache lives on.
    pub fn kill(&mut self, rng: &mut Salts) {
        // Opening the folder again makes its names durable.
        self.removed.clear();
        self.end_process(rng);
    }

    fn end_process(&mut self, rng: &mut Salts) {
        if let Some((segment, image)) = self.begun.take()
            && self.publishing
            && rng.coin()
        {
            self.visible.insert(segment, image);
        }
        self.publishing = false;
        self.steps_left = None;
    }

    /// Flips one bit of a visible segment.
    pub fn flip(&mut self, segment: u64, offset: u64, bit: u8) {
        if let Some(byte) = self
            .visible
            .get_mut(&segment)
            .and_then(|image| image.bytes.get_mut(offset as usize))
        {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Visible segments and how far each has ever been written.
    pub fn written(&self) -> Vec<(u64, u64)> {
        self.visible
            .iter()
            .map(|(n, image)| (*n, image.bytes.len() as u64))
            .collect()
    }

    /// All bytes of all visible segments.
    #[cfg(test)]
    pub fn fingerprint(&self) -> Vec<(u64, Vec<u8>)> {
        self.visible
            .iter()
            .map(|(n, image)| (*n, image.bytes.clone()))
            .collect()
    }

    /// Whether the power is still on for one more operation.
    fn step(&mut self, op: &'static str) -> Result<(), StorageError> {
        match &mut self.steps_left {
            Some(0) => Err(StorageError::io(op, "sim", io::Error::other("power cut"))),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn image(&self, segment: u64) -> Result<&Image, StorageError> {
        self.visible.get(&segment).ok_or_else(|| missing(segment))
    }
}

fn missing(segment: u64) -> StorageError {
    StorageError::io(
        "open",
        format!("sim/{segment}"),
        io::ErrorKind::NotFound.into(),
    )
}

impl Store for SimStore {
    fn list(&self) -> Result<Vec<u64>, StorageError> {
        Ok(self.state().visible.keys().copied().collect())
    }

    fn len_bytes(&self, segment: u64) -> Result<u64, StorageError> {
        self.state().image(segment).map(|image| image.len_bytes)
    }

    fn read_at(&self, segment: u64, offset: u64, out: &mut [u8]) -> Result<(), StorageError> {
        self.state().image(segment)?.read(offset, out);
        Ok(())
    }

    fn path(&self, segment: u64) -> PathBuf {
        format!("sim/{segment}").into()
    }

    fn resume(&mut self, segment: u64) -> Result<(), StorageError> {
        self.state().current = segment;
        Ok(())
    }

    fn begin(&mut self, segment: u64, len_bytes: u64) -> Result<(), StorageError> {
        let mut state = self.state();
        state.step("create")?;
        let used: u64 = state.visible.values().map(|image| image.len_bytes).sum();
        if state
            .capacity_bytes
            .is_some_and(|capacity| used + len_bytes > capacity)
        {
            let full = io::ErrorKind::StorageFull.into();
            return Err(StorageError::io(
                "preallocate",
                format!("sim/{segment}"),
                full,
            ));
        }
        state.begun = Some((
            segment,
            Image {
                bytes: Vec::new(),
                len_bytes,
            },
        ));
        state.current = segment;
        Ok(())
    }

    fn write(&mut self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), StorageError> {
        let new = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect::<Vec<u8>>();
        let mut state = self.state();
        let segment = state.current;
        if let Some((begun, image)) = &mut state.begun
            && *begun == segment
        {
            image.write(offset, &new);
            return state.step("write");
        }
        let image = state
            .visible
            .get_mut(&segment)
            .ok_or_else(|| missing(segment))?;
        assert!(
            offset + new.len() as u64 <= image.len_bytes,
            "write beyond the segment"
        );
        let mut old = vec![0; new.len()];
        image.read(offset, &mut old);
        image.write(offset, &new);
        state.unsynced.push(Write {
            segment,
            offset,
            old,
        });
        // A cut during a write leaves any part of it.
        state.step("write")
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let mut state = self.state();
        state.step("sync")?;
        if std::mem::take(&mut state.fail_sync) {
            return Err(StorageError::io(
                "sync",
                "sim",
                io::Error::other("simulated I/O error"),
            ));
        }
        // Only the current segment: an unsynced older one stays at risk, as with real files.
        let current = state.current;
        state.unsynced.retain(|write| write.segment != current);
        Ok(())
    }

    fn publish(&mut self) -> Result<(), StorageError> {
        let mut state = self.state();
        state.publishing = true;
        state.step("publish")?;
        state.publishing = false;
        if let Some((segment, image)) = state.begun.take() {
            state.visible.insert(segment, image);
        }
        Ok(())
    }

    fn remove(&mut self, segments: &[u64]) -> Result<(), StorageError> {
        let mut state = self.state();
        for segment in segments {
            state.step("delete")?;
            if let Some(image) = state.visible.remove(segment) {
                state.removed.push((*segment, image));
            }
        }
        state.step("sync folder")?;
        state.removed.clear();
        state
            .unsynced
            .retain(|write| !segments.contains(&write.segment));
        Ok(())
    }
}
