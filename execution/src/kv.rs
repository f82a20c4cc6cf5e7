//! Keys with values, and accounts with balances.
//!
//! Bounds: a key is 1–64 bytes; the state is at most [`STATE_BYTES_MAX`], each record and each
//! account counted with [`ITEM_OVERHEAD_BYTES`]. What would exceed that is rejected by every replica
//! alike. An operation costs one or two table lookups and at most one allocation, the stored record.

mod bucket;
pub mod format;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use types::Digest;
use types::batch::{SessionId, TxRef};
use types::client::Outcome;

use crate::app::Application;
use crate::hash::{part_of, slot_hash};
use crate::parts::{Input, Parts, RestoreError};
use bucket::Bucket;
use format::{Op, Query};

/// Parts of the state.
pub const BUCKETS: usize = 4096;
/// Largest state in bytes, overheads included.
pub const STATE_BYTES_MAX: u64 = 1 << 30;
/// What a record or an account counts beyond its own bytes.
pub const ITEM_OVERHEAD_BYTES: u64 = 64;
/// What every account holds before it is first touched.
pub const BALANCE_INITIAL: u64 = 1_000_000;

/// Transactions that [`Application::warm`] looks ahead at most.
const WARM_TXS: usize = 32;
const CACHE_LINE_BYTES: usize = 64;

/// Reason codes of [`Outcome::Rejected`].
pub mod code {
    /// No operation has this form.
    pub const MALFORMED: u8 = 1;
    /// The payer holds less than the amount.
    pub const INSUFFICIENT_FUNDS: u8 = 2;
    /// The state has no room for the new record or account.
    pub const STATE_FULL: u8 = 3;
    /// The payee's balance would exceed `u64`.
    pub const OVERFLOW: u8 = 4;
}

/// The application's state.
#[derive(Debug, Clone)]
pub struct Kv {
    buckets: Vec<Arc<Bucket>>,
    spare: Spare,
    /// Size as counted against `bytes_max`; a function of the content.
    bytes: u64,
    bytes_max: u64,
}

impl Default for Kv {
    fn default() -> Kv {
        Kv::new()
    }
}

impl Kv {
    pub fn new() -> Kv {
        Kv::with_limit(STATE_BYTES_MAX)
    }

    fn with_limit(bytes_max: u64) -> Kv {
        Kv {
            buckets: vec![Arc::default(); BUCKETS],
            spare: Spare::default(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Size of the state in bytes, as counted against [`STATE_BYTES_MAX`].
    pub fn len_bytes(&self) -> u64 {
        self.bytes
    }

    /// The value under `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.buckets[part_of(key, BUCKETS)].value(key)
    }

    /// Balance of an account, touched or not.
    pub fn balance(&self, account: u64) -> u64 {
        self.balance_stored(account).unwrap_or(BALANCE_INITIAL)
    }

    fn balance_stored(&self, account: u64) -> Option<u64> {
        self.buckets[part_of(&account.to_le_bytes(), BUCKETS)].balance(account)
    }

    /// A bucket to write to: a copy of its own if some snapshot has it too.
    fn bucket_mut(&mut self, part: usize) -> &mut Bucket {
        let bucket = &mut self.buckets[part];
        if Arc::get_mut(bucket).is_none() {
            *bucket = match bucket.is_empty() {
                true => Arc::default(),
                false => {
                    let mut copy = self.spare.take();
                    // A spare bucket has one owner: otherwise it is made anew here.
                    Arc::make_mut(&mut copy).copy(bucket);
                    copy
                }
            };
        }
        Arc::make_mut(bucket)
    }

    fn put(&mut self, record: &[u8], key: &[u8]) -> Outcome {
        let room = self.bytes_max - self.bytes;
        let bucket = self.bucket_mut(part_of(key, BUCKETS));
        match bucket.put(record, key, room) {
            Some(grown) => {
                self.bytes = self.bytes.saturating_add_signed(grown);
                Outcome::Applied
            }
            None => Outcome::Rejected(code::STATE_FULL),
        }
    }

    /// All or nothing: a rejected transfer touches no account.
    fn transfer(&mut self, from: u64, to: u64, amount: u64) -> Outcome {
        let (payer, payee) = (self.balance_stored(from), self.balance_stored(to));
        let Some(payer_after) = payer.unwrap_or(BALANCE_INITIAL).checked_sub(amount) else {
            return Outcome::Rejected(code::INSUFFICIENT_FUNDS);
        };
        if from == to {
            return Outcome::Applied;
        }
        let Some(payee_after) = payee.unwrap_or(BALANCE_INITIAL).checked_add(amount) else {
            return Outcome::Rejected(code::OVERFLOW);
        };
        let touched = u64::from(payer.is_none()) + u64::from(payee.is_none());
        let grown = touched * (bucket::ACCOUNT_LEN_BYTES + ITEM_OVERHEAD_BYTES);
        if grown > self.bytes_max - self.bytes {
            return Outcome::Rejected(code::STATE_FULL);
        }
        self.bytes += grown;
        self.set_balance(from, payer_after);
        self.set_balance(to, payee_after);
        Outcome::Applied
    }

    fn set_balance(&mut self, account: u64, balance: u64) {
        let part = part_of(&account.to_le_bytes(), BUCKETS);
        self.bucket_mut(part).set_balance(account, balance);
    }
}

/// Buckets of snapshots that nobody needs any more. At high rates nearly every bucket is copied after a
/// snapshot: into memory that is there already, which the kernel need not clear first.
#[derive(Debug, Clone, Default)]
struct Spare(Arc<Mutex<Vec<Arc<Bucket>>>>);

impl Spare {
    fn take(&self) -> Arc<Bucket> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }
}

impl Drop for Kv {
    fn drop(&mut self) {
        // The last copy has nobody to leave anything to.
        if Arc::strong_count(&self.spare.0) == 1 {
            return;
        }
        let mut own = std::mem::take(&mut self.buckets);
        own.retain_mut(|bucket| Arc::get_mut(bucket).is_some_and(|b| !b.is_empty()));
        let mut spare = self.spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = BUCKETS.saturating_sub(spare.len());
        spare.extend(own.drain(..own.len().min(room)));
    }
}

/// Part and slot of a key.
fn home(key: &[u8]) -> (usize, u64) {
    (part_of(key, BUCKETS), slot_hash(key))
}

impl Application for Kv {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn execute(&mut self, _session: &SessionId, payload: &[u8]) -> Outcome {
        match Op::parse(payload) {
            Some(Op::Put { record, key }) => self.put(record, key),
            // An ordered read changes nothing; its answer comes from a query.
            Some(Op::Get { .. }) => Outcome::Applied,
            Some(Op::Transfer { from, to, amount }) => self.transfer(from, to, amount),
            None => Outcome::Rejected(code::MALFORMED),
        }
    }

    /// Three rounds of independent loads (bucket, slot, record), each over all transactions.
    fn warm(&self, txs: &[TxRef<'_>]) {
        let mut records = [None; WARM_TXS];
        let mut accounts = [None; 2 * WARM_TXS];
        for (at, tx) in txs.iter().take(WARM_TXS).enumerate() {
            match Op::parse(tx.payload) {
                Some(Op::Put { key, .. }) => records[at] = Some(home(key)),
                Some(Op::Transfer { from, to, .. }) => {
                    accounts[2 * at] = Some(home(&from.to_le_bytes()));
                    accounts[2 * at + 1] = Some(home(&to.to_le_bytes()));
                }
                _ => {}
            }
        }
        let mut touched = 0;
        for (part, _) in records.iter().chain(&accounts).flatten() {
            touched ^= self.buckets[*part].touch();
        }
        for (part, hash) in accounts.iter().flatten() {
            touched ^= self.buckets[*part].touch_account(*hash);
        }
        let mut found = [None; WARM_TXS];
        for (home, record) in records.iter().zip(&mut found) {
            *record = home.and_then(|(part, hash)| self.buckets[part].candidate(hash));
        }
        for record in found.iter().flatten() {
            let lines = record.chunks(CACHE_LINE_BYTES).take(16);
            touched ^= lines.fold(0, |sum, line| sum ^ usize::from(line[0]));
        }
        std::hint::black_box(touched);
    }

    fn query(&self, query: &[u8]) -> Bytes {
        match Query::parse(query) {
            Some(Query::Value { key }) => format::answer(self.get(key)),
            Some(Query::Balance { account }) => {
                format::answer(Some(&self.balance(account).to_le_bytes()))
            }
            None => format::answer_malformed(),
        }
    }
}

impl Parts for Kv {
    fn parts(&self) -> usize {
        BUCKETS
    }
    fn part_len_bytes(&self, part: usize) -> usize {
        self.buckets[part].encoded_len_bytes()
    }
    fn part_digest(&self, part: usize) -> Digest {
        self.buckets[part].digest()
    }
    fn encode_part(&self, part: usize, out: &mut Vec<u8>) {
        self.buckets[part].encode(out);
    }
    fn restore_part(&mut self, part: usize, input: &mut Input<'_>) -> Result<(), RestoreError> {
        let room = self.bytes_max - self.bytes;
        let (bucket, bytes) = Bucket::restore(part, room, input)?;
        self.bytes += bytes;
        self.buckets[part] = Arc::new(bucket);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
