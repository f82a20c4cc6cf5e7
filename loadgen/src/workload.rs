//! What the transactions do. A payload is a function of (seed, session, sequence number) alone, so
//! that a fail-over sends the same bytes again without anybody having kept them.

use execution::kv::format;
use serde::{Deserialize, Serialize};

use crate::rng::{Rng, mix};

/// Smallest `put`: tag, key and a few bytes of value.
pub const SIZE_BYTES_MIN: u32 = 16;
/// Random bytes from which values are cut; a power of two, larger than the last-level noise of
/// any compression, small enough to stay in cache.
const POOL_LEN_BYTES: usize = 64 << 10;

/// Kinds of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// Writes of random values under uniform keys.
    #[default]
    Put,
    /// Transfers of 1 to 100 between two uniform accounts.
    Transfer,
    /// Half of each.
    Mix,
}

impl WorkloadKind {
    /// The name in configs and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            WorkloadKind::Put => "put",
            WorkloadKind::Transfer => "transfer",
            WorkloadKind::Mix => "mix",
        }
    }
}

/// Writes payloads.
#[derive(Debug)]
pub struct Workload {
    kind: WorkloadKind,
    keys: u64,
    value_len: usize,
    seed: u64,
    pool: Vec<u8>,
}

impl Workload {
    /// `keys >= 1`; `size_bytes >= SIZE_BYTES_MIN`.
    #[must_use]
    pub fn new(kind: WorkloadKind, keys: u64, size_bytes: u32, seed: u64) -> Workload {
        let value_len = (size_bytes.max(SIZE_BYTES_MIN) as usize).saturating_sub(2 + 8);
        let mut rng = Rng::new(seed ^ 0x7061_796c_6f61_6473);
        let words = (POOL_LEN_BYTES + value_len).div_ceil(8);
        let pool = (0..words).flat_map(|_| rng.next().to_le_bytes()).collect();
        Workload {
            kind,
            keys,
            value_len,
            seed,
            pool,
        }
    }

    /// Longest payload that [`Workload::write`] appends.
    #[must_use]
    pub fn payload_len_max(&self) -> usize {
        (2 + 8 + self.value_len).max(25)
    }

    /// Appends the payload of one transaction.
    pub fn write(&self, session: u32, seq: u64, out: &mut Vec<u8>) {
        let mut rng = Rng::new(self.seed ^ mix(seq ^ (u64::from(session) << 40)));
        let is_put = match self.kind {
            WorkloadKind::Put => true,
            WorkloadKind::Transfer => false,
            WorkloadKind::Mix => rng.next() & 1 == 0,
        };
        if is_put {
            let key = rng.below(self.keys).to_le_bytes();
            let at = rng.next() as usize & (POOL_LEN_BYTES - 1);
            format::put(&key, &self.pool[at..at + self.value_len], out);
        } else {
            let from = rng.below(self.keys);
            // A different account, so that every transfer moves something.
            let to = (from + 1 + rng.below(self.keys - 1)) % self.keys;
            format::transfer(from, to, 1 + rng.below(100), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(workload: &Workload, session: u32, seq: u64) -> Vec<u8> {
        let mut out = Vec::new();
        workload.write(session, seq, &mut out);
        out
    }

    #[test]
    fn puts_have_the_size_and_are_repeatable() {
        let workload = Workload::new(WorkloadKind::Put, 1_000, 512, 9);
        let again = Workload::new(WorkloadKind::Put, 1_000, 512, 9);
        for seq in 1..100 {
            assert_eq!(payload(&workload, 3, seq).len(), 512);
            assert_eq!(payload(&workload, 3, seq), payload(&again, 3, seq));
        }
        assert_ne!(payload(&workload, 3, 1), payload(&workload, 4, 1));
        assert_ne!(payload(&workload, 3, 1), payload(&workload, 3, 2));
    }

    #[test]
    fn the_application_accepts_every_kind() {
        use execution::Application;
        let mut app = execution::kv::Kv::new();
        for kind in [WorkloadKind::Put, WorkloadKind::Transfer, WorkloadKind::Mix] {
            let workload = Workload::new(kind, 50, 64, 1);
            for seq in 1..500 {
                let payload = payload(&workload, 0, seq);
                let op = app.read(&payload);
                let outcome = app.execute(&[0; 16], &op);
                assert_eq!(outcome, types::client::Outcome::Applied, "{kind:?} {seq}");
            }
        }
    }
}
