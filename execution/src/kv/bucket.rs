//! One part of the `kv` state.

use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use types::Digest;

use super::format::key_of;
use super::{BUCKETS, ITEM_OVERHEAD_BYTES};
use crate::hash::{part_of, slot_hash};
use crate::parts::{Input, RestoreError, ensure};

/// Bytes of one account in the encoding.
pub(super) const ACCOUNT_LEN_BYTES: u64 = 16;

#[derive(Debug, Clone, Copy)]
struct Account {
    id: u64,
    balance: u64,
}

/// Records are kept as they arrive, `key_len key value`, in one allocation each: a copy of the
/// bucket shares them, and their byte order is an order by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    records: HashTable<Arc<[u8]>>,
    accounts: HashTable<Account>,
    records_bytes: usize,
    digest: OnceLock<Digest>,
}

fn record_hash(record: &[u8]) -> u64 {
    slot_hash(key_of(record).unwrap_or_default())
}

fn account_hash(id: u64) -> u64 {
    slot_hash(&id.to_le_bytes())
}

impl Bucket {
    pub(super) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        let is_it = |record: &Arc<[u8]>| key_of(record) == Some(key);
        let record = self.records.find(slot_hash(key), is_it)?;
        record.get(1 + key.len()..)
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

    /// A record that is likely under `hash`, without looking into it.
    pub(super) fn candidate(&self, hash: u64) -> Option<&[u8]> {
        self.records.iter_hash(hash).next().map(|record| &**record)
    }

    /// By how much the counted size changes; none if it would grow by more than `room`.
    pub(super) fn put(&mut self, record: &[u8], key: &[u8], room: u64) -> Option<i64> {
        let hash = slot_hash(key);
        let head = &record[..1 + key.len()];
        // The first byte is the key's length: equal heads mean equal keys.
        let stored = self.records.find_mut(hash, |old| old.starts_with(head));
        let grown = match &stored {
            Some(old) => record.len() as i64 - old.len() as i64,
            None => record.len() as i64 + ITEM_OVERHEAD_BYTES as i64,
        };
        if grown > 0 && grown.unsigned_abs() > room {
            return None;
        }
        match stored {
            Some(old) => {
                self.records_bytes = self.records_bytes - old.len() + record.len();
                match Arc::get_mut(old) {
                    Some(place) if place.len() == record.len() => place.copy_from_slice(record),
                    _ => *old = Arc::from(record),
                }
            }
            None => {
                self.records_bytes += record.len();
                let rehash = |record: &Arc<[u8]>| record_hash(record);
                self.records.insert_unique(hash, Arc::from(record), rehash);
            }
        }
        self.digest.take();
        Some(grown)
    }

    pub(super) fn balance(&self, id: u64) -> Option<u64> {
        let account = self.accounts.find(account_hash(id), |a| a.id == id)?;
        Some(account.balance)
    }

    pub(super) fn set_balance(&mut self, id: u64, balance: u64) {
        let hash = account_hash(id);
        match self.accounts.find_mut(hash, |a| a.id == id) {
            Some(account) => account.balance = balance,
            None => {
                let rehash = |a: &Account| account_hash(a.id);
                self.accounts
                    .insert_unique(hash, Account { id, balance }, rehash);
            }
        }
        self.digest.take();
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.accounts.is_empty()
    }

    pub(super) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            if self.is_empty() {
                return Digest::ZERO;
            }
            let mut bytes = Vec::with_capacity(self.encoded_len_bytes());
            self.encode(&mut bytes);
            Digest::of("reforge kv bucket v1", &bytes)
        })
    }

    pub(super) fn encoded_len_bytes(&self) -> usize {
        8 + 4 * self.records.len()
            + self.records_bytes
            + ACCOUNT_LEN_BYTES as usize * self.accounts.len()
    }

    /// `records:u32 { len:u32 record } accounts:u32 { id:u64 balance:u64 }`, both in order.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut records: Vec<&[u8]> = self.records.iter().map(|record| &**record).collect();
        records.sort_unstable();
        out.extend_from_slice(&(records.len() as u32).to_le_bytes());
        for record in records {
            out.extend_from_slice(&(record.len() as u32).to_le_bytes());
            out.extend_from_slice(record);
        }
        let mut accounts: Vec<&Account> = self.accounts.iter().collect();
        accounts.sort_unstable_by_key(|account| account.id);
        out.extend_from_slice(&(accounts.len() as u32).to_le_bytes());
        for account in accounts {
            out.extend_from_slice(&account.id.to_le_bytes());
            out.extend_from_slice(&account.balance.to_le_bytes());
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
        for _ in 0..input.u32("kv records")? {
            let len = input.u32("kv record")? as usize;
            let record = input.slice("kv record", len)?;
            let key = key_of(record).unwrap_or_default();
            ensure(!key.is_empty(), "kv record", "has no key of 1 to 64 bytes")?;
            ensure(
                part_of(key, BUCKETS) == part,
                "kv record",
                "is in a wrong bucket",
            )?;
            ensure(bucket.value(key).is_none(), "kv record", "appears twice")?;
            bytes += len as u64 + ITEM_OVERHEAD_BYTES;
            ensure(bytes <= room, "kv state", "exceeds its limit")?;
            bucket.put(record, key, u64::MAX);
        }
        for _ in 0..input.u32("kv accounts")? {
            let (id, balance) = (input.u64("kv account")?, input.u64("kv account")?);
            let home = part_of(&id.to_le_bytes(), BUCKETS);
            ensure(home == part, "kv account", "is in a wrong bucket")?;
            ensure(bucket.balance(id).is_none(), "kv account", "appears twice")?;
            bytes += ACCOUNT_LEN_BYTES + ITEM_OVERHEAD_BYTES;
            ensure(bytes <= room, "kv state", "exceeds its limit")?;
            bucket.set_balance(id, balance);
        }
        Ok((bucket, bytes))
    }
}
