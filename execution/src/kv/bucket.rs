//! One part of the `kv` state.

use hashbrown::HashTable;

use super::ITEM_OVERHEAD_BYTES;
use super::format::key_of;
use super::op::Home;
use crate::hash::{Sink, slot_hash, slot_hash_of};
use crate::parts::{Input, RestoreError, ensure};

/// A length that no record has: ends them in the encoding.
const RECORDS_END: [u8; LEN_BYTES] = [0; LEN_BYTES];
/// Bytes of one account in the encoding.
pub(super) const ACCOUNT_LEN_BYTES: u64 = 16;

#[derive(Debug, Clone, Copy)]
struct Account {
    id: u64,
    balance: u64,
}

/// Where a record lies in its bucket's arena, behind its length. Room beyond its length is left by a longer one.
#[derive(Debug, Clone, Copy)]
struct Slot {
    at: u32,
    len: u32,
    room: u32,
}

/// Bytes of one bucket's records, each as `len:u32 record`.
#[derive(Debug)]
struct Arena {
    bytes: Vec<u8>,
    /// Bytes that no record uses.
    unused: usize,
    /// Nothing is unused, and records lie in their order: the bytes are those of the encoding.
    ordered: bool,
}

/// Records are kept as they arrive, `key_len key value`, in one allocation for all of them: the first write
/// after a snapshot copies the bucket in one go, where a record each would cost an allocation
/// per write. Their byte order is an order by key. The copy puts them in that order, and values that are
/// replaced by others of their length leave it alone: what is written most is hashed as it lies.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    records: HashTable<Slot>,
    arena: Arena,
    accounts: HashTable<Account>,
    records_bytes: usize,
}

/// Bytes of a record's length before it.
const LEN_BYTES: usize = 4;
/// Below this many unused bytes an arena is left as it is.
const UNUSED_MIN: usize = 4096;
/// An arena grows by this part of itself at once.
const GROWTH_SHARE: usize = 8;

impl Default for Arena {
    fn default() -> Arena {
        Arena::with_room(0)
    }
}

impl Clone for Bucket {
    fn clone(&self) -> Bucket {
        let mut copy = Bucket::default();
        copy.copy(self);
        copy
    }
}

impl Arena {
    fn with_room(len_bytes: usize) -> Arena {
        Arena {
            bytes: Vec::with_capacity(len_bytes),
            unused: 0,
            ordered: true,
        }
    }

    /// Nothing in it, and room for as much.
    fn empty(&mut self, len_bytes: usize) {
        self.bytes.clear();
        if self.bytes.capacity() < len_bytes {
            // A reservation would move what is of no use any more.
            self.bytes = Vec::with_capacity(len_bytes);
        }
        (self.unused, self.ordered) = (0, true);
    }

    fn record(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.at as usize..][..slot.len as usize]
    }

    fn add(&mut self, record: &[u8]) -> Slot {
        let spare = self.bytes.capacity() - self.bytes.len();
        if spare < LEN_BYTES + record.len() {
            let more = (LEN_BYTES + record.len()).max(self.bytes.len() / GROWTH_SHARE);
            self.bytes.reserve_exact(more);
        }
        // The state's limit keeps an arena, of which at most half is unused, below 4 GiB.
        let (at, len) = ((self.bytes.len() + LEN_BYTES) as u32, record.len() as u32);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(record);
        self.ordered = false;
        Slot { at, len, room: len }
    }

    /// Overwrites the record, in its place if it has room for the new one.
    #[inline]
    fn replace(&mut self, slot: &mut Slot, record: &[u8]) {
        if record.len() > slot.room as usize {
            self.unused += LEN_BYTES + slot.room as usize;
            *slot = self.add(record);
            return;
        }
        if record.len() != slot.len as usize {
            slot.len = record.len() as u32;
            self.ordered = false;
        }
        self.bytes[slot.at as usize..][..record.len()].copy_from_slice(record);
    }

    fn hash(&self, slot: &Slot) -> u64 {
        slot_hash(key_of(self.record(slot)).unwrap_or_default())
    }
}

/// The same as of slices, without a call where the head has 8 to 16 bytes, as most have.
#[inline]
fn starts_with(record: &[u8], head: &[u8]) -> bool {
    let Some(record) = record.get(..head.len()) else {
        return false;
    };
    match (head.first_chunk::<8>(), head.last_chunk::<8>()) {
        (Some(first), Some(last)) if head.len() <= 16 => {
            record.first_chunk() == Some(first) && record.last_chunk() == Some(last)
        }
        _ => record == head,
    }
}

impl Bucket {
    /// Becomes a copy of `other`, in the memory that it has already.
    pub(super) fn copy(&mut self, other: &Bucket) {
        self.records.clone_from(&other.records);
        self.accounts.clone_from(&other.accounts);
        self.records_bytes = other.records_bytes;
        match other.arena.ordered {
            true => {
                self.arena.empty(other.arena.bytes.len());
                self.arena.bytes.extend_from_slice(&other.arena.bytes);
            }
            false => self.put_in_order(&other.arena),
        }
    }

    pub(super) fn value(&self, key: &[u8], hash: u64) -> Option<&[u8]> {
        let is_it = |slot: &Slot| key_of(self.arena.record(slot)) == Some(key);
        let slot = self.records.find(hash, is_it)?;
        self.arena.record(slot).get(1 + key.len()..)
    }

    /// Loads the bucket's own cache line.
    pub(super) fn touch(&self) -> usize {
        self.records.len()
    }

    /// Loads the slot of an account.
    pub(super) fn touch_account(&self, hash: u64) -> usize {
        let slot = self.accounts.iter_hash(hash).next();
        slot.map_or(0, |account| account.balance as usize)
    }

    /// A record that is likely under `hash`, without looking into it; empty if there is none.
    pub(super) fn candidate(&self, hash: u64) -> &[u8] {
        let slot = self.records.iter_hash(hash).next();
        slot.map_or(&[], |slot| self.arena.record(slot))
    }

    /// By how much the counted size changes; none if it would grow by more than `room`.
    pub(super) fn put(&mut self, record: &[u8], key: &[u8], hash: u64, room: u64) -> Option<i64> {
        let head = &record[..1 + key.len()];
        // The first byte is the key's length: equal heads mean equal keys.
        let arena = &self.arena;
        let is_it = |slot: &Slot| starts_with(arena.record(slot), head);
        let stored = self.records.find_mut(hash, is_it);
        let grown = match &stored {
            Some(old) => record.len() as i64 - i64::from(old.len),
            None => record.len() as i64 + ITEM_OVERHEAD_BYTES as i64,
        };
        if grown > 0 && grown.unsigned_abs() > room {
            return None;
        }
        match stored {
            Some(old) => {
                self.records_bytes = self.records_bytes - old.len as usize + record.len();
                self.arena.replace(old, record);
            }
            None => {
                self.records_bytes += record.len();
                let slot = self.arena.add(record);
                let arena = &self.arena;
                let rehash = |slot: &Slot| arena.hash(slot);
                self.records.insert_unique(hash, slot, rehash);
            }
        }
        self.tidy();
        Some(grown)
    }

    /// Makes an arena anew that is half unused.
    #[inline]
    fn tidy(&mut self) {
        let unused = self.arena.unused;
        if unused >= UNUSED_MIN && unused >= self.arena.bytes.len() / 2 {
            self.make_anew();
        }
    }

    #[cold]
    fn make_anew(&mut self) {
        let old = std::mem::take(&mut self.arena);
        self.put_in_order(&old);
    }

    /// Takes the records over from `old`, where the slots say, in their order.
    fn put_in_order(&mut self, old: &Arena) {
        let len_bytes = self.records_bytes + LEN_BYTES * self.records.len();
        let mut slots: Vec<&mut Slot> = self.records.iter_mut().collect();
        slots.sort_unstable_by(|a, b| old.record(a).cmp(old.record(b)));
        self.arena.empty(len_bytes);
        for slot in slots {
            *slot = self.arena.add(old.record(slot));
        }
        self.arena.ordered = true;
    }

    #[inline]
    pub(super) fn balance(&self, id: u64, hash: u64) -> Option<u64> {
        let account = self.accounts.find(hash, |a| a.id == id)?;
        Some(account.balance)
    }

    #[inline]
    pub(super) fn set_balance(&mut self, id: u64, hash: u64, balance: u64) {
        match self.accounts.find_mut(hash, |a| a.id == id) {
            Some(account) => account.balance = balance,
            None => {
                let rehash = |a: &Account| slot_hash_of(a.id);
                self.accounts
                    .insert_unique(hash, Account { id, balance }, rehash);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.accounts.is_empty()
    }

    pub(super) fn encoded_len_bytes(&self) -> usize {
        8 + LEN_BYTES * self.records.len()
            + self.records_bytes
            + ACCOUNT_LEN_BYTES as usize * self.accounts.len()
    }

    /// `{ len:u32 record } 0:u32 accounts:u32 { id:u64 balance:u64 }`, both in order. Records come first:
    /// with a count before them they would be hashed out of step with the hash's chunks, at half the speed.
    pub(super) fn encode(&self, out: &mut impl Sink) {
        match self.arena.ordered {
            true => out.put(&self.arena.bytes),
            false => {
                let slots = self.records.iter();
                let mut records: Vec<&[u8]> = slots.map(|slot| self.arena.record(slot)).collect();
                records.sort_unstable();
                for record in records {
                    out.put(&(record.len() as u32).to_le_bytes());
                    out.put(record);
                }
            }
        }
        out.put(&RECORDS_END);
        out.put(&(self.accounts.len() as u32).to_le_bytes());
        let mut accounts: Vec<Account> = self.accounts.iter().copied().collect();
        accounts.sort_unstable_by_key(|account| account.id);
        for Account { id, balance } in accounts {
            out.put(&(u128::from(id) | u128::from(balance) << 64).to_le_bytes());
        }
    }

    /// The bucket and its counted size, at most `room`. Grows item by item: a length alone reserves
    /// nothing.
    pub(super) fn restore(
        part: usize,
        room: u64,
        input: &mut Input<'_>,
    ) -> Result<(Bucket, u64), RestoreError> {
        let mut bucket = Bucket::default();
        let mut bytes = 0u64;
        loop {
            let len = input.u32("kv record")? as usize;
            if len == 0 {
                break;
            }
            let record = input.slice("kv record", len)?;
            let key = key_of(record).unwrap_or_default();
            ensure(!key.is_empty(), "kv record", "has no key of 1 to 64 bytes")?;
            let home = Home::of_key(key);
            ensure(home.part == part, "kv record", "is in a wrong bucket")?;
            let known = bucket.value(key, home.hash);
            ensure(known.is_none(), "kv record", "appears twice")?;
            bytes += len as u64 + ITEM_OVERHEAD_BYTES;
            ensure(bytes <= room, "kv state", "exceeds its limit")?;
            bucket.put(record, key, home.hash, u64::MAX);
        }
        for _ in 0..input.u32("kv accounts")? {
            let (id, balance) = (input.u64("kv account")?, input.u64("kv account")?);
            let home = Home::of_account(id);
            ensure(home.part == part, "kv account", "is in a wrong bucket")?;
            let known = bucket.balance(id, home.hash);
            ensure(known.is_none(), "kv account", "appears twice")?;
            bytes += ACCOUNT_LEN_BYTES + ITEM_OVERHEAD_BYTES;
            ensure(bytes <= room, "kv state", "exceeds its limit")?;
            bucket.set_balance(id, home.hash, balance);
        }
        Ok((bucket, bytes))
    }
}

#[cfg(test)]
mod tests;
