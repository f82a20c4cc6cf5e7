//! The ring of provided buffers that multishot receives fill.

use ::io_uring::Submitter;
use ::io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

pub(super) const GROUP: u16 = 0;
/// Together below the size of L2.
const COUNT: u16 = 16;
const LEN: usize = 64 << 10;
/// The kernel wants the ring itself at the start of a page.
const PAGE: usize = 4096;

pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: u16,
    leaked: bool,
}

fn entries_layout() -> Layout {
    let len = usize::from(COUNT) * size_of::<BufRingEntry>();
    Layout::from_size_align(len, PAGE).expect("a constant layout")
}

fn memory_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT) * LEN, PAGE).expect("a constant layout")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: both layouts have a size above zero.
    let pointer = unsafe { alloc_zeroed(layout) };
    NonNull::new(pointer).unwrap_or_else(|| handle_alloc_error(layout))
}

impl BufferRing {
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let entries = allocate(entries_layout()).cast::<BufRingEntry>();
        let memory = allocate(memory_layout());
        let mut this = Self {
            entries,
            memory,
            tail: 0,
            leaked: false,
        };
        let addr = entries.as_ptr() as u64;
        // SAFETY: page-aligned, zeroed, of COUNT entries, and alive until after the ring: the ring
        // is declared before this in its owner and therefore dropped first.
        unsafe { submitter.register_buf_ring_with_flags(addr, COUNT, GROUP, 0)? };
        for id in 0..COUNT {
            this.give_back(id);
        }
        Ok(this)
    }

    /// What the kernel wrote into buffer `id`.
    pub(super) fn get(&self, id: u16, len: usize) -> &[u8] {
        assert!(
            id < COUNT && len <= LEN,
            "the kernel named a buffer that it was not given"
        );
        // SAFETY: in bounds by the line above; the memory is initialised, and the kernel does not
        // touch this buffer until it is given back, which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(usize::from(id) * LEN), len) }
    }

    /// Lets the kernel use buffer `id` again.
    pub(super) fn give_back(&mut self, id: u16) {
        assert!(id < COUNT);
        let at = usize::from(self.tail & (COUNT - 1));
        // SAFETY: `at` and `id` are below COUNT; the kernel reads this entry only once the tail is
        // published below, and writes only to the buffers of entries between head and tail.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(at);
            entry.set_addr(self.memory.as_ptr().add(usize::from(id) * LEN) as u64);
            entry.set_len(LEN as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies within the first entry, 2-aligned; the kernel only reads it.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr());
            AtomicU16::from_ptr(tail.cast_mut()).store(self.tail, Ordering::Release);
        }
    }

    /// The kernel may still write: never free this.
    pub(super) fn leak(&mut self) {
        self.leaked = true;
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        if !self.leaked {
            // SAFETY: allocated with the same layouts, and nobody refers to them any more.
            unsafe {
                dealloc(self.entries.as_ptr().cast(), entries_layout());
                dealloc(self.memory.as_ptr(), memory_layout());
            }
        }
    }
}
